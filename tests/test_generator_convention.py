"""The convention tinyengine-codegen, against the generator's own figures and an oracle that does as it does."""

from __future__ import annotations

import naive_generator
import published
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies_schedules import networks

from mcusim import simulate, zoo
from mcusim.conventions import count
from mcusim.conventions.shared.generator_layers import generator_layers
from mcusim.conventions.tinyengine_codegen import _NO_LIMIT, _peak_bytes, _Tenant
from mcusim.errors import ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph
from mcusim.memory.counting import compare_plans
from mcusim.schedule import AUTO, LAYER, parse_schedule

NAME = "tinyengine-codegen"


def counted(graph: Graph, spec: str = "layer") -> dict[str, int]:
    return {part.name: part.size_bytes for part in count(NAME, graph, parse_schedule(spec)).parts}


def as_generator(graph: Graph) -> list[naive_generator.Layer]:
    """The generator's layers of a network of convolutions, pools and ADDs, read off the nodes."""
    layers: list[naive_generator.Layer] = []
    padded: dict[int, int] = {}

    def tensor(index: int) -> naive_generator.Tensor:
        _, rows, cols, channels = graph.tensors[index].shape
        return naive_generator.Tensor(str(index), channels, rows, cols)

    for node in graph.nodes:
        if node.op == "PAD":
            padded[node.outputs[0]] = node.inputs[0]
            continue
        reads = [padded.get(t, t) for t in node.inputs if not graph.tensors[t].is_constant]
        kernel, stride = 1, 1
        if "CONV" in node.op:
            kernel, stride = node.signature.input(1).shape[1], node.attributes.stride_h
        output = tensor(node.outputs[0])
        layers.append(naive_generator.Layer(node.op, [tensor(t) for t in reads], output, kernel, stride))
    return layers


@pytest.mark.parametrize("name", published.TINYENGINE_PEAK_MEM_BYTES)
def test_layer_by_layer_equals_the_generator(name):
    assert sum(counted(zoo.build(name)).values()) == published.TINYENGINE_PEAK_MEM_BYTES[name]


@pytest.mark.parametrize(("name", "spec"), published.TINYENGINE_CODEGEN_PATCHED)
def test_patches_equal_the_generator(name, spec):
    assert counted(zoo.build(name), spec) == published.TINYENGINE_CODEGEN_PATCHED[name, spec]


@given(graph=networks())
def test_any_network_equals_the_oracle(graph):
    assert counted(graph) == naive_generator.peak_mem(as_generator(graph))


@given(graph=networks(), data=st.data())
def test_any_patch_stage_equals_the_oracle(graph, data):
    layers = as_generator(graph)
    able = next((i for i, layer in enumerate(layers[:-1]) if "POOL" in layer.op), len(layers) - 1)
    split = data.draw(st.integers(0, able))
    if not split:
        return
    behind = layers[split]
    sides = [n for n in range(1, behind.rows + 1) if behind.rows % n == behind.cols % n == 0]
    side = data.draw(st.sampled_from(sides))
    assert counted(graph, f"patch:{side}x{side}@{split}") == naive_generator.peak_mem(layers, split, side)


CHAINS_OF_BLOCKS = [n for n in zoo.names() if "int4" not in n and n.startswith(("mb", "mcunet-", "mnas", "proxyless"))]
"""Networks of inverted residual blocks: convolutions and ADDs up to the classifier."""


@st.composite
def lives(draw) -> tuple[int, int, int, int | None]:
    """Size, first and last step, and the step after which a quarter is in use. Few values, so that many are alike."""
    first = draw(st.integers(0, 5))
    size, length = 4 * draw(st.integers(1, 5)), draw(st.integers(1, 4))
    return size, first, first + length, draw(st.sampled_from((None, None, first, first + 1)))


GAP_PASSED_OVER = [(40, 8, 10, None), (12, 7, 11, 7), (48, 1, 4, 1), (4, 5, 9, 5), (12, 8, 12, 8), (44, 3, 6, 4)]
"""One of a thousand: a gap beside one that is cut stays, although the tenant that cuts reaches into both."""


@example(tenants=GAP_PASSED_OVER)
@given(tenants=st.lists(lives(), min_size=1, max_size=12))
def test_any_lives_are_placed_as_the_generator_places_them(tenants):
    """Same lives over one another, gaps passed over: seldom in networks, often here."""
    own = [_Tenant(s, first, end, _NO_LIMIT if at is None else at) for s, first, end, at in tenants]
    theirs = [
        naive_generator.Rectangle(first, end, s, index, halved_at=at)
        for index, (s, first, end, at) in enumerate(tenants)
    ]
    assert _peak_bytes(own) == naive_generator.peak_of(theirs)


@pytest.mark.parametrize("name", CHAINS_OF_BLOCKS)
def test_every_stage_of_published_networks_equals_the_oracle(name):
    graph = zoo.build(name)
    for split in range(1, 24, 3):
        behind = as_generator(without_tail(graph))[split]
        for side in (2, 4, 7):
            if behind.rows % side == 0:
                expected = naive_generator.peak_mem(as_generator(without_tail(graph)), split, side)
                assert counted(graph, f"patch:{side}x{side}@{split}") == expected, (split, side)


def without_tail(graph: Graph) -> Graph:
    """Without the RESHAPE of the classifier's output, which the generator skips."""
    assert graph.nodes[-1].op == "RESHAPE"
    return Graph(graph.name, graph.tensors, graph.nodes[:-1], graph.inputs, graph.nodes[-2].outputs)


# ---------------------------------------------------------------------------------------------------------------------
# What the generator reads otherwise than it stands in the file


def test_excitation_and_means_are_fused():
    ops = [layer.op for layer in generator_layers(zoo.build("mcunetv2_large"))]
    assert (ops.count("MEAN"), ops.count("MUL"), ops.count("ADD")) == (14, 13, 10)
    assert "TRANSPOSE" not in ops


def test_tensors_around_a_skipped_reshape_are_not_linked():
    builder = GraphBuilder("classifier")
    x = builder.conv_2d(builder.conv_2d(builder.input((1, 4, 4, 8)), 16, 1), 64, 1)
    graph = builder.build([builder.fully_connected(builder.reshape(x, (1, 1024)), 10)])
    _, before, behind = generator_layers(graph)
    assert before.writes != behind.reads
    assert counted(graph)["activations"] == 2 * 1024  # on both sides: nobody seems to make the one or read the other


# ---------------------------------------------------------------------------------------------------------------------
# What the generator cannot express


@pytest.mark.parametrize(
    ("name", "spec", "message", "nearest"),
    [
        ("mcunet-vww1", "patch:2x2@5+patch:2x2@3", "one patch stage", "patch:2x2@5"),
        ("mcunet-vww1", "layer@1+patch:2x2@4", "from the first layer on", "patch:2x2@5"),
        ("mcunet-vww1", "stream:10@5", "one patch stage", "patch:2x2@5"),
        ("mcunet-vww1", "patch:2x4@5", "as many rows as columns", "patch:4x4@5"),
        ("mcunet-vww1", "patch:3x3@5", "20x20, does not divide into 3x3", "patch:2x2@5"),
        ("mcunet-vww1", "patch:6x6@8", "does not divide", "patch:5x5@8"),
        ("mcunet-vww1", "patch:2x2@54", "layer 54 is AVERAGE_POOL_2D", "patch:3x3@53"),
        ("mcunetv2_large", "patch:2x2@14", "layer 11 is MEAN", "patch:2x2@10"),
        ("person-det", "patch:8x8@999", "layer", None),
    ],
)
def test_other_schedules_get_one_sentence_and_the_nearest_that_works(name, spec, message, nearest):
    graph = zoo.build(name)
    with pytest.raises(ScheduleError, match=message) as refusal:
        count(NAME, graph, parse_schedule(spec))
    proposed = refusal.value.fix.removeprefix("use ")
    assert nearest is None or proposed == nearest
    assert count(NAME, graph, parse_schedule(proposed)).total_bytes > 0


def test_a_network_of_one_layer_runs_layer_by_layer_only():
    builder = GraphBuilder("one")
    graph = builder.build([builder.conv_2d(builder.input((1, 8, 8, 3)), 8, 3, padding=1)])
    with pytest.raises(ScheduleError, match=r"last layer cannot be in the stage(.|\n)*use layer"):
        count(NAME, graph, parse_schedule("patch:2x2@1"))


# ---------------------------------------------------------------------------------------------------------------------
# Where users see it


def test_a_report_shows_its_parts():
    report = simulate("mcunet-vww1", profile="stm32f746", convention=NAME, schedule="patch:2x2@5")
    assert (report.sram.peak_bytes, report.sram.arena_bytes, report.sram.scratch_bytes) == (62_352, 59_568, 2_784)
    assert [part.name for part in report.convention.parts] == ["activations", "im2col", "kernel"]
    assert str(report.convention.basis) == "derived"
    assert any("tinyengine itself takes 49,552 bytes" in warning for warning in report.warnings)


def test_side_by_side_it_is_left_out_where_it_cannot_count():
    graph = zoo.build("mcunet-vww1")
    assert {c.name: c.total_bytes for c in compare_plans(graph, LAYER)}[NAME] == 93_992
    assert {c.name: c.total_bytes for c in compare_plans(graph, parse_schedule("patch:2x2@5"))}[NAME] == 62_352
    assert NAME not in {c.name for c in compare_plans(graph, parse_schedule("stream:4@5"))}
    with pytest.raises(ScheduleError, match="no board"):
        count(NAME, graph, AUTO)

"""Sums against the figures they explain: derived ones to the printed digit, calibrated ones within what they claim."""

from __future__ import annotations

import statistics

import numpy as np
import published
import pytest
from tflite_maker import FLOAT32, INT8, Maker, make_options

import mcusim
from mcusim import zoo
from mcusim.conventions import CONVENTIONS, count, find_convention
from mcusim.conventions.registry import register
from mcusim.conventions.shared.layers import layers, tensors_around
from mcusim.errors import RuntimeNameError, ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.tflite import parse_tflite, read_tflite
from mcusim.graph import Graph, Padding
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.planners import live_bytes
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER, parse_schedule


def kib(convention: str, name: str) -> float:
    return count(convention, zoo.build(name)).total_bytes / 1024


def assert_rounds_to(value: float, printed: int) -> None:
    assert printed - 0.5 <= value <= printed + 0.5


@pytest.mark.parametrize("name", published.ACT_2020_KIB)
def test_act_2020(name):
    assert_rounds_to(kib("act", name), published.ACT_2020_KIB[name])


def test_act_of_the_row_that_is_printed_otherwise():
    assert kib("act", "mbv2-w0.35-r144") == 303.75


@pytest.mark.parametrize("name", published.TINYENGINE_F746_2022_KIB)
def test_figure_of_2022_is_io(name):
    assert_rounds_to(kib("io", name), published.TINYENGINE_F746_2022_KIB[name])


def test_mcunetv2_layer_by_layer():
    assert kib("mcunetv2", "mbv2-w1.0-r224") == published.MCUNETV2_KIB["mbv2-w1.0-r224"]


def test_mcunetv2_in_patches():
    ledger = count("mcunetv2", zoo.build("mbv2-w1.0-r224"), parse_schedule("patch:4x4@13"))
    assert ledger.total_bytes == 171.5 * 1024
    assert [part.name for part in ledger.parts] == ["activations"]  # of the first expansion behind the stage
    deeper = count("mcunetv2", zoo.build("mbv2-w1.0-r224"), parse_schedule("patch:2x2@13"))
    assert [part.name for part in deeper.parts] == ["activations", "stage output"]
    assert deeper.total_bytes > ledger.total_bytes
    for spec in ("stream:4@13", "layer@2+patch:4x4@11", "patch:2x2@4+patch:2x2@4"):
        with pytest.raises(ScheduleError, match="one stage of patches") as refusal:
            count("mcunetv2", zoo.build("mbv2-w1.0-r224"), parse_schedule(spec))
        assert count("mcunetv2", zoo.build("mbv2-w1.0-r224"), parse_schedule(refusal.value.fix.removeprefix("use ")))


@pytest.mark.parametrize("name", zoo.names())
def test_live_equals_io_on_every_architecture(name):
    assert kib("live", name) == kib("io", name)


@pytest.mark.parametrize("name", published.TINYENGINE_H743_KIB)
def test_live_and_the_held_buffers_are_the_h743_column(name):
    """TinyEngine's README prints live + im2col + kernel; the runtime's placement meets that sum."""
    graph = zoo.build(name)
    held = sum(size for size in held_buffers(graph).values())
    assert abs(count("live", graph).total_bytes / 1024 + held / 1024 - published.TINYENGINE_H743_KIB[name]) <= 0.7


def held_buffers(graph) -> dict[str, int]:
    program = lower(graph, LAYER, RUNTIMES["tinyengine"].rules)
    return {b.name: b.size_bytes for b in program.buffers if b.kind == "held"}


@pytest.mark.parametrize("name", published.ZOO_2020_KIB)
def test_zoo_2020_within_its_claim(name):
    assert abs(kib("zoo-2020", name) - published.ZOO_2020_KIB[name]) <= 0.43


@pytest.mark.parametrize(
    ("name", "printed"), [*published.TABLE4_KIB.items(), *published.INT4_2020_KIB.items()], ids=str
)
def test_table4_within_its_claim(name, printed):
    assert abs(kib("table4", name) - printed) <= 0.8


@pytest.mark.parametrize("name", ["mbv2-w0.35-r144", "proxyless-w0.3-r176"])
def test_the_other_tinyengine_rows_of_table4_are_those_of_the_zoo(name):
    assert {"mbv2-w0.35-r144": 308, "proxyless-w0.3-r176": 292}[name] == published.ZOO_2020_KIB[name]


# ---------------------------------------------------------------------------------------------------------------------
# X-CUBE-AI: a rule with an error, which is part of what it says


def test_x_cube_ai_on_the_table_that_it_was_not_made_from():
    errors = [abs(kib("x-cube-ai", name) / printed - 1) for name, printed in published.X_CUBE_AI_H743_KIB.items()]
    assert statistics.mean(errors) == pytest.approx(0.067, abs=0.002)
    assert statistics.median(errors) == pytest.approx(0.062, abs=0.002)
    assert max(errors) == pytest.approx(0.26, abs=0.005)
    assert "6.7 %, 6.2 %, 26 %" in CONVENTIONS["x-cube-ai"].evidence


def mobilenet_v1(side: int, width: float):
    """ST's MobileNet v1: pointwise and depthwise convolutions up to the third stride."""
    builder = GraphBuilder("mobilenet v1")
    x = builder.conv_2d(builder.input((1, side, side, 3)), int(32 * width), 3, stride=2, padding=Padding.SAME)
    for out_c, stride in ((64, 1), (128, 2), (128, 1), (256, 2)):
        x = builder.depthwise_conv_2d(x, 3, stride=stride, padding=Padding.SAME)
        x = builder.conv_2d(x, int(out_c * width), 1, padding=Padding.VALID)
    return builder.build([x])


def squeeze_concat():
    """A fire module of SqueezeNet 1.1 at 224: 55 x 55 x 16 expanded twice to 64."""
    builder = GraphBuilder("fire")
    x = builder.conv_2d(builder.input((1, 55, 55, 64)), 16, 1, padding=Padding.VALID)
    a = builder.conv_2d(x, 64, 1, padding=Padding.VALID)
    b = builder.conv_2d(x, 64, 3, padding=Padding.SAME)
    return builder.build([builder.concatenation([a, b], axis=3)])


@pytest.mark.parametrize(
    ("graph", "row", "percent"),
    [
        (mobilenet_v1(96, 0.25), "mobilenet v1 0.25 96", 5),
        (mobilenet_v1(224, 0.25), "mobilenet v1 0.25 224", 2),
        (squeeze_concat(), "squeeze concat 55", 0),
    ],
    ids=["96", "224", "squeeze"],
)
def test_x_cube_ai_on_rows_of_st(graph, row, percent):
    activations = count("x-cube-ai", graph).parts[0].size_bytes / 1024
    printed = published.X_CUBE_AI_ST_KIB[row]
    assert abs(activations - printed) <= printed * percent / 100 + 0.005


# ---------------------------------------------------------------------------------------------------------------------
# What every convention says


def test_each_says_what_it_counts_and_how_well_that_is_known():
    assert set(CONVENTIONS) == {
        "act",
        "io",
        "live",
        "mcunetv2",
        "table4",
        "tinyengine-codegen",
        "x-cube-ai",
        "zoo-2020",
    }
    calibrated = {name for name, c in CONVENTIONS.items() if c.basis is Basis.CALIBRATED}
    assert calibrated == {"table4", "x-cube-ai", "zoo-2020"}
    for convention in CONVENTIONS.values():
        assert convention.what
        assert convention.evidence
        assert "\n" not in convention.what


@pytest.mark.parametrize("name", CONVENTIONS)
def test_parts_add_up(name):
    ledger = count(name, zoo.build("mcunet-in2"))
    assert ledger.total_bytes == sum(part.size_bytes for part in ledger.parts) > 0
    assert ledger.basis is CONVENTIONS[name].basis


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.corpus
def test_every_corpus_network_is_counted(corpus_model, name):
    graph = read_tflite(corpus_model.path)
    only_adds = {node.op for node in graph.nodes} == {"ADD"}  # which most conventions leave out
    assert count(name, graph).total_bytes > 0 or (only_adds and name != "live")


def test_live_is_no_more_than_any_order_of_tinyengine_needs():
    for name in ("mcunet-in3", "person-det", "mbv2-w1.0-r224"):
        graph = zoo.build(name)
        program = lower(graph, LAYER, RUNTIMES["tinyengine"].rules)
        assert count("live", graph).total_bytes <= max(live_bytes(program.buffers, program.length))


def test_unknown_names_and_schedules():
    with pytest.raises(RuntimeNameError, match=r"no such convention(.|\n)*did you mean 'table4'"):
        find_convention("table5")
    with pytest.raises(RuntimeNameError, match="registered twice"):
        register(next(iter(CONVENTIONS.values())).__class__(**fields_of("io")))
    with pytest.raises(ScheduleError, match="layer by layer only"):
        count("act", zoo.build("mcunet-in0"), parse_schedule("patch:2x2@3"))


def fields_of(name: str) -> dict[str, object]:
    convention = CONVENTIONS[name]
    return {field: getattr(convention, field) for field in convention.__dataclass_fields__}


def float_bordered(side: int, channels: int) -> Graph:
    """QUANTIZE, one convolution, DEQUANTIZE: floats outside."""
    made = Maker()
    shape = (1, side, side, channels)
    for kind in (FLOAT32, INT8, INT8, FLOAT32):
        made.tensor(shape, kind, scales=() if kind == FLOAT32 else (0.5,))
    ones = np.ones((channels, 3, 3, channels))
    weights = made.tensor(ones.shape, elements=ones, scales=(0.5,) * channels, zero_points=(0,) * channels)
    made.operator("QUANTIZE", [0], [1], make_options("QuantizeOptions"))
    made.operator("CONV_2D", [1, weights, -1], [2], make_options("Conv2DOptions", strideW=1, strideH=1))
    made.operator("DEQUANTIZE", [2], [3], make_options("DequantizeOptions"))
    made.graph.inputs, made.graph.outputs = [0], [3]
    return parse_tflite(made.pack(), name="bordered", where="bordered.tflite")


def test_x_cube_ai_counts_floats_at_the_borders():
    """ST printed 387.8 KiB in all for a network of four such convolutions; two buffers of floats are most of it."""
    graph, floats = float_bordered(32, 4), 4 * 32 * 32 * 4
    here, outside = (count("x-cube-ai", graph, input_place=place) for place in InputPlace)
    parts = {part.name: part.size_bytes for part in here.parts}
    assert parts["borders"] == 2 * floats
    assert here.total_bytes - outside.total_bytes >= floats
    assert {part.name: part.size_bytes for part in outside.parts}["borders"] == floats
    report = mcusim.simulate(graph, profile="stm32h743", runtime="x-cube-ai")
    external = mcusim.simulate(graph, profile="stm32h743", runtime="x-cube-ai", input_place="external")
    assert (report.sram.peak_bytes, external.sram.peak_bytes) == (here.total_bytes, outside.total_bytes)


def test_an_input_outside_is_not_counted_where_it_sets_the_peak():
    builder = GraphBuilder("wide")
    graph = builder.build([builder.conv_2d(builder.input((1, 64, 64, 8)), 2, 3, stride=2)])
    here, outside = (count("x-cube-ai", graph, input_place=place).total_bytes for place in InputPlace)
    assert here > 64 * 64 * 8 > outside


@pytest.mark.parametrize("with_input", [True, False])
def test_beside_a_layer_is_what_is_there_before_and_behind_it(with_input):
    """Against a search of all nodes for each layer: shortcuts, an early output, an input that is late, one unread."""
    builder = GraphBuilder("beside")
    source, late, _ = (builder.input((1, 4, 4, channels)) for channels in (2, 3, 5))
    early = builder.op("RELU", (source,))
    wide = builder.conv_2d(early, 7, 1)
    branches = [builder.conv_2d(wide, 3, 1) for _ in range(4)]
    total = late
    for branch in branches:
        total = builder.op("ADD", (total, branch))
    graph = builder.build([early, total])

    def alive_beside(index: int) -> set[int]:
        done = {tensor for node in graph.nodes[:index] for tensor in node.outputs} | set(graph.inputs)
        wanted = {tensor for node in graph.nodes[index + 1 :] for tensor in node.inputs} | set(graph.outputs)
        return (done & wanted) - {*graph.nodes[index].inputs, *graph.nodes[index].outputs}

    program = lower(graph, LAYER, RUNTIMES["tinyengine"].rules, InputPlace.ARENA)
    beside = [alive_beside(index) for index in range(len(graph.nodes))]
    assert [around.beside for _, around in tensors_around(program)] == beside
    counted = [tensors - (set() if with_input else set(graph.inputs)) for tensors in beside]
    sizes = [sum(graph.tensors[tensor].size_bytes for tensor in tensors) for tensors in counted]
    assert [layer.beside_bytes for layer in layers(graph, with_input=with_input)] == sizes
    assert len(set(sizes)) > 3

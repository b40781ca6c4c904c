"""Programs cast from a mould against Programs lowered step by step, for networks that are wired alike and differ."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace

import pytest
from conftest import corpus_models

from mcusim import zoo
from mcusim.boards import load_board
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import DType, Graph
from mcusim.lowering import moulds
from mcusim.lowering.lower import lower, lower_alone
from mcusim.lowering.moulds import frame_of
from mcusim.lowering.rules import InputPlace
from mcusim.memory.placement import place_for
from mcusim.planners import live_bytes
from mcusim.pricing.breakdown import breakdown
from mcusim.pricing.stages import stage_infos
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.runtimes.refusals import refusals
from mcusim.schedule import LAYER
from mcusim.simulation.simulate import prices_for

runtimes = pytest.mark.parametrize("runtime", RUNTIMES.values(), ids=RUNTIMES)
SEEDS = 40


def drawn(seed: int) -> Graph:
    """Shortcuts, pads that fold and pads that cannot, working memory, reshapes: sizes and constants are drawn."""
    draw = random.Random(seed)
    builder = GraphBuilder(f"drawn {seed}", draw.choice((DType.INT8, DType.INT8, DType.INT16)))
    side = draw.choice((8, 12, 16))
    x = builder.conv_2d(builder.input((1, side, side, 3)), 8, 3, padding=1)
    for stride in (1, 2, 1):
        kernel = draw.choice((3, 5))
        wide = builder.conv_2d(x, draw.choice((4, 16, 24, 40)), 1)
        deep = builder.depthwise_conv_2d(wide, kernel, stride=stride, padding=kernel // 2)
        back = builder.conv_2d(deep, 8, draw.choice((1, 1, 3)))
        x = builder.add(back, builder.unary("RELU", back))
    bordered = builder.pad(x, 1, draw.choice((0, 1)), 1, 1)
    x = builder.concatenation([builder.unary("ABS", bordered), builder.max_pool_2d(bordered, 1)], axis=3)
    x = builder.depthwise_conv_2d(builder.unary("RELU", x), 1)
    count = 1
    for size in builder.type_of(x).shape:
        count *= size
    x = builder.fully_connected(builder.reshape(x, (1, count)), draw.choice((2, 10, 100)))
    return builder.build([builder.softmax(x)])


def assert_cast(graph: Graph, runtime: Runtime, place: InputPlace | None = None) -> bool:
    """The Program is the one that lowering it step by step gives. Returns whether a mould was there for it."""
    frame = frame_of(graph, runtime.rules, place or runtime.rules.input_place)
    is_cast = frame is not None and frame.cast(graph) is not None
    assert lower(graph, LAYER, runtime.rules, place) == lower_alone(graph, runtime.rules, place)
    return is_cast


@runtimes
def test_networks_that_differ_in_sizes_are_lowered_right(runtime):
    cast = sum(assert_cast(drawn(seed), runtime) for seed in range(SEEDS))
    external = sum(assert_cast(drawn(seed), runtime, InputPlace.EXTERNAL) for seed in range(SEEDS))
    if runtime.name in ("tinyengine", "tflm", "tflm-cmsis-nn"):
        assert min(cast, external) > SEEDS // 4


def test_names_of_fused_nodes_are_the_same_from_a_mould():
    """Converters join the names of fused nodes by `;`; working memory is named after the first."""
    drawn_graph = drawn(0)
    nodes = [replace(node, name=f"{node.name};{node.name}/ReadVariableOp") for node in drawn_graph.nodes]
    graph = replace(drawn_graph, nodes=tuple(nodes))
    assert [assert_cast(graph, RUNTIMES["tflm-cmsis-nn"]) for _ in range(2)][1]


@runtimes
@pytest.mark.parametrize("name", ["mcunet-in2", "mcunet-vww1", "mbv2-w0.35-r144", "person-det", "proxyless-w0.3-r176"])
def test_networks_of_the_zoo_are_lowered_right(name, runtime):
    for _ in range(2):
        assert_cast(zoo.build(name), runtime)


@runtimes
def test_what_a_report_reads_of_a_cast_program_is_what_it_reads_step_by_step(runtime):
    """Columns against loops: layers, sums of efforts to the last bit, stages, bytes alive, and where buffers go."""
    board = load_board("stm32h743").with_clock(100_000_000)
    prices = prices_for(runtime, board)
    for seed in range(SEEDS):
        graph = drawn(seed)
        cast, alone = lower(graph, LAYER, runtime.rules), lower_alone(graph, runtime.rules)
        assert alone.plain is None
        alive = live_bytes(alone.buffers, alone.length)
        assert live_bytes(cast.buffers, cast.length) == alive
        assert breakdown(cast, alive, 24, runtime, prices) == breakdown(alone, alive, 24, runtime, prices)
        assert stage_infos(cast) == stage_infos(alone)
        assert refusals(cast, board, runtime, {}) == refusals(alone, board, runtime, {})
        assert (cast.input_bytes, cast.outside_bytes, cast.length) == (
            alone.input_bytes,
            alone.outside_bytes,
            alone.length,
        )
        assert place_for(cast, runtime) == place_for(alone, runtime)


def test_a_cast_program_is_pickled_as_a_plain_one():
    rules = RUNTIMES["tinyengine"].rules
    cast = [lower(drawn(seed), LAYER, rules) for seed in (0, 0)][1]
    again = pickle.loads(pickle.dumps(cast))
    assert again.plain is None
    assert (again.stages, again.buffers, again.views) == (cast.stages, cast.buffers, cast.views)


@pytest.mark.corpus
@pytest.mark.parametrize("model", corpus_models(), ids=lambda model: model.name)
def test_files_are_lowered_right(model):
    """With variables and subgraphs too, which have no moulds."""
    for runtime in (RUNTIMES["tinyengine"], RUNTIMES["tflm"]):
        for _ in range(2):
            graph = parse_tflite(model.path.read_bytes(), name=model.name, where=model.name)
            if not graph.subgraphs and not any(graph.loose):
                assert_cast(graph, runtime)


def with_untouched(graph: Graph, *sizes: int) -> Graph:
    """A network with tensors behind all others that are of no node, no input and no output."""
    like = graph.tensors[graph.inputs[0]]
    more = [replace(like, name=f"untouched {i}", type=replace(like.type, shape=(1, n))) for i, n in enumerate(sizes)]
    return replace(graph, tensors=(*graph.tensors, *more))


@runtimes
def test_tensors_that_no_node_touches_are_those_of_the_network_itself(runtime):
    """Whatever was asked about before in the same process: TFLM plans such tensors, too."""
    plain = drawn(1)
    networks = [with_untouched(plain, *sizes) for sizes in ((100_000,), (), (50,), (), (100_000, 7), (9,))]
    alone = []
    for graph in networks:
        moulds._frame.cache_clear()
        alone.append(list(lower(graph, LAYER, runtime.rules).buffers))
    moulds._frame.cache_clear()
    assert [list(lower(graph, LAYER, runtime.rules).buffers) for graph in (*networks, *networks)] == alone * 2
    most = {max(buffer.size_bytes for buffer in buffers) for buffers in alone}
    assert (100_000 in most) == runtime.rules.plans_untouched

"""Subgraphs: control flow and what nothing touches, planned as the interpreter plans them, and told to the user."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from commands import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_maker import INT32, Maker, make_options

import mcusim
from mcusim.advising.remedies import remedies
from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Flow
from mcusim.lowering.lower import lower
from mcusim.lowering.reorder import reorder
from mcusim.memory.placement import place
from mcusim.memory.planning import plan_memory
from mcusim.planners import check_plan, live_bytes
from mcusim.report import Verdict
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.choosing import why_not
from mcusim.runtimes.tflm_allocations import WHEEL
from mcusim.runtimes.tflm_persistent import tail_bytes
from mcusim.schedule import LAYER

TFLM = RUNTIMES["tflm"]
BOOL = 6


def read(made: Maker):
    return parse_tflite(made.pack(), name="net", where="net.tflite")


def program_of(made: Maker):
    return lower(read(made), LAYER, TFLM.rules)


def arena(made: Maker) -> int:
    return place(program_of(made), TFLM.planner).arena_bytes


def judged(made: Maker, capfd) -> tuple[int, int]:
    """Head and tail of a real interpreter."""
    runtime = pytest.importorskip("tflite_micro").runtime
    capfd.readouterr()
    runtime.Interpreter.from_bytes(made.pack(), arena_size=1 << 20).print_allocations()
    printed = "".join(capfd.readouterr())
    head, tail = (int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
    return head, tail


# ---------------------------------------------------------------------------------------------------------------------
# Files at random: nested, shared, entered twice, by nobody; tensors that nobody reads, writes or touches

SIZES = st.sampled_from([1, 8, 16, 24, 40, 64, 400])


def fill(draw, made: Maker, width: int, depth: int, bodies: list[tuple[int, int]]) -> None:
    """A body: one tensor of `width` in, a few nodes, one of `width` out. depth: below 0, nothing asks for scratch."""
    source = made.tensor((1, width))
    made.graph.inputs = [source]
    last = source
    for _ in range(draw(st.integers(0, 3))):
        last = draw(st.sampled_from([relu, add] if depth < 0 else [relu, add, add_n, mean]))(made, last, draw)
        if depth > 0 and draw(st.booleans()):
            last = enter(draw, made, last, depth - 1, bodies)
        if draw(st.integers(0, 5)) == 0:
            made.tensor((1, draw(SIZES)))
    made.graph.outputs = [resized(made, last, width)]


def width_of(made: Maker, tensor: int) -> int:
    return made.graph.tensors[tensor].shape[-1]


def relu(made: Maker, source: int, draw) -> int:
    output = made.tensor((1, width_of(made, source)))
    made.operator("RELU", [source], [output])
    return output


def add(made: Maker, source: int, draw) -> int:
    earlier = [i for i, t in enumerate(made.graph.tensors) if list(t.shape) == [1, width_of(made, source)]]
    earlier = [i for i in earlier if i in made.graph.inputs or any(i in o.outputs for o in made.graph.operators)]
    output = made.tensor((1, width_of(made, source)))
    other = draw(st.sampled_from([source, *earlier]))
    made.operator("ADD", [source, other], [output], make_options("AddOptions"))
    return output


def add_n(made: Maker, source: int, draw) -> int:
    """Asks for scratch: two pointers, 16 bytes aligned, whatever their size."""
    output = made.tensor((1, width_of(made, source)))
    made.operator("ADD_N", [source, source], [output], make_options("AddNOptions"))
    return output


def mean(made: Maker, source: int, draw) -> int:
    """Asks for scratch too, and changes the size."""
    axes = made.tensor((1,), INT32, [1])
    output = made.tensor((1, 1))
    made.operator("MEAN", [source, axes], [output], make_options("ReducerOptions", keepDims=True))
    return resized(made, output, draw(SIZES))


def resized(made: Maker, source: int, width: int) -> int:
    """`source` in another width: cut or filled up by PAD and SLICE."""
    have = width_of(made, source)
    if have == width:
        return source
    output = made.tensor((1, width))
    if have < width:
        pads = made.tensor((2, 2), INT32, [[0, 0], [0, width - have]])
        made.operator("PAD", [source, pads], [output], make_options("PadOptions"))
        return output
    begin, size = made.tensor((2,), INT32, [0, 0]), made.tensor((2,), INT32, [1, width])
    made.operator("SLICE", [source, begin, size], [output], make_options("SliceOptions"))
    return output


def body(draw, made: Maker, width: int, depth: int, bodies: list[tuple[int, int]]) -> int:
    """The number of a subgraph that takes and gives `width`: a new one, or one that is used already."""
    alike = [number for number, known in bodies if known == width]
    if alike and draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(alike))
    new = made.subgraph(f"body{len(made.model.subgraphs)}")
    number = len(made.model.subgraphs) - 1
    fill(draw, new, width, depth, bodies)
    bodies.append((number, width))
    return number


def condition(made: Maker, width: int) -> int:
    """A subgraph that answers false."""
    new = made.subgraph("condition")
    number = len(made.model.subgraphs) - 1
    new.tensor((1, width))
    limit = new.tensor((1,), INT32, [0])
    new.operator("LESS", [limit, limit], [new.tensor((1,), BOOL, scales=())])
    new.graph.inputs, new.graph.outputs = [0], [2]
    return number


def enter(draw, made: Maker, source: int, depth: int, bodies: list[tuple[int, int]]) -> int:
    """An IF or WHILE on `source`."""
    width = width_of(made, source)
    output = made.tensor((1, width))
    if draw(st.booleans()):
        first, second = (body(draw, made, width, depth, bodies) for _ in range(2))
        chosen = made.tensor((1,), BOOL, scales=())
        limit = made.tensor((1,), INT32, [1])
        made.operator("LESS", [limit, limit], [chosen])
        options = make_options("IfOptions", thenSubgraphIndex=first, elseSubgraphIndex=second)
        made.operator("IF", [chosen, source], [output], options)
        return output
    number = condition(made, width)
    inner = body(draw, made, width, depth, bodies)
    options = make_options("WhileOptions", condSubgraphIndex=number, bodySubgraphIndex=inner)
    made.operator("WHILE", [source], [output], options)
    return output


def initialisation(draw, made: Maker) -> None:
    """A CALL_ONCE whose subgraph computes something of its own."""
    new = made.subgraph("once")
    number = len(made.model.subgraphs) - 1
    source = new.tensor((1, 8), elements=[0] * 8)
    resized(new, relu(new, source, draw), draw(SIZES))
    made.operator("CALL_ONCE", [], [], make_options("CallOnceOptions", initSubgraphIndex=number))


@st.composite
def files(draw) -> Maker:
    made = Maker()
    bodies: list[tuple[int, int]] = []
    if draw(st.integers(0, 3)) == 0:
        initialisation(draw, made)
    fill(draw, made, draw(SIZES), 2, bodies)
    if draw(st.booleans()):
        made.graph.inputs.append(made.tensor((1, draw(SIZES))))  # nobody reads it
    if draw(st.booleans()):
        fill(draw, made.subgraph("second signature"), draw(SIZES), -1, bodies)
    return made


def test_a_subgraph_that_holds_constants_alone_takes_no_moment():
    made = Maker()
    once = made.subgraph("once")
    once.tensor((1, 8), elements=[0] * 8)
    made.operator("CALL_ONCE", [], [], make_options("CallOnceOptions", initSubgraphIndex=1))
    made.graph.inputs, made.graph.outputs = [made.tensor((1, 4))], [made.tensor((1, 4))]
    made.operator("RELU", made.graph.inputs, made.graph.outputs)
    assert not any(stage.part for stage in program_of(made).stages)
    assert program_of(made).length == 2
    once.operator("RELU", [0], [once.tensor((1, 8))])
    assert any(stage.part for stage in program_of(made).stages)


@given(made=files())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arena_equals_a_real_interpreters(capfd, made):
    head, tail = judged(made, capfd)
    program, graph = program_of(made), read(made)
    placement = place(program, TFLM.planner)
    assert placement.arena_bytes == head
    assert tail_bytes(graph, 8, WHEEL).size_bytes == tail
    check_plan(program.buffers, placement.offset_bytes, placement.arena_bytes)


@given(made=files())
def test_a_program_with_subgraphs_is_whole(made):
    program, graph = program_of(made), read(made)
    parts = (graph, *graph.subgraphs)
    assert len(program.graph.nodes) == sum(len(part.nodes) for part in parts)
    assert len(program.graph.tensors) == sum(len(part.tensors) for part in parts)
    steps = list(program.body())
    assert program.length == len(steps) == sum(len(stage.steps) for stage in program.stages)
    assert [i.step.node for i in program.steps()] == [*range(len(graph.nodes))]
    for time, step in enumerate(steps):
        for view in (*step.reads, *step.writes):
            if view >= 0:
                buffer = program.buffers[program.views[view].buffer]
                assert buffer.first <= time < buffer.end
        for use in step.scratch:
            assert program.buffers[use.buffer].first <= time < program.buffers[use.buffer].end


# ---------------------------------------------------------------------------------------------------------------------
# What a user is told


def loop(width: int = 64, inner: int = 4000) -> Maker:
    """A WHILE whose body works on more than the network does."""
    made = Maker()
    made.tensor((1, width))
    made.tensor((1, width))
    number = condition(made, width)
    body_maker = made.subgraph("body")
    body_maker.tensor((1, width))
    body_maker.graph.inputs = [0]
    body_maker.graph.outputs = [resized(body_maker, resized(body_maker, 0, inner), width)]
    options = make_options("WhileOptions", condSubgraphIndex=number, bodySubgraphIndex=number + 1)
    made.operator("WHILE", [0], [1], options)
    made.graph.inputs, made.graph.outputs = [0], [1]
    return made


def test_the_layer_inside_a_loop_is_blamed():
    report = mcusim.simulate(read(loop()), profile="stm32h743", runtime="tflm")
    assert report.sram.arena_bytes == arena(loop()) > 4000
    assert report.sram.peak.layer.startswith("body/")
    names = [layer.name for layer in report.layers]
    assert names[0] == "tensor_1"
    assert sum(name.startswith("body/") for name in names) == 2
    assert report.latency.ms is None
    assert any("WHILE" in warning and "how often" in warning for warning in report.warnings)
    assert report.verdict is Verdict.FITS


def test_a_loop_is_written_as_it_was_read():
    made = loop()
    made.model.subgraphs[1].operators, made.model.subgraphs[1].outputs = [], [1]
    graph = read(made)
    again = parse_tflite(write_tflite(graph), name="net", where="net.tflite")
    assert [node.attributes for node in again.nodes] == [node.attributes for node in graph.nodes]
    assert [len(part.nodes) for part in again.subgraphs] == [len(part.nodes) for part in graph.subgraphs] == [0, 2]


def test_how_a_subgraph_is_run_is_known():
    program = program_of(loop())
    assert [part.flow for part in program.parts] == [Flow.NONE, Flow.LOOPS, Flow.LOOPS]
    assert [part.name for part in program.parts] == ["net", "condition", "body"]


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda m: setattr(m.graph.operators[0].builtinOptions, "bodySubgraphIndex", 0), "it enters subgraph 0"),
        (lambda m: setattr(m.graph.operators[0].builtinOptions, "bodySubgraphIndex", 7), "it enters subgraph 7"),
        (lambda m: setattr(m.model.subgraphs[2], "outputs", [0, 0]), "has 1 inputs and 2 outputs, not 1 and 1"),
    ],
    ids=["itself", "none", "outputs"],
)
def test_calls_that_cannot_be_made_are_refused(harm, what):
    made = loop()
    harm(made)
    with pytest.raises(ModelError, match=what):
        read(made)


def test_a_subgraph_that_enters_itself_is_refused():
    made = loop()
    inner = made.model.subgraphs[2]
    inner.operators = list(made.graph.operators)
    inner.tensors, inner.outputs = inner.tensors[:1] + made.graph.tensors[1:2], [1]
    with pytest.raises(ModelError, match=r"subgraph 2 .* enters itself"):
        read(made)


# ---------------------------------------------------------------------------------------------------------------------
# Networks that hardly are any


def identity() -> Maker:
    made = Maker()
    made.graph.inputs = made.graph.outputs = [made.tensor((1, 20))]
    return made


def dangling() -> Maker:
    """An addition of the input to a tensor that nobody writes."""
    made = Maker()
    for _ in range(3):
        made.tensor((1, 48))
    made.operator("ADD", [0, 1], [2], make_options("AddOptions"))
    made.graph.inputs, made.graph.outputs = [0], [2]
    return made


def unwritten_output() -> Maker:
    made = dangling()
    made.graph.operators[0].inputs = [0, 0]
    made.graph.outputs = [2, 1]
    return made


@pytest.mark.parametrize("make", [identity, dangling, unwritten_output])
def test_odd_networks_are_planned_as_the_interpreter_does(make, capfd):
    made = make()
    assert judged(made, capfd) == (arena(made), tail_bytes(read(made), 8, WHEEL).size_bytes)


def test_a_network_without_operators_answers_its_input():
    given = np.arange(20, dtype=np.int8).reshape(1, 20)
    np.testing.assert_array_equal(mcusim.execute(read(identity()), [given])[0], given)
    assert mcusim.simulate(read(identity()), profile="stm32h743", runtime="tflm").verdict is Verdict.FITS


@pytest.mark.parametrize("make", [dangling, unwritten_output])
def test_what_nothing_writes_is_not_executed(make):
    with pytest.raises(ModelError, match="nothing writes it"):
        mcusim.execute(read(make()), [np.zeros((1, 48), np.int8)])


def second_signature(op: str) -> Maker:
    """A network, and a subgraph that nothing enters, of one operator."""
    made = identity()
    made.operator("RELU", [0], [made.tensor((1, 20))])
    made.graph.outputs = [1]
    other = made.subgraph("other")
    other.graph.inputs, other.graph.outputs = [other.tensor((1, 8))], [other.tensor((1, 8))]
    inputs = {"ADD_N": [0, 0], "RELU": [0]}.get(op, [0])
    other.operator(op, inputs, [1], custom="Mystery" if op == "CUSTOM" else "")
    return made


def test_what_nothing_enters_can_keep_a_network_from_starting(capfd):
    """TFLM prepares every subgraph; one whose kernels ask for working memory crashes it when nothing enters it."""
    assert judged(second_signature("RELU"), capfd)[0] == arena(second_signature("RELU"))
    refusals = {op: plan_memory(read(second_signature(op)), TFLM).refusals for op in ("RELU", "ADD_N", "CUSTOM")}
    assert refusals["RELU"] == ()
    assert "crashes while it sets up: 'other/tensor_1' asks for working memory" in refusals["ADD_N"][0]
    assert "no kernel for Mystery" in refusals["CUSTOM"][0]
    for op in ("ADD_N", "CUSTOM"):
        report = mcusim.simulate(read(second_signature(op)), profile="stm32h743", runtime="tflm")
        assert report.verdict is Verdict.UNKNOWN


def test_ops_lists_what_keeps_a_network_from_starting(tmp_path):
    """Blockers of the whole network too, and what a runtime that takes one entry of a file leaves out."""
    path = tmp_path / "net.tflite"
    path.write_bytes(second_signature("ADD_N").pack())
    for runtime in RUNTIMES.values():
        document = json.loads(run("ops", str(path), "--runtime", runtime.name, "--json", "-").out)
        report = mcusim.simulate(path, profile="stm32h743", runtime=runtime)
        start = [line for line in report.warnings if "sets up" in line]
        assert start == [line for line in document["warnings"] if "sets up" in line]
        assert bool(start) is runtime.rules.plans_untouched
        assert not (start and document["supported"])
        left = [line for line in document["warnings"] if "left out" in line]
        assert left == [line for line in report.warnings if "left out" in line]
        assert bool(left) is not runtime.rules.plans_untouched
    assert "crashes while it sets up" in why_not(read(second_signature("ADD_N")), TFLM)[0]


@pytest.mark.slow
def test_a_network_that_enters_subgraphs_is_reordered_and_advised():
    """What the loop takes counts when orders are compared."""
    reordered = reorder(read(loop()), TFLM.rules)
    assert reordered.peak_bytes == reordered.old_peak_bytes == max(live_bytes(program_of(loop()).buffers, 6))
    advice = remedies(read(loop()), profile="stm32f412", sram_budget_bytes=2000)
    assert advice.report.verdict is not Verdict.FITS

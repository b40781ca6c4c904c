"""IF and WHILE while a network runs: nested, with state, judged by the TFLM wheel; and what bounds them."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from one_operator import Network, Operand, Operator, constant
from oracles import Refused, run_tflm

import mcusim
from mcusim.errors import InputError
from mcusim.execution import control_flow
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.pricing.prices import step_work
from mcusim.render.front import front_lines
from mcusim.render.text import ASCII
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.choosing import why_not
from mcusim.runtimes.refusals import missing_kernels
from mcusim.schedule import LAYER, parse_schedule
from mcusim.searching import search
from mcusim.searching.explanation import explain

Array = np.ndarray[Any, Any]
WIDTH = 9
TFLM = RUNTIMES["tflm"]


class Drawn:
    """A network under construction: values of int8, (1, WIDTH), all of one scale, and one counter."""

    def __init__(self, rng: random.Random, bodies: list[Network]) -> None:
        self.rng, self.bodies = rng, bodies
        self.tensors: list[Operand] = []
        self.operators: list[Operator] = []

    def add(self, operand: Operand) -> int:
        self.tensors.append(operand)
        return len(self.tensors) - 1

    def value(self) -> int:
        return self.add(Operand((1, WIDTH), "int8", scale=0.1, zero_point=3))

    def op(self, name: str, inputs: tuple[int, ...], output: int, table: str = "", **options: object) -> int:
        self.operators.append(Operator(name, inputs, (output,), table, options))
        return output

    def step(self, source: int, depth: int) -> int:
        """One operator on `source`."""
        kind = self.rng.choice(["ADD", "MINIMUM", "IF", "WHILE"] if depth else ["ADD", "MINIMUM"])
        if kind == "IF":
            return self.choice(source, depth - 1)
        if kind == "WHILE":
            return self.loop(source, depth - 1)
        drawn = np.array([[self.rng.randint(-128, 127) for _ in range(WIDTH)]])
        other = self.add(constant(drawn, "int8", scale=0.1, zero_point=3))
        return self.op(kind, (source, other), self.value(), "AddOptions" if kind == "ADD" else "MaximumMinimumOptions")

    def is_large(self, source: int) -> int:
        """Whether the largest element is above a drawn one: a boolean of shape (1,)."""
        axes = self.add(constant([1]))
        largest = self.add(Operand((1,), "int8", scale=0.1, zero_point=3))
        self.op("REDUCE_MAX", (source, axes), largest, "ReducerOptions", keepDims=False)
        limit = self.add(constant([self.rng.randint(0, 120)], "int8", scale=0.1, zero_point=3))
        return self.op("GREATER", (largest, limit), self.add(Operand((1,), "bool")), "GreaterOptions")

    def choice(self, source: int, depth: int) -> int:
        condition = self.is_large(source)
        numbers = [self.body(depth) for _ in range(2)]
        options = {"thenSubgraphIndex": numbers[0], "elseSubgraphIndex": numbers[1]}
        return self.op("IF", (condition, source), self.value(), "IfOptions", **options)

    def loop(self, source: int, depth: int) -> int:
        """So many rounds as a drawn number says, counted beside the value."""
        start = self.add(constant([0]))
        inner = Drawn(self.rng, self.bodies)
        counter = inner.add(Operand((1,), "int32"))
        value = inner.value()
        one = inner.add(constant([1]))
        counted = inner.op("ADD", (counter, one), inner.add(Operand((1,), "int32")), "AddOptions")
        result = inner.steps(value, depth)
        body = inner.finished("body", (counter, value), (counted, result))
        asked = Drawn(self.rng, self.bodies)
        counter, value = asked.add(Operand((1,), "int32")), asked.value()
        limit = asked.add(constant([self.rng.randint(0, 4)]))
        holds = asked.op("LESS", (counter, limit), asked.add(Operand((1,), "bool")), "LessOptions")
        condition = asked.finished("condition", (counter, value), (holds,))
        last, output = self.add(Operand((1,), "int32")), self.value()
        options = {"condSubgraphIndex": condition, "bodySubgraphIndex": body}
        self.operators.append(Operator("WHILE", (start, source), (last, output), "WhileOptions", options))
        return output

    def steps(self, source: int, depth: int) -> int:
        for _ in range(self.rng.randint(1, 3)):
            source = self.step(source, depth)
        return source

    def body(self, depth: int) -> int:
        inner = Drawn(self.rng, self.bodies)
        source = inner.value()
        return inner.finished("branch", (source,), (inner.steps(source, depth),))

    def finished(self, label: str, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> int:
        self.bodies.append(Network(label, tuple(self.tensors), tuple(self.operators), outputs, (), inputs))
        return len(self.bodies)


def drawn_network(seed: int) -> Network:
    rng = random.Random(seed)
    bodies: list[Network] = []
    main = Drawn(rng, bodies)
    source = main.value()
    output = main.steps(main.choice(main.loop(source, 1), 1), 2)
    return Network("drawn", tuple(main.tensors), tuple(main.operators), (output,), tuple(bodies), (source,))


def read(network: Network) -> Graph:
    return parse_tflite(network.content(), name="drawn", where="drawn.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(25))
def test_drawn_networks_equal_tflm(seed: int) -> None:
    network = drawn_network(seed)
    graph = read(network)
    for call in range(3):
        feeds = network.feeds(seed=call)
        [right] = run_tflm(network.content(), feeds, arena_bytes=1 << 20)
        [ours] = mcusim.execute(graph, feeds)
        np.testing.assert_array_equal(ours, right)


@pytest.mark.parametrize("seed", range(6))
def test_no_step_inside_touches_what_is_not_its_own(seed: int) -> None:
    network = drawn_network(seed)
    graph, feeds = read(network), network.feeds()
    [checked] = mcusim.execute(graph, feeds, check=True)
    np.testing.assert_array_equal(checked, mcusim.execute(graph, feeds)[0])


def test_batches_and_traces_go_through_branches() -> None:
    network = drawn_network(3)
    graph = read(network)
    batch = np.concatenate([network.feeds(seed)[0] for seed in range(5)])
    [together] = mcusim.execute(graph, [batch])
    for one, alone in zip(together, batch, strict=True):
        np.testing.assert_array_equal(mcusim.execute(graph, [alone[None]])[0][0], one)
    traced = mcusim.execute(graph, [batch[:1]], trace=True)
    np.testing.assert_array_equal(traced.outputs[0][0], together[0])


def counting() -> Network:
    """A loop of three rounds, each of which adds its value to a variable; the output is the variable."""
    value, number, holds = Operand((1, 4), "int8", scale=0.1), Operand((1,), "int32"), Operand((1,), "bool")
    named = {"container": "", "sharedName": "total"}

    def handle(output: int) -> Operator:
        return Operator("VAR_HANDLE", (), (output,), "VarHandleOptions", named)

    resource = Operand((), "resource")
    condition = Network(
        "condition",
        (number, value, constant([3]), holds),
        (Operator("LESS", (0, 2), (3,), "LessOptions"),),
        (3,),
        (),
        (0, 1),
    )
    body = Network(
        "body",
        (number, value, constant([1]), number, resource, value, value),
        (
            Operator("ADD", (0, 2), (3,), "AddOptions"),
            handle(4),
            Operator("READ_VARIABLE", (4,), (5,), "ReadVariableOptions"),
            Operator("ADD", (5, 1), (6,), "AddOptions"),
            Operator("ASSIGN_VARIABLE", (4, 6), (), "AssignVariableOptions"),
        ),
        (3, 1),
        (),
        (0, 1),
    )
    loop = Operator("WHILE", (1, 0), (2, 3), "WhileOptions", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2})
    tensors = (value, constant([0]), number, value, resource, value)
    read_back = (handle(4), Operator("READ_VARIABLE", (4,), (5,), "ReadVariableOptions"))
    return Network("counting", tensors, (loop, *read_back), (5, 3), (condition, body), (0,))


def test_variables_that_a_loop_changes_keep_their_values() -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="the wheel is not installed")
    network = counting()
    interpreter = runtime.Interpreter.from_bytes(network.content(), arena_size=1 << 20)
    session = mcusim.session(read(network))
    for call in range(3):
        feed = np.array([[1, -2, 3, call]], np.int8)
        interpreter.set_input(feed, 0)
        interpreter.invoke()
        for index, ours in enumerate(session.run([feed])):
            np.testing.assert_array_equal(ours, np.array(interpreter.get_output(index)))


def endless() -> Network:
    true = Network("condition", (Operand((1,), "int32"), constant([True], "bool")), (), (1,), (), (0,))
    same = Network("body", (Operand((1,), "int32"),), (), (0,), (), (0,))
    options = {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    tensors = (Operand((1,), "int32"), Operand((1,), "int32"))
    return Network("endless", tensors, (Operator("WHILE", (0,), (1,), "WhileOptions", options),), (1,), (true, same))


def test_a_loop_that_never_ends_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_flow, "MOST_ROUNDS", 100)
    with pytest.raises(InputError, match="the loop has not ended after 100 rounds"):
        mcusim.execute(read(endless()), [np.zeros(1, np.int32)])


FLOATS = Operand((1, 4), "float32")
SERVED = Network("served", (FLOATS, FLOATS), (Operator("RELU", (0,), (1,)),), (1,), (), (0,))
UNSERVED = Network("int8", (Operand((1, 4), "int8"),) * 2, (Operator("NEG", (0,), (1,)),), (1,), (), (0,))
"""TFLM sets this up, and finds that its NEG takes floats when it comes there. It takes fewer bytes, too."""


def choosing(condition: bool | None, chosen: Network, other: Network) -> Network:
    """An IF of two bodies.   condition: None for one that is given."""
    decides = Operand((1,), "bool", None if condition is None else np.array([condition]))
    options = {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2}
    operator = Operator("IF", (0, 1), (2,), "IfOptions", options)
    return Network("choosing", (decides, FLOATS, FLOATS), (operator,), (2,), (chosen, other))


def looping(value: bool) -> Network:
    answers = Network("condition", (FLOATS, constant([value], "bool")), (), (1,), (), (0,))
    options = {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    operator = Operator("WHILE", (0,), (1,), "WhileOptions", options)
    return Network("looping", (FLOATS, FLOATS), (operator,), (1,), (answers, UNSERVED))


@pytest.mark.parametrize(
    ("network", "runs"),
    [
        (choosing(True, SERVED, UNSERVED), True),
        (choosing(False, SERVED, UNSERVED), False),
        (choosing(False, UNSERVED, SERVED), True),
        (looping(False), True),
        (looping(True), False),
    ],
    ids=["then", "else is chosen", "else", "no round", "a round"],
)
def test_a_branch_that_no_inference_comes_to_has_to_be_set_up_only(network: Network, runs: bool) -> None:
    """The verdict, and execution, follow TFLM, which refuses a kernel's types when it runs."""
    graph = read(network)
    missing = missing_kernels(lower(graph, LAYER, TFLM.rules), TFLM)
    assert (not missing) is runs, missing
    assert (not why_not(graph, TFLM)[0]) is runs
    feeds = network.feeds()
    if runs:
        for ours, theirs in zip(mcusim.execute(graph, feeds), run_tflm(network.content(), feeds), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    else:
        with pytest.raises(Refused):
            run_tflm(network.content(), feeds)


def initialised_twice(adds: bool) -> Network:
    """CALL_ONCE of one subgraph before and after a variable is read; the subgraph sets it, or `adds` to it."""
    value, resource = Operand((1, 4), "int8", scale=0.1), Operand((), "resource")
    start = constant([[1, 2, 3, 4]], "int8", scale=0.1)

    def handle(output: int) -> Operator:
        return Operator("VAR_HANDLE", (), (output,), "VarHandleOptions", {"container": "", "sharedName": "total"})

    read = Operator("READ_VARIABLE", (0,), (2,), "ReadVariableOptions")
    add = Operator("ADD", (2, 1), (3,), "AddOptions")
    given = 3 if adds else 1
    assign = Operator("ASSIGN_VARIABLE", (0, given), (), "AssignVariableOptions")
    setting = Network(
        "setting", (resource, start, value, value), (handle(0), *((read, add) if adds else ()), assign), (), (), ()
    )
    once = Operator("CALL_ONCE", (), (), "CallOnceOptions", {"initSubgraphIndex": 1})
    main = (once, handle(0), read, once, add, Operator("ASSIGN_VARIABLE", (0, 3), (), "AssignVariableOptions"))
    return Network("twice", (resource, value, value, value), main, (3,), (setting,), (1,))


@pytest.mark.parametrize("adds", [False, True])
def test_a_subgraph_that_is_called_once_twice_runs_once(adds: bool) -> None:
    """The second CALL_ONCE does nothing, so the variable that is read between them has its first value."""
    network = initialised_twice(adds)
    feeds = network.feeds()
    [right] = run_tflm(network.content(), feeds, arena_bytes=1 << 20)
    [ours] = mcusim.execute(read(network), feeds)
    np.testing.assert_array_equal(ours, right)


# ---------------------------------------------------------------------------------------------------------------------
# Subgraphs part the stages of a schedule: what is cut is told of the stage that is cut, for every runtime


def convolved_network(seed: int) -> Network:
    """Two convolutions, which a schedule may cut, before and after a branch or a loop."""
    rng = random.Random(seed)
    bodies: list[Network] = []
    main = Drawn(rng, bodies)
    image = main.add(Operand((1, 12, 12, 3), "int8", scale=0.1, zero_point=3))
    small = convolved(main, convolved(main, image, (3, 3, 3), (1, 10, 10, WIDTH)), (10, 10, WIDTH), (1, 1, 1, WIDTH))
    flat = main.op("RESHAPE", (small, main.add(constant([1, WIDTH]))), main.value(), "ReshapeOptions")
    entered = main.choice(flat, 1) if seed % 2 else main.loop(flat, 1)
    square = main.add(Operand((1, 3, 3, 1), "int8", scale=0.1, zero_point=3))
    main.op("RESHAPE", (entered, main.add(constant([1, 3, 3, 1]))), square, "ReshapeOptions")
    output = convolved(main, convolved(main, square, (2, 2, 1), (1, 2, 2, 4)), (1, 1, 4), (1, 2, 2, 4))
    return Network("convolved", tuple(main.tensors), tuple(main.operators), (output,), tuple(bodies), (image,))


def convolved(drawn: Drawn, source: int, window: tuple[int, int, int], shape: tuple[int, ...]) -> int:
    weights = np.array([drawn.rng.randint(-127, 127) for _ in range(shape[-1] * math.prod(window))])
    kernel = drawn.add(constant(weights.reshape(shape[-1], *window), "int8", scale=0.01, zero_point=0))
    bias = drawn.add(constant(np.zeros(shape[-1], int), "int32", scale=0.001, zero_point=0))
    output = drawn.add(Operand(shape, "int8", scale=0.1, zero_point=3))
    options = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    return drawn.op("CONV_2D", (source, kernel, bias), output, "Conv2DOptions", **options)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("schedule", ["patch:2x2@1", "stream:2@1", "patch:1x1@1"])
def test_a_cut_stage_before_a_subgraph_is_explained(seed: int, schedule: str) -> None:
    graph, runtime = read(convolved_network(seed)), RUNTIMES["mcusim"]
    front = search(graph, profile="stm32f410", runtime="mcusim")
    point = replace(front.points[0], schedule=parse_schedule(schedule))
    [stage] = explain(front, point).stages
    program = lower(graph, point.schedule, runtime.rules, point.input_place)
    computed = sum(step_work(step).macs for part in program.stages if part.is_cut for step in part.steps)
    assert (stage.kind, stage.nodes) == (schedule.partition(":")[0], (0, 0))
    assert stage.once_macs + stage.recomputed_macs == computed
    assert stage.once_macs == 9 * 3 * 100 * WIDTH


BEHIND = {0: "layer@3+patch:2x2@2", 1: "layer@5+patch:2x2@2"}
AROUND = {0: "patch:2x2@1+layer@2+stream:1@2", 1: "stream:2@1+layer@4+patch:1x2@2"}


@pytest.mark.parametrize("seed", [0, 1], ids=["loop", "choice"])
@pytest.mark.parametrize("schedules", [BEHIND, AROUND], ids=["behind", "before and behind"])
def test_stages_cut_behind_a_subgraph_are_explained_and_printed(seed: int, schedules: dict[int, str]) -> None:
    """What `patch` says once it has chosen: numbers of the stage that is cut, not of one that a subgraph has parted."""
    graph, runtime = read(convolved_network(seed)), RUNTIMES["mcusim"]
    front = search(graph, profile="stm32f410", runtime="mcusim")
    point = replace(front.points[0], schedule=parse_schedule(schedules[seed]))
    story = explain(front, point)
    program = lower(graph, point.schedule, runtime.rules, point.input_place)
    cut = [stage for stage in program.stages if stage.is_cut]
    last = len(graph.nodes) - 1
    assert [stage.nodes for stage in story.stages] == ([] if schedules is BEHIND else [(0, 0)]) + [(last - 1, last)]
    for explained, stage in zip(story.stages, cut, strict=True):
        assert explained.once_macs + explained.recomputed_macs == sum(step_work(step).macs for step in stage.steps)
    shown = "\n".join(line.plain for line in front_lines(front, story, 100, ASCII))
    assert all(stage.spec in shown for stage in story.stages)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("command", [("patch",), ("fit",), ("run", "--schedule", "auto")])
def test_every_runtime_answers_for_cut_networks_with_subgraphs(
    command: tuple[str, ...], runtime: str, seed: int, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(convolved_network(seed).content())
    limit = ("--sram-budget", "1500") if seed else ()
    code, _, err = run(command[0], str(path), "--profile", "stm32f410", "--runtime", runtime, *command[1:], *limit)
    assert code in (0, 1, 3) or (code == 2 and "fault of mcusim" not in err), err

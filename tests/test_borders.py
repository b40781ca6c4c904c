"""The border between IF or WHILE and the subgraphs that they enter: judged by the TFLM wheel, never by a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from one_operator import Network, Operand, Operator, constant

pytest.importorskip("tflite_micro", reason="the tflite-micro wheel is not installed (extra `oracles`)")

from tflm_judge import Outcome, Question, judge

import mcusim
from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.report import Verdict

NUMBER, TRUTH = Operand((1,), "int32"), Operand((1,), "bool")
KINDS = [
    Operand(shape, dtype)
    for dtype in ("int32", "float32", "int8", "int16")
    for shape in ((1,), (1, 1), (), (2,), (4,), (3000,))
]
CONDITIONS = [
    *(constant(elements, dtype) for elements, dtype in (([0], "int8"), ([0], "int32"), ([256], "int32"))),
    *(constant(elements, "bool") for elements in ([False], [False, True], [[False]], False, [])),
    constant([0.0], "float32"),
]


def same(kind: Operand) -> Network:
    """A subgraph that answers what it is given."""
    return Network("same", (kind,), (), (0,), (), (0,))


def answering(kind: Operand, answer: Operand) -> Network:
    """A subgraph that answers a constant, whatever it is given."""
    return Network("answering", (kind, answer), (), (1,), (), (0,))


def choice(given: Operand, output: Operand, first: Network, second: Network, condition: Operand = TRUTH) -> Network:
    options = {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2}
    node = Operator("IF", (1, 0), (2,), "IfOptions", options)
    fed = (0, 1) if condition.elements is None else (0,)
    return Network("choice", (given, condition, output), (node,), (2,), (first, second), fed)


def loop(given: Operand, output: Operand, condition: Network, body: Network) -> Network:
    options = {"condSubgraphIndex": 1, "bodySubgraphIndex": 2}
    node = Operator("WHILE", (0,), (1,), "WhileOptions", options)
    return Network("loop", (given, output), (node,), (1,), (condition, body), (0,))


BELOW_5 = Network("below", (NUMBER, constant([5]), TRUTH), (Operator("LESS", (0, 1), (2,)),), (2,), (), (0,))
NEVER = answering(NUMBER, constant([False], "bool"))


def seven(kind: Operand) -> Operand:
    return constant(np.full(kind.shape, 7), kind.dtype)


def borders() -> Iterator[Network]:
    """Operands, results and conditions of each kind at each side of each border."""
    for kind in KINDS:
        yield choice(NUMBER, NUMBER, same(kind), same(kind))
        yield choice(NUMBER, kind, same(NUMBER), same(NUMBER))
        yield choice(kind, NUMBER, same(kind), same(kind))
        yield choice(NUMBER, NUMBER, same(NUMBER), same(kind), constant([True], "bool"))
        yield choice(NUMBER, NUMBER, same(kind), same(NUMBER), constant([True], "bool"))
        yield loop(NUMBER, kind, NEVER, same(NUMBER))
        yield loop(NUMBER, NUMBER, answering(kind, constant([False], "bool")), same(NUMBER))
        yield loop(NUMBER, NUMBER, NEVER, same(kind))
        yield loop(NUMBER, NUMBER, BELOW_5, answering(NUMBER, seven(kind)))
        yield loop(NUMBER, NUMBER, BELOW_5, answering(kind, seven(NUMBER)))
    for condition in CONDITIONS:
        yield loop(NUMBER, NUMBER, answering(NUMBER, condition), same(NUMBER))
    for shape in ((), (1, 1), (2,), (1, 3)):
        yield choice(NUMBER, NUMBER, same(NUMBER), same(NUMBER), Operand(shape, "bool"))
        yield choice(NUMBER, NUMBER, same(NUMBER), same(NUMBER), Operand(shape, "int8"))


def feeds(network: Network) -> list[NDArray[Any]]:
    """Threes, and true: what TFLM refuses only when it comes there, it comes to."""
    return [np.full_like(array, 1 if array.dtype == np.bool_ else 3) for array in network.feeds()]


def test_borders_run_where_tflm_runs_them_with_its_bytes() -> None:
    networks = list(borders())
    answers = list(judge([Question(network.content(), feeds(network)) for network in networks], 1))
    outcomes = set()
    for number, (network, answer) in enumerate(zip(networks, answers, strict=True)):
        graph = parse_tflite(network.content(), name="border", where="border.tflite")
        report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
        assert report.runtime.runs is answer.runs, (number, network.label, answer, report.warnings)
        outcomes.add(answer.outcome)
        if answer.runs:
            [ours] = mcusim.execute(graph, feeds(network))
            assert ours.tobytes() == answer.outputs[0].tobytes(), (number, network.label)
            continue
        assert report.verdict is Verdict.UNKNOWN
        if network.tensors[1].dtype != "int8":  # TFLM's own wish: the arithmetic is that of any other type
            with pytest.raises(ModelError, match=r"(IF|WHILE): .* (bytes|elements)"):
                mcusim.execute(graph, feeds(network))
    assert outcomes == set(Outcome)


def test_a_branch_that_may_be_entered_is_refused_whatever_the_condition_will_be() -> None:
    """TFLM finds out when it comes there; with a condition that is computed, a day may come."""
    network = choice(NUMBER, NUMBER, same(NUMBER), same(Operand((4,), "int32")))
    graph = parse_tflite(network.content(), name="border", where="border.tflite")
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert report.runtime.runs is False
    assert any("IF: input 1 has 4 bytes, and input 0 of subgraph 'same' has 16" in why for why in report.warnings)


def test_a_loop_that_writes_its_own_input_is_not_read_and_the_sentence_says_that_tflm_may_run_it() -> None:
    """Each tensor is written once, which plans rest on; that is mcusim's limit, and no verdict on the runtime."""
    more = Network(
        "more", (NUMBER, constant([1]), NUMBER), (Operator("ADD", (0, 1), (2,), "AddOptions"),), (2,), (), (0,)
    )
    node = Operator("WHILE", (0,), (0,), "WhileOptions", {"condSubgraphIndex": 1, "bodySubgraphIndex": 2})
    network = Network("own", (NUMBER,), (node,), (0,), (BELOW_5, more), (0,))
    [answer] = judge([Question(network.content(), feeds(network))], 1)
    assert answer.runs
    assert answer.outputs[0] == 5
    with pytest.raises(
        ModelError, match=r"(?s)WHILE.* is written a second time: TFLM may run that.*a tensor of its own"
    ):
        parse_tflite(network.content(), name="border", where="border.tflite")

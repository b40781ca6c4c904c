"""CIRCULAR_BUFFER, the latest rows of a stream: bytes of call after call, and memory, against the TFLM wheel."""

from __future__ import annotations

import re

import numpy as np
import pytest
from one_operator import Network, Operand, Operator, constant
from operator_lines import flexible

import mcusim
from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.memory.planning import plan_memory
from mcusim.runtimes.tflm import TFLM_WHEEL

ROW = (1, 1, 2, 3)


def network(rows: int, period: int | None, *, is_variable: bool = True) -> Network:
    """A convolution over the rows that were kept."""
    random = np.random.default_rng(rows)
    kept = Operand((1, rows, 2, 3), scale=0.05, zero_point=5, is_variable=is_variable)
    tensors = (
        Operand(ROW, scale=0.05, zero_point=5),
        kept,
        constant(random.integers(-100, 100, (4, rows, 2, 3)), "int8", scale=0.02),
        constant(random.integers(-900, 900, 4)),
        Operand((1, 1, 1, 4), scale=0.3, zero_point=1),
    )
    options = b"" if period is None else flexible({"cycles_max": period})
    operators = (
        Operator("CUSTOM", (0,), (1,), custom="CIRCULAR_BUFFER", custom_options=options),
        Operator("CONV_2D", (1, 2, 3), (4,), "Conv2DOptions", {"padding": 1, "strideW": 1, "strideH": 1}),
    )
    return Network(f"{rows} rows, period {period}", tensors, operators)


@pytest.mark.parametrize(("rows", "period"), [(1, 1), (4, 1), (5, None), (7, 1), (13, None), (25, -1)])
def test_call_after_call_equals_tflm(rows: int, period: int | None, capfd: pytest.CaptureFixture[str]) -> None:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime", reason="the wheel is not installed")
    content, random = network(rows, period).content(), np.random.default_rng(1)
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=1 << 16)
    graph = parse_tflite(content, name="stream", where="stream.tflite")
    session = mcusim.session(graph)
    for call in range(rows + 3):
        row = random.integers(-128, 128, ROW).astype(np.int8)
        interpreter.set_input(row, 0)
        interpreter.invoke()
        assert np.array_equal(session.run([row])[0], interpreter.get_output(0)), f"call {call}"
    capfd.readouterr()
    interpreter.print_allocations()
    printed = "".join(capfd.readouterr())
    right = tuple(int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
    plan = plan_memory(graph, TFLM_WHEEL)
    assert (plan.arena_bytes, plan.persistent.size_bytes) == right


REFUSED = {
    "a longer period": (network(4, 2), "what follows does not run in each call"),
    "a period that TFLM guesses from what it met before": (network(4, None), "what follows does not run in each call"),
    "rows in the arena": (network(4, 1, is_variable=False), "its output is no variable"),
}


@pytest.mark.parametrize(("made", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_depends_on_more_than_the_rows_is_refused(made: Network, sentence: str) -> None:
    graph = parse_tflite(made.content(), name="stream", where="stream.tflite")
    assert plan_memory(graph, TFLM_WHEEL).arena_bytes > 0
    with pytest.raises(ModelError, match=sentence):
        mcusim.session(graph)

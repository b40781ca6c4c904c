"""Functions of one element that TFLM has no operator for: int8 has 256 numbers, and so has the function.

    x (int8) -> CAST to int32 -> ADD 128 -> GATHER from 256 int8 answers

Each answer is the real function of the real number that x stands for, rounded once to the output's scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from mcusim.arithmetic.quant import dtype_range
from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.network import Step
from mcusim.graph import DType

__all__: list[str] = []


def _gelu(x: float) -> float:
    return x / 2 * (1 + math.erf(x / math.sqrt(2)))


_FUNCTIONS: Mapping[str, Callable[[float], float]] = {"Erf": math.erf, "Gelu": _gelu}


@lowers(*_FUNCTIONS)
def looked_up(emitter: Emitter, step: Step) -> None:
    held, target = emitter.get(step.input(0)), emitter.target(step)
    if held.grid is None or target is None or held.grid.dtype is not DType.INT8 or target.dtype is not DType.INT8:
        raise step.refuse(
            f"TFLM has no {step.op}, and a table needs int8 before and behind it",
            "quantise both its input and its output to int8, or use ReLU, hard swish or SiLU in its place",
        )
    lowest, highest = dtype_range(DType.INT8)
    before, after = step.real("slope_before", 1.0), step.real("slope", 1.0)
    function = _FUNCTIONS[step.op]
    reals = (held.grid.real(stored) * before + step.real("middle_before", 0.0) for stored in range(lowest, highest + 1))
    answers = [target.stored(after * function(real) + step.real("middle", 0.0)) for real in reals]
    table = emitter.constant(np.array(answers, np.int8), f"{step.output}/table", target)
    first = emitter.constant(np.array([-lowest], np.int32), f"{step.output}/first")
    wide = emitter.emit("CAST", (held.at,), f"{step.output}/wide", grid=None, dtype=DType.INT32, options=_CAST)
    places = emitter.emit("ADD", (wide, first), f"{step.output}/place", grid=None, dtype=DType.INT32)
    result = emitter.emit("GATHER", (table, places), step.output, grid=target, axis=0)
    emitter.note(
        f"{step.output}: a table of 256 bytes, for TFLM has no {step.op}; a map takes 4 bytes an element there"
    )
    emitter.finish(step, replace(held, tensor=result, grid=target, dtype=target.dtype))


_CAST: Mapping[str, object] = {"in_data_type": DType.INT8, "out_data_type": DType.INT32}

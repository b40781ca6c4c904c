"""FLOOR_DIV: a / b rounded down, broadcasting."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, plain
from mcusim.ops.shared.elementwise import binary

__all__ = ["FLOOR_DIV"]


def _prepare(call: Call) -> PreparedPlain:
    """A divisor of 0 stops TFLM.   Source: TFLM floor_div.cc."""
    division = plain(call, Operation.FLOOR_DIVIDE, Activation.NONE, (DType.FLOAT32,))
    return replace(division, divisor_of=call.where)


FLOOR_DIV = register(
    replace(
        binary("FLOOR_DIV", "a / b rounded down, broadcasting", options="FloorDivOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

"""FLOOR_MOD: what a / b rounded down leaves, broadcasting."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, plain
from mcusim.ops.shared.elementwise import binary

__all__ = ["FLOOR_MOD"]


def _prepare(call: Call) -> PreparedPlain:
    """Source: TFLM floor_mod.cc."""
    return plain(call, Operation.FLOOR_MODULO, Activation.NONE, (DType.FLOAT32,))


FLOOR_MOD = register(
    replace(
        binary("FLOOR_MOD", "what a / b rounded down leaves, broadcasting", options="FloorModOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

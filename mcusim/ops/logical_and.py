"""LOGICAL_AND: whether a and b are true, broadcasting."""

from __future__ import annotations

from dataclasses import replace

from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, plain
from mcusim.ops.shared.elementwise import binary

__all__ = ["LOGICAL_AND"]


def _prepare(call: Call) -> PreparedPlain:
    """TFLM looks at no type, and takes the bytes of any tensor for booleans.   Source: TFLM logical_common.cc."""
    return plain(call, Operation.AND, Activation.NONE, (DType.BOOL,))


LOGICAL_AND = register(
    replace(
        binary("LOGICAL_AND", "whether a and b are true, broadcasting", options="LogicalAndOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

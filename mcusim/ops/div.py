"""DIV: a / b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, plain
from mcusim.ops.shared.elementwise import binary

__all__ = ["DIV", "DivAttributes"]


@dataclass(frozen=True, slots=True)
class DivAttributes(Attributes):
    """Attributes of DIV, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


def _prepare(call: Call) -> PreparedPlain:
    """Floats and int32. Of stored integers TFLM shifts by more bits than a register has: what comes out of small
    quotients depends on the processor.   Source: TFLM div.cc; TFLite reference/div.h.
    """
    activation = attributes_of(call.signature, DivAttributes).fused_activation_function
    return plain(call, Operation.DIVIDE, activation, (DType.FLOAT32, DType.INT32))


DIV = register(
    replace(
        binary("DIV", "a / b, broadcasting", attributes=DivAttributes, options="DivOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

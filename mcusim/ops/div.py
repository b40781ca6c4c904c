"""DIV: a / b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import output_stage, per_tensor, rounding_of
from mcusim.ops.shared.arithmetic import Operation, PreparedPlain, PreparedQuotient, operands, plain, same_dtypes
from mcusim.ops.shared.elementwise import binary

__all__ = ["DIV", "DivAttributes"]


@dataclass(frozen=True, slots=True)
class DivAttributes(Attributes):
    """Attributes of DIV, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


def _prepare(call: Call) -> PreparedPlain | PreparedQuotient:
    """The factor of stored integers is formed in double.   Source: TFLM div.cc; TFLite reference/div.h."""
    activation = attributes_of(call.signature, DivAttributes).fused_activation_function
    if same_dtypes(call) is not DType.INT8:
        return plain(call, Operation.DIVIDE, activation, (DType.FLOAT32, DType.INT32))
    scales, zeros = zip(*(per_tensor(call, t) for t in (call.input(0), call.input(1), call.outputs[0])), strict=True)
    stage = output_stage(call, scales[0] / (scales[1] * scales[2]), rounding_of(call), activation)
    return PreparedQuotient(operands(call), (zeros[0], zeros[1]), stage, call.where)


DIV = register(
    replace(
        binary("DIV", "a / b, broadcasting", attributes=DivAttributes, options="DivOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

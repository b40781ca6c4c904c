"""DIV: a / b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import output_stage, per_tensor, per_tensor_to_divide_by, rounding_of
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
    dividend, divisor = per_tensor(call, call.input(0)), per_tensor_to_divide_by(call, call.input(1))
    factor = dividend[0] / (divisor[0] * per_tensor_to_divide_by(call, call.outputs[0])[0])
    stage = output_stage(call, factor, rounding_of(call), activation)
    return PreparedQuotient(operands(call), (dividend[1], divisor[1]), stage, call.where)


DIV = register(
    replace(
        binary("DIV", "a / b, broadcasting", attributes=DivAttributes, options="DivOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

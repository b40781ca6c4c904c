"""MUL: a * b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mcusim.graph import Activation, Attributes, DType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.accumulators import output_stage, per_tensor, rounding_of, unsupported
from mcusim.ops.shared.arithmetic import (
    QUANTISED,
    Operation,
    PreparedPlain,
    PreparedProduct,
    operands,
    plain,
    same_dtypes,
)
from mcusim.ops.shared.elementwise import binary

__all__ = ["MUL", "MulAttributes"]


@dataclass(frozen=True, slots=True)
class MulAttributes(Attributes):
    """Attributes of MUL, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


def _prepare(call: Call) -> PreparedProduct | PreparedPlain:
    """The factor is formed in double; in float32 for uint8, which only desktop TFLite runs.

    Source: TFLM mul_common.cc; TFLite mul.cc.
    """
    activation = attributes_of(call.signature, MulAttributes).fused_activation_function
    dtype = same_dtypes(call)
    if dtype in (DType.FLOAT32, DType.INT32):
        return plain(call, Operation.MULTIPLY, activation, (DType.FLOAT32, DType.INT32))
    if dtype not in QUANTISED:
        raise unsupported(call, dtype)
    (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, call.input(0)), per_tensor(call, call.input(1))
    scale_out = per_tensor(call, call.outputs[0])[0]
    real = scale_a * scale_b / scale_out
    if dtype is DType.UINT8:
        real = float(np.float32(scale_a) * np.float32(scale_b) / np.float32(scale_out))
    return PreparedProduct(operands(call), (zero_a, zero_b), output_stage(call, real, rounding_of(call), activation))


MUL = register(
    replace(
        binary("MUL", "a * b, broadcasting", attributes=MulAttributes, options="MulOptions"),
        packs=True,
        prepare=_prepare,
        kernel="arithmetic",
    )
)

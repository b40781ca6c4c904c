"""MUL: a * b, broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcusim.graph import ABSENT, Activation, Attributes, DType, Node, Tensor
from mcusim.ops.registry import Call, Drawing, Numerics, attributes_of, register
from mcusim.ops.shared.accumulators import output_stage, per_tensor, per_tensor_to_divide_by, rounding_of, unsupported
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
from mcusim.ops.shared.spreads import Spread, after, fused_activation, product_moments
from mcusim.ops.shared.versions import dtype_of, of_type

__all__ = ["MUL", "MulAttributes"]


@dataclass(frozen=True, slots=True)
class MulAttributes(Attributes):
    """Attributes of MUL, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


def _prepare(call: Call) -> PreparedProduct | PreparedPlain:
    """The factor is formed in double; in float32 by desktop TFLite, which alone runs uint8, and by XNNPACK.

    Source: TFLM mul_common.cc; TFLite mul.cc.
    """
    activation = attributes_of(call.signature, MulAttributes).fused_activation_function
    dtype = same_dtypes(call)
    if dtype in (DType.FLOAT32, DType.INT32):
        return plain(call, Operation.MULTIPLY, activation, (DType.FLOAT32, DType.INT32))
    if dtype not in QUANTISED:
        raise unsupported(call, dtype)
    (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, call.input(0)), per_tensor(call, call.input(1))
    scale_out = per_tensor_to_divide_by(call, call.outputs[0])[0]
    real = scale_a * scale_b / scale_out
    if dtype is DType.UINT8 or call.numerics is Numerics.LITERT:
        real = float(np.float32(scale_a) * np.float32(scale_b) / np.float32(scale_out))
    return PreparedProduct(operands(call), (zero_a, zero_b), output_stage(call, real, rounding_of(call), activation))


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    version = of_type({DType.INT8: 2, DType.INT16: 4, DType.INT64: 5}, dtype_of(node.signature, 0))
    scales = [_scale(tensors, index) for index in (*node.inputs, *node.outputs)]
    if version < 4 and len(scales) == 3 and all(scales) and scales[0] * scales[1] / scales[2] >= 1:
        return 3
    return version


def _scale(tensors: Sequence[Tensor], index: int) -> float:
    quantization = tensors[index].quantization if index != ABSENT else None
    return quantization.scales[0] if quantization is not None else 0.0


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    a, b = inputs[0], inputs[-1]
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return after(fused_activation(node), *product_moments(a, b), min(corners), max(corners))


MUL = register(
    replace(
        binary("MUL", "a * b, broadcasting", attributes=MulAttributes, options="MulOptions"),
        packs=True,
        prepare=_prepare,
        kernel="arithmetic",
        version=_version,
        drawing=Drawing(spread=_spread, stands_for=1 / 6),
    )
)

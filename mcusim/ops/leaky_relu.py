"""LEAKY_RELU: x where it is positive, alpha * x elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, coarse_scaling, rescale, scaling
from mcusim.graph import Attributes, DType, Node
from mcusim.ops.registry import Call, Drawing, Numerics, attributes_of, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by, rounding_of
from mcusim.ops.shared.delegation import is_delegated, ratio
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary
from mcusim.ops.shared.spreads import Spread, of_function
from mcusim.ops.shared.versions import by_type

__all__ = ["LEAKY_RELU", "LeakyReluAttributes"]


@dataclass(frozen=True, slots=True)
class LeakyReluAttributes(Attributes):
    """Attributes of LEAKY_RELU, under TFLite's names."""

    alpha: float = 0.0


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Factors are formed in double by TFLM, and in float32 by desktop TFLite, which alone runs uint8.

    Source: TFLM leaky_relu_common.cc (in float32 too before 2026); TFLite leaky_relu.h.
    """
    source, output = call.input(0), call.outputs[0]
    scale, zero_point = per_tensor(call, source)
    out_scale, out_zero_point = per_tensor_to_divide_by(call, output)
    number = np.float32 if source.dtype is DType.UINT8 or call.numerics is Numerics.LITERT else np.float64
    alpha = attributes_of(call.signature, LeakyReluAttributes).alpha
    if is_delegated(call):
        above = ratio(scale, out_scale)
        identity, slope = coarse_scaling(above), coarse_scaling(float(np.float32(above) * np.float32(alpha)))
    else:
        identity = scaling(float(number(scale) / number(out_scale)), rounding_of(call))
        slope = scaling(float(number(scale) * number(alpha) / number(out_scale)), rounding_of(call))
    x = values - zero_point
    return clamped_table(np.where(x >= 0, rescale(x, identity), rescale(x, slope)) + out_zero_point, output.dtype)


def _prepare(call: Call) -> PreparedUnary:
    alpha = attributes_of(call.signature, LeakyReluAttributes).alpha
    return prepare_unary(call, _results, (DType.INT8, DType.INT16, DType.UINT8), FloatFunction.LEAKY_RELU, alpha)


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    alpha = float(getattr(node.attributes, "alpha", 0.0))
    return of_function(lambda x: x if x > 0 else alpha * x)(node, inputs)


LEAKY_RELU = register(
    replace(
        unary(
            "LEAKY_RELU",
            "x where it is positive, alpha * x elsewhere",
            attributes=LeakyReluAttributes,
            options="LeakyReluOptions",
        ),
        prepare=_prepare,
        kernel="unary",
        version=by_type({DType.INT8: 2, DType.INT16: 2}),
        drawing=Drawing(spread=_spread),
    )
)

"""LOGISTIC: 1 / (1 + exp(-x))."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import logistic
from mcusim.arithmetic.quant import Integers, dtype_range, requantize, rounding_divide_by_pot
from mcusim.errors import ModelError
from mcusim.graph import DType
from mcusim.ops.registry import Call, Drawing, WorkKind, register
from mcusim.ops.shared.accumulators import per_tensor
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary
from mcusim.ops.shared.sigmoids import INPUT_BITS_16, INTEGER_BITS, logistic16, power16, scaled8, scaled16
from mcusim.ops.shared.spreads import prescribed
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["LOGISTIC"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Source: TFLM logistic_common.cc; TFLite integer_ops/logistic.h, and reference_ops.h for uint8."""
    source, output = call.input(0), call.outputs[0]
    if source.dtype is DType.INT16:
        in_words = power16(call, values, (0,))
        if in_words is not None:
            return clamped_table(logistic(in_words, INPUT_BITS_16, 16), output.dtype)
        return clamped_table(logistic16(values, *scaled16(call, (0,))), output.dtype)
    lowest, highest = dtype_range(output.dtype)
    if per_tensor(call, output)[1] != lowest:
        what = f"the output's zero point is not {lowest}"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    scaled = scaled8(call)
    x = values - per_tensor(call, source)[1]
    inside = logistic(requantize(x, scaled.multiplier, scaled.shift), INTEGER_BITS)
    result = rounding_divide_by_pot(inside, 31 - 8) + lowest
    result = np.where(x <= -scaled.radius, lowest, np.where(x >= scaled.radius, highest, result))
    return clamped_table(result, output.dtype)


_MOST_EXPONENT = 700.0
"""Beyond it exp is more than any float."""


def _prepare(call: Call) -> PreparedUnary:
    return prepare_unary(call, _results, (DType.INT8, DType.INT16, DType.UINT8), FloatFunction.LOGISTIC)


LOGISTIC = register(
    replace(
        unary("LOGISTIC", "1 / (1 + exp(-x))", kind=WorkKind.LOOKUP),
        prepare=_prepare,
        kernel="unary",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=prescribed(lambda x: 1 / (1 + math.exp(min(-x, _MOST_EXPONENT))), 0.0, 255 / 256)),
    )
)

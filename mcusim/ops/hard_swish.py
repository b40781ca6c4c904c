"""HARD_SWISH: x * relu6(x + 3) / 6."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.arithmetic.quant import INT32_MAX, MOST_SHIFT, Integers, quantize_multiplier, rounding_divide_by_pot
from mcusim.errors import ModelError
from mcusim.graph import DType
from mcusim.ops.registry import Call, Drawing, WorkKind, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary
from mcusim.ops.shared.spreads import of_function

__all__ = ["HARD_SWISH"]

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1


def _wrap16(values: ArrayLike) -> Integers:
    return np.asarray(((np.asarray(values, np.int64) - LOWEST) & 0xFFFF) + LOWEST)


def _high_mul(a: Integers, b: int) -> Integers:
    """round(a * b / 2**15), ties upwards; saturates.   a, b: int16.   Source: gemmlowp, the int16 version."""
    return np.asarray(np.minimum((a * b + (1 << 14)) >> 15, HIGHEST))


def _multiplier16(real: float) -> tuple[int, int]:
    """A factor as Q0.15 and exponent.   Source: TFLite common.h, DownScaleInt32ToInt16Multiplier."""
    multiplier, shift = quantize_multiplier(real)
    if multiplier >= INT32_MAX - (1 << 15):
        return HIGHEST, shift
    return (multiplier + (1 << 15)) >> 16, shift


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """In 16 bits, as the source. Factors are formed in double, in float32 for uint8, which only desktop TFLite runs.

    Source: TFLM hard_swish_common.cc (in float32 too before 2026); TFLite hard_swish.h.
    """
    output = call.outputs[0]
    scale, zero_point = per_tensor(call, call.input(0))
    out_scale, out_zero_point = per_tensor_to_divide_by(call, output)
    number = np.float32 if output.dtype is DType.UINT8 else np.float64
    fine = number(1.0 / 128.0) * number(scale)
    with np.errstate(over="ignore"):  # infinite factors are refused
        out_factor, relu_factor = fine / number(out_scale), fine / (number(3.0) / number(32768.0))
    out_multiplier, out_exponent = _multiplier16(float(out_factor))
    relu_multiplier, relu_exponent = _multiplier16(float(relu_factor))
    if out_exponent > 0:
        what = f"the output's scale, {out_scale}, is below 1/128 of the input's, {scale}"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    if min(out_exponent, relu_exponent) < -15 or relu_exponent > MOST_SHIFT:
        what = f"scales of {scale:g} and {out_scale:g} take shifts that 16 bits do not have"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    x = _wrap16((values - zero_point) * 128)
    preshift = _high_mul(x, out_multiplier)
    relu = x
    if relu_exponent > 0:
        relu = np.clip(relu << (relu_exponent - 1), LOWEST, HIGHEST)
    relu = _high_mul(relu, relu_multiplier)
    if relu_exponent > 0:
        relu = np.clip(relu << 1, LOWEST, HIGHEST)
    if relu_exponent < 0:
        relu = rounding_divide_by_pot(relu, -relu_exponent)
    product = ((relu + (1 << 15)) >> 1) * preshift
    # Towards zero, as C divides.
    result = np.where(product >= 0, product >> 15, -(-product >> 15))
    return clamped_table(rounding_divide_by_pot(result, -out_exponent) + out_zero_point, output.dtype)


def _prepare(call: Call) -> PreparedUnary:
    return prepare_unary(call, _results, (DType.INT8, DType.UINT8), FloatFunction.HARD_SWISH)


HARD_SWISH = register(
    replace(
        unary("HARD_SWISH", "x * relu6(x + 3) / 6", options="HardSwishOptions", kind=WorkKind.ACTIVATION),
        prepare=_prepare,
        kernel="unary",
        drawing=Drawing(spread=of_function(lambda x: x * min(max(x + 3, 0), 6) / 6)),
    )
)

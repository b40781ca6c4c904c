"""Shared by LOGISTIC and TANH, which TFLite computes from one table: their scales and their int16 arithmetic.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import SIGMOID_TABLE, shifted
from mcusim.arithmetic.quant import Integers, round_half_away, wrap_int32
from mcusim.errors import ModelError
from mcusim.ops.registry import Call, Numerics
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by

__all__ = [
    "INPUT_BITS_16",
    "Scaled8",
    "checked_log2",
    "input_radius",
    "logistic16",
    "power16",
    "scaled8",
    "scaled16",
    "tanh16",
]

INTEGER_BITS = 4
"""Of the fixed-point numbers that 8-bit inputs become."""
MOST_SHIFT = 62
"""By so many bits the source shifts a 64-bit 1 at most."""
_QUANTISE = "quantise the network again"


class Scaled8(NamedTuple):
    """An 8-bit input as Q4.27: times multiplier and shift, saturated outside +-radius."""

    multiplier: int
    shift: int
    radius: int


def input_radius(integer_bits: int, left_shift: int, bits: int = 31) -> int:
    """Largest magnitude whose scaled number still fits.   Source: TFLite CalculateInputRadius."""
    return math.floor(((1 << integer_bits) - 1) * (1 << (bits - integer_bits)) / (1 << left_shift))


def scaled8(call: Call) -> Scaled8:
    """From a scale of 8 on the radius is 0, and the shift does not matter.

    Source: TFLM logistic_common.cc and tanh.cc; the multiplier may round up to 2**31, which wraps there.
    """
    fraction, shift = math.frexp(per_tensor(call, call.input(0))[0] * (1 << (31 - INTEGER_BITS)))
    multiplier = int(round_half_away(fraction * (1 << 31)))
    if shift < 0 or shift > MOST_SHIFT or multiplier >= 1 << 31:
        raise ModelError("the input's scale is out of range", where=call.where, fix=_QUANTISE)
    return Scaled8(multiplier, min(shift, 30), input_radius(INTEGER_BITS, shift))


def checked_log2(scale: float) -> tuple[int, bool]:
    """Nearest power of two of a scale, and whether it is one.   In float32. Source: TFLite CheckedLog2."""
    single = np.float32
    exact = np.log(single(scale)) * (single(1.0) / np.log(single(2.0)))
    rounded = int(round_half_away(exact))
    return rounded, bool(abs(exact - single(rounded)) < single(1e-3))


INPUT_BITS_16 = 3
"""Integer bits of int16 inputs whose scale is a power of two."""


def power_shift(call: Call, power_of_two_shifts: tuple[int, ...]) -> int | None:
    """By how many bits an int16 input is shifted to have 3 integer bits, where this is one of those; or None.

    Raises ModelError for zero points, and for another output scale than 2**-15.
    Source: TFLM logistic_common.cc and tanh.cc.
    """
    (scale, zero_point), (out_scale, out_zero_point) = (
        per_tensor_to_divide_by(call, t) for t in (call.input(0), call.outputs[0])
    )
    if zero_point or out_zero_point:
        raise ModelError("int16 tensors have a zero point other than 0", where=call.where, fix=_QUANTISE)
    if checked_log2(out_scale) != (-15, True):
        raise ModelError(f"the output's scale is {out_scale}, not 2**-15", where=call.where, fix=_QUANTISE)
    power, is_power = checked_log2(scale)
    shift = 15 - INPUT_BITS_16 + power
    return shift if is_power and shift in power_of_two_shifts else None


def power16(call: Call, values: Integers, power_of_two_shifts: tuple[int, ...]) -> Integers | None:
    """An int16 input as a number of 3 integer bits, where LiteRT computes with that, in 16 bits; or None.

    Source: TFLite activations.cc, LogisticPrepare and TanhPrepare, without a multiplier; optimized_ops.h.
    """
    shift = power_shift(call, power_of_two_shifts)
    return None if shift is None or call.numerics is not Numerics.LITERT else shifted(values, shift, 16)


def scaled16(call: Call, power_of_two_shifts: tuple[int, ...]) -> tuple[int, int]:
    """Multiplier and right shift of an int16 input.

    power_of_two_shifts: for which the table is read directly, its factor 3 alone.
    Source: TFLM logistic_common.cc and tanh.cc.
    """
    shift, scale = power_shift(call, power_of_two_shifts), per_tensor(call, call.input(0))[0]
    if shift is not None:
        return 3 << shift, 0
    multiplier, right = scale * 4096.0 * 3.0, 0
    while multiplier <= 32767.0 / 2.0 and right <= 30:
        right += 1
        multiplier *= 2.0
    if multiplier >= 1 << 31:
        raise ModelError(f"the input's scale, {scale}, is too large", where=call.where, fix=_QUANTISE)
    if multiplier < 1.0:  # TFLM takes a multiplier of 0 for a scale that is a power of two, and shifts out of its range
        raise ModelError(f"the input's scale, {scale}, is too small", where=call.where, fix=_QUANTISE)
    return int(multiplier), right


def _scaled(values: Integers, multiplier: int, right: int) -> Integers:
    return wrap_int32(values * multiplier + ((1 << right) >> 1)) >> right


def _sigmoid(magnitude: Integers, bits: int) -> tuple[Integers, NDArray[np.bool_]]:
    """Interpolated table, and where it has come to its end.   bits: of the fraction."""
    index = magnitude >> bits
    inside = np.minimum(index, 254)
    low, high = SIGMOID_TABLE[inside], SIGMOID_TABLE[inside + 1]
    return (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low), index >= 255


def logistic16(values: Integers, multiplier: int, right: int) -> Integers:
    """Source: TFLite integer_ops/logistic.h, the int16 version."""
    x = _scaled(values, multiplier, right)
    inside, is_end = _sigmoid(np.abs(x), 9)
    result = np.where(is_end, 0x7FFF << 10, inside)
    return np.asarray(np.where(x >= 0, result + (1 << 9), (1 << 25) - result + (1 << 9) - 1) >> 10)


def tanh16(values: Integers, multiplier: int, right: int) -> Integers:
    """Source: TFLite integer_ops/tanh.h, the int16 version."""
    x = _scaled(values, multiplier, right)
    inside, is_end = _sigmoid(np.abs(x), 8)
    result = np.where(is_end, 0xFFFF << 8, inside)
    half = 1 << 23
    return np.asarray(np.where(x >= 0, result - half + (1 << 7), -result + half + (1 << 7) - 1) >> 8)

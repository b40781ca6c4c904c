"""Integer arithmetic of quantised networks: real factors as integer multipliers, and how results are rounded.

Everything works on Python ints' worth of numpy int64, so that nothing wraps by accident; where C wraps or saturates at
32 bits, that is written out. `fixed_point.py` builds exp, logistic and tanh on it.
Source: TFLite quantization_util.cc, common.cc and kernel_util.cc; gemmlowp fixedpoint.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.errors import ModelError
from mcusim.graph import Activation, DType, Quantization

__all__ = [
    "INT32_MAX",
    "INT32_MIN",
    "LEAST_SHIFT",
    "MOST_SHIFT",
    "Multiplier",
    "Rounding",
    "Scaling",
    "activation_range",
    "check_int32",
    "coarse_scaling",
    "dtype_range",
    "narrow",
    "quantize_multiplier",
    "quantize_value",
    "requantize",
    "requantize_float",
    "requantize_reduced",
    "requantize_single",
    "requantize_upwards",
    "rescale",
    "round_half_away",
    "rounding_divide_by_pot",
    "saturating_left_shift",
    "saturating_rounding_doubling_high_mul",
    "scaling",
    "wrap_int32",
]

Integers = NDArray[np.int64]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1


class Rounding(StrEnum):
    """How an accumulator times a real factor becomes an integer."""

    DOUBLE = "double"
    """Product rounded, then shift rounded: TFLM, CMSIS-NN."""
    SINGLE = "single"
    """Product and shift rounded once: TFLite built with single rounding, and int64 sums of LiteRT's dense layers."""
    UPWARDS = "upwards"
    """As DOUBLE, halves of the shift upwards: ruy."""
    REDUCED = "reduced"
    """The multiplier cut to 16 bits, one rounding: int64 accumulators of int16 networks."""
    FLOAT = "float"
    """The accumulator as float32 times a float32 factor, cut towards zero: TinyEngine."""
    NEAREST = "nearest"
    """The same, to the nearest integer, halves to even: XNNPACK."""
    AWAY = "away"
    """The same, halves away from zero: SUM of TFLite."""


LEAST_SHIFT = -31
"""By more bits to the right C does not define a shift of 32-bit numbers."""


class Multiplier(NamedTuple):
    """The real number `multiplier * 2**(shift - 31)`.   multiplier: int32, 0 or in [2**30, 2**31)."""

    multiplier: int
    shift: int


def quantize_multiplier(real: float) -> Multiplier:
    """The nearest Q0.31 multiplier and power of two; 0 below 2**-32.

    Negative ones occur: weights of negative scale come from folded batch norms.
    Raises ModelError unless `real` is finite.   Source: TFLite QuantizeMultiplier.
    """
    if not math.isfinite(real):
        what = f"its scales are too far apart: a factor is {real:g}"
        raise ModelError(what, where="op scales", fix="quantise the network again")
    fraction, shift = math.frexp(real)
    fixed = int(round_half_away(fraction * (1 << 31)))
    if fixed == 1 << 31:
        fixed, shift = fixed // 2, shift + 1
    return Multiplier(fixed, shift) if fixed and shift >= LEAST_SHIFT else Multiplier(0, 0)


def round_half_away(value: ArrayLike) -> NDArray[np.float64]:
    """Nearest integer, halves away from zero, as C's round(); numpy's own rounds halves to even.

    value: float32 or float64; float32 is exact in float64.   Source: TFLite cppmath.h, TfLiteRound.
    """
    value = np.asarray(value, np.float64)
    whole = np.trunc(value)
    return np.asarray(whole + np.where(np.abs(value - whole) >= 0.5, np.copysign(1.0, value), 0.0))


def wrap_int32(value: ArrayLike) -> Integers:
    """The value modulo 2**32 in [-2**31, 2**31), as 32-bit registers keep it."""
    value = np.asarray(value, np.int64)
    return np.asarray(((value - INT32_MIN) & 0xFFFFFFFF) + INT32_MIN)


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike) -> Integers:
    """round(a * b / 2**31), ties upwards; (-2**31)**2 saturates.   a, b: int32.

    The C source adds a nudge by sign and divides towards zero; the floor below is the same number.
    Source: gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.asarray(np.minimum((product + (1 << 30)) >> 31, INT32_MAX))


def rounding_divide_by_pot(value: ArrayLike, exponent: ArrayLike) -> Integers:
    """round(value / 2**exponent), ties away from zero.   exponent: in [0, 31].

    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT.
    """
    value, exponent = np.asarray(value, np.int64), np.asarray(exponent, np.int64)
    half = (np.int64(1) << exponent) >> 1
    return np.asarray((value + half - ((value < 0) & (exponent > 0))) >> exponent)


def saturating_left_shift(value: ArrayLike, exponent: int) -> Integers:
    """value * 2**exponent, kept inside int32.   Source: gemmlowp fixedpoint.h, SaturatingRoundingMultiplyByPOT."""
    return np.asarray(np.clip(np.asarray(value, np.int64) << exponent, INT32_MIN, INT32_MAX))


def requantize(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """`acc * multiplier * 2**(shift - 31)`, rounded twice.

    acc: int32 values.   multiplier: int32.   shift: in [-31, 30]. Arrays broadcast.
    A left shift wraps at 32 bits, as registers do; real networks never get there.
    Source: TFLite MultiplyByQuantizedMultiplier(int32_t), the double-rounding branch.
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    acc = np.asarray(acc, np.int64)
    shifted = wrap_int32(acc << left) if left.any() else acc
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(shifted, multiplier), right)


def requantize_upwards(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """`acc * multiplier * 2**(shift - 31)`, rounded twice, ties upwards.   Ranges as for `requantize`.

    Source: ruy kernel_avx2_fma.cc, where the multiplier is applied.
    """
    shift = np.asarray(shift, np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = wrap_int32(np.asarray(acc, np.int64) << left)
    return np.asarray((saturating_rounding_doubling_high_mul(shifted, multiplier) + ((1 << right) >> 1)) >> right)


def requantize_single(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """`acc * multiplier * 2**(shift - 31)`, rounded once, ties upwards.   Ranges as for `requantize`.

    Source: TFLite MultiplyByQuantizedMultiplier(int32_t), the branch of TFLITE_SINGLE_ROUNDING.
    """
    total = 31 - np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * np.asarray(multiplier, np.int64)
    return np.asarray((product + (np.int64(1) << (total - 1))) >> total)


def requantize_reduced(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """`acc * multiplier * 2**(shift - 31)` with the multiplier's upper 16 bits only, rounded once, ties upwards.

    acc: int64 in [-2**47, 2**47).   shift: in [-31, 7].   The result wraps at 32 bits as its C type does.
    Source: TFLite MultiplyByQuantizedMultiplier(int64_t).
    """
    multiplier = np.asarray(multiplier, np.int64)
    reduced = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * reduced
    return wrap_int32((product + (np.int64(1) << (total - 1))) >> total)


_WHOLE: Mapping[Rounding, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = MappingProxyType(
    {Rounding.FLOAT: np.trunc, Rounding.NEAREST: np.rint, Rounding.AWAY: round_half_away}
)


def requantize_float(acc: ArrayLike, factor: ArrayLike, rounding: Rounding = Rounding.FLOAT) -> Integers:
    """float32(acc) * factor, as an integer.   acc: int32 values.   factor: float32.   rounding: FLOAT, NEAREST or AWAY.

    Source: TinyEngine, kernels/int_forward_op/*_fpreq.c: a float product assigned to int32_t; XNNPACK
    qs8-requantization, the "fp32" kernels; TFLite reduce.h, QuantizedMeanOrSum.
    """
    with np.errstate(over="ignore"):
        product = np.asarray(acc, np.int64).astype(np.float32) * np.asarray(factor, np.float32)
    whole = _WHOLE[rounding](product.astype(np.float64))
    return np.clip(whole, INT32_MIN, INT32_MAX).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """A real factor, or one for each output channel, and how to multiply by it.

    multiplier, shift: int32 of shape (), (1,) or (channels,).   factor: float32, the same.
    """

    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    factor: NDArray[np.float32]
    rounding: Rounding = Rounding.DOUBLE


MOST_SHIFT, MOST_REDUCED_SHIFT = 30, 14
"""The largest left shift of an int32 sum, and of an int64 one, that C defines."""


def scaling(reals: ArrayLike, rounding: Rounding = Rounding.DOUBLE) -> Scaling:
    """The scaling by real factors (float64), one or one a channel.

    Raises ModelError for factors that no register can shift by: scales that no quantisation gives.
    """
    reals = np.asarray(reals, np.float64)
    most = MOST_REDUCED_SHIFT if rounding is Rounding.REDUCED else MOST_SHIFT
    if not np.all(np.abs(reals) < 2.0**most):
        what = f"its scales are too far apart: a factor is {reals.ravel()[np.argmax(np.abs(reals))]:g}"
        raise ModelError(what, where="op scales", fix="quantise the network again")
    pairs = [quantize_multiplier(float(real)) for real in reals.ravel()]
    multiplier = np.array([pair.multiplier for pair in pairs], np.int64)
    shift = np.array([pair.shift for pair in pairs], np.int32)
    if rounding is Rounding.SINGLE:  # which has no shift beyond 30, and saturates there
        multiplier = np.where(shift > 30, INT32_MAX, multiplier)
        shift = np.minimum(shift, 30)
    return Scaling(
        multiplier.astype(np.int32).reshape(reals.shape),
        shift.astype(np.int32).reshape(reals.shape),
        reals.astype(np.float32),
        rounding,
    )


COARSE_BITS = 8


def coarse_scaling(real: float) -> Scaling:
    """The scaling by a factor of 8 fractional bits, with one rounding, halves upwards.   real: in float32, below 2**22.

    Source: XNNPACK qs8-vcvt and qs8-vlrelu.
    """
    multiplier = np.asarray(np.rint(real * (1 << COARSE_BITS)), np.int32)
    return Scaling(multiplier, np.asarray(31 - COARSE_BITS, np.int32), np.asarray(real, np.float32), Rounding.SINGLE)


def rescale(acc: ArrayLike, by: Scaling) -> Integers:
    """Accumulators times the factors, which broadcast along the last axis."""
    if by.rounding in _WHOLE:
        return requantize_float(acc, by.factor, by.rounding)
    rounded = {
        Rounding.DOUBLE: requantize,
        Rounding.SINGLE: requantize_single,
        Rounding.UPWARDS: requantize_upwards,
        Rounding.REDUCED: requantize_reduced,
    }[by.rounding]
    return rounded(acc, by.multiplier, by.shift)


def dtype_range(dtype: DType) -> tuple[int, int]:
    """Smallest and largest integer of an integer type."""
    if dtype.value.startswith("u"):
        return 0, (1 << dtype.bits) - 1
    return -(1 << (dtype.bits - 1)), (1 << (dtype.bits - 1)) - 1


def quantize_value(value: float, scale: float, zero_point: int, where: str) -> int:
    """The stored integer of a real number, not clamped; the division rounds to float32 as in C.

    Raises ModelError, naming `where`, if it does not fit int32.   Source: TFLite kernel_util.cc, Quantize.
    """
    with np.errstate(over="ignore"):
        real = float(np.float32(value) / np.float32(scale)) if scale else math.inf
    stored = float(round_half_away(real)) if math.isfinite(real) else real
    check_int32(stored, value, scale, where)
    return zero_point + int(stored)


def check_int32(stored: ArrayLike, values: ArrayLike, scale: float, where: str) -> None:
    """Raise ModelError, naming `where`, if one of `values` becomes more than int32 holds: C leaves open what it is."""
    rounded = np.asarray(stored, np.float64)
    outside = ~((rounded >= INT32_MIN) & (rounded <= INT32_MAX))  # NaN too
    if outside.any():
        value = np.asarray(values, np.float32)[outside].flat[0]
        raise ModelError(f"{value} is no number at scale {scale:g}", where=where, fix="quantise the network again")


_BOUNDS: dict[Activation, tuple[float | None, float | None]] = {
    Activation.NONE: (None, None),
    Activation.RELU: (0.0, None),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}
"""Fused activations that are clamps. TFLite's kernels treat the others as none."""


def activation_range(
    activation: Activation, quantization: Quantization | None, dtype: DType, where: str, *, halves_to_even: bool = False
) -> tuple[int, int]:
    """Smallest and largest stored integer that a fused activation leaves.

    dtype: of the output.   quantization: of the output, per tensor.   halves_to_even: as XNNPACK rounds a bound.
    Source: TFLite kernel_util.cc, CalculateActivationRangeQuantized; XNNPACK math.h, xnn_qs8_quantize.
    """
    lowest, highest = dtype_range(dtype)
    low, high = _BOUNDS.get(activation, (None, None))
    if low is None and high is None:
        return lowest, highest
    if quantization is None:
        raise ModelError("the output is not quantised", where=where, fix="quantise the network again")
    scale, zero_point = quantization.scales[0], quantization.zero_points[0]
    stored = _to_even if halves_to_even else quantize_value
    if low is not None:
        lowest = max(lowest, stored(low, scale, zero_point, where))
    if high is not None:
        highest = min(highest, stored(high, scale, zero_point, where))
    return lowest, highest


def _to_even(value: float, scale: float, zero_point: int, where: str) -> int:
    """As `quantize_value`, rounded with the zero point, halves to even.   Source: XNNPACK xnn_qs8_quantize."""
    real = np.float32(value) / np.float32(scale) + np.float32(zero_point) if scale else np.float32(math.inf)
    stored = np.rint(real)
    check_int32(stored, value, scale, where)
    return int(stored)


def narrow(values: Integers, lowest: int, highest: int, out: NDArray[Any]) -> None:
    """Clamp into `[lowest, highest]` and store into an array of a narrower type."""
    out[...] = np.clip(values, lowest, highest).astype(out.dtype)

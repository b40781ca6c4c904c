"""Exponential, logistic, hyperbolic tangent, reciprocal and logarithm in 32-bit fixed point, as gemmlowp computes them.

Arrays hold raw int32 values in int64; `Qm.n` has m integer bits. Constants are the raw integers of the sources. What
has an argument `word` is also there for raw values of 16 bits, whose constants are those of 32 bits, rounded.
Source: gemmlowp fixedpoint.h; TFLite common.h (log, reciprocal, tables of int16).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.arithmetic.quant import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    round_half_away,
    rounding_divide_by_pot,
    saturating_left_shift,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)

__all__ = [
    "SIGMOID_TABLE",
    "count_leading_zeros",
    "exp_on_negative_values",
    "interpolate",
    "interpolation_table",
    "inverse_square_root",
    "log_of_sum",
    "logistic",
    "one_over_one_plus_x",
    "reciprocal",
    "rescale_bits",
    "shifted",
    "tanh",
]

Floats = NDArray[np.float32]


def _mul(a: ArrayLike, b: ArrayLike, word: int = 32) -> Integers:
    """round(a * b / 2**(word - 1)), ties upwards; the square of the lowest number saturates."""
    if word == 32:
        return saturating_rounding_doubling_high_mul(a, b)
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.asarray(np.minimum((product + (1 << (word - 2))) >> (word - 1), _one(word)))


def _one(word: int) -> int:
    """The largest raw number: just below 1, without integer bits."""
    return (1 << (word - 1)) - 1


def _constant(raw: int, word: int) -> int:
    """A constant of 32 bits in fewer.   Source: gemmlowp RescaleConstantInitializer."""
    return int(rounding_divide_by_pot(raw, 32 - word))


def shifted(raw: ArrayLike, exponent: int, word: int = 32) -> Integers:
    """raw * 2**exponent, kept inside the word, rounded.   Source: gemmlowp SaturatingRoundingMultiplyByPOT."""
    if exponent <= 0:
        return rounding_divide_by_pot(raw, -exponent)
    if word == 32:
        return saturating_left_shift(raw, exponent)
    return np.asarray(np.clip(np.asarray(raw, np.int64) << exponent, -_one(word) - 1, _one(word)))


def rescale_bits(raw: ArrayLike, integer_bits: int, to: int, word: int = 32) -> Integers:
    """The same number with another count of integer bits.   Source: gemmlowp Rescale."""
    return shifted(raw, integer_bits - to, word)


def _rounding_half_sum(a: ArrayLike, b: int) -> Integers:
    """(a + b) / 2, ties away from zero.   Source: gemmlowp RoundingHalfSum."""
    total = np.asarray(a, np.int64) + b
    return np.asarray(np.where(total >= 0, (total + 1) // 2, -((1 - total) // 2)))


def count_leading_zeros(value: ArrayLike) -> Integers:
    """Zero bits above the highest one of a 32-bit pattern; 31 for 0, as the C++ has it (digits of uint32 are 32)."""
    pattern = np.asarray(value, np.int64) & 0xFFFFFFFF
    # frexp is exact: every 32-bit pattern is a double.
    return np.asarray(32 - np.frexp(pattern.astype(np.float64))[1], np.int64)


def _exp_interval(a: Integers, word: int) -> Integers:
    """exp on [-1/4, 0), without integer bits: a Taylor polynomial around -1/8."""
    x = a + (1 << (word - 4))
    x2 = _mul(x, x, word)
    x3 = _mul(x2, x, word)
    x4 = _mul(x2, x2, word)
    x4_over_4 = rounding_divide_by_pot(x4, 2)
    tail = rounding_divide_by_pot(_mul(x4_over_4 + x3, _constant(715827883, word), word) + x2, 1)
    start = _constant(1895147668, word)
    return start + _mul(start, x + tail, word)


_EXP_FACTORS = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
"""exp(-2**k) in Q0.31 for each k."""


def exp_on_negative_values(raw: ArrayLike, integer_bits: int, word: int = 32) -> Integers:
    """exp of numbers <= 0 with so many integer bits; the result has none."""
    a = np.asarray(raw, np.int64)
    fractional_bits = word - 1 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    mod = (a & (quarter - 1)) - quarter
    result = _exp_interval(rescale_bits(mod, integer_bits, 0, word), word)
    remainder = mod - a
    for exponent, factor in _EXP_FACTORS:
        if integer_bits > exponent:
            selected = (remainder & (1 << (fractional_bits + exponent))) != 0
            result = np.where(selected, _mul(result, _constant(factor, word), word), result)
    if integer_bits > 5:
        result = np.where(a < -(1 << (fractional_bits + 5)), 0, result)
    return np.asarray(np.where(a == 0, _one(word), result))


def _newton_raphson(half_denominator: Integers, word: int) -> Integers:
    """1 / half_denominator for one in [1/2, 1], with two integer bits: three Newton-Raphson steps."""
    x = _constant(1515870810, word) + _mul(half_denominator, _constant(-1010580540, word), word)
    for _ in range(3):
        product = _mul(half_denominator, x, word)
        x = x + shifted(_mul(x, (1 << (word - 3)) - product, word), 2, word)
    return x


def one_over_one_plus_x(raw: ArrayLike, word: int = 32) -> Integers:
    """1 / (1 + x) for x in [0, 1]; neither has integer bits."""
    return shifted(_newton_raphson(_rounding_half_sum(raw, _one(word)), word), 1, word)


def inverse_square_root(value: ArrayLike) -> tuple[Integers, Integers]:
    """1 / sqrt(x) of int32 numbers, as multiplier and shift: multiplier * 2**(shift - 31). Below 2 it counts as 1.

    Source: TFLite common.h, GetInvSqrtQuantizedMultiplierExp.
    """
    x = np.asarray(value, np.int64)
    shift = np.full(x.shape, 11, np.int64)
    for _ in range(2):
        large = x >= 1 << 29
        x, shift = np.where(large, x // 4, x), shift + large
    pairs = (count_leading_zeros(np.maximum(x, 1)) - 1) // 2 - 1
    shift = shift - pairs
    number = (np.maximum(x, 2) << (2 * pairs)) >> 1
    half_number = rounding_divide_by_pot(number, 1)
    root = np.full(x.shape, 1 << 28, np.int64)
    for _ in range(5):  # Newton-Raphson, Q3.28
        cube = rescale_bits(_mul(_mul(root, root), root), 9, 3)
        root = rescale_bits(_mul(_HALF_THREE, root) - _mul(half_number, cube), 6, 3)
    result = _mul(root, _HALF_SQRT_2) << np.maximum(-shift, 0)
    return np.where(x <= 1, INT32_MAX, result), np.where(x <= 1, 0, -np.maximum(shift, 0))


_HALF_THREE = (1 << 28) + (1 << 27)
"""1.5 in Q3.28."""
_HALF_SQRT_2 = 1518500250
"""In Q0.31."""


def _one_minus_over_one_plus(raw: Integers, word: int) -> Integers:
    """(1 - x) / (1 + x) for x in [0, 1]; neither has integer bits."""
    x = _newton_raphson(_rounding_half_sum(raw, _one(word)), word)
    return shifted(x - (1 << (word - 3)), 2, word)


def logistic(raw: ArrayLike, integer_bits: int, word: int = 32) -> Integers:
    """1 / (1 + exp(-x)), without integer bits."""
    a = np.asarray(raw, np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(a), integer_bits, word), word)
    value = np.where(a > 0, positive, _one(word) - positive)
    return np.asarray(np.where(a == 0, 1 << (word - 2), value))


def tanh(raw: ArrayLike, integer_bits: int, word: int = 32) -> Integers:
    """Hyperbolic tangent, without integer bits."""
    a = np.asarray(raw, np.int64)
    # exp(-2|x|): doubling is done by reading the number with one integer bit more.
    magnitude = _one_minus_over_one_plus(exp_on_negative_values(-np.abs(a), integer_bits + 1, word), word)
    return np.asarray(np.where(a == 0, 0, np.where(a < 0, -magnitude, magnitude)))


def reciprocal(value: ArrayLike, integer_bits: int) -> tuple[Integers, Integers]:
    """1 / value: (mantissa in Q0.31, bits of the value above 1.0).   value: positive int32.

    Source: TFLite common.h, GetReciprocal.
    """
    value = np.asarray(value, np.int64)
    headroom = count_leading_zeros(value)
    shifted = wrap_int32((value << headroom) - (1 << 31))
    return one_over_one_plus_x(shifted), integer_bits - headroom


def _saturating_shift_by(value: ArrayLike, exponent: ArrayLike) -> Integers:
    """value * 2**exponent kept inside int32; beyond the threshold of the source, the limits.

    Source: TFLite common.h, SaturatingRoundingMultiplyByPOTParam.
    """
    value, exponent = np.asarray(value, np.int64), np.asarray(exponent, np.int64)
    threshold = (np.int64(1) << (31 - exponent)) - 1
    shifted = wrap_int32(value << exponent)
    limited = np.where(value > threshold, INT32_MAX, np.where(value < -threshold, INT32_MIN, shifted))
    return np.asarray(np.where(exponent == 0, value, limited))


def log_of_sum(raw: ArrayLike, integer_bits: int, to: int) -> Integers:
    """Natural logarithm of numbers >= 1 with `integer_bits`; the result has `to` integer bits.

    Source: TFLite common.h, log_x_for_x_greater_than_or_equal_to_1_impl.
    """
    bits = to + 1
    z_a = np.asarray(raw, np.int64)
    sqrt_half, sqrt_sqrt_half, log_2 = 1518500250, 1805811301, 1488522236
    alpha_n, alpha_d, alpha_i, alpha_f = 117049297, 127690142, 1057819769, 638450708
    quarter = rescale_bits(536870912, 0, bits)
    scale = 31 - bits

    headroom_plus_one = count_leading_zeros(z_a)
    r_a = saturating_left_shift(_mul(_saturating_shift_by(z_a, headroom_plus_one - 1), sqrt_half), 1)
    power_a = np.clip(_saturating_shift_by(integer_bits - headroom_plus_one, scale) + quarter, INT32_MIN, INT32_MAX)
    headroom_b = count_leading_zeros(_mul(z_a, sqrt_half)) - 1
    r_b = _saturating_shift_by(z_a, headroom_b)
    power_b = np.clip(_saturating_shift_by(integer_bits - headroom_b, scale) - quarter, INT32_MIN, INT32_MAX)

    r = np.minimum(r_a, r_b)
    power = np.maximum(power_a, power_b)
    p = _rounding_half_sum(r, sqrt_sqrt_half)
    q = r - sqrt_sqrt_half
    q = q + q
    common = _mul(q, q)
    numerator = _mul(q, r) + _mul(_mul(q, common), alpha_n)
    denominator = _mul(p, alpha_i + q + _mul(alpha_d, common)) + _mul(alpha_f, q)
    fraction = _mul(rescale_bits(numerator, 0, bits), one_over_one_plus_x(denominator))
    return rescale_bits(_mul(power, log_2) + fraction, bits, to)


def interpolation_table(function: Callable[[Floats], Any], lowest: float, highest: float) -> NDArray[np.int16]:
    """513 samples of a function of float32 on [lowest, highest], in Q0.15, each nudged to halve the error between.

    Source: TFLite common.h, gen_lut / LUTPopulateInt16 with outputs in [-1, 1].
    """
    one = np.float32
    step = (one(highest) - one(lowest)) / one(512)
    places = one(lowest) + np.arange(513, dtype=np.float32) * step
    scale = one(32768.0)

    def rounded(values: Any) -> Floats:
        return round_half_away(np.asarray(values, np.float32)).astype(np.float32)

    samples = np.asarray(function(places[:512]), np.float32) * scale
    middles = np.asarray(function(places[:512] + step / one(2)), np.float32) * scale
    following = np.asarray(function(places[1:]), np.float32) * scale
    error = rounded((following + rounded(samples)) / one(2)) - rounded(middles)
    last = rounded(np.asarray(function(np.array([highest], np.float32)), np.float32) * scale)
    table = np.concatenate([rounded(samples) - rounded(error / one(2)), last])
    return np.asarray(np.clip(table, -32768, 32767), np.int16)


def interpolate(value: ArrayLike, table: NDArray[np.int16]) -> Integers:
    """A table of 513 looked up at int16 values, linear in between.   Source: TFLite common.h, LUTLookup."""
    value = np.asarray(value, np.int64)
    samples = table.astype(np.int64)
    index = 256 + (value >> 7)
    base = samples[index]
    slope = samples[index + 1] - base
    return np.asarray(base + ((slope * (value & 0x7F) + 64) >> 7))


_SIGMOIDS = """
    32768 33451 34133 34813 35493 36169 36843 37513 38180 38841 39498 40149 40794 41432 42064 42688
    43304 43912 44511 45102 45683 46255 46817 47369 47911 48443 48964 49475 49975 50464 50942 51409
    51865 52311 52745 53169 53581 53983 54374 54755 55125 55485 55834 56174 56503 56823 57133 57433
    57724 58007 58280 58544 58800 59048 59288 59519 59743 59959 60168 60370 60565 60753 60935 61110
    61279 61441 61599 61750 61896 62036 62172 62302 62428 62549 62666 62778 62886 62990 63090 63186
    63279 63368 63454 63536 63615 63691 63765 63835 63903 63968 64030 64090 64148 64204 64257 64308
    64357 64405 64450 64494 64536 64576 64614 64652 64687 64721 64754 64786 64816 64845 64873 64900
    64926 64950 64974 64997 65019 65039 65060 65079 65097 65115 65132 65149 65164 65179 65194 65208
    65221 65234 65246 65258 65269 65280 65291 65301 65310 65319 65328 65337 65345 65352 65360 65367
    65374 65381 65387 65393 65399 65404 65410 65415 65420 65425 65429 65433 65438 65442 65445 65449
    65453 65456 65459 65462 65465 65468 65471 65474 65476 65479 65481 65483 65485 65488 65489 65491
    65493 65495 65497 65498 65500 65501 65503 65504 65505 65507 65508 65509 65510 65511 65512 65513
    65514 65515 65516 65517 65517 65518 65519 65520 65520 65521 65522 65522 65523 65523 65524 65524
    65525 65525 65526 65526 65526 65527 65527 65528 65528 65528 65529 65529 65529 65529 65530 65530
    65530 65530 65531 65531 65531 65531 65531 65532 65532 65532 65532 65532 65532 65533 65533 65533
    65533 65533 65533 65533 65533 65534 65534 65534 65534 65534 65534 65534 65534 65534 65534 65535
"""
SIGMOID_TABLE = np.array([int(value) for value in _SIGMOIDS.split()], np.int64)
"""sigmoid(i / 24) in 0.16, up to 1.1 off the true value.   Source: TFLite common.h, sigmoid_table_uint16."""

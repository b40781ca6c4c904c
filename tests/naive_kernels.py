"""What the arithmetic kernels compute, in Python ints and Fractions: the tests' oracle. Imports nothing from mcusim.

Arrays are nested numpy object or int64 arrays of Python-sized values; rounding is written with exact fractions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Pads = tuple[int, int]


def half_up(value: Fraction) -> int:
    """Nearest integer, ties upwards."""
    return math.floor(value + Fraction(1, 2))


def half_away(value: Fraction) -> int:
    """Nearest integer, ties away from zero."""
    return half_up(value) if value >= 0 else -half_up(-value)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The Q0.31 multiplier and the power of two nearest to a real number."""
    if real == 0:
        return 0, 0
    shift = 0
    fraction = Fraction(real)
    while abs(fraction) >= 1:
        fraction, shift = fraction / 2, shift + 1
    while abs(fraction) < Fraction(1, 2):
        fraction, shift = fraction * 2, shift - 1
    fixed = half_away(fraction * 2**31)
    if fixed == 2**31:
        fixed, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (fixed, shift)


def requantize(acc: int, multiplier: int, shift: int) -> int:
    """Rounded to 31 bits, then shifted right and rounded again."""
    high = half_up(Fraction(acc * 2 ** max(shift, 0) * multiplier, 2**31))
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


def requantize_single(acc: int, multiplier: int, shift: int) -> int:
    return half_up(Fraction(acc * multiplier) * Fraction(2) ** (shift - 31))


def requantize_reduced(acc: int, multiplier: int, shift: int) -> int:
    upper = min((multiplier + 2**15) // 2**16, 0x7FFF)
    return half_up(Fraction(acc * upper) * Fraction(2) ** (shift - 15))


def scaled(acc: int, real: float, wide: bool = False) -> int:
    """An accumulator times a real number, as the network's runtime rounds it."""
    return (requantize_reduced if wide else requantize)(acc, *quantize_multiplier(real))


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: Sequence[int],
    *,
    zero_point: int,
    stride: Pads,
    dilation: Pads,
    before: Pads,
    out: tuple[int, int],
) -> np.ndarray:
    """Sums of a grouped convolution. x: (rows, cols, channels).   w: OHWI.   before: padding above and left."""
    out_c, kh, kw, in_c = w.shape
    per_group = out_c // (x.shape[2] // in_c)
    sums = np.zeros((*out, out_c), object)
    for r, c, o in np.ndindex(*sums.shape):
        total = int(bias[o])
        for i, j, k in np.ndindex(kh, kw, in_c):
            row, col = r * stride[0] + i * dilation[0] - before[0], c * stride[1] + j * dilation[1] - before[1]
            if 0 <= row < x.shape[0] and 0 <= col < x.shape[1]:
                channel = o // per_group * in_c + k
                total += (int(x[row, col, channel]) - zero_point) * int(w[o, i, j, k])
        sums[r, c, o] = total
    return sums


def transpose_conv(
    x: np.ndarray, w: np.ndarray, bias: Sequence[int], *, zero_point: int, stride: Pads, before: Pads, out: Pads
) -> np.ndarray:
    """Sums of a transposed convolution, scattered place by place.   w: OHWI."""
    out_c, kh, kw, in_c = w.shape
    sums = np.zeros((*out, out_c), object)
    sums += np.array([int(b) for b in bias], object)
    for row, col, k, i, j, o in np.ndindex(*x.shape[:2], in_c, kh, kw, out_c):
        r, c = row * stride[0] + i - before[0], col * stride[1] + j - before[1]
        if 0 <= r < out[0] and 0 <= c < out[1]:
            sums[r, c, o] += (int(x[row, col, k]) - zero_point) * int(w[o, i, j, k])
    return sums


def pool(x: np.ndarray, kernel: Pads, stride: Pads, before: Pads, out: Pads, average: bool) -> np.ndarray:
    """Maximum, or mean rounded with ties away from zero, of what lies inside the map.   x: (rows, cols, channels)."""
    pooled = np.zeros((*out, x.shape[2]), object)
    for r, c, k in np.ndindex(*pooled.shape):
        rows = [r * stride[0] + i - before[0] for i in range(kernel[0])]
        cols = [c * stride[1] + j - before[1] for j in range(kernel[1])]
        inside = [int(x[i, j, k]) for i in rows for j in cols if 0 <= i < x.shape[0] and 0 <= j < x.shape[1]]
        pooled[r, c, k] = half_away(Fraction(sum(inside), len(inside))) if average else max(inside)
    return pooled


def add(a: int, b: int, zeros: tuple[int, int, int], scales: tuple[float, float, float], sign: int, left: int) -> int:
    """The sum (or difference) of two stored integers, not clamped."""
    twice = 2 * max(scales[0], scales[1])
    x = scaled((a - zeros[0]) * 2**left, scales[0] / twice)
    y = scaled((b - zeros[1]) * 2**left, scales[1] / twice)
    return scaled(x + sign * y, twice / (2**left * scales[2])) + zeros[2]


def multiply(a: int, b: int, zeros: tuple[int, int, int], scales: tuple[float, float, float]) -> int:
    return scaled((a - zeros[0]) * (b - zeros[1]), scales[0] * scales[1] / scales[2]) + zeros[2]


def mean_or_sum(values: Sequence[int], zeros: Pads, scales: tuple[float, float], mean: bool) -> int:
    """TFLite divides the multiplier, not the sum."""
    multiplier, shift = quantize_multiplier(scales[0] / scales[1])
    if mean:
        more = min(len(values).bit_length() - 1, 32, 31 + shift)
        multiplier, shift = multiplier * 2**more // len(values), shift - more
    return requantize(sum(values) - zeros[0] * len(values), multiplier, shift) + zeros[1]

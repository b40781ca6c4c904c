"""Functions of float32 as the C libraries of microcontrollers and of Linux compute them, bit for bit.

expf, logf, sinf and cosf are computed in double and rounded once; expm1f and tanhf are older, all in float32.
numpy's own float32 versions differ from them in the last bit.
Source: Arm optimized routines, expf.c, logf.c and their data; fdlibm s_expm1f.c and s_tanhf.c: newlib, glibc and musl
contain both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cos_float32", "exp_float32", "expm1_float32", "log_float32", "sin_float32", "tanh_float32"]

Floats = NDArray[np.float32]


def exp_float32(value: ArrayLike) -> Floats:
    """expf of the C libraries that microcontrollers and Linux use: computed in double, rounded once.

    Source: Arm optimized routines, expf.c and exp2f_data.c, which newlib and glibc contain.
    """
    x = np.asarray(value, np.float32).astype(np.float64)
    steps = 32
    scaled = x * (float.fromhex("0x1.71547652b82fep+0") * steps)
    whole = np.rint(np.clip(scaled, -1e6, 1e6))
    r = scaled - whole
    power = np.exp2(np.minimum(whole / steps, 1023))
    z = float.fromhex("0x1.c6af84b912394p-5") / steps**3 * r + float.fromhex("0x1.ebfce50fac4f3p-3") / steps**2
    y = float.fromhex("0x1.62e42ff0c52d6p-1") / steps * r + 1.0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        result = (z * (r * r) + y) * power
        result = np.where(
            x < float.fromhex("-0x1.9fe368p6"), 0.0, np.where(x > float.fromhex("0x1.62e42ep6"), np.inf, result)
        )
        return np.asarray(result, np.float64).astype(np.float32)


_LOG_TABLE = """
    0x1.661ec79f8f3bep+0 -0x1.57bf7808caadep-2  0x1.571ed4aaf883dp+0 -0x1.2bef0a7c06ddbp-2
    0x1.49539f0f010bp+0  -0x1.01eae7f513a67p-2  0x1.3c995b0b80385p+0 -0x1.b31d8a68224e9p-3
    0x1.30d190c8864a5p+0 -0x1.6574f0ac07758p-3  0x1.25e227b0b8eap+0  -0x1.1aa2bc79c81p-3
    0x1.1bb4a4a1a343fp+0 -0x1.a4e76ce8c0e5ep-4  0x1.12358f08ae5bap+0 -0x1.1973c5a611cccp-4
    0x1.0953f419900a7p+0 -0x1.252f438e10c1ep-5  0x1p+0                0x0p+0
    0x1.e608cfd9a47acp-1  0x1.aa5aa5df25984p-5  0x1.ca4b31f026aap-1   0x1.c5e53aa362eb4p-4
    0x1.b2036576afce6p-1  0x1.526e57720db08p-3  0x1.9c2d163a1aa2dp-1  0x1.bc2860d22477p-3
    0x1.886e6037841edp-1  0x1.1058bc8a07ee1p-2  0x1.767dcf5534862p-1  0x1.4043057b6ee09p-2
"""
_LOGS = np.array([float.fromhex(value) for value in _LOG_TABLE.split()]).reshape(16, 2)
"""1 / c and log(c) for 16 numbers c across [0.7, 1.4]."""


def log_float32(value: ArrayLike) -> Floats:
    """logf; -inf of 0, NaN below."""
    x = np.asarray(value, np.float32)
    tiny = (x > 0) & (x < np.float32(2.0**-126))
    scale = np.where(tiny, np.int64(23), np.int64(0))
    with np.errstate(invalid="ignore"):
        logarithm = _log_of_normal(np.where(tiny, x * np.float32(2.0**23), np.where(x > 0, x, np.float32(1))), scale)
    ends = np.where(x == 0, np.float32(-np.inf), np.where(np.isposinf(x), x, np.float32(np.nan)))
    return np.where((x > 0) & np.isfinite(x), logarithm, ends)


def _log_of_normal(x: Floats, scale: NDArray[np.int64]) -> Floats:
    """Of positive, normal numbers times 2**-scale."""
    bits = x.view(np.int32).astype(np.int64)
    offset = bits - 0x3F330000
    exponent = offset >> 23
    inverse, logarithm = np.moveaxis(_LOGS[(offset >> 19) & 15], -1, 0)
    mantissa = (bits - (exponent << 23)).astype(np.int32).view(np.float32).astype(np.float64)
    r = mantissa * inverse - 1.0
    first = logarithm + (exponent - scale) * float.fromhex("0x1.62e42fefa39efp-1")
    y = float.fromhex("0x1.5575b0be00b6ap-2") * r + float.fromhex("-0x1.ffffef20a4123p-2")
    y = float.fromhex("-0x1.00ea348b88334p-2") * (r * r) + y
    return np.asarray(y * (r * r) + (first + r)).astype(np.float32)


_SINE_TEXT = "-0x1.555545995a603p-3 0x1.1107605230bc4p-7 -0x1.994eb3774cf24p-13"
_SINES = tuple(
    float.fromhex(value) for value in ["-0x1.555545995a603p-3", "0x1.1107605230bc4p-7", "-0x1.994eb3774cf24p-13"]
)
_COSINES = tuple(
    float.fromhex(value)
    for value in [
        "0x1p0",
        "-0x1.ffffffd0c621cp-2",
        "0x1.55553e1068f19p-5",
        "-0x1.6c087e89a359dp-10",
        "0x1.99343027bf8c3p-16",
    ]
)
_FOUR_OVER_PI = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041
"""The first 192 bits of it."""


def sin_float32(value: ArrayLike) -> Floats:
    """sinf; NaN of infinities."""
    return _sine(value, 0)


def cos_float32(value: ArrayLike) -> Floats:
    """cosf; NaN of infinities."""
    return _sine(value, 1)


def _sine(value: ArrayLike, quarters: int) -> Floats:
    """sin(x + quarters * pi / 2): x is brought to [-pi / 4, pi / 4], and a polynomial of its quadrant in double."""
    single = np.asarray(value, np.float32)
    x = np.where(np.isfinite(single), single, np.float32(0)).astype(np.float64)
    # Sizes are compared by their upper twelve bits.
    size = np.abs(single).view(np.int32) >> 20
    quadrant = ((np.clip(x, -128, 128) * float.fromhex("0x1.45F306DC9C883p+23")).astype(np.int64) + 0x800000) >> 24
    quadrant = np.where(size < 0x3F4, 0, quadrant)
    r = x - quadrant * float.fromhex("0x1.921FB54442D18p0")
    far = size >= 0x42F
    if far.any():
        reduced = [_reduced(float(one)) if is_far else (0.0, 0) for one, is_far in zip(x.flat, far.flat, strict=True)]
        pairs = np.array(reduced).reshape(*x.shape, 2)
        r, quadrant = np.where(far, pairs[..., 0], r), np.where(far, pairs[..., 1].astype(np.int64), quadrant)
    quadrant = quadrant + quarters
    square = r * r
    cube = r * square
    sine = (r + cube * _SINES[0]) + (cube * square) * (_SINES[1] + square * _SINES[2])
    fourth = square * square
    c0, c1, c2, c3, c4 = _COSINES
    cosine = ((c0 + square * c1) + fourth * c2) + (fourth * square) * (c3 + square * c4)
    result = np.where(quadrant & 1, cosine, sine)
    result = np.where(quadrant & 2, -result, result).astype(np.float32)
    result = np.where(size < 0x398, single if not quarters else np.float32(1), result)
    return np.where(np.isfinite(single), result, np.float32(np.nan))


def _reduced(x: float) -> tuple[float, int]:
    """A number of 120 or more less a multiple of pi / 2, and that multiple modulo 4, by 96 bits of 4 / pi."""
    bits = int(np.abs(np.float32(x)).view(np.int32))
    first, shift = (bits >> 26) & 15, (bits >> 23) & 7
    mantissa = ((bits & 0xFFFFFF) | 0x800000) << shift & 0xFFFFFFFF
    words = [_FOUR_OVER_PI >> (160 - 8 * (first + k - 3)) & 0xFFFFFFFF for k in (0, 4, 8)]
    total = (mantissa * words[2] >> 32) + ((mantissa * words[0] & 0xFFFFFFFF) << 32) + mantissa * words[1]
    total &= 0xFFFFFFFFFFFFFFFF
    quadrant = ((total + (1 << 61)) >> 62) & 3
    rest = (total - (quadrant << 62)) & 0xFFFFFFFFFFFFFFFF
    rest -= (rest >> 63) << 64
    sign = -1 if x < 0 else 1
    return sign * rest * float.fromhex("0x1.921FB54442D18p-62"), sign * quadrant


_LN2_HIGH, _LN2_LOW = np.float32(6.9313812256e-01), np.float32(9.0580006145e-06)
_INVERSE_LN2 = np.float32(1.4426950216e00)
_EXPM1 = tuple(
    np.float32(q) for q in (-3.3333335072e-02, 1.5873016091e-03, -7.9365076090e-05, 4.0082177293e-06, -2.0109921195e-07)
)
"""Coefficients of the even series whose value is near 1."""


def expm1_float32(value: ArrayLike) -> Floats:
    """expm1f: exp(x) - 1, accurate near 0.

    x = k * ln 2 + r with |r| <= ln(2) / 2; expm1(r) is rational in r; what the powers of two then lack is added in the
    order that loses least for each k.
    """
    x = np.atleast_1d(np.asarray(value, np.float32))
    one, half = np.float32(1), np.float32(0.5)
    with np.errstate(all="ignore"):
        size = np.abs(x)
        scaled = np.trunc(np.where(size < 128, _INVERSE_LN2 * x + np.copysign(half, x), 0)).astype(np.int32)
        near = size < np.float32(1.5) * (_LN2_HIGH + _LN2_LOW)
        k = np.where(near, np.copysign(one, x).astype(np.int32), scaled)
        k = np.where(size <= half * (_LN2_HIGH + _LN2_LOW), 0, k)
        times = k.astype(np.float32)
        high, low = x - times * _LN2_HIGH, times * _LN2_LOW
        r = np.where(k == 0, x, high - low)
        c = np.where(k == 0, np.float32(0), (high - r) - low)
        result = _from_parts(r, c, k)
    result = np.where(size < np.float32(2.0**-25), x, result)
    result = np.where(x <= np.float32(-18.714973), -one, result)
    result = np.where(x >= np.float32(88.72283935546875), np.float32(np.inf), result)
    return np.where(np.isnan(x), x, result).reshape(np.shape(value))


def _from_parts(r: Floats, c: Floats, k: NDArray[np.int32]) -> Floats:
    """expm1(r + c) and the power of two 2**k put together.   Source: fdlibm s_expm1f.c."""
    one, half = np.float32(1), np.float32(0.5)
    halved = half * r
    square = r * halved
    series = one + square * _horner(square, _EXPM1)
    t = np.float32(3) - series * halved
    error = square * ((series - t) / (np.float32(6) - r * t))
    small = r - (r * error - square)
    error = (r * (error - c) - c) - square
    minus = half * (r - error) - half
    plus = np.where(r < np.float32(-0.25), np.float32(-2) * (error - (r + half)), one + np.float32(2) * (r - error))
    power = np.ldexp(one, -np.clip(k, -126, 126))
    far = np.ldexp(one - (error - r), k) - one
    middle = np.ldexp((one - power) - (error - r), k)
    large = np.ldexp((r - (error + power)) + one, k)
    chosen = np.where((k <= -2) | (k > 56), far, np.where(k < 23, middle, large))
    return np.where(k == 0, small, np.where(k == -1, minus, np.where(k == 1, plus, chosen))).astype(np.float32)


def _horner(x: Floats, coefficients: tuple[np.float32, ...]) -> Floats:
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = coefficient + x * total
    return total


def tanh_float32(value: ArrayLike) -> Floats:
    """tanhf, by expm1f of twice the number.   Source: fdlibm s_tanhf.c."""
    x = np.asarray(value, np.float32)
    one, two = np.float32(1), np.float32(2)
    size = np.abs(x)
    t = expm1_float32(np.where(size >= 1, two * np.minimum(size, np.float32(32)), -two * size))
    with np.errstate(over="ignore", invalid="ignore"):
        magnitude = np.where(size >= 1, one - two / (t + two), -t / (t + two))
        magnitude = np.where(size >= 22, one, magnitude)
        signed = np.where(np.signbit(x), -magnitude, magnitude)
        return np.where(size < np.float32(2.0**-55), x * (one + x), np.where(np.isnan(x), x, signed)).astype(np.float32)

"""expf and logf of the C libraries that microcontrollers and Linux use: computed in double, rounded once.

numpy's own float32 versions differ from them in the last bit.
Source: Arm optimized routines, expf.c, logf.c and their data, which newlib, glibc and musl contain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["exp_float32", "log_float32"]

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
    power = np.exp2(whole / steps)
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
    """logf of positive, normal numbers."""
    bits = np.asarray(value, np.float32).view(np.int32).astype(np.int64)
    offset = bits - 0x3F330000
    exponent = offset >> 23
    inverse, logarithm = np.moveaxis(_LOGS[(offset >> 19) & 15], -1, 0)
    mantissa = (bits - (exponent << 23)).astype(np.int32).view(np.float32).astype(np.float64)
    r = mantissa * inverse - 1.0
    first = logarithm + exponent * float.fromhex("0x1.62e42fefa39efp-1")
    y = float.fromhex("0x1.5575b0be00b6ap-2") * r + float.fromhex("-0x1.ffffef20a4123p-2")
    y = float.fromhex("-0x1.00ea348b88334p-2") * (r * r) + y
    return np.asarray(y * (r * r) + (first + r)).astype(np.float32)

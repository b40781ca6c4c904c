"""Operators that map each element by itself: a table for stored integers, a formula for floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.libm import (
    cos_float32,
    exp_float32,
    expm1_float32,
    log_float32,
    sin_float32,
    tanh_float32,
)
from mcusim.ops.registry import Piece
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary

__all__ = ["run"]

Array = NDArray[Any]


def _logistic(x: Array, alpha: Array) -> Array:
    """Source: TFLite reference/logistic.h, its cut-offs included."""
    one = np.float32(1)
    middle = one / (one + exp_float32(-x))
    low = np.where(x < np.float32(-9.0), exp_float32(x), middle)
    return np.where(x > np.float32(16.619047164916992188), one, low)


def _hard_swish(x: Array, alpha: Array) -> Array:
    """Source: TFLite reference/hard_swish.h."""
    three, six = np.float32(3), np.float32(6)
    return x * np.minimum(six, np.maximum(np.float32(0), x + three)) / six


_FLOATS: dict[FloatFunction, Callable[[Array, Array], Array]] = {
    FloatFunction.RELU: lambda x, alpha: np.where(x < 0, np.float32(0), x),
    FloatFunction.RELU6: lambda x, alpha: np.where(x > 6, np.float32(6), np.where(x < 0, np.float32(0), x)),
    FloatFunction.LEAKY_RELU: lambda x, alpha: np.where(x > 0, x, x * alpha),
    FloatFunction.HARD_SWISH: _hard_swish,
    FloatFunction.LOGISTIC: _logistic,
    FloatFunction.TANH: lambda x, alpha: tanh_float32(x),
    FloatFunction.ABS: lambda x, alpha: np.abs(x),
    FloatFunction.NEG: lambda x, alpha: -x,
    FloatFunction.SQRT: lambda x, alpha: np.sqrt(x),
    FloatFunction.RSQRT: lambda x, alpha: np.float32(1) / np.sqrt(x),
    FloatFunction.SQUARE: lambda x, alpha: x * x,
    FloatFunction.EXP: lambda x, alpha: exp_float32(x),
    FloatFunction.LOG: lambda x, alpha: log_float32(x),
    FloatFunction.SIN: lambda x, alpha: sin_float32(x),
    FloatFunction.COS: lambda x, alpha: cos_float32(x),
    FloatFunction.FLOOR: lambda x, alpha: np.floor(x),
    FloatFunction.CEIL: lambda x, alpha: np.ceil(x),
    FloatFunction.ROUND: lambda x, alpha: np.rint(x),
    FloatFunction.ELU: lambda x, alpha: np.where(x < 0, expm1_float32(x), x),
}


def run(prepared: PreparedUnary, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0] and outputs[0]: the same shape, any rank."""
    source = inputs[0]
    if prepared.function is not None:
        with np.errstate(all="ignore"):
            outputs[0][...] = _FLOATS[prepared.function](source, np.array(prepared.alpha, np.float32))
    elif prepared.table is not None:
        outputs[0][...] = prepared.table[source.view(f"u{source.itemsize}")]

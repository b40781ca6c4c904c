"""Operators that map each element by itself: a table for stored integers, a formula for floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.libm import exp_float32
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
}


def run(prepared: PreparedUnary, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0] and outputs[0]: the same shape, any rank."""
    source = inputs[0]
    if prepared.function is not None:
        outputs[0][...] = _FLOATS[prepared.function](source, np.array(prepared.alpha, np.float32))
    elif prepared.table is not None:
        outputs[0][...] = prepared.table[source.view(f"u{source.itemsize}")]

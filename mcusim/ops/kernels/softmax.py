"""SOFTMAX and LOG_SOFTMAX over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import (
    count_leading_zeros,
    interpolate,
    log_of_sum,
    reciprocal,
    rescale_bits,
)
from mcusim.arithmetic.libm import exp_float32, log_float32
from mcusim.arithmetic.quant import (
    Integers,
    narrow,
    requantize,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from mcusim.ops.log_softmax import PreparedFloatLogSoftmax, PreparedLogSoftmax
from mcusim.ops.registry import Piece
from mcusim.ops.softmax import SCALED_BITS, PreparedFloatSoftmax, PreparedSoftmax, PreparedSoftmax16

__all__ = ["run"]

Array = NDArray[Any]

SUM_BITS = 12
"""Integer bits of sums of exponentials."""


def _differences(source: Array) -> Integers:
    """How far each element is below the maximum of its row."""
    values = source.astype(np.int64)
    return np.asarray(values.max(axis=-1, keepdims=True) - values)


def _sum(exponentials: Integers) -> Integers:
    """Sums of rows of Q0.31, in Q12.19, which wrap at 32 bits."""
    return wrap_int32(rescale_bits(exponentials, 0, SUM_BITS).sum(axis=-1, keepdims=True))


def _softmax(prepared: PreparedSoftmax, source: Array, output: Array) -> None:
    """Source: TFLite reference/softmax.h."""
    exponentials = prepared.exponentials[_differences(source)]
    inverse, bits = reciprocal(_sum(exponentials), SUM_BITS)
    product = saturating_rounding_doubling_high_mul(inverse, exponentials)
    result = rounding_divide_by_pot(product, bits + 31 - prepared.bits) + prepared.lowest
    # What is negligible counts 0 in `exponentials` and so comes out as `lowest`, as in the source.
    narrow(result, prepared.lowest, prepared.highest, output)


def _softmax16(prepared: PreparedSoftmax16, source: Array, output: Array) -> None:
    """Source: TFLite reference/softmax.h, SoftmaxInt16."""
    scaled = requantize(-_differences(source), prepared.multiplier, prepared.shift)
    exponentials = interpolate(np.clip(scaled + 32767, -32768, 32767), prepared.exponentials)
    total = exponentials.sum(axis=-1, keepdims=True)
    headroom = count_leading_zeros(total)
    shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
    inverse = interpolate(np.clip(shifted - ((1 << 15) + (1 << 16)), -32768, 32767), prepared.reciprocals)
    right = 31 - headroom
    result = (exponentials * inverse + (np.int64(1) << (right - 1))) >> right
    narrow(result, 0, 32767, output)


def _float_softmax(prepared: PreparedFloatSoftmax, source: Array, output: Array) -> None:
    """Sums in the source's order.   Source: TFLite reference/softmax.h."""
    below = source - source.max(axis=-1, keepdims=True)
    exponentials = exp_float32(below * np.float32(prepared.beta))
    total = np.add.accumulate(exponentials, axis=-1, dtype=np.float32)[..., -1:]
    output[...] = exponentials / total


def _float_log_softmax(prepared: PreparedFloatLogSoftmax, source: Array, output: Array) -> None:
    """Source: TFLite reference/log_softmax.h."""
    below = source - source.max(axis=-1, keepdims=True)
    total = np.add.accumulate(exp_float32(below), axis=-1, dtype=np.float32)[..., -1:]
    output[...] = below - log_float32(total)


def _log_softmax(prepared: PreparedLogSoftmax, source: Array, output: Array) -> None:
    """Source: TFLite reference/log_softmax.h, LogSoftmaxQuantized."""
    differences = _differences(source)
    logarithm = log_of_sum(_sum(prepared.exponentials[differences]), SUM_BITS, SCALED_BITS)
    reachable = requantize(logarithm - (1 << 31), prepared.multiplier, prepared.shift)
    lowest_kept = np.maximum(-prepared.radius - 1, reachable)
    result = rounding_divide_by_pot(prepared.scaled[differences] - logarithm, 31 - SCALED_BITS - 4) + prepared.highest
    narrow(np.where(-differences > lowest_kept, result, prepared.lowest), prepared.lowest, prepared.highest, output)


Prepared = PreparedSoftmax | PreparedSoftmax16 | PreparedFloatSoftmax | PreparedLogSoftmax | PreparedFloatLogSoftmax


def run(prepared: Prepared, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], outputs[0]: the same shape; the last axis is whole. Rows are read before they are written."""
    source, output = inputs[0], outputs[0]
    if output.size == 0:
        return
    if isinstance(prepared, PreparedSoftmax):
        _softmax(prepared, source, output)
    elif isinstance(prepared, PreparedSoftmax16):
        _softmax16(prepared, source, output)
    elif isinstance(prepared, PreparedLogSoftmax):
        _log_softmax(prepared, source, output)
    elif isinstance(prepared, PreparedFloatLogSoftmax):
        _float_log_softmax(prepared, source, output)
    else:
        _float_softmax(prepared, source, output)

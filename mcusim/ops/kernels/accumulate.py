"""Shared by the kernels that sum products: padded inputs, their windows, and the way from sums to outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.shared.accumulators import Accumulator
from mcusim.region import Span, Window

__all__ = ["finish", "padded", "taps"]

Array = NDArray[Any]


def padded(
    source: Array, zero_point: int, origin: tuple[int, int], rows: Span, cols: Span, dtype: type[np.generic]
) -> Array:
    """Rows and columns of an NHWC map, less its zero point; 0 outside the array.

    origin: the (row, column) of the array's first element.   rows, cols: may reach past the array.
    """
    height, width = source.shape[1:3]
    top, left = origin[0] - rows.start, origin[1] - cols.start
    whole = top == left == 0 and rows.length == height and cols.length == width
    shape = (source.shape[0], rows.length, cols.length, source.shape[3])
    result = np.empty(shape, dtype) if whole else np.zeros(shape, dtype)
    first_row, first_col = max(top, 0), max(left, 0)
    last_row, last_col = min(top + height, rows.length), min(left + width, cols.length)
    if first_row < last_row and first_col < last_col:
        inner = source[:, first_row - top : last_row - top, first_col - left : last_col - left]
        target = result[:, first_row:last_row, first_col:last_col]
        np.subtract(inner, np.array(zero_point, dtype), out=target, dtype=dtype, casting="unsafe")
    return result


def taps(source: Array, rows: Window, cols: Window, height: int, width: int) -> Iterator[tuple[int, int, Array]]:
    """For each tap its (row, column) in the kernel and the elements it meets, (batch, height, width, channels).

    source: what `padded` gives for the region that `height` x `width` outputs need.
    """
    for ky in range(rows.kernel):
        top = ky * rows.dilation
        for kx in range(cols.kernel):
            left = kx * cols.dilation
            yield (
                ky,
                kx,
                source[
                    :,
                    top : top + (height - 1) * rows.stride + 1 : rows.stride,
                    left : left + (width - 1) * cols.stride + 1 : cols.stride,
                ],
            )


def finish(sums: Array, accumulator: Accumulator, out: Array) -> None:
    """Sums of products (integers, in any type) without bias -> stored outputs. Channels are the last axis."""
    stage = accumulator.stage
    totals = sums.astype(np.int64) + accumulator.bias
    scaled = rescale(wrap_int32(totals) if accumulator.wraps else totals, stage.scaling)
    narrow(scaled + stage.zero_point, stage.lowest, stage.highest, out)

"""AVERAGE_POOL_2D and MAX_POOL_2D: one operation of whole maps a tap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.registry import Piece
from mcusim.ops.shared.pooling import PreparedPool
from mcusim.region import Span, Window

__all__ = ["run", "taps"]

Array = NDArray[Any]


def _met(window: Window, tap: int, origin: int, size: int, outputs: Span) -> tuple[slice, slice]:
    """Which outputs have this tap inside the array `[origin, origin + size)`, and which places it meets there.

    Both slices are relative: to the outputs' start, and to the array's first place.
    """
    shift = outputs.start * window.stride - window.before + tap - origin  # output o meets o * stride + shift
    first = max(0, -(shift // window.stride))
    last = min(outputs.length, (size - 1 - shift) // window.stride + 1)
    if first >= last:
        return slice(0, 0), slice(0, 0)
    start = first * window.stride + shift
    return slice(first, last), slice(start, (last - 1) * window.stride + shift + 1, window.stride)


def _reaching(window: Window, origin: int, size: int, outputs: Span) -> range:
    """The taps that meet the array for some output: a window may be far larger than the map."""
    first = origin + window.before - (outputs.stop - 1) * window.stride
    last = origin + size - 1 + window.before - outputs.start * window.stride
    return range(max(first, 0), min(last + 1, window.kernel))


def taps(prepared: PreparedPool, source: Array, piece: Piece) -> Iterator[tuple[slice, slice, Array]]:
    """For each tap: the output rows and columns that have it inside the map, and the elements there."""
    row0, col0 = piece.origins[0]
    for ky in _reaching(prepared.rows, row0, source.shape[1], piece.rows):
        rows, from_rows = _met(prepared.rows, ky, row0, source.shape[1], piece.rows)
        for kx in _reaching(prepared.cols, col0, source.shape[2], piece.cols):
            cols, from_cols = _met(prepared.cols, kx, col0, source.shape[2], piece.cols)
            yield rows, cols, source[:, from_rows, from_cols]


def _maximum(prepared: PreparedPool, source: Array, shape: tuple[int, ...], piece: Piece) -> Array:
    lowest = np.iinfo(source.dtype).min if source.dtype.kind in "iu" else np.finfo(source.dtype).min
    result = np.full(shape, lowest, source.dtype)
    for rows, cols, elements in taps(prepared, source, piece):
        # std::max(best, x): a NaN never wins.
        result[:, rows, cols] = np.where(elements > result[:, rows, cols], elements, result[:, rows, cols])
    return result


def _average(prepared: PreparedPool, source: Array, shape: tuple[int, ...], piece: Piece) -> Array:
    """Sums are rounded to the nearest, halves away from zero. Floats are summed in the source's order."""
    is_float = source.dtype.kind == "f"
    sums = np.zeros(shape, np.float32 if is_float else np.int64)
    counts = np.zeros((1, *shape[1:3], 1), np.int64)
    for rows, cols, elements in taps(prepared, source, piece):
        sums[:, rows, cols] += elements
        counts[:, rows, cols] += 1
    if is_float:
        return np.asarray(sums / counts.astype(np.float32))
    magnitude = (np.abs(sums) + counts // 2) // counts
    return np.where(sums > 0, magnitude, -magnitude)


def run(prepared: PreparedPool, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: NHWC.   outputs[0]: NHWC, the piece."""
    output = outputs[0]
    if output.size == 0:
        return
    compute = _average if prepared.is_average else _maximum
    result = compute(prepared, inputs[0], output.shape, piece)
    lowest, highest = (np.array(limit, result.dtype) for limit in (prepared.lowest, prepared.highest))
    output[...] = np.minimum(np.maximum(result, lowest), highest).astype(output.dtype)

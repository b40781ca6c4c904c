"""TRANSPOSE_CONV: each tap times the whole map, added to the outputs that it lands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.kernels.accumulate import finish
from mcusim.ops.kernels.float_sums import clamp_sums
from mcusim.ops.registry import Piece
from mcusim.ops.shared.float_sums import FloatSums
from mcusim.ops.transpose_conv import MAP, PreparedTransposeConv
from mcusim.region import Span, Window

__all__ = ["run"]

Array = NDArray[Any]


def _landing(window: Window, tap: int, origin: int, size: int, outputs: Span) -> tuple[slice, slice]:
    """Which input places of `[origin, origin + size)` have this tap land in `outputs`, and where.

    Both slices are relative: to the array's first place, and to the outputs' start.
    """
    shift = tap - window.before - outputs.start  # place i lands on i * stride + shift
    first = max(origin, -(shift // window.stride))
    last = min(origin + size, (outputs.length - 1 - shift) // window.stride + 1)
    if first >= last:
        return slice(0, 0), slice(0, 0)
    landed = slice(first * window.stride + shift, (last - 1) * window.stride + shift + 1, window.stride)
    return slice(first - origin, last - origin), landed


def run(
    prepared: PreparedTransposeConv | FloatSums, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> None:
    """inputs[2]: NHWC.   outputs[0]: NHWC, the piece."""
    output = outputs[0]
    if output.size == 0:
        return
    if isinstance(prepared, FloatSums):
        _scatter_floats(prepared, inputs[MAP], output, piece)
        return
    source = inputs[MAP].astype(prepared.matrix.dtype) - prepared.accumulator.input_zero_point
    row0, col0 = piece.origins[MAP]
    sums = np.zeros(output.shape, prepared.matrix.dtype)
    for ky in range(prepared.rows.kernel):
        rows, to_rows = _landing(prepared.rows, ky, row0, source.shape[1], piece.rows)
        for kx in range(prepared.cols.kernel):
            cols, to_cols = _landing(prepared.cols, kx, col0, source.shape[2], piece.cols)
            sums[:, to_rows, to_cols] += source[:, rows, cols] @ prepared.matrix[ky, kx]
    finish(sums, prepared.accumulator, output)


def _scatter_floats(prepared: FloatSums, source: Array, output: Array, piece: Piece) -> None:
    """An output meets input rows from the top, and so the kernel's rows from the bottom; columns alike."""
    assert prepared.windows is not None
    rows, cols = prepared.windows
    row0, col0 = piece.origins[MAP]
    sums = np.zeros(output.shape, np.float32)
    for ky in reversed(range(rows.kernel)):
        from_rows, to_rows = _landing(rows, ky, row0, source.shape[1], piece.rows)
        for kx in reversed(range(cols.kernel)):
            from_cols, to_cols = _landing(cols, kx, col0, source.shape[2], piece.cols)
            part, landed = source[:, from_rows, from_cols], sums[:, to_rows, to_cols]
            for channel in range(source.shape[3]):
                landed += part[..., channel, None] * prepared.weights[:, ky, kx, channel]
    clamp_sums(prepared, sums, output)

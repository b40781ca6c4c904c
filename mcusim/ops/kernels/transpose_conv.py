"""TRANSPOSE_CONV: each tap times the whole map, added to the outputs that it lands on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.kernels.accumulate import finish
from mcusim.ops.registry import Piece
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


def run(prepared: PreparedTransposeConv, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[2]: NHWC.   outputs[0]: NHWC, the piece."""
    output = outputs[0]
    if output.size == 0:
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

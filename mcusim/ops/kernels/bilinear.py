"""RESIZE_BILINEAR: each output place mixes four input places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.resize_bilinear import Mix

__all__ = ["held_reads", "run"]


def run(prepared: Mix, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """Source: TFLite resize_bilinear.h, ResizeBilinearInteger and ResizeBilinear."""
    source, output = inputs[0], outputs[0]
    top, left = piece.origins[0]
    (row_start, row_stop), (col_start, col_stop) = piece.rows, piece.cols
    kind = np.float32 if prepared.is_float else np.int64
    row_reads = held_reads(prepared, prepared.row_reads[row_start:row_stop], top, source.shape[1])
    col_reads = held_reads(prepared, prepared.col_reads[col_start:col_stop], left, source.shape[2])
    one = kind(1 if prepared.is_float else prepared.one)
    # How far each place is beyond the first of the two that it mixes.
    down = (np.array(prepared.row_places[row_start:row_stop], kind) - (row_reads[:, 0] * one).astype(kind))[
        :, None, None
    ]
    right = (np.array(prepared.col_places[col_start:col_stop], kind) - (col_reads[:, 0] * one).astype(kind))[:, None]
    wide = source.astype(kind)
    upper, lower = wide[:, row_reads[:, 0] - top], wide[:, row_reads[:, 1] - top]
    first, second = col_reads[:, 0] - left, col_reads[:, 1] - left
    mixed = (
        upper[:, :, first] * (one - down) * (one - right)
        + lower[:, :, first] * down * (one - right)
        + upper[:, :, second] * (one - down) * right
        + lower[:, :, second] * down * right
    )
    output[...] = mixed if prepared.is_float else _rounded(mixed, prepared).astype(output.dtype)


def held_reads(prepared: Mix, reads: Sequence[tuple[int, int]], origin: int, size: int) -> NDArray[np.int64]:
    """The input places that outputs mix, all of which the piece holds.

    A piece holds what TFLM reads. Raises InputError where XNNPACK, which rounds places otherwise, reads beyond that.
    """
    chosen = np.array(reads, np.int64).reshape(-1, 2)
    if chosen.size and (chosen.min() < origin or chosen.max() >= origin + size):
        what = "cut into pieces it does not hold all that LiteRT reads"
        raise InputError(what, where=prepared.where, fix="run it whole: --schedule layer")
    return chosen


def _rounded(mixed: Array, prepared: Mix) -> Array:
    """Divided by the unit squared: halves upwards, or away from zero."""
    unit = prepared.one * prepared.one
    if prepared.rounds_once:
        return np.asarray((mixed + unit // 2) // unit)
    return np.asarray(np.sign(mixed) * ((np.abs(mixed) + unit // 2) // unit))

"""RESIZE_BILINEAR: each output place mixes four input places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.resize_bilinear import ONE, Mix

__all__ = ["run"]


def run(prepared: Mix, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """Source: TFLite resize_bilinear.h, ResizeBilinearInteger and ResizeBilinear."""
    source, output = inputs[0], outputs[0]
    top, left = piece.origins[0]
    (row_start, row_stop), (col_start, col_stop) = piece.rows, piece.cols
    kind = np.float32 if prepared.is_float else np.int64
    row_reads = np.array(prepared.row_reads[row_start:row_stop])
    col_reads = np.array(prepared.col_reads[col_start:col_stop])
    one = kind(1 if prepared.is_float else ONE)
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
    output[...] = mixed if prepared.is_float else _rounded(mixed, prepared.rounds_once).astype(output.dtype)


def _rounded(mixed: Array, rounds_once: bool) -> Array:
    """Divided by ONE squared: halves upwards, or away from zero."""
    half = ONE * ONE // 2
    if rounds_once:
        return np.asarray((mixed + half) // (ONE * ONE))
    return np.asarray(np.sign(mixed) * ((np.abs(mixed) + half) // (ONE * ONE)))

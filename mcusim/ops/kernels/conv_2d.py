"""CONV_2D: windows laid out as rows of a matrix, times the weights, in floats that are exact for these integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.conv_2d import PreparedConv2D
from mcusim.ops.kernels.accumulate import finish, padded, taps
from mcusim.ops.kernels.float_sums import convolve
from mcusim.ops.registry import Piece
from mcusim.ops.shared.float_sums import FloatSums
from mcusim.region import Span

__all__ = ["run"]

Array = NDArray[Any]

BAND_ELEMENTS = 1 << 22
"""About so many window elements are laid out at once."""


def run(prepared: PreparedConv2D | FloatSums, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: NHWC.   outputs[0]: NHWC, the piece."""
    output = outputs[0]
    if isinstance(prepared, FloatSums):
        convolve(prepared, inputs[0], output, piece)
        return
    if output.size == 0:
        return
    groups, depth = prepared.matrix.shape[:2]
    places = output.shape[0] * output.shape[2] * groups * depth
    band = max(BAND_ELEMENTS // max(places, 1), 1)
    for first in range(0, output.shape[1], band):
        rows = Span(piece.rows.start + first, min(piece.rows.start + first + band, piece.rows.stop))
        _run_band(prepared, inputs[0], output[:, first : first + band], rows, piece)


def _run_band(prepared: PreparedConv2D, source: Array, output: Array, rows: Span, piece: Piece) -> None:
    batch, height, width, channels = output.shape
    groups, depth, _ = prepared.matrix.shape
    taps_in = padded(
        source,
        prepared.accumulator.input_zero_point,
        piece.origins[0],
        prepared.rows.needs(rows),
        prepared.cols.needs(piece.cols),
        prepared.matrix.dtype.type,
    )
    in_c = source.shape[3] // groups
    windows = np.empty((batch, height, width, groups, prepared.taps, in_c), prepared.matrix.dtype)
    for ky, kx, elements in taps(taps_in, prepared.rows, prepared.cols, height, width):
        tap = ky * prepared.cols.kernel + kx
        windows[..., tap, :] = elements.reshape(batch, height, width, groups, in_c)
    sums = np.empty((batch * height * width, channels), prepared.matrix.dtype)
    per_group = channels // groups
    flat = windows.reshape(-1, groups, depth)
    for group in range(groups):
        sums[:, group * per_group : (group + 1) * per_group] = flat[:, group] @ prepared.matrix[group]
    finish(sums.reshape(output.shape), prepared.accumulator, output)

"""Shared by the kernels that move elements: which part of an array a piece of the output is."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mcusim.ops.registry import Piece

__all__ = ["Array", "output_spans", "section", "shift_of"]

Array = NDArray[Any]

FEATURE_MAP_RANK = 4


def output_spans(array: Array, piece: Piece) -> list[tuple[int, int]]:
    """First place and number of places along each axis of an output array that a piece is."""
    spans = [(0, size) for size in array.shape]
    if array.ndim == FEATURE_MAP_RANK:
        spans[1:3] = [(piece.rows.start, array.shape[1]), (piece.cols.start, array.shape[2])]
    return spans


def shift_of(array: Array, origin: tuple[int, int]) -> list[int]:
    """Place in its tensor of an input array's first element, axis by axis."""
    return [0, *origin, 0] if array.ndim == FEATURE_MAP_RANK else [0] * array.ndim


def section(array: Array, piece: Piece, position: int = 0) -> Array:
    """The part of input `position` at the same rows and columns as the piece: all of it, but for constants.

    For operators whose output has the rows and columns of that input.
    """
    (rows, cols), (top, left) = piece[:2], piece.origins[position]
    if array.ndim != FEATURE_MAP_RANK or array.shape[1:3] == (rows.length, cols.length):
        return array
    return array[:, rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]

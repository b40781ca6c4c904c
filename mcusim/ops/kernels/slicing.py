"""SLICE, STRIDED_SLICE, SPLIT, SPLIT_V, UNPACK: every stride-th element of boxes of one input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece
from mcusim.ops.shared.slicing import Cut

__all__ = ["moves", "run"]


def moves(
    prepared: Cut, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> Iterator[tuple[Array, Array]]:
    """(target, source): what is copied."""
    source = inputs[prepared.source]
    shift = shift_of(source, piece.origins[prepared.source])
    for walks, output in zip(prepared.outputs, outputs, strict=True):
        spans = iter(output_spans(output, piece))
        index = [slice(None)] * source.ndim
        for walk in walks:
            if walk.is_dropped and walk.source is not None:
                place = walk.start - shift[walk.source]
                index[walk.source] = slice(place, place + 1)  # not a number: that would copy, and this must be a view
                continue
            first, length = next(spans)
            if walk.source is not None:
                start = walk.start + first * walk.stride - shift[walk.source]
                index[walk.source] = _steps(start, walk.stride, length)
        yield output, source[tuple(index)].reshape(output.shape)


def run(prepared: Cut, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    for target, source in moves(prepared, inputs, outputs, piece):
        target[...] = source


def _steps(start: int, stride: int, length: int) -> slice:
    """`length` places from `start` on; a walk down to place 0 has no end that can be written as a number."""
    stop = start + length * stride
    return slice(start, stop if stop >= 0 else None, stride) if length else slice(0, 0)

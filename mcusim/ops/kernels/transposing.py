"""TRANSPOSE: axes in another order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece

__all__ = ["moves", "run"]


def moves(
    prepared: tuple[int, ...], inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> Iterator[tuple[Array, Array]]:
    """(target, source): what is copied."""
    source, output = inputs[0], outputs[0]
    shift = shift_of(source, piece.origins[0])
    index = [slice(None)] * source.ndim
    for axis, (first, length) in zip(prepared, output_spans(output, piece), strict=True):
        index[axis] = slice(first - shift[axis], first - shift[axis] + length)
    yield output, source[tuple(index)].transpose(prepared)


def run(prepared: tuple[int, ...], inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    for target, source in moves(prepared, inputs, outputs, piece):
        target[...] = source

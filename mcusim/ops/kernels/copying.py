"""RESHAPE, SQUEEZE, EXPAND_DIMS: the same elements under another shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcusim.ops.kernels.sections import Array, section
from mcusim.ops.registry import Piece

__all__ = ["moves", "run"]


def moves(
    prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> Iterator[tuple[Array, Array]]:
    """(target, source): what is copied."""
    source, output = inputs[0], outputs[0]
    if source.size != output.size:  # a piece, whose shape is then the same, of a constant
        source = section(source, piece)
    yield output, source.reshape(output.shape)


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    for target, source in moves(prepared, inputs, outputs, piece):
        target[...] = source

"""CONCATENATION, PACK: moved as the plain kernel says, unless values change on the way."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels import joining
from mcusim.ops.kernels.fast.command import Array, Command, Declined, Shared
from mcusim.ops.kernels.fast.moving import encode_moves
from mcusim.ops.registry import Piece
from mcusim.ops.shared.joining import Join

__all__ = ["encode"]


def encode(
    prepared: Join, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    moves = list(joining.moves(prepared, inputs, outputs, piece))
    if any(regrade is not None for *_, regrade in moves):
        raise Declined("it brings values to another scale")
    return encode_moves([(target, source) for target, source, _ in moves], *inputs)

"""TRANSPOSE: moved as the plain kernel says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcusim.ops.kernels import transposing
from mcusim.ops.kernels.fast.command import Array, Command, Shared
from mcusim.ops.kernels.fast.moving import encode_moves
from mcusim.ops.registry import Piece

__all__ = ["encode"]


def encode(
    prepared: Any, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    return encode_moves(transposing.moves(prepared, inputs, outputs, piece), *inputs)

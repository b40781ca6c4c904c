"""8-bit operators of one input: a table."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels import unary
from mcusim.ops.kernels.fast.command import Array, Command, Shared
from mcusim.ops.kernels.fast.lookup import encode_lookup
from mcusim.ops.registry import Piece

__all__ = ["encode"]


def encode(
    prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    return encode_lookup(unary.run, prepared, inputs[0], outputs[0], shared)

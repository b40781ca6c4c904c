"""SHAPE: a constant, moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.graph import Shape
from mcusim.ops.kernels.fast.command import Array, Command, Shared, constant
from mcusim.ops.kernels.fast.moving import encode_moves
from mcusim.ops.registry import Piece

__all__ = ["encode"]


def encode(
    prepared: Shape, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    sizes = constant(np.array(prepared, outputs[0].dtype)).view(outputs[0].dtype)
    return encode_moves([(outputs[0], sizes)], sizes)

"""BROADCAST_TO: elements repeated."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.arithmetic import Array, stretched
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the rank of the output.   inputs[0]: stretches to outputs[0], the piece."""
    outputs[0][...] = stretched(inputs[0], prepared, piece)

"""FILL, ZEROS_LIKE: one value everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int | None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the input that is the value, of one element; None for 0."""
    outputs[0][...] = 0 if prepared is None else inputs[prepared].reshape(())

"""GATHER_ND: slices picked by several axes at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.errors import InputError
from mcusim.ops.gather_nd import Places
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: Places, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs: tensor, positions, whole."""
    source, positions = inputs[:2]
    if ((positions < 0) | (positions >= np.array(prepared.sizes, positions.dtype))).any():
        what = f"a position is outside the axes of {prepared.sizes}"
        raise InputError(what, where=prepared.where, fix="give the network inputs that ask for places that are there")
    outputs[0][...] = source[tuple(np.moveaxis(positions, -1, 0))]

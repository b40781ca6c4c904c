"""SELECT_V2: one of two elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.arithmetic import Array, stretched
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the rank of the output.   inputs: condition, a, b, broadcast to outputs[0], the piece."""
    condition, a, b = (stretched(array, prepared, piece) for array in inputs)
    outputs[0][...] = np.where(condition, a, b)

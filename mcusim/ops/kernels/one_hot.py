"""ONE_HOT: positions against the numbers along an axis; a position outside it is off everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the axis.   inputs: positions, depth, on, off."""
    output, (positions, _, on, off) = outputs[0], inputs[:4]
    numbers = np.arange(output.shape[prepared]).reshape([-1 if i == prepared else 1 for i in range(output.ndim)])
    output[...] = np.where(np.expand_dims(positions, prepared) == numbers, on.reshape(()), off.reshape(()))

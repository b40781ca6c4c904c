"""L2_POOL_2D: roots of mean squares, summed in the source's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.kernels.pooling import taps
from mcusim.ops.registry import Piece
from mcusim.ops.shared.pooling import PreparedPool

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: PreparedPool, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: NHWC of float32.   outputs[0]: NHWC, the piece."""
    output = outputs[0]
    sums = np.zeros(output.shape, np.float32)
    counts = np.zeros((1, *output.shape[1:3], 1), np.float32)
    for rows, cols, elements in taps(prepared, inputs[0], piece):
        sums[:, rows, cols] += elements * elements
        counts[:, rows, cols] += 1
    result = np.sqrt(sums / counts)
    output[...] = np.minimum(np.maximum(result, np.float32(prepared.lowest)), np.float32(prepared.highest))

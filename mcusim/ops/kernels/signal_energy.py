"""SignalEnergy: real * real + imaginary * imaginary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.signal_energy import Band

__all__ = ["run"]


def run(prepared: Band, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    parts = inputs[0][: inputs[0].size // 2 * 2].astype(np.int64)
    squares = parts[0::2] ** 2 + parts[1::2] ** 2
    outputs[0][...] = 0
    outputs[0][prepared.start : prepared.end] = squares[prepared.start : prepared.end].astype(np.uint32)

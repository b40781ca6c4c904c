"""SignalWindow: products, shifted and saturated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the shift.   inputs: samples, weights."""
    samples, weights = inputs[:2]
    products = (samples.reshape(-1, weights.size).astype(np.int64) * weights) >> prepared
    outputs[0][...] = np.clip(products, -(1 << 15), (1 << 15) - 1).reshape(outputs[0].shape)

"""SignalFftAutoScale: as many bits as the largest sample leaves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """Silence is not shifted, nor is what holds the lowest sample, whose magnitude needs 16 bits."""
    samples = inputs[0].astype(np.int64)
    largest = int(np.abs(samples).max(initial=0))
    bits = max(15 - largest.bit_length(), 0) if largest else 0
    outputs[0][...] = (samples << bits).astype(np.int16)
    outputs[1][...] = bits

"""SignalFilterBankSpectralSubtraction: in unsigned numbers of 32 and 64 bits, which wrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece, Remembered

__all__ = ["run"]


def run(memory: Remembered, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """outputs: what remains, and the estimates."""
    options, (kept,) = memory
    channels = inputs[0].astype(np.uint64)
    is_odd = np.arange(channels.size) % 2 == 1
    weight = np.where(is_odd, options.alternate_smoothing, options.smoothing).astype(np.uint64)
    rest = np.where(is_odd, options.alternate_one_minus_smoothing, options.one_minus_smoothing).astype(np.uint64)
    bits, low = np.uint64(options.spectral_subtraction_bits), np.uint64(0xFFFFFFFF)
    scaled = (channels << np.uint64(options.smoothing_bits)) & low
    estimate = ((scaled * weight + kept.astype(np.uint64) * rest) >> bits) & low
    bounded = np.minimum(estimate, scaled)
    kept[...] = (bounded if options.clamping else estimate).astype(np.uint32)
    least = ((channels * np.uint64(options.min_signal_remaining)) >> bits) & low
    outputs[0][...] = np.maximum((scaled - bounded) >> np.uint64(options.smoothing_bits), least).astype(np.uint32)
    outputs[1][...] = kept

"""SignalIrfft: frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.arithmetic.fourier import Complex, RealTransform
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: RealTransform, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    spectra, output = inputs[0].reshape(-1, inputs[0].shape[-1]), outputs[0].reshape(-1, prepared.length)
    for spectrum, samples in zip(spectra, output, strict=True):
        signal = prepared.backward(Complex(spectrum[0::2], spectrum[1::2]))
        # Fixed point is scaled on the way.
        samples[...] = signal if prepared.bits else signal / np.float32(prepared.length)

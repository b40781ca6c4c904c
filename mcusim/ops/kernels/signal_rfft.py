"""SignalRfft: frame by frame, filled up with zeros."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.arithmetic.fourier import RealTransform
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: RealTransform, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    frames, output = inputs[0].reshape(-1, inputs[0].shape[-1]), outputs[0].reshape(-1, outputs[0].shape[-1])
    for frame, spectrum in zip(frames, output, strict=True):
        samples = np.zeros(prepared.length, frame.dtype)
        samples[: frame.size] = frame
        spectrum[0::2], spectrum[1::2] = prepared.forward(samples)

"""SignalOverlapAdd: sums that saturate; what is complete goes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece, Remembered

__all__ = ["run"]


def run(memory: Remembered, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    step, (sums,) = memory
    frames = inputs[0].reshape(len(sums), -1, sums.shape[1])
    samples = outputs[0].reshape(len(sums), -1, step)
    for frame in range(frames.shape[1]):
        if sums.dtype.kind == "f":
            sums += frames[:, frame]
        else:
            total = sums.astype(np.int64) + frames[:, frame]
            sums[...] = np.clip(total, -(1 << 15), (1 << 15) - 1)
        samples[:, frame] = sums[:, :step]
        sums[...] = np.concatenate([sums[:, step:], np.zeros_like(sums[:, :step])], axis=1)

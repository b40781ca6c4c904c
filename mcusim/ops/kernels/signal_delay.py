"""SignalDelay: a queue, of zeros at first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece, Remembered

__all__ = ["run"]


def run(memory: Remembered, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    (waiting,) = memory.arrays
    given = inputs[0].reshape(len(waiting), -1)
    stream = np.concatenate([waiting, given], axis=1)
    outputs[0][...] = stream[:, : given.shape[1]].reshape(outputs[0].shape)
    waiting[...] = stream[:, given.shape[1] :]

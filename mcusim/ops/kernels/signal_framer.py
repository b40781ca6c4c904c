"""SignalFramer: the oldest of the samples that wait; frames that are not full yet are left as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece, Remembered

__all__ = ["run"]


def run(memory: Remembered, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """outputs: frames, and whether all of them are full."""
    options, (latest, steps) = memory
    step, size = options.frame_step, options.frame_size
    given = inputs[0].reshape(len(latest), -1, step)
    frames = outputs[0].reshape(len(latest), -1, size)
    # So many samples must have come before a frame is full.
    missing = 0 if options.prefill else options.held
    is_full = True
    for frame in range(given.shape[1]):
        latest[...] = np.concatenate([latest[:, step:], given[:, frame]], axis=1)
        steps += 1
        if int(steps[0]) * step >= missing:
            frames[:, frame] = latest[:, :size]
        else:
            is_full = False
    outputs[1][...] = is_full

"""SignalStacker: a queue of frames. The first one counts for all that would be before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece, Remembered

__all__ = ["run"]


def run(memory: Remembered, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """outputs: the frames, left as they are where there are not enough yet, and whether there are."""
    options, (queue, counts) = memory
    copies = 1 if counts[1] else 1 + options.stacker_left_context
    counts[1] = 1
    added = np.tile(inputs[0].reshape(-1), copies)
    held = int(counts[0])
    queue[held : held + added.size] = added
    held += added.size
    is_full = held >= options.stacked
    if is_full:
        outputs[0][...] = queue[: options.stacked]
        dropped = options.num_channels * options.stacker_step
        queue[: held - dropped] = queue[dropped:held].copy()
        held -= dropped
    counts[0] = held
    outputs[1][...] = is_full

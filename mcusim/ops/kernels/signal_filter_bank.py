"""SignalFilterBank: weighted sums modulo 2**64; what a channel does not weigh goes to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: int, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the number of channels."""
    energies, weights, unweights, firsts, starts, widths = inputs[:6]
    wide = energies.astype(np.uint64)
    # Negative weights become unsigned numbers of 64 bits, as in C.
    kept, passed = (table.astype(np.int64).view(np.uint64) for table in (weights, unweights))
    carried = np.uint64(0)
    for channel in range(prepared + 1):
        first, start, width = (int(table[channel]) for table in (firsts, starts, widths))
        band = wide[first : first + max(width, 0)]
        used = slice(start, start + len(band))
        with np.errstate(over="ignore"):
            total = carried + (band * kept[used]).sum(dtype=np.uint64)
        carried = (band * passed[used]).sum(dtype=np.uint64)
        if channel:
            outputs[0][channel - 1] = total

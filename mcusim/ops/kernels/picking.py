"""TILE, MIRROR_PAD, RESIZE_NEAREST_NEIGHBOR: input places shown again, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece
from mcusim.ops.shared.picking import Picks

__all__ = ["run"]


def run(prepared: Picks, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    found, output = inputs[0], outputs[0]
    shift = shift_of(found, piece.origins[0])
    for axis, (places, (first, length), base) in enumerate(
        zip(prepared.places, output_spans(output, piece), shift, strict=True)
    ):
        if places is not None:
            found = np.take(found, places[first : first + length] - base, axis)
        elif found.shape[axis] != length:
            found = np.take(found, np.arange(first - base, first - base + length), axis)
    output[...] = found

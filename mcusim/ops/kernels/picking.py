"""TILE, MIRROR_PAD, RESIZE_NEAREST_NEIGHBOR: input places shown again, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.kernels.sections import Array, output_spans, shift_of
from mcusim.ops.registry import Piece
from mcusim.ops.shared.picking import Picks

__all__ = ["run"]


def run(prepared: Picks, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    picked, output = inputs[0], outputs[0]
    shift = shift_of(picked, piece.origins[0])
    for axis, (places, (first, length), base) in enumerate(
        zip(prepared.places, output_spans(output, piece), shift, strict=True)
    ):
        if places is not None:
            picked = np.take(picked, places[first : first + length] - base, axis)
        elif picked.shape[axis] != length:
            picked = np.take(picked, np.arange(first - base, first - base + length), axis)
    output[...] = picked

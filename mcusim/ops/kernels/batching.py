"""SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND: places of a map against images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.shared.batching import Batching

__all__ = ["run"]


def run(prepared: Batching, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], outputs[0]: whole. Images of one place of the blocks follow each other, batch by batch."""
    source, output, blocks = inputs[0], outputs[0], prepared.blocks
    axes = range(len(blocks))
    inner, outer = [2 + 2 * axis for axis in axes], [1 + 2 * axis for axis in axes]
    if prepared.gathers:
        rest = source.ndim - 1 - len(blocks)
        padded = np.pad(source, [(0, 0), *prepared.borders, *[(0, 0)] * rest], constant_values=prepared.fill)
        split = [n for size, block in zip(output.shape[1:], blocks, strict=False) for n in (size, block)]
        places = padded.reshape(source.shape[0], *split, *source.shape[1 + len(blocks) :])
        behind = range(1 + 2 * len(blocks), places.ndim)
        output[...] = places.transpose(*inner, 0, *outer, *behind).reshape(output.shape)
        return
    count, sizes = source.shape[0] // prod(blocks), source.shape[1 : 1 + len(blocks)]
    images = source.reshape(*blocks, count, *source.shape[1:])
    first = len(blocks)
    order = [first, *[axis for i in axes for axis in (first + 1 + i, i)], *range(2 * first + 1, images.ndim)]
    whole = [size * block for size, block in zip(sizes, blocks, strict=True)]
    places = images.transpose(order).reshape(count, *whole, *source.shape[1 + first :])
    shown = [
        slice(before, before + size) for (before, _), size in zip(prepared.borders, output.shape[1:], strict=False)
    ]
    output[...] = places[(slice(None), *shown)]

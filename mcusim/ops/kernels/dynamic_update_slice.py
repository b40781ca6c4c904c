"""DYNAMIC_UPDATE_SLICE: a copy with a box of it replaced."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs: tensor, box, start, whole."""
    source, box, start = inputs[:3]
    output = outputs[0]
    output[...] = source
    if not box.size:
        return
    place = []
    for first, size, whole in zip(start.tolist(), box.shape, output.shape, strict=True):
        begin = min(max(first, 0), whole - size)
        place.append(slice(begin, begin + size))
    output[tuple(place)] = box

"""Shared by the operators that trade places of a map for images of a batch, as dilated convolutions are written.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcusim.graph import Shape, TensorType
from mcusim.ops.shared.operands import constant_ints, operand, refusal

__all__ = ["Batching", "Pairs", "pairs_of"]

Pairs = tuple[tuple[int, int], ...]


class Batching(NamedTuple):
    """What the kernel trusts.

    blocks: for each axis behind the batch.   borders: padded before places become images, or cropped after that.
    gathers: places become images; else images become places.   fill: the stored integer of padding.
    """

    blocks: tuple[int, ...]
    borders: Pairs
    gathers: bool
    fill: int = 0


def pairs_of(op: str, inputs: Sequence[TensorType | None], borders: str) -> tuple[Shape, tuple[int, ...], Pairs]:
    """The shape, the blocks and the borders, which input 2 holds under the name `borders`."""
    shape, blocks = operand(op, inputs, 0).shape, constant_ints(op, inputs, 1, "block")
    flat = constant_ints(op, inputs, 2, borders)
    if len(flat) != 2 * len(blocks) or len(shape) < 1 + len(blocks) or min((*flat, *(b - 1 for b in blocks))) < 0:
        what = f"blocks {blocks} and {borders} {flat} do not go with shape {shape}"
        raise refusal(op, what, f"give a block of 1 or more, and two {borders}, for each axis behind the batch")
    return shape, blocks, tuple(zip(flat[::2], flat[1::2], strict=True))

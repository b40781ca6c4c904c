"""First fit where many blocks are alive together: whole columns of numbers instead of pairs.

    bytes    the blocks alive with the new one, by offset, and how far up those below each reach

      ^      +----+          +-----+
      |      |    |  <gap>   |     |     gap = offset of the next - the highest top so far: the first gap that
      +------+----+----------+-----+     holds the block is its place
       sorted by offset ->

For n blocks it takes n times a few operations on arrays, and no memory but the arrays: 20,000 that are all alive
together take seconds, where pairs of them would take gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mcusim.planners.blocks import Block

__all__ = ["is_crowded", "place_crowded"]

Ints = NDArray[np.int64]
MOST_PAIRS = 500_000
"""Pairs of blocks at a step, over all steps, that are looked at one by one."""


def is_crowded(blocks: Sequence[Block]) -> bool:
    """Whether pairs of blocks that are alive together are too many to be looked at one by one."""
    change: dict[int, int] = {}
    for block in blocks:
        change[block.first] = change.get(block.first, 0) + 1
        change[block.end] = change.get(block.end, 0) - 1
    pairs = alive = before = 0
    for time in sorted(change):
        pairs += alive * alive * (time - before)
        alive, before = alive + change[time], time
    return pairs > MOST_PAIRS


def place_crowded(
    blocks: Sequence[Block], order: Sequence[int], fixed: Mapping[int, int], *, tightest: bool = False
) -> dict[int, int]:
    """Offset of each block: those of `fixed`, and of `order`, one after the other, in the lowest (tightest) gap."""
    placed = _Placed(sum(len(block.stretches) for block in blocks))
    offset_of = dict(fixed)
    for index, offset in fixed.items():
        placed.add(blocks[index], offset)
    for index in order:
        offset_of[index] = placed.gap_for(blocks[index], tightest)
        placed.add(blocks[index], offset_of[index])
    return offset_of


class _Placed:
    """The stretches of the blocks that lie already, sorted by offset."""

    def __init__(self, most: int) -> None:
        self._columns: Ints = np.zeros((4, most), np.int64)  # first, end, offset, top
        self._count = 0

    def add(self, block: Block, offset: int) -> None:
        for first, end, size_bytes in block.stretches:
            used = self._columns[:, : self._count]
            at = int(np.searchsorted(used[2], offset, side="right"))
            self._columns[:, at + 1 : self._count + 1] = used[:, at:].copy()
            self._columns[:, at] = (first, end, offset, offset + size_bytes)
            self._count += 1

    def gap_for(self, block: Block, tightest: bool) -> int:
        """The lowest address, or that in the tightest gap, at which a block is clear of all that are alive with it."""
        first, end, offset, top = self._columns[:, : self._count]
        near = (first < block.end) & (end > block.first)
        offset, top = offset[near], top[near]
        if not len(offset):
            return 0
        reached = np.maximum.accumulate(top)
        lowest = -(-np.concatenate(([0], reached)) // block.alignment) * block.alignment
        rooms = offset - lowest[:-1]
        holds = np.flatnonzero(rooms >= block.size_bytes)
        if not len(holds):
            return int(lowest[-1])
        return int(lowest[holds[int(np.argmin(rooms[holds]))] if tightest else holds[0]])

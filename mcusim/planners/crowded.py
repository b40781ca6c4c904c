"""First fit where many blocks are alive together: whole columns of numbers instead of pairs.

    bytes    the blocks alive with the new one, by offset, and how far up those below each reach

      ^      +----+          +-----+
      |      |    |  <gap>   |     |     gap = offset of the next - the highest top so far: the first gap that
      +------+----+----------+-----+     holds the block is its place
       sorted by offset ->

Where blocks lie on each other without gaps, from address 0 on, nothing more fits: how far that reaches is kept for each
step (`filled.py`), and the look begins there. So most blocks of a crowd see the few that lie highest, and an operation
on arrays for each is all that grows with their number; no memory but the arrays, where pairs would take gigabytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mcusim.planners.blocks import Block
from mcusim.planners.filled import FilledSteps

__all__ = ["is_crowded", "place_crowded"]

Ints = NDArray[np.int64]
MOST_PAIRS = 500_000
"""Pairs of blocks at a step, over all steps, that are looked at one by one."""
MOST_ABOVE = 8
"""Stretches above that are looked at for how far all is filled now; of more it is not known, and taken for less."""
FEW = 64
"""Stretches that are looked at first; then four times as many, and so on, until there is a gap."""


def is_crowded(blocks: Sequence[Block]) -> bool:
    """Whether pairs of blocks that are alive together are too many to be looked at one by one."""
    change: dict[int, int] = {}
    for block in blocks:
        # Events instead of steps: between two of them the number alive does not change.
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
    placed = _Placed(blocks)
    offset_of = dict(fixed)
    for index, offset in fixed.items():
        placed.add(blocks[index], offset)
    for index in order:
        offset_of[index] = placed.gap_for(blocks[index], tightest)
        placed.add(blocks[index], offset_of[index])
    return offset_of


class _Placed:
    """The stretches of the blocks that lie already, sorted by offset."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._columns: Ints = np.zeros((4, sum(len(block.stretches) for block in blocks)), np.int64)
        """Of each stretch: first, end, offset, top."""
        self._count = self._highest = 0
        times = {time for block in blocks for stretch in block.stretches for time in (stretch.first, stretch.end)}
        self._step_of = {time: step for step, time in enumerate(sorted(times))}
        self._filled = FilledSteps(len(times))
        self._alignment = math.gcd(*(block.alignment for block in blocks))

    def add(self, block: Block, offset: int) -> None:
        for first, end, size_bytes in block.stretches:
            used = self._columns[:, : self._count]
            at = int(np.searchsorted(used[2], offset, side="right"))
            # Insertion into sorted columns: what lies higher moves one place on.
            self._columns[:, at + 1 : self._count + 1] = used[:, at:].copy()
            self._columns[:, at] = (first, end, offset, offset + size_bytes)
            self._count += 1
            self._highest = max(self._highest, size_bytes)
            self._fill(first, end, offset, offset + size_bytes)

    def _fill(self, first: int, end: int, offset: int, top: int) -> None:
        """What is filled up to `offset` is now up to `top`, and as far as the next that lies there."""
        work = [(first, end, offset, top)]
        for first, end, offset, top in work:  # which grows
            if top <= offset:
                # Rounded up, as the bytes up to the next aligned address are of no use to any block.
                continue
            top = -(-top // self._alignment) * self._alignment
            if not self._filled.raise_level(self._step_of[first], self._step_of[end], offset, top):
                continue
            offsets = self._columns[2, : self._count]
            # Others that lie on the new top: with them filled, the levels above them are reached as well.
            start, stop = (int(offsets.searchsorted(top, side=side)) for side in ("left", "right"))
            if stop - start <= MOST_ABOVE and len(work) <= MOST_ABOVE:
                above = self._columns[:, start:stop].T.tolist()
                work += [tuple(one) for one in above if one[0] < end and one[1] > first]

    def gap_for(self, block: Block, tightest: bool) -> int:
        """The lowest address, or that in the tightest gap, at which a block is clear of all that are alive with it."""
        size_bytes, alignment, offsets = block.size_bytes, block.alignment, self._columns[2]
        reached = self._filled.highest(self._step_of[block.first], self._step_of[block.end]) if size_bytes else 0
        # No stretch is higher than `_highest`: one that starts that far below `reached` ends there at the latest.
        start = int(offsets[: self._count].searchsorted(reached - self._highest, side="right"))
        length = self._count if tightest else FEW
        while start < self._count:
            lowest = -(-reached // alignment) * alignment
            if not tightest and offsets[start] - lowest >= size_bytes:
                # In front of the first stretch that is still ahead there is room.
                return lowest
            first, end, offset, top = self._columns[:, start : min(start + length, self._count)]
            below = reached if size_bytes else -1  # a block of no size fits between any two
            near = ((top > below) & (first < block.end) & (end > block.first)).nonzero()[0]
            if len(near):
                # `tops[i]` is how far the stretches before the i-th one reach: the base of the gap in front of it.
                tops = np.maximum.accumulate(np.concatenate(([reached], top[near])))
                bases = -(-tops // alignment) * alignment
                rooms = offset[near] - bases[:-1]
                holds = (rooms >= size_bytes).nonzero()[0]
                if len(holds):
                    return int(bases[holds[int(np.argmin(rooms[holds]))] if tightest else holds[0]])
                reached = int(tops[-1])
            start, length = start + length, 4 * length
        return -(-reached // alignment) * alignment

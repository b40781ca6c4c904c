"""Who is alive with whom, found once for all networks whose buffers live at the same times.

Networks of a search are wired alike and differ in sizes only. What a first fit needs beside the sizes depends on times,
on who takes over whose storage and on the order in which ties are broken: it is found again by those.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.planners.blocks import join
from mcusim.program import Buffer, Buffers, Lives

_Extent = tuple[int, int]
"""Of a buffer that lies: its offset and its end."""

__all__ = ["Neighbours", "first_fit_of", "neighbours_of"]

_KEPT = 1024
_MOST_BUFFERS = 1024
"""Longer networks are not searched by the thousand."""
_MOST_NEAR = 16
"""Times as many pairs as buffers: where more are alive together, finding them again saves nothing."""


class Neighbours(NamedTuple):
    """Blocks by number, in order of their first member.

    members: buffers of each block.   near: of each block, takes those of other blocks that are alive with it out of an
        entry a buffer; one more entry stands for none.
    """

    members: tuple[tuple[int, ...], ...]
    near: tuple[Callable[[Sequence[_Extent | None]], Sequence[_Extent | None]], ...]
    alignment: tuple[int, ...]


def neighbours_of(buffers: Sequence[Buffer]) -> Neighbours | None:
    """Who is alive with whom; None where the pairs are too many to be worth keeping."""
    if not 0 < len(buffers) <= _MOST_BUFFERS:
        return None
    if isinstance(buffers, Buffers):
        return _neighbours(buffers.lives)
    _, _, firsts, ends, kinds, alignments, _, overs = zip(*buffers, strict=True)
    return _neighbours(_lives(firsts, ends, kinds, alignments, overs))


_lives = lru_cache(_KEPT)(Lives)


@lru_cache(_KEPT)
def _neighbours(lives: Lives) -> Neighbours | None:
    firsts, ends, kinds, alignments, overs = lives.firsts, lives.ends, lives.kinds, lives.alignments, lives.overs
    blocks = join([
        Buffer("", 0, first, end, kind, alignment, ABSENT, over)
        for first, end, kind, alignment, over in zip(firsts, ends, kinds, alignments, overs, strict=True)
    ])  # fmt: skip
    at: list[list[int]] = [[] for _ in range(max(ends))]
    block_of = [ABSENT] * len(firsts)
    for number, block in enumerate(blocks):
        for member in block.members:
            block_of[member] = number
            for time in range(firsts[member], ends[member]):
                at[time].append(member)
    # Checked before the sets are made: in a crowd they would take more memory than all else.
    if sum([len(alive) for alive in at]) > _MOST_NEAR * len(firsts) or not blocks:
        return None
    near = []
    for number, block in enumerate(blocks):
        alive = sorted({member for time in range(block.first, block.end) for member in at[time]})
        near.append([member for member in alive if block_of[member] != number])
    if sum(map(len, near)) > _MOST_NEAR * len(firsts):
        return None
    return Neighbours(
        tuple([block.members for block in blocks]),
        # `itemgetter` with one place returns no tuple: nobody's entry is asked for twice, so that there are always two.
        tuple([itemgetter(*others, *[len(firsts)] * 2) for others in near]),
        tuple([block.alignment for block in blocks]),
    )


def first_fit_of(buffers: Sequence[Buffer], neighbours: Neighbours, *, late_first: bool) -> tuple[int, ...]:
    """Offset of each buffer, as `first_fit` gives it, the largest blocks first; -1 of those that no planner places.

    late_first: whether ties go to the later tensor, as in TFLM, requests of scratch before them; else to the block that
    appears first.
    """
    size_bytes = buffers.size_bytes if isinstance(buffers, Buffers) else [buffer[1] for buffer in buffers]
    members, near, alignments = neighbours
    if len(members) == len(buffers):
        heights = size_bytes
    else:
        heights = [
            size_bytes[block[0]] if len(block) == 1 else max([size_bytes[member] for member in block])
            for block in members
        ]
    # `reverse` keeps equals in their order: of blocks with one height the first to appear is placed first.
    ranks = _ranked(buffers, members, heights) if late_first else heights
    order = sorted(range(len(members)), key=ranks.__getitem__, reverse=True)
    extents: list[_Extent | None] = [None] * (len(buffers) + 1)  # the last is nobody's
    for index in order:
        lowest, pick = 0, near[index]
        lying = list(filter(None, pick(extents)))
        if lying:
            size, alignment = heights[index], alignments[index]
            if len(lying) > 1:
                lying.sort()
            for start, end in lying:
                if start - lowest >= size:
                    break
                if end > lowest:
                    # A gap starts where the block before it ends, at the next aligned address. Blocks may reach beyond
                    # their successors, so the highest end so far counts.
                    lowest = -(-end // alignment) * alignment
        for member in members[index]:
            extents[member] = (lowest, lowest + size_bytes[member])
    extents.pop()
    return tuple([ABSENT if extent is None else extent[0] for extent in extents])


def _ranked(buffers: Sequence[Buffer], members: Sequence[tuple[int, ...]], heights: Sequence[int]) -> list[int]:
    """What TFLM sorts blocks by."""
    tensors = [buffers[block[0]][6] for block in members]
    # Scratch has no tensor. TFLM lists it behind all tensors, in the order of the requests: so its rank is above
    # theirs.
    if ABSENT in tensors:
        last = max([buffer[6] for buffer in buffers], default=0)
        firsts = [block[0] for block in members]
        tensors = [last + 1 + m if t == ABSENT else t for t, m in zip(tensors, firsts, strict=True)]
    return [height << 32 | tensor for height, tensor in zip(heights, tensors, strict=True)]

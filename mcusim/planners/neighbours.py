"""Who is alive with whom, found once for all networks whose buffers live at the same times.

Networks of a search are wired alike and differ in sizes only. What a first fit needs beside the sizes depends on times,
on who takes over whose storage and on the order in which ties are broken: it is found again by those.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.planners.blocks import join
from mcusim.program import Buffer, BufferKind

__all__ = ["Neighbours", "first_fit_of", "neighbours_of"]

_KEPT = 256
_MOST_BUFFERS = 1024
"""Longer networks are not searched by the thousand."""
_MOST_NEAR = 16
"""Times as many pairs as buffers: where more are alive together, finding them again saves nothing."""


class Neighbours(NamedTuple):
    """Blocks by number, in order of their first member.

    members: buffers of each block.   near: for each block the others that are alive with it, once for each of their
    buffers that is: (block, buffer).   block_of: of each buffer; ABSENT of those that no planner places.
    """

    members: tuple[tuple[int, ...], ...]
    near: tuple[tuple[tuple[int, int], ...], ...]
    block_of: tuple[int, ...]
    alignment: tuple[int, ...]


def neighbours_of(buffers: Sequence[Buffer]) -> Neighbours | None:
    """None where they are too many to be worth it."""
    if not 0 < len(buffers) <= _MOST_BUFFERS:
        return None
    _, _, firsts, ends, kinds, alignments, _, overs = zip(*buffers, strict=True)
    return _neighbours(firsts, ends, kinds, alignments, overs)


@lru_cache(_KEPT)
def _neighbours(
    firsts: tuple[int, ...],
    ends: tuple[int, ...],
    kinds: tuple[BufferKind, ...],
    alignments: tuple[int, ...],
    overs: tuple[int, ...],
) -> Neighbours | None:
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
    if sum([len(alive) for alive in at]) > _MOST_NEAR * len(firsts) or not blocks:
        return None
    near = []
    for number, block in enumerate(blocks):
        alive = sorted({member for time in range(block.first, block.end) for member in at[time]})
        near.append(tuple([(block_of[member], member) for member in alive if block_of[member] != number]))
    if sum(map(len, near)) > _MOST_NEAR * len(firsts):
        return None
    return Neighbours(
        tuple([block.members for block in blocks]),
        tuple(near),
        tuple(block_of),
        tuple([block.alignment for block in blocks]),
    )


def first_fit_of(buffers: Sequence[Buffer], neighbours: Neighbours, *, late_first: bool) -> tuple[int, ...]:
    """Offset of each buffer, as `first_fit` gives it, the largest blocks first; -1 of those that no planner places.

    late_first: whether ties go to the later tensor, as in TFLM, requests of scratch before them; else to the block that
    appears first.
    """
    size_bytes = [buffer[1] for buffer in buffers]
    members, near, block_of, alignments = neighbours
    if len(members) == len(buffers):
        heights = size_bytes
    else:
        heights = [
            size_bytes[block[0]] if len(block) == 1 else max([size_bytes[member] for member in block])
            for block in members
        ]
    ranks = _ranked(buffers, members, heights) if late_first else heights
    order = sorted(range(len(members)), key=ranks.__getitem__, reverse=True)
    offset = [ABSENT] * (len(members) + 1)  # the last stands for buffers of no block
    for index in order:
        lying = [(offset[other], size_bytes[member]) for other, member in near[index] if offset[other] >= 0]
        lowest = 0
        if lying:
            lying.sort()
            size, alignment = heights[index], alignments[index]
            for start, height in lying:
                if start - lowest >= size:
                    break
                if start + height > lowest:
                    lowest = -(-(start + height) // alignment) * alignment
        offset[index] = lowest
    return tuple([offset[number] for number in block_of])


def _ranked(buffers: Sequence[Buffer], members: Sequence[tuple[int, ...]], heights: Sequence[int]) -> list[int]:
    """What TFLM sorts blocks by."""
    tensors = [buffers[block[0]][6] for block in members]
    if ABSENT in tensors:
        last = max([buffer[6] for buffer in buffers], default=0)
        firsts = [block[0] for block in members]
        tensors = [last + 1 + m if t == ABSENT else t for t, m in zip(tensors, firsts, strict=True)]
    return [height << 32 | tensor for height, tensor in zip(heights, tensors, strict=True)]

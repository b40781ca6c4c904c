"""Buffers that take over each other's storage, joined into the blocks that a planner places.

bytes
  ^   +-----------+
  |   |  input    |            one block: full height while the input lives,
  |   |           +--------+   what its successor leaves free afterwards
  |   |           | output |
  +---+-----------+--------+--> steps
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import add
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.program import BESIDE, Buffer, Buffers

__all__ = ["Block", "Stretch", "join", "live_bytes", "peak_bytes"]


class Stretch(NamedTuple):
    """Steps [first, end) during which a block needs `size_bytes`."""

    first: int
    end: int
    size_bytes: int


class Block(NamedTuple):
    """Storage placed at one offset: the buffers that share it, one after the other.

    members: buffer indices in the order of time.   size_bytes: of the largest.   stretches: its height over time.
    """

    members: tuple[int, ...]
    size_bytes: int
    first: int
    end: int
    alignment: int
    stretches: tuple[Stretch, ...]


def join(buffers: Sequence[Buffer]) -> list[Block]:
    """Blocks of the buffers that a planner places, in order of their first member. Others are left out."""
    chains: dict[int, list[int]] = {}
    for index, buffer in enumerate(buffers):
        if not buffer.kind.is_planned:
            continue
        start = index
        # The first buffer of a chain names the block: the input of several operators in place, one after the other.
        while buffers[start].over != ABSENT:
            start = buffers[start].over
        chains.setdefault(start, []).append(index)
    return [_block(buffers, sorted(members, key=lambda m: buffers[m].first)) for members in chains.values()]


def _block(buffers: Sequence[Buffer], members: list[int]) -> Block:
    if len(members) == 1:
        index = members[0]
        _, size, first, end, _, alignment, _, _ = buffers[index]
        return Block((index,), size, first, end, alignment, (Stretch(first, end, size),))
    chain = [buffers[index] for index in members]
    return Block(
        tuple(members),
        max(b.size_bytes for b in chain),
        chain[0].first,
        chain[-1].end,
        max(b.alignment for b in chain),
        tuple([Stretch(b.first, b.end, b.size_bytes) for b in chain]),
    )


def live_bytes(buffers: Sequence[Buffer], length: int) -> list[int]:
    """Bytes alive at each of `length` steps: the lower bound of any plan is their maximum."""
    change = [0] * (length + 1)
    if isinstance(buffers, Buffers):
        firsts, ends, planned = buffers.lives.firsts, buffers.lives.ends, buffers.lives.planned
        for size_bytes, first, end in zip(buffers.size_bytes[:planned], firsts, ends, strict=False):
            change[first] += size_bytes
            change[end] -= size_bytes
        # Positive where a buffer starts, negative where it ends: the running sum is what is alive.
        del change[length:]
        return list(accumulate(change))
    for _, size_bytes, first, end, kind, _, _, _ in buffers:
        if kind not in BESIDE:
            change[first] += size_bytes
            change[end] -= size_bytes
    del change[length:]
    return list(accumulate(change))


def peak_bytes(buffers: Sequence[Buffer], offset_bytes: Sequence[int]) -> int:
    # A named field of a tuple is slow to read here: [1] is the size, [4] the kind.
    """End of the highest buffer."""
    if isinstance(buffers, Buffers):
        return max(map(add, offset_bytes, buffers.size_bytes[: buffers.lives.planned]), default=0)
    pairs = zip(offset_bytes, buffers, strict=True)
    return max([offset + buffer[1] for offset, buffer in pairs if buffer[4] not in BESIDE], default=0)

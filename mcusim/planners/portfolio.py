"""Best of several simple placements: a few orders, each with first fit and with best fit.

A block goes into a gap between those that are in its way: first fit takes the lowest, best fit the tightest. Blocks
whose height changes are in each other's way only with the heights that they have while both are alive.

    bytes |  ####            ####   C is to be placed, alive with A and B
          |  #B##            #B##
          |  ####   CCC      ####   first fit: C goes to 0, below A, if it fits there
          |         CCC      CCCC   best fit: into the gap between A and B, if that is tighter
          |  AAAA            AAAA
          +-------------------------> steps

No order is good for all networks, and each costs less than a millisecond: so all are tried until one meets the lower
bound, behind which nothing is left to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mcusim.planners.blocks import Block, join
from mcusim.planners.crowded import is_crowded, place_crowded
from mcusim.planners.lower_bound import lower_bound_bytes, round_up
from mcusim.program import Buffer

__all__ = ["Neighbours", "best_fit_portfolio", "crowded_portfolio", "neighbours", "place_each", "portfolio", "spread"]

Neighbours = list[list[tuple[int, int, int]]]
"""For each block, those alive with it: (block, own height meanwhile, the other's height meanwhile)."""


def best_fit_portfolio(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offset of each buffer in the smallest plan of the portfolio; held buffers get -1."""
    blocks = join(buffers)
    if is_crowded(blocks):
        offsets, _ = crowded_portfolio(blocks, lower_bound_bytes(blocks))
    else:
        offsets, _ = portfolio(blocks, neighbours(blocks), lower_bound_bytes(blocks))
    return spread(len(buffers), blocks, offsets)


def crowded_portfolio(blocks: Sequence[Block], enough_bytes: int) -> tuple[list[int], int]:
    """As `portfolio`, of two orders: for blocks that are too many to be compared in pairs."""
    best: list[int] = []
    least = None
    for key in (_by_size, _by_start):
        order = sorted(range(len(blocks)), key=lambda index: key(blocks[index]))
        placed = place_crowded(blocks, order, {})
        offsets = [placed[index] for index in range(len(blocks))]
        taken = max([o + b.size_bytes for o, b in zip(offsets, blocks, strict=True)], default=0)
        if least is None or taken < least:
            best, least = offsets, taken
        if least <= enough_bytes:
            break
    return best, least or 0


def _by_size(block: Block) -> tuple[int, int]:
    return -block.size_bytes, block.first


def _by_start(block: Block) -> tuple[int, int]:
    return block.first, -block.size_bytes


def portfolio(blocks: Sequence[Block], near: Neighbours, enough_bytes: int) -> tuple[list[int], int]:
    """Offset of each block and the bytes taken: the first plan within `enough_bytes`, else the smallest of all."""
    best: list[int] = [0] * len(blocks)
    least = None
    for order in _orders(blocks, near):
        for tightest in (False, True):
            offsets = place_each(blocks, near, order, tightest=tightest)
            taken = max([o + b.size_bytes for o, b in zip(offsets, blocks, strict=True)], default=0)
            if least is None or taken < least:
                best, least = offsets, taken
            if least <= enough_bytes:
                return best, least
    return best, least or 0


def neighbours(blocks: Sequence[Block]) -> Neighbours:
    """Which blocks are alive together, and how high each is meanwhile."""
    near: Neighbours = [[] for _ in blocks]
    by_start = sorted(range(len(blocks)), key=lambda index: blocks[index].first)
    alive: list[int] = []
    for index in by_start:
        block = blocks[index]
        alive = [other for other in alive if blocks[other].end > block.first]
        for other in alive:
            mine, theirs = _heights_together(block, blocks[other])
            near[index].append((other, mine, theirs))
            near[other].append((index, theirs, mine))
        if block.size_bytes:
            alive.append(index)
    # A block without bytes is in nobody's way, so later ones need not know it.
    return near


def _heights_together(a: Block, b: Block) -> tuple[int, int]:
    """Most bytes that each takes while both are alive."""
    if len(a.stretches) == 1 == len(b.stretches):
        return a.size_bytes, b.size_bytes
    first, end = max(a.first, b.first), min(a.end, b.end)
    # Over the common steps only: an input of 100 bytes whose successor takes 40 leaves 60 to those that live later.
    heights = [max(s.size_bytes for s in c.stretches if s.first < end and s.end > first) for c in (a, b)]
    return heights[0], heights[1]


def place_each(
    blocks: Sequence[Block], near: Neighbours, order: Sequence[int], *, tightest: bool, known: Sequence[int] = ()
) -> list[int]:
    """Offset of each block, placed in `order` into the lowest (or the tightest) gap that holds it.

    known: offsets of blocks that lie already, -1 for the others.
    """
    offsets = list(known) or [-1] * len(blocks)
    for index in order:
        alignment = blocks[index].alignment
        placed = sorted([(offsets[o], mine, theirs) for o, mine, theirs in near[index] if offsets[o] >= 0])
        lowest, best, best_room = 0, -1, -1
        for offset, mine, theirs in placed:
            room = offset - lowest
            # `mine` is the height beside this one block. Beside another, further up, the block may be higher:
            # a gap that is large enough below this one need not be free.
            if room >= mine and _holds(lowest, index, near, offsets):
                if not tightest:
                    best = lowest
                    break
                if best < 0 or room < best_room:
                    best, best_room = lowest, room
            # Placed blocks may overlap each other in address (they need not be alive together), so the highest top
            # counts.
            if offset + theirs > lowest:
                lowest = round_up(offset + theirs, alignment)
        offsets[index] = lowest if best < 0 else best
    return offsets


def _holds(offset: int, index: int, near: Neighbours, offsets: Sequence[int]) -> bool:
    """Whether a block at `offset` is clear of all that are placed."""
    for other, mine, theirs in near[index]:
        low = offsets[other]
        if low >= 0 and low < offset + mine and offset < low + theirs:
            return False
    return True


def spread(count: int, blocks: Sequence[Block], offset_of: Sequence[int]) -> tuple[int, ...]:
    """Offsets of the buffers from those of their blocks; held buffers get -1."""
    offsets = [-1] * count
    for block, offset in zip(blocks, offset_of, strict=True):
        for member in block.members:
            offsets[member] = offset
    return tuple(offsets)


def _orders(blocks: Sequence[Block], near: Neighbours) -> Iterator[list[int]]:
    """Each order once. Ties fall to the earlier, then the longer life, so that renaming changes nothing."""
    crowd = [sum([mine * theirs for _, mine, theirs in row]) for row in near]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-blocks[i].size_bytes,),  # the large first, as TFLM does: the small fill what they leave
        lambda i: (-blocks[i].size_bytes, -blocks[i].first),  # the same from the network's end
        lambda i: (-blocks[i].size_bytes * (blocks[i].end - blocks[i].first),),  # by area: bytes times steps
        lambda i: (blocks[i].first - blocks[i].end, -blocks[i].size_bytes),  # the long-lived first: skips, outputs
        lambda i: (-crowd[i],),  # those with the largest company first
        lambda i: (blocks[i].first, -blocks[i].size_bytes),  # as they are made
        lambda i: (-blocks[i].end, -blocks[i].size_bytes),  # as they die, from the end
    )
    seen = set()
    for key in keys:
        order = sorted(range(len(blocks)), key=lambda i: (*key(i), blocks[i].first, -blocks[i].end))
        if tuple(order) not in seen:
            seen.add(tuple(order))
            yield order

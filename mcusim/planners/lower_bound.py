"""What no plan can beat: the bytes alive together at the fullest step."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from mcusim.planners.blocks import Block

__all__ = ["lower_bound_bytes", "round_up"]


def lower_bound_bytes(blocks: Sequence[Block]) -> int:
    """Bytes that any plan of `blocks` takes: the largest sum of the heights alive at one step.

    Where sizes are no multiples of the alignment, each block but the topmost is followed by a gap up to the next
    aligned address.
    """
    alignments = {block.alignment for block in blocks}
    if len(alignments) == 1:
        return _bound_of_one_alignment(blocks, alignments.pop())
    bound = 0
    for alive in _alive_at_starts(blocks):
        step = min([alignment for _, alignment in alive])
        # Aligned to the smallest alignment alive, every block but the topmost pushes the next up to a multiple of it.
        rounded = [round_up(height, step) for height, _ in alive]
        saved = max([up - height for up, (height, _) in zip(rounded, alive, strict=True)])
        bound = max(bound, sum(rounded) - saved)
    return bound


def _bound_of_one_alignment(blocks: Sequence[Block], alignment: int) -> int:
    """The same where all blocks are aligned alike, in n log n: a running sum, and the widest gap from a heap."""
    stretches = sorted(
        [
            stretch
            for block in blocks
            for stretch in block.stretches
            if stretch.size_bytes and stretch.first < stretch.end
        ]
    )
    ending: list[tuple[int, int]] = []  # (end, rounded bytes) of what is alive
    gaps: list[tuple[int, int]] = []  # (-gap, end); what has ended is dropped when it comes up
    bound = total = 0
    for position, (first, end, size_bytes) in enumerate(stretches):
        # A stretch that ends at this step is gone when the new one starts: intervals are half-open.
        while ending and ending[0][0] <= first:
            total -= heappop(ending)[1]
        rounded = round_up(size_bytes, alignment)
        total += rounded
        heappush(ending, (end, rounded))
        heappush(gaps, (size_bytes - rounded, end))
        while gaps[0][1] <= first:
            heappop(gaps)
        # Only after all that start at one step: before, the step is not at its fullest.
        if position + 1 == len(stretches) or stretches[position + 1].first != first:
            bound = max(bound, total + gaps[0][0])
    return bound


def round_up(size_bytes: int, alignment: int) -> int:
    """The next multiple of `alignment`."""
    return -(-size_bytes // alignment) * alignment


def _alive_at_starts(blocks: Sequence[Block]) -> list[list[tuple[int, int]]]:
    """(height, alignment) of what is alive at each step where a stretch starts; nothing is fuller in between."""
    starting: dict[int, list[tuple[int, int, int]]] = {}
    for block in blocks:
        for first, end, size_bytes in block.stretches:
            if size_bytes:
                starting.setdefault(first, []).append((end, size_bytes, block.alignment))
    alive_at = []
    alive: list[tuple[int, int, int]] = []
    for time in sorted(starting):
        alive = [stretch for stretch in alive if stretch[0] > time] + starting[time]
        alive_at.append([(height, alignment) for _, height, alignment in alive])
    return alive_at

"""What no plan can beat: the bytes alive together at the fullest step."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.planners.blocks import Block

__all__ = ["lower_bound_bytes", "round_up"]


def lower_bound_bytes(blocks: Sequence[Block]) -> int:
    """Bytes that any plan of `blocks` takes: the largest sum of the heights alive at one step.

    Where sizes are no multiples of the alignment, each block but the topmost is followed by a gap up to the next
    aligned address.
    """
    bound = 0
    for alive in _alive_at_starts(blocks):
        step = min([alignment for _, alignment in alive])
        rounded = [round_up(height, step) for height, _ in alive]
        saved = max([up - height for up, (height, _) in zip(rounded, alive, strict=True)])
        bound = max(bound, sum(rounded) - saved)
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
    found = []
    alive: list[tuple[int, int, int]] = []
    for time in sorted(starting):
        alive = [stretch for stretch in alive if stretch[0] > time] + starting[time]
        found.append([(height, alignment) for _, height, alignment in alive])
    return found

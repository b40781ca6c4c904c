"""Does a set of blocks fit into so many bytes? An exact search that answers yes with a plan, or no.

    bytes            level of a section: the top of what lies there
      ^   +---+
      |   | a |   +--+
      +---+   +---+ b|----     The lowest section is looked at: either one of the blocks that are alive there goes
      |   |   |   |  |   |     onto it, or none ever does, and its level rises to the next address at which one
      +---+---+---+--+---+--> sections  could start.

A block's bottom is flat, so every plan is such a sequence: taken by ascending offset, each block lies on the skyline
of those before it. What makes the search short:

- Sections: steps at which nothing is alive that is not alive, as high, at a neighbouring step are left out.
- Parts: blocks that no longer share a section, directly or through others, are searched apart.
- Bound: at each section, the lowest offset of any block that is left there plus all that is left must fit.
- Memory: a part that failed on some skyline is not searched again on the same one.
- Twins: of blocks with the same life, height and alignment only one is tried.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple, TypeAlias

from mcusim.planners.blocks import Block

__all__ = ["Budget", "OutOfBudget", "fit"]


class OutOfBudget(Exception):
    """The search ended before it knew."""


class Budget:
    """Nodes that a search may still visit: deterministic, unlike a time limit."""

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes

    def spend(self) -> None:
        """One node. Raises OutOfBudget when none is left."""
        if self.nodes <= 0:
            raise OutOfBudget
        self.nodes -= 1


def fit(blocks: Sequence[Block], capacity_bytes: int, budget: Budget) -> list[int] | None:
    """Offset of each block in a plan within `capacity_bytes`; None where there is none.

    Raises OutOfBudget.
    """
    search = _Search(blocks, capacity_bytes, budget)
    everything = [index for index, tile in enumerate(search.tiles) if tile.height]
    return search.offsets if _run(search.parts_fit(everything)) else None


_Task: TypeAlias = Generator["_Task", bool, bool]
"""A function that yields the calls it makes and is sent their answers: the search may be deeper than Python's stack."""


def _run(task: _Task) -> bool:
    stack: list[_Task] = [task]
    answer: bool | None = None
    while stack:
        try:
            call = next(stack[-1]) if answer is None else stack[-1].send(answer)
            stack.append(call)
            answer = None
        except StopIteration as stop:
            stack.pop()
            answer = bool(stop.value)
    return bool(answer)


class _Tile(NamedTuple):
    """A block on the axis of sections [low, high): its height, and its heights by section where they change."""

    low: int
    high: int
    height: int
    alignment: int
    heights: tuple[int, ...]
    is_flat: bool


class _Search:
    """The skyline, and what is left to place at each section.

    levels: by section.   left: bytes of the unplaced blocks by section.   offsets: of the blocks, 0 until placed.
    """

    def __init__(self, blocks: Sequence[Block], capacity_bytes: int, budget: Budget) -> None:
        self.tiles = _tiles(blocks)
        self.capacity, self.budget = capacity_bytes, budget
        sections = max([tile.high for tile in self.tiles], default=0)
        self.levels = [0] * sections
        self.left = [0] * sections
        self.offsets = [0] * len(blocks)
        self.failed: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()
        for tile in self.tiles:
            self._add_left(tile, 1)

    def _add_left(self, tile: _Tile, sign: int) -> None:
        for section, height in enumerate(tile.heights, tile.low):
            self.left[section] += sign * height

    def parts_fit(self, unplaced: list[int]) -> _Task:
        """Whether all of `unplaced` fit on the skyline: part after part, the smallest first."""
        # A small part that cannot fit settles the question before a large one is searched.
        for part in sorted(_parts(self.tiles, unplaced), key=len):
            fits = yield self._part_fits(part)
            if not fits:
                return False
        return True

    def _part_fits(self, part: list[int]) -> _Task:
        """Whether blocks that hang together fit on the skyline. Leaves the skyline as it was."""
        low, high = self.tiles[part[0]].low, max([self.tiles[index].high for index in part])
        before = self.levels[low:high]
        lowest = self._raise_levels(part, low, high)
        key = (tuple(part), tuple(self.levels[low:high]))
        # The key is taken after the levels rose: skylines that differ only in what nothing can use count as one.
        fits = lowest is not None and key not in self.failed
        if fits and lowest is not None:
            self.budget.spend()
            fits = yield self._branch(part, low, high, lowest)
            if not fits:
                self.failed.add(key)
        self.levels[low:high] = before
        return fits

    def _raise_levels(self, part: list[int], low: int, high: int) -> dict[int, int] | None:
        """Lowest offset of each block. Levels rise to where something can start; None where that does not fit."""
        levels, left, capacity = self.levels, self.left, self.capacity
        lowest = {}
        start = [capacity] * (high - low)
        for index in part:
            tile_low, tile_high, height, alignment, _, _ = self.tiles[index]
            # A block rests on the highest section under it.
            offset = -(-max(levels[tile_low:tile_high]) // alignment) * alignment
            if offset + height > capacity:
                return None
            lowest[index] = offset
            for section in range(tile_low - low, tile_high - low):
                if offset < start[section]:
                    start[section] = offset
        for section, offset in enumerate(start, low):
            # Whatever lies on this section from here on starts at `offset` or higher, and all of `left` must still go
            # there.
            if offset + left[section] > capacity:
                return None
        levels[low:high] = start
        return lowest

    def _branch(self, part: list[int], low: int, high: int, lowest: dict[int, int]) -> _Task:
        level = min(self.levels[low:high])
        section = self.levels.index(level, low, high)
        here = [index for index in part if self.tiles[index].low <= section < self.tiles[index].high]
        tried = set()
        # Long-lived blocks first: they decide the most sections at once, so a wrong one shows early.
        for index in sorted(here, key=lambda i: (self.tiles[i].low - self.tiles[i].high, -self.tiles[i].height)):
            if lowest[index] == level and self.tiles[index] not in tried:
                tried.add(self.tiles[index])
                fits = yield self._fits_with(part, index, level)
                if fits:
                    return True
        return (yield self._fits_higher(part, section, level, here, lowest))

    def _fits_with(self, part: list[int], index: int, offset: int) -> _Task:
        """Whether the part fits with block `index` at `offset`, on the skyline."""
        tile = self.tiles[index]
        before = self.levels[tile.low : tile.high]
        # A block may be lower in some sections than in others; the skyline follows its upper edge.
        self.levels[tile.low : tile.high] = [offset + height for height in tile.heights]
        self._add_left(tile, -1)
        self.offsets[index] = offset
        fits = yield self.parts_fit([other for other in part if other != index])
        self._add_left(tile, 1)
        self.levels[tile.low : tile.high] = before
        return fits

    def _fits_higher(self, part: list[int], section: int, level: int, here: list[int], lowest: dict[int, int]) -> _Task:
        """Whether the part fits with nothing at `level` in `section`.

        The lowest block there then starts at a higher level of its own, or rests on a block beside the section.
        """
        beside = [index for index in part if index not in here]
        risen = self.capacity
        for index in here:
            tile = self.tiles[index]
            # Blocks that cannot touch `level` start higher by themselves. Those that could must be lifted by a
            # neighbour: no higher than the lowest top of one that shares a section with them.
            start = lowest[index]
            if start <= level:
                tops = [
                    lowest[o] + _height_over(self.tiles[o], tile)
                    for o in beside
                    if self.tiles[o].low < tile.high and tile.low < self.tiles[o].high
                ]
                start = -(-min(tops, default=self.capacity) // tile.alignment) * tile.alignment
            risen = min(risen, start)
        # What is left of this section must fit above the risen level.
        if risen <= level or risen + self.left[section] > self.capacity:
            return False
        self.levels[section] = risen
        return (yield self._part_fits(part))


def _height_over(tile: _Tile, other: _Tile) -> int:
    """Most bytes that `tile` takes while `other` is alive too."""
    if tile.is_flat:
        return tile.height
    first, end = max(tile.low, other.low), min(tile.high, other.high)
    return max(tile.heights[first - tile.low : end - tile.low])


def _parts(tiles: Sequence[_Tile], unplaced: list[int]) -> list[list[int]]:
    """Blocks by section, split where no block reaches across."""
    parts: list[list[int]] = []
    reach = -1
    for index in sorted(unplaced, key=lambda i: (tiles[i].low, i)):
        if tiles[index].low >= reach or not parts:
            parts.append([])
        parts[-1].append(index)
        reach = max(reach, tiles[index].high)
    return parts


def _tiles(blocks: Sequence[Block]) -> list[_Tile]:
    """The blocks on the axis of sections."""
    sections = _sections(blocks)
    spans: list[list[int]] = [[] for _ in blocks]  # heights, in order of the sections
    lows = [0] * len(blocks)
    for position, alive in enumerate(sections):
        for index, height in alive.items():
            if not spans[index]:
                lows[index] = position
            spans[index].append(height)
    return [
        _Tile(low, low + len(heights), block.size_bytes, block.alignment, tuple(heights), min(heights) == max(heights))
        if heights
        else _Tile(0, 0, 0, block.alignment, (), True)
        for low, heights, block in zip(lows, spans, blocks, strict=True)
    ]


def _sections(blocks: Sequence[Block]) -> list[dict[int, int]]:
    """Block -> height at each step that counts, in order of time.

    A step is left out where all that is alive is alive, and as high, at a neighbour: what is clear there is clear
    here.
    """
    starts: dict[int, list[tuple[int, int, int]]] = {}
    for index, block in enumerate(blocks):
        for first, end, size_bytes in block.stretches:
            if size_bytes:
                starts.setdefault(first, []).append((index, end, size_bytes))
    kept: list[dict[int, int]] = []
    alive: dict[int, tuple[int, int]] = {}
    for time in sorted(starts):
        alive = {index: facts for index, facts in alive.items() if facts[0] > time}
        alive.update({index: (end, size) for index, end, size in starts[time]})
        here = {index: size for index, (_, size) in alive.items()}
        # Both ways: a fuller section makes those before it superfluous, and is itself superfluous beside a fuller one.
        while kept and _covers(here, kept[-1]):
            kept.pop()
        if not kept or not _covers(kept[-1], here):
            kept.append(here)
    return kept


def _covers(a: dict[int, int], b: dict[int, int]) -> bool:
    return len(a) >= len(b) and all(index in a and a[index] >= height for index, height in b.items())

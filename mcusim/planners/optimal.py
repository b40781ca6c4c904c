"""A plan with the proof that none is smaller, or with the gap to what is proved.

1. The lower bound: bytes alive together. Simple placements usually meet it, and are then minimal.
2. Else an exact search (`skyline`) narrows the gap from both sides: a capacity at which it finds a plan is a new upper
   bound, one at which there is none raises the lower bound. It may visit so many nodes, not take so long: the answer
   is the same on every machine.
3. Before each search, blocks that fit in anyhow - small ones, in whatever gaps the others leave - are set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from mcusim.planners.blocks import Block, join
from mcusim.planners.crowded import is_crowded
from mcusim.planners.lower_bound import lower_bound_bytes, round_up
from mcusim.planners.portfolio import Neighbours, crowded_portfolio, neighbours, place_each, portfolio, spread
from mcusim.planners.skyline import Budget, OutOfBudget, fit
from mcusim.program import Buffer

__all__ = ["NODES", "Plan", "optimal", "plan_optimal"]

NODES = 20_000
"""Nodes that a search visits at most: up to 8 seconds where 150 blocks crowd."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan and what is known about smaller ones.

    offset_bytes: by buffer, -1 for held ones.   arena_bytes: what it takes.
    lower_bound_bytes: proved: no plan takes less.   method: what found the plan.   nodes: that the search visited.
    """

    offset_bytes: tuple[int, ...]
    arena_bytes: int
    lower_bound_bytes: int
    method: str
    nodes: int = 0

    @property
    def proved(self) -> bool:
        """Whether no plan is smaller."""
        return self.arena_bytes == self.lower_bound_bytes

    @property
    def gap(self) -> float:
        """How much smaller, at most, another plan could be: 0.05 for five percent of this one."""
        return 1 - self.lower_bound_bytes / self.arena_bytes if self.arena_bytes else 0.0


def optimal(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offset of each buffer in the smallest plan found: see `plan_optimal`."""
    return plan_optimal(buffers).offset_bytes


def plan_optimal(buffers: Sequence[Buffer], *, nodes: int = NODES) -> Plan:
    """The smallest plan, proved minimal unless the search would visit more than `nodes` nodes."""
    blocks = join(buffers)
    bound = lower_bound_bytes(blocks)
    if is_crowded(blocks):  # too many pairs for an exact search
        offsets, taken = crowded_portfolio(blocks, bound)
        method = "simple placement meets the bound" if taken <= bound else "simple placement, too crowded for a search"
        return Plan(spread(len(buffers), blocks, offsets), taken, bound, method)
    near = neighbours(blocks)
    offsets, taken = portfolio(blocks, near, bound)
    if taken <= bound:
        return Plan(spread(len(buffers), blocks, offsets), taken, bound, "simple placement meets the bound")
    gap = _Gap(blocks, near, offsets, taken, bound)
    used = gap.close(nodes)
    method = "exact search" if gap.bound == gap.taken else "exact search, stopped at its limit"
    return Plan(spread(len(buffers), blocks, gap.offsets), gap.taken, gap.bound, method, used)


class _Gap:
    """A plan, and the bound below it, while a search brings them together.

    unit: sizes and offsets are multiples of it, so a plan is at least this much smaller than another.
    """

    def __init__(
        self, blocks: Sequence[Block], near: Neighbours, offsets: list[int], taken_bytes: int, bound_bytes: int
    ) -> None:
        self.blocks, self.near, self.offsets, self.taken = blocks, near, offsets, taken_bytes
        self.unit = gcd(*[s.size_bytes for b in blocks for s in b.stretches], *[b.alignment for b in blocks])
        self.bound = round_up(bound_bytes, self.unit)

    def close(self, nodes: int) -> int:
        """Search capacities between bound and plan. Returns how many nodes that took, at most `nodes`."""
        used, tried = 0, self.bound
        while self.bound < self.taken and tried < self.taken and used < nodes:
            # Half of what is left, so that a capacity which the search cannot decide does not use up all of it.
            budget = Budget(max((nodes - used) // 2, 1))
            given = budget.nodes
            try:
                placed = self._fit(tried, budget)
            except OutOfBudget:  # nobody knows: ask for less
                used += given
                # Above this capacity a plan is easier to find: the upper bound may still come down, though the lower
                # one stays.
                tried = self._between(tried + self.unit)
                continue
            used += given - budget.nodes
            if placed is None:
                # Not one plan within `tried`: the next size that a plan can have is one unit more.
                self.bound = tried + self.unit
            else:
                self.offsets = placed
                self.taken = max([o + b.size_bytes for o, b in zip(placed, self.blocks, strict=True)], default=0)
            tried = self._between(self.bound)
        return used

    def _between(self, low: int) -> int:
        """A capacity in the middle of [low, taken)."""
        return low + (self.taken - low) // (2 * self.unit) * self.unit if low < self.taken else low

    def _fit(self, capacity: int, budget: Budget) -> list[int] | None:
        """Offset of each block in a plan within `capacity`, or None."""
        hard, easy = self._set_aside(capacity)
        placed = fit([self.blocks[index] for index in hard], capacity, budget)
        if placed is None:
            return None
        offsets = [-1] * len(self.blocks)
        for index, offset in zip(hard, placed, strict=True):
            offsets[index] = offset
        return place_each(self.blocks, self.near, easy, tightest=False, known=offsets)

    def _set_aside(self, capacity: int) -> tuple[list[int], list[int]]:
        """Blocks to search, and those that fit afterwards in any case, in the order to place them in.

        Around k neighbours that take N bytes there are at most k + 1 gaps, and at least capacity - N bytes in them: if
        that is more than k + 1 gaps that are each too small can have, one of them holds the block.
        """
        kept = set(range(len(self.blocks)))
        easy: list[int] = []
        changed = True
        while changed:
            changed = False
            # The small first: each one that is set aside leaves others with fewer neighbours, so the loop starts again.
            for index in sorted(kept, key=lambda i: self.blocks[i].size_bytes):
                rivals = [theirs for other, _, theirs in self.near[index] if other in kept]
                block = self.blocks[index]
                too_small = block.size_bytes + block.alignment - 2 * self.unit  # the largest gap that may not hold it
                if capacity - sum(rivals) > (len(rivals) + 1) * too_small:
                    kept.discard(index)
                    easy.append(index)
                    changed = True
        # The guarantee of a block counts the rivals that were kept when it was set aside: the last one is placed first.
        return sorted(kept), easy[::-1]

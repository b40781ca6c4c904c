"""What a network can do, as hops between the bounds of its nodes, and a path along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.step_costs import Floats

__all__ = ["Edge", "Floors", "Hops", "Path", "Routes"]


Floors = tuple[int, tuple[int, ...]]
"""Bytes alive, and held by name, that every schedule takes."""


class Edge(NamedTuple):
    """Cut stage over nodes [first, end): entry `option` of those that `Hops` came with."""

    first: int
    end: int
    option: int


class Path(NamedTuple):
    """Edges in order; the other nodes run as layers. total_bytes: live and held.   held_limits: most held, by name."""

    edges: tuple[Edge, ...]
    live_bytes: int
    held_limits: tuple[int, ...]
    cycles: float

    @property
    def held_bytes(self) -> int:
        return sum(self.held_limits)

    @property
    def total_bytes(self) -> int:
        return self.live_bytes + self.held_bytes


class Hops(NamedTuple):
    """Layers, each from one bound to the next, or cut stages: one array entry for each.

    first, end: bounds.   option: what the caller knows it by.   held_bytes: by name.
    """

    first: Ints
    end: Ints
    option: Ints
    live_bytes: Ints
    held_bytes: tuple[Ints, ...]
    cycles: Floats

    @property
    def needs(self) -> Ints:
        """What each takes for itself: alive and held."""
        needs: Ints = self.live_bytes + sum(self.held_bytes)
        return needs

    def raised(self, floors: Floors) -> Hops:
        """Each takes at least so much: less than what every schedule takes makes no difference."""
        live_floor, held_floors = floors
        held = [np.maximum(size_bytes, floor) for size_bytes, floor in zip(self.held_bytes, held_floors, strict=True)]
        return self._replace(live_bytes=np.maximum(self.live_bytes, live_floor), held_bytes=tuple(held))

    def where(self, keep: Bools | Ints) -> Hops:
        """Some of them."""
        if keep.dtype == np.bool_ and keep.all():  # they may be millions
            return self
        held = tuple([h[keep] for h in self.held_bytes])
        return Hops(self.first[keep], self.end[keep], self.option[keep], self.live_bytes[keep], held, self.cycles[keep])

    @classmethod
    def joined(cls, parts: Sequence[Hops], held: int) -> Hops:
        """All of them; `held` is how many names held bytes have."""
        none = np.zeros(0, np.int64)
        parts = [Hops(none, none, none, none, (none,) * held, none.astype(np.float64)), *parts]
        first, end, option, live = [np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:4]]
        held_bytes = tuple([np.concatenate([part.held_bytes[i] for part in parts]) for i in range(held)])
        return Hops(first, end, option, live, held_bytes, np.concatenate([part.cycles for part in parts]))


@dataclass(frozen=True, eq=False)
class Routes:
    """All that a network can do.

    layers: one for each node, in order.   stages: every cut stage.   most: cut stages in one schedule.
    layer_first, stage_first: whether a schedule may start with a layer, with a cut stage.
    """

    layers: Hops
    stages: Hops
    most: int
    layer_first: bool = True
    stage_first: bool = True

    @property
    def nodes(self) -> int:
        return len(self.layers.first)

    @cached_property
    def floors(self) -> Floors:
        """Live bytes, and held bytes by name, that no schedule can do without. Each on its own."""
        held = range(len(self.layers.held_bytes))
        live = self._least(self.layers.live_bytes, self.stages.live_bytes)
        return live, tuple([self._least(self.layers.held_bytes[i], self.stages.held_bytes[i]) for i in held])

    def _least(self, layers: Ints, stages: Ints) -> int:
        """The smallest maximum on any way through."""
        far = np.iinfo(np.int64).max
        # best[used, k]: the smallest maximum on any way to bound k with `used` stages.
        best = np.full((self.most + 1, self.nodes + 1), far)
        best[0, 0] = 0
        order = np.argsort(self.stages.end, kind="stable")
        first, values = self.stages.first[order], stages[order]
        ends = np.searchsorted(self.stages.end[order], np.arange(self.nodes + 2))
        for k in range(1, self.nodes + 1):
            best[:, k] = np.maximum(best[:, k - 1], layers[k - 1])
            if k == 1 and not self.layer_first:
                best[0, k] = far
            to = slice(ends[k], ends[k + 1])
            if to.stop > to.start:
                for used in range(self.most):
                    most = int(np.maximum(best[used, first[to]], values[to]).min())
                    best[used + 1, k] = min(best[used + 1, k], most)
        return int(best[:, -1].min())

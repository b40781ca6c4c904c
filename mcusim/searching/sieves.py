"""Of millions of stages, those that a schedule worth having may need, without keeping them all.

In a long network nearly every stage could be worth having by itself, and nearly none is on a schedule that is. So few
stand for all: between each two bounds, the cheapest stage within each of some levels of memory.

    bytes       . . . . | . . . . . | . . . . . |         the stages between two bounds, by what they need
    levels              a           b           c
    standing for all  *           *       *               the cheapest up to each level

Cheapest ways by these alone are no dearer than those by all, so they bound every schedule that a stage can be on
(`frontier.Bounds`). Then all are looked at once more, and what is beyond the bounds is dropped. Nothing is lost:
what is dropped is on no schedule that a known one does not beat in bytes, at no more cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcusim.searching.frontier import Bounds, bounds_of
from mcusim.searching.routes import Floors, Hops, Path, Routes
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.step_costs import Floats
from mcusim.searching.surroundings import Around

__all__ = ["LEVELS", "STAGES_AT_ONCE", "Sieve"]

STAGES_AT_ONCE = 1 << 20
"""Stages that are kept before few have to stand for all: they take a hundred million bytes."""
LEVELS = (32, 128, 512)
"""Of memory, each time that all stages are looked at."""
LEAST_SHARE = 64
"""The lowest level is that share of what layers take, where nothing is known yet."""

_BEYOND = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Sieve:
    """What is kept of the stages of a network whose input has one place.

    floors: what every schedule takes, as far as it is known.   levels: of what stages need, raised to that.
    bounds: by the stages that stood for all before; None at first.
    """

    around: Around
    floors: Floors
    levels: Ints
    bounds: Bounds | None

    @classmethod
    def of(cls, around: Around, count: int, bounds: Bounds | None = None) -> Sieve:
        """With so many levels."""
        layers = around.layers
        most = int(layers.live_bytes.max(initial=0)) + sum([int(held.max(initial=0)) for held in layers.held_bytes])
        if bounds is None:
            floors: Floors = 0, (0,) * len(layers.held_bytes)
            steps = np.geomspace(most / LEAST_SHARE or 1, most or 1, count)
        else:
            floors = bounds.floors
            steps = np.linspace(floors[0] + sum(floors[1]), most, count)
        return cls(around, floors, np.unique(np.append(steps.astype(np.int64), (most, _BEYOND))), bounds)

    @property
    def known(self) -> list[Path]:
        """Schedules that were found on the way, fewest bytes first."""
        return [] if self.bounds is None else self.bounds.known

    def within(self, stages: Hops) -> Bools:
        """Which of the stages are within the bounds."""
        if self.bounds is None:
            return np.ones(len(stages.first), np.bool_)
        return self.bounds.keep(self.around.with_stages(stages))

    def standing_for_all(self, stages: Hops, pairs: Ints) -> Ints:
        """Places of the cheapest within each level, and of those of the fewest bytes, of each of `pairs` of bounds."""
        hops = self.around.with_stages(stages).raised(self.floors)
        few = [_least_of(pairs * len(self.levels) + np.searchsorted(self.levels, hops.needs), hops.cycles)]
        few += [_least_of(pairs, size_bytes) for size_bytes in (hops.live_bytes, *hops.held_bytes)]
        return np.concatenate(few)

    def finer(self, routes: Routes, known: Sequence[Path], count: int) -> Sieve:
        """The next one, by routes of the stages that stand for all."""
        return Sieve.of(self.around, count, bounds_of(routes, self.floors, self.levels, known))


def _least_of(groups: Ints, values: Ints | Floats) -> Ints:
    """The place of the least value of each group; of equal ones the first there is."""
    order = np.lexsort((values, groups))
    return order[np.flatnonzero(np.diff(groups[order], prepend=-1))]

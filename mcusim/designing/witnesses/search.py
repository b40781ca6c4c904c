"""The search: threshold accepting on islands, the better half of them kept. Deterministic by its seed.

An island is one resolution with one grid of patches; there a step changes a width, a depth, a kernel, an expansion or
the end of the patch stage. MACs, flash and parameters are sums of parts that are known, some microseconds a network;
SRAM means building it and placing its buffers, a millisecond or two. So a step is first judged by an estimate of SRAM:
the lower bound, and what the network at hand takes beyond its own. Only a step that is taken by that is counted, and
judged again; a walk stands on counted networks only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from mcusim.designing.draw import Draw
from mcusim.designing.spaces.mcunetv2 import Choice
from mcusim.designing.witnesses.counting import Figures, Sums, figures_of, least_sram_bytes, sums_of
from mcusim.designing.witnesses.moves import Space, any_choice, neighbour
from mcusim.designing.witnesses.wishes import Wish, excess

__all__ = ["EFFORT", "Answer", "Progress", "find"]

EFFORT = 500
"""Steps of a walk, unless said."""

PASSES = 6
"""Each keeps the better half of the islands, and has twice as many walks on each."""

STARTS = 8
"""Networks drawn for each island; the nearest is where the walk starts."""

FIRST_THRESHOLD = 0.1
"""How much worse a step may be at the start of a walk, falling to 0 at its end. Measured as `_loss`."""

EXCESS_WEIGHT = 4.0
"""What a part of an aim missed weighs against a part of the MACs won, where MACs are to be many."""

Progress = Callable[[int, int, float], None]
"""(steps done, most steps, excess of the nearest): told as the search goes on."""


class Candidate(NamedTuple):
    """A network, counted. excess: how far it is from all that is asked.   beyond_bytes: SRAM beyond the lower bound."""

    choice: Choice
    sums: Sums
    figures: Figures
    excess: float
    beyond_bytes: int


class Answer(NamedTuple):
    """The nearest network; of those that meet everything the first, or the one with most MACs.

    counted: networks whose SRAM was counted.
    """

    choice: Choice
    figures: Figures
    excess: float
    steps: int
    counted: int


@dataclass(slots=True)
class _Island:
    space: Space
    best: Candidate


def find(
    space: Space,
    wishes: Sequence[Wish],
    seed: int,
    *,
    most_macs: bool = False,
    effort: int = EFFORT,
    progress: Progress | None = None,
) -> Answer:
    """A network of `space` that meets all `wishes`, or the nearest.

    most_macs: go on among those that meet them, towards more MACs.   effort: steps of a walk.
    """
    search = _Search(wishes, Draw(seed), most_macs, progress)
    best = search.run(space, effort)
    return Answer(best.choice, best.figures, best.excess, search.steps, search.counted)


class _Search:
    """What a search carries along: its stream of numbers and how far it is."""

    def __init__(self, wishes: Sequence[Wish], draw: Draw, most_macs: bool, progress: Progress | None) -> None:
        self.wishes, self.draw, self.most_macs, self.progress = wishes, draw, most_macs, progress
        self.steps = self.counted = 0

    def run(self, space: Space, effort: int) -> Candidate:
        """The best of all islands; every other walk on one starts from its best network."""
        islands: list[_Island] = []
        for part in space.islands():
            islands.append(_Island(part, self._start(part)))
            if self._is_done(islands[-1].best):
                return islands[-1].best
        plan = [(-(-len(islands) // 2**number), 2**number) for number in range(PASSES)]
        most = effort * sum(kept * walks for kept, walks in plan)
        for kept, walks in plan:
            islands = sorted(islands, key=lambda island: self._rank(island.best))[:kept]
            for island, walk in product(islands, range(walks)):
                start = self._start(island.space) if walk % 2 else island.best
                island.best = min(island.best, self._walk(start, effort), key=self._rank)
                if self.progress is not None:
                    self.progress(self.steps, most, min(i.best.excess for i in islands))
                if self._is_done(island.best):
                    return island.best
        return min((island.best for island in islands), key=self._rank)

    def _is_done(self, candidate: Candidate) -> bool:
        return candidate.excess == 0 and not self.most_macs

    def _rank(self, candidate: Candidate) -> tuple[float, int]:
        """Less is better."""
        return candidate.excess, -candidate.figures.macs if self.most_macs else 0

    def _start(self, space: Space) -> Candidate:
        drawn = (any_choice(space, self.draw) for _ in range(STARTS))
        return min((self._counted(choice, sums_of(choice)) for choice in drawn), key=self._rank)

    def _walk(self, start: Candidate, steps: int) -> Candidate:
        """The best network on a walk."""
        here = best = start
        for step in range(steps):
            self.steps += 1
            there = self._step(here, FIRST_THRESHOLD * (1 - step / steps))
            if there is None:
                continue
            here = there
            if self._rank(here) < self._rank(best):
                best = here
                if self._is_done(best):
                    break
        return best

    def _step(self, here: Candidate, threshold: float) -> Candidate | None:
        """A neighbour of `here` that is not worse by more than `threshold`; None if the one drawn is."""
        choice = neighbour(here.choice, self.draw)
        if choice is here.choice:
            return None
        sums = sums_of(choice)
        figures = _estimate(here, choice, sums)
        if self._loss(here, figures, excess(self.wishes, figures)) > threshold:
            return None
        there = self._counted(choice, sums)
        return there if self._loss(here, there.figures, there.excess) <= threshold else None

    def _loss(self, here: Candidate, figures: Figures, there_excess: float) -> float:
        """How much worse than `here` a network is."""
        lost = EXCESS_WEIGHT * (there_excess - here.excess)
        return lost - (figures.macs / here.figures.macs - 1) if self.most_macs else lost

    def _counted(self, choice: Choice, sums: Sums) -> Candidate:
        """A network with its figures. Only what meets all else is placed by the runtime's own rules too."""
        self.counted += 1
        figures = figures_of(choice, sums, placed=False)
        if excess(self.wishes, figures) == 0:
            figures = figures_of(choice, sums)
        beyond_bytes = figures.sram_bytes - least_sram_bytes(choice)
        return Candidate(choice, sums, figures, excess(self.wishes, figures), beyond_bytes)


def _estimate(here: Candidate, choice: Choice, sums: Sums) -> Figures:
    """Figures of a neighbour of `here` without its graph: code, and SRAM beyond the bound, taken to be as they are."""
    known = here.figures
    sram_bytes = least_sram_bytes(choice) + here.beyond_bytes
    return Figures(
        sums.macs,
        sram_bytes,
        0,
        known.flash_bytes - here.sums.model_bytes + sums.model_bytes,
        sums.params,
        sums.recomputed_macs,
    )

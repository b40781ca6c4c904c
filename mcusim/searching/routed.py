"""Everything that a network can do, as routes from its first node to its last: layers, and cut stages worth having."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.pricing.prices import Coefficients
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule, StageKind, StageSpec
from mcusim.searching.frontier import front_of
from mcusim.searching.routes import Hops, Path, Routes
from mcusim.searching.sieves import LEVELS, STAGES_AT_ONCE, Sieve
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.stage_costs import Options, StageCosts
from mcusim.searching.surroundings import Space, around_of, places_of

__all__ = ["Progress", "Routed"]

Progress = Callable[[str, int, int], None]
"""(what, done, all): told as the search goes on; `all` is 0 where it is not known."""


_ENTRY_BITS = 32
"""Of the number of a stage: its entry. Above them is its place in `options`."""


class Routed:
    """Stages and layers of a network as hops between bounds, for each place that its input may have.

    stages: all that could be worth having, whatever the place. Their `option` says which of `options` each is in, and
    which entry there; of those only the names are kept: of a chain of 300 layers the figures are gigabytes.
    """

    def __init__(
        self,
        graph: Graph,
        runtime: Runtime,
        prices: Coefficients,
        space: Space,
        input_place: InputPlace | None,
        progress: Progress | None,
    ) -> None:
        self.rules, self.space = runtime.rules, space
        self.progress = progress
        self.costs = StageCosts(graph, runtime.rules, prices, space.grid, space.kinds)
        self.places = places_of(self.rules, space, input_place)
        self.around = {one.place: around_of(self.costs, one.place) for one in self.places}
        self.batches = self.costs.batches() if space.stages and space.kinds else []
        self.options: list[Options] = []
        self.stages = self._all_worthwhile()

    # -- stages -------------------------------------------------------------------------------------------------------

    def _all_worthwhile(self) -> Hops:
        """Every stage that could be on a schedule worth having."""
        sieves = [Sieve.of(self.around[one.place], LEVELS[0]) for one in self.places]
        for count in (*LEVELS[1:], LEVELS[-1]):
            stages, are_all = self._priced(sieves)
            if are_all:
                return stages
            finer: list[Sieve] = []
            known = sieves[-1].known
            for one, sieve in zip(self.places, sieves, strict=True):
                finer.append(sieve.finer(self._routes(stages, *one), known, count))
                known = finer[-1].known
            sieves = finer
        return self._priced(sieves, keeps_all=True)[0]

    def _priced(self, sieves: Sequence[Sieve], keeps_all: bool = False) -> tuple[Hops, bool]:
        """Stages that a sieve of any place keeps, and whether they are all: else, those that stand for all.

        keeps_all: however many they are.
        """
        what = "pricing stages" if sieves[0].bounds is None else "pricing stages again"
        self.options = []
        few: list[Hops] = []
        stages: list[Hops] = []
        count = 0
        for done, ends in enumerate(self.batches, start=1):
            for options in self.costs.stages_to(ends):
                self.options.append(options.without_figures())
                stages.append(_kept(sieves, self._worthwhile(options)))
                count += len(stages[-1].first)
            if self.progress is not None:
                self.progress(what, done, len(self.batches))
            if count > STAGES_AT_ONCE and not keeps_all:
                few.append(self._standing_for_all(sieves, self._joined(stages)))
                stages, count = [], 0
        return self._joined([*few, *stages]), not few

    def _joined(self, parts: Sequence[Hops]) -> Hops:
        return Hops.joined(parts, len(self.costs.held_names))

    def _standing_for_all(self, sieves: Sequence[Sieve], stages: Hops) -> Hops:
        pairs = (stages.end * len(self.costs.bounds) + stages.first) * 2 + self._are_copied(stages)
        return stages.where(np.unique(np.concatenate([sieve.standing_for_all(stages, pairs) for sieve in sieves])))

    def _are_copied(self, stages: Hops) -> Bools:
        """Whether each copies its patches of an external input."""
        copied = np.array([options.copied for options in self.options], np.bool_)
        of_stages: Bools = copied[stages.option >> _ENTRY_BITS]
        return of_stages

    # -- routes -------------------------------------------------------------------------------------------------------

    def front(self) -> list[tuple[Path, InputPlace]]:
        """Cheapest first."""
        paths: list[Path] = []
        origin: dict[Path, InputPlace] = {}
        for one in self.places:
            # Where an input may lie in two places, later places only add what the first ones do not have.
            paths = front_of(self._routes(self.stages, *one), paths, self._report_round)
            for path in paths:
                origin.setdefault(path, one.place)
        return [(path, origin[path]) for path in sorted(paths, key=lambda path: path.cycles)]

    def _report_round(self, rounds: int) -> None:
        if self.progress is not None:
            self.progress("finding the front", rounds, 0)

    def _worthwhile(self, options: Options) -> Hops:
        """Of the last options, the stages that run their nodes better in some way than layers do, at any place."""
        worse = np.ones(options.cycles.shape, np.bool_)
        for where, layer_first, stage_first in self.places:
            if options.first > 0 or (stage_first and layer_first):
                # A stage at the start cannot be compared with the layers where only one of both may stand there.
                worse &= self.around[where].are_no_worse(options)
            elif stage_first:  # there is nothing else to start with
                worse[:] = False
        chosen = np.flatnonzero(~worse & options.are_unbeaten())
        return Hops(
            np.full(len(chosen), options.first, np.int64),
            options.ends[chosen // options.cycles.shape[1]],
            chosen + ((len(self.options) - 1) << _ENTRY_BITS),
            options.live_bytes.ravel()[chosen],
            tuple([options.held_bytes[name].ravel()[chosen] for name in self.costs.held_names]),
            options.cycles.ravel()[chosen],
        )

    def _routes(self, stages: Hops, place: InputPlace, layer_first: bool, stage_first: bool) -> Routes:
        """Stages with the whole tensors around them and the steps before them that cannot be cut."""
        around, usable = self.around[place], ~self._are_copied(stages)
        # Under an external input a first stage exists twice, with and without copies. Only the one that the runtime
        # runs counts.
        if place is InputPlace.EXTERNAL:  # the runtime copies patches of the input that the first stage reads, always
            copying = _joined([options.ends for options in self.options if options.copied])
            usable = ~usable | (stages.first > 0) | ~np.isin(stages.end, copying)
        hops = around.with_stages(stages).where(usable)
        return Routes(around.layers, hops, self.space.stages, layer_first, stage_first)

    def schedule(self, path: Path) -> Schedule:
        """The schedule that a path stands for."""
        stages: list[StageSpec] = []
        at = 0
        for edge in path.edges:
            if edge.first > at:
                stages.append(StageSpec(StageKind.LAYER, edge.first - at))
            options = self.options[edge.option >> _ENTRY_BITS]
            row, entry = divmod(edge.option & (1 << _ENTRY_BITS) - 1, options.entries)
            stages.append(options.spec(row, entry))
            at = edge.end
        return Schedule(tuple(stages))


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def _kept(sieves: Sequence[Sieve], stages: Hops) -> Hops:
    """Those that the sieve of any place keeps."""
    if sieves[0].bounds is None:
        return stages
    return stages.where(np.logical_or.reduce([sieve.within(stages) for sieve in sieves]))

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
from mcusim.searching.stage_axes import Ints
from mcusim.searching.stage_costs import Options, StageCosts
from mcusim.searching.surroundings import Space, around_of, places_of

__all__ = ["Progress", "Routed"]

Progress = Callable[[str, int, int], None]
"""(what, done, all): told as the search goes on; `all` is 0 where it is not known."""


class Routed:
    """Stages and layers of a network as hops between bounds, for each place that its input may have.

    stages: all that could be worth having, whatever the place.   batch, entry: where each is in `options`, of which
    only the names are kept: of a chain of 300 layers the figures are gigabytes.
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
        self.options: list[Options] = []
        hops_of: list[Hops] = []
        batches = self.costs.batches() if space.stages and space.kinds else []
        for done, ends in enumerate(batches, start=1):
            for options in self.costs.stages_to(ends):
                self.options.append(options.without_figures())
                hops_of.append(self._worthwhile(options))
            if progress is not None:
                progress("pricing stages", done, len(batches))
        self.batch = np.repeat(np.arange(len(hops_of)), [len(hops.first) for hops in hops_of])
        self.entry = _joined([hops.option for hops in hops_of])
        joined = Hops.joined(hops_of, len(self.costs.held_names))
        self.stages = joined._replace(option=np.arange(len(self.batch), dtype=np.int64))

    def front(self) -> list[tuple[Path, InputPlace]]:
        """Cheapest first."""
        paths: list[Path] = []
        origin: dict[Path, InputPlace] = {}
        for one in self.places:
            # Where an input may lie in two places, later places only add what the first ones do not have.
            paths = front_of(self._routes(*one), paths, self._report_round)
            for path in paths:
                origin.setdefault(path, one.place)
        return [(path, origin[path]) for path in sorted(paths, key=lambda path: path.cycles)]

    def _report_round(self, rounds: int) -> None:
        if self.progress is not None:
            self.progress("finding the front", rounds, 0)

    def _worthwhile(self, options: Options) -> Hops:
        """Of one start, the stages that run their nodes better in some way than layers do, wherever the input lies."""
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
            chosen,
            options.live_bytes.ravel()[chosen],
            tuple([options.held_bytes[name].ravel()[chosen] for name in self.costs.held_names]),
            options.cycles.ravel()[chosen],
        )

    def _routes(self, place: InputPlace, layer_first: bool, stage_first: bool) -> Routes:
        """Stages with the whole tensors around them and the steps before them that cannot be cut."""
        around, stages = self.around[place], self.stages
        usable = ~np.array([options.copied for options in self.options], np.bool_)[self.batch]
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
            options = self.options[self.batch[edge.option]]
            row, entry = divmod(int(self.entry[edge.option]), options.entries)
            stages.append(options.spec(row, entry))
            at = edge.end
        return Schedule(tuple(stages))


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])

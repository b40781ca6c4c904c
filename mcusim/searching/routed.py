"""Everything that a network can do, as routes from its first node to its last: layers, and cut stages worth having."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.pricing.prices import Coefficients
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule, StageKind, StageSpec
from mcusim.searching.frontier import Hops, Path, Routes, front_of
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.stage_costs import Layers, Options, StageCosts

__all__ = ["Progress", "Routed", "Space"]

Progress = Callable[[str, int, int], None]
"""(what, done, all): told as the search goes on; `all` is 0 where it is not known."""


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: up to `stages` cut stages, with grids of at most `grid` x `grid` patches and all bands.
    Of maps of more than 4,096 rows some bands only: `band_heights`.

    kinds: of cut stages that are allowed.
    """

    stages: int = 3
    grid: int = 16
    kinds: frozenset[StageKind] = frozenset({StageKind.PATCH, StageKind.STREAM})


class Routed:
    """Stages and layers of a network as hops between bounds, for each place that its input may have.

    stages: all that could be worth having, whatever the place.   batch, entry: where each is in `options`.
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
        self.rules, self.space, self.input_place = runtime.rules, space, input_place
        self.progress = progress
        self.costs = StageCosts(graph, runtime.rules, prices, space.grid, space.kinds)
        self.around = {place: self._around(place) for place, *_ in self._places()}
        self.options: list[Options] = []
        hops_of: list[Hops] = []
        batches = self.costs.batches() if space.stages and space.kinds else []
        for done, ends in enumerate(batches, start=1):
            for options in self.costs.stages_to(ends):
                self.options.append(options)
                hops_of.append(self._worthwhile(options))
            if progress is not None:
                progress("pricing stages", done, len(batches))
        self.batch = np.repeat(np.arange(len(hops_of)), [len(hops.first) for hops in hops_of])
        self.entry = _joined([hops.option for hops in hops_of])
        joined = Hops.joined(hops_of, len(self.costs.held_names))
        self.stages = joined._replace(option=np.arange(len(self.batch), dtype=np.int64))

    def front(self) -> list[tuple[Path, InputPlace]]:
        """Cheapest first."""
        places = self._places()
        routes = [self._routes(*one) for one in places]
        paths: list[Path] = []
        origin: dict[Path, InputPlace] = {}
        for one, (where, *_) in zip(routes, places, strict=True):
            paths = front_of(one, paths, self._report_round)
            for path in paths:
                origin.setdefault(path, where)
        return [(path, origin[path]) for path in sorted(paths, key=lambda path: path.cycles)]

    def _report_round(self, rounds: int) -> None:
        if self.progress is not None:
            self.progress("finding the front", rounds, 0)

    def _places(self) -> list[tuple[InputPlace, bool, bool]]:
        """(place of the input, may start with a layer, may start with a cut stage)."""
        whole, cut = self.rules.input_place, self.rules.patch_input_place
        if self.input_place is not None:
            return [(self.input_place, True, True)]
        if cut is None or cut is whole or not (self.space.stages and self.space.kinds):
            return [(whole, True, True)]
        return [(cut, False, True), (whole, True, False)]  # the richer one first: it bounds the other

    def _around(self, place: InputPlace) -> _Around:
        costs, names = self.costs, self.costs.held_names
        layers, bounds = costs.layers(place), [*costs.bounds, len(costs.network.steps)]
        spans = list(pairwise(bounds))
        if spans[-1][0] == spans[-1][1]:
            spans.pop()
        starts = range(len(costs.starts))
        return _Around(
            _runs(layers, names, spans),
            _runs(layers, names, [(bounds[k], costs.starts[k]) for k in starts]),
            costs.outside_bytes(place),
        )

    def _worthwhile(self, options: Options) -> Hops:
        """Of one start, the stages that run their nodes better in some way than layers do, wherever the input lies."""
        worse = np.ones(options.cycles.shape, np.bool_)
        for where, layer_first, stage_first in self._places():
            if options.first > 0 or (stage_first and layer_first):
                worse &= self.around[where].are_no_worse(options)
            elif stage_first:  # there is nothing else to start with
                worse[:] = False
        chosen = np.flatnonzero(~worse)
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
            row, entry = divmod(int(self.entry[edge.option]), options.cycles.shape[1])
            stages.append(options.spec(row, entry))
            at = edge.end
        return Schedule(tuple(stages))


@dataclass(frozen=True, slots=True)
class _Around:
    """What lies around cut stages. before: behind each bound, the steps that run whole before a stage from there.

    outside_bytes: behind each bound, whole tensors that are alive across a stage from there.
    """

    layers: Hops
    before: Hops
    outside_bytes: Ints

    def with_stages(self, stages: Hops) -> Hops:
        """Stages as hops: with all of it."""
        at, before = stages.first, self.before
        held = zip(stages.held_bytes, before.held_bytes, strict=True)
        return stages._replace(
            live_bytes=np.maximum(stages.live_bytes + self.outside_bytes[at], before.live_bytes[at]),
            held_bytes=tuple([np.maximum(of_stage, of_before[at]) for of_stage, of_before in held]),
            cycles=stages.cycles + before.cycles[at],
        )

    def are_no_worse(self, options: Options) -> Bools:
        """Where the layers take no more bytes and cycles than stages from one start."""
        first, some = options.first, options.ends - options.first - 1
        layers, outside = self.layers, int(self.outside_bytes[first])
        cycles = np.cumsum(layers.cycles[first:])[some] - self.before.cycles[first]
        worse: Bools = options.cycles >= cycles[:, None] * (1 - 1e-12)
        worse &= options.live_bytes >= np.maximum.accumulate(layers.live_bytes[first:])[some][:, None] - outside
        for of_layers, of_stages in zip(layers.held_bytes, options.held_bytes.values(), strict=True):
            worse &= of_stages >= np.maximum.accumulate(of_layers[first:])[some][:, None]
        return worse


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def _runs(layers: Layers, names: Sequence[str], spans: Sequence[tuple[int, int]]) -> Hops:
    """Steps [start, end) that run whole, for each span; the n-th goes from bound n to the next."""
    index = np.arange(len(spans), dtype=np.int64)
    held = [[max([h.get(n, 0) for h in layers.held_bytes[a:b]], default=0) for a, b in spans] for n in names]
    return Hops(
        index,
        index + 1,
        index,
        np.array([max(layers.live_bytes[a:b], default=0) for a, b in spans], np.int64),
        tuple([np.array(sizes, np.int64) for sizes in held]),
        np.array([sum(layers.cycles[a:b]) for a, b in spans], np.float64),
    )

"""The schedules worth having: the Pareto front of SRAM against cycles, exact over a stated space, then placed.

The space: up to three cut stages anywhere in the network, each a grid of patches or bands of rows, layers elsewhere.
Memory is the live peak (bytes alive together, held working memory and what the runtime keeps), cycles are priced as
`simulate` prices them. Every schedule of the front is then lowered and placed: what its planner takes beyond the live
peak is its gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from os import PathLike
from typing import Any

import numpy as np

from mcusim.boards import load_board
from mcusim.breakdown import breakdown, stage_infos
from mcusim.errors import ScheduleError
from mcusim.frontends.checks import refuse_float
from mcusim.graph import Graph
from mcusim.hardware import Board
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.models import load
from mcusim.placement import place
from mcusim.planners import live_bytes
from mcusim.price import MACS_ONLY, Coefficients, coefficients
from mcusim.runtimes import Runtime, find_runtime
from mcusim.schedule import LAYER, Schedule, StageKind, StageSpec
from mcusim.searching.frontier import Hops, Path, Routes, front_of
from mcusim.searching.stage_axes import Ints
from mcusim.searching.stage_costs import Layers, Options, StageCosts
from mcusim.units import cycles_to_ms

__all__ = ["Front", "Point", "Progress", "Space", "search"]

Progress = Callable[[int, int], None]
"""(done, all): told as the search goes on."""


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: up to `stages` cut stages, with grids of at most `grid` x `grid` patches and all bands.

    kinds: of cut stages that are allowed.
    """

    stages: int = 3
    grid: int = 16
    kinds: frozenset[StageKind] = frozenset({StageKind.PATCH, StageKind.STREAM})


@dataclass(frozen=True, slots=True)
class Point:
    """One schedule of the front.

    peak_bytes: SRAM as the runtime's planner places it.   live_bytes: what no plan can beat.   fits: the SRAM budget.
    cycles, ms: None where nobody has measured the runtime on this core.
    """

    schedule: Schedule
    input_place: InputPlace
    peak_bytes: int
    live_bytes: int
    cycles: float | None
    ms: float | None
    macs: int
    recomputed_macs: int
    halo_bytes: int
    fits: bool

    @property
    def gap_bytes(self) -> int:
        """What the planner takes beyond the live peak."""
        return self.peak_bytes - self.live_bytes


@dataclass(frozen=True, slots=True)
class Front:
    """The schedules worth having, cheapest first.

    layer: the network layer by layer, on the front or not.   best: the cheapest that fits; None if none does.
    """

    graph: Graph
    board: Board
    runtime: Runtime
    space: Space
    budget_bytes: int
    layer: Point
    points: tuple[Point, ...]

    @property
    def best(self) -> Point | None:
        return next((point for point in self.points if point.fits), None)

    @property
    def nearest(self) -> Point:
        """The schedule with the least SRAM."""
        return min(self.points, key=lambda point: point.peak_bytes)

    @property
    def missing_bytes(self) -> int:
        """What the board lacks for the nearest schedule; 0 where something fits."""
        return 0 if self.best is not None else self.nearest.peak_bytes - self.budget_bytes


def search(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str = "tinyengine",
    max_stages: int = 3,
    max_grid: int = 16,
    kinds: Iterable[StageKind | str] = (StageKind.PATCH, StageKind.STREAM),
    input_place: InputPlace | None = None,
    sram_budget_bytes: int | None = None,
    progress: Progress | None = None,
) -> Front:
    """The Pareto front of SRAM against cycles for `model` on the board `profile`.

    max_stages, max_grid, kinds: the space; more takes longer.   input_place: the runtime's own choice if None.
    Raises McusimError where the model, board or runtime is wrong.
    """
    graph = model if isinstance(model, Graph) else load(model)
    board = profile if isinstance(profile, Board) else load_board(profile)
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    refuse_float(graph)
    space = _space(max_stages, max_grid, kinds)
    known = coefficients(chosen, board)
    budget = board.sram_budget_bytes if sram_budget_bytes is None else sram_budget_bytes
    placer = _Placer(graph, board, chosen, known, budget)
    found = front_schedules(graph, chosen, known or MACS_ONLY, space, input_place, progress)
    points = [placer.point(schedule, where) for schedule, where in found]
    layer = placer.point(LAYER, input_place or chosen.rules.input_place)
    return Front(graph, board, chosen, space, budget, layer, tuple(points))


def _space(stages: int, grid: int, kinds: Iterable[StageKind | str]) -> Space:
    """The space that was asked for. Raises ScheduleError where there is none."""
    for number, name, least in ((stages, "stages", 0), (grid, "grid", 1)):
        if number < least:
            raise ScheduleError(f"max_{name} is {number}", where="search", fix=f"use {least} or more")
    try:
        return Space(stages, grid, frozenset(map(StageKind, kinds)))
    except ValueError:
        raise ScheduleError("a kind of stage is unknown", where="search", fix="use patch and stream") from None


def front_schedules(
    graph: Graph,
    runtime: Runtime,
    prices: Coefficients,
    space: Space,
    input_place: InputPlace | None = None,
    progress: Progress | None = None,
) -> list[tuple[Schedule, InputPlace]]:
    """The schedules on the front of live bytes and cycles, cheapest first, with the place of the network's input."""
    found = _Routed(graph, runtime, prices, space, input_place, progress)
    return [(found.schedule(path), place) for path, place in found.front()]


@dataclass(frozen=True, slots=True)
class _Placer:
    graph: Graph
    board: Board
    runtime: Runtime
    prices: Coefficients | None
    budget_bytes: int

    def point(self, schedule: Schedule, where: InputPlace) -> Point:
        """A schedule as the runtime lowers and places it."""
        program = lower(self.graph, schedule, self.runtime.rules, where)
        placement = place(program, self.runtime.planner)
        alive = live_bytes(program.buffers, program.length)
        beside = placement.held_bytes + self.runtime.persistent(self.graph).size_bytes
        layers = breakdown(program, alive, placement.held_bytes, self.runtime, self.prices).layers
        priced = self.prices is not None and all(layer.cycles is not None for layer in layers)
        cycles = sum([layer.cycles or 0 for layer in layers]) if priced else None
        stages = stage_infos(program)
        again = sum([stage.recomputed_macs for stage in stages])
        peak = placement.arena_bytes + beside
        return Point(
            schedule,
            where,
            peak,
            max(alive, default=0) + beside,
            cycles,
            None if cycles is None else cycles_to_ms(cycles, self.board.clock_hz),
            sum([layer.macs for layer in layers]) + again,
            again,
            sum([stage.halo_bytes for stage in stages]),
            peak <= self.budget_bytes,
        )


class _Routed:
    """Stages and layers of a network as hops between bounds, for each place that its input may have."""

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
        self.costs = StageCosts(graph, runtime.rules, prices, space.grid)
        self.options: list[Options] = []
        nodes = len(self.costs.bounds) - 1
        for end in range(1, nodes + 1 if space.stages else 1):
            self.options += self.costs.stages_to(end)
            if progress is not None:
                progress(end, nodes)
        sizes = [option.cycles.size for option in self.options]
        self.starts = [0, *accumulate(sizes)]
        self.stage = np.repeat(np.arange(len(sizes)), sizes)

    def front(self) -> list[tuple[Path, InputPlace]]:
        """Cheapest first."""
        places = self._places()
        routes = [self._routes(*one) for one in places]
        paths: list[Path] = []
        origin: dict[Path, InputPlace] = {}
        for one, (where, *_) in zip(routes, places, strict=True):
            paths = front_of(one, paths)
            for path in paths:
                origin.setdefault(path, where)
        return [(path, origin[path]) for path in sorted(paths, key=lambda path: path.cycles)]

    def _places(self) -> list[tuple[InputPlace, bool, bool]]:
        """(place of the input, may start with a layer, may start with a cut stage)."""
        whole, cut = self.rules.input_place, self.rules.patch_input_place
        if self.input_place is not None:
            return [(self.input_place, True, True)]
        if cut is None or cut is whole or not (self.space.stages and self.space.kinds):
            return [(whole, True, True)]
        return [(cut, False, True), (whole, True, False)]  # the richer one first: it bounds the other

    def _routes(self, place: InputPlace, layer_first: bool, stage_first: bool) -> Routes:
        costs, layers = self.costs, self.costs.layers(place)
        bounds = [*costs.bounds, len(costs.network.steps)]
        spans = list(pairwise(bounds))
        if spans[-1][0] == spans[-1][1]:
            spans.pop()
        whole = [_run(layers, costs.held_names, *span) for span in spans]
        index = np.arange(len(whole), dtype=np.int64)
        held = tuple([np.array([w[1][n] for w in whole], np.int64) for n in range(len(costs.held_names))])
        hops = Hops(
            index, index + 1, index, np.array([w[0] for w in whole], np.int64), held, np.array([w[2] for w in whole])
        )
        return Routes(hops, self._stages(place, layers), self.space.stages, layer_first, stage_first)

    def _stages(self, place: InputPlace, layers: Layers) -> Hops:
        """Every stage, with the whole tensors around it and the steps before it that cannot be cut."""
        costs, options, names = self.costs, self.options, self.costs.held_names
        external = place is InputPlace.EXTERNAL
        copied = {option.end for option in options if option.first < 0}
        usable = [
            external if option.first < 0 else option.first > 0 or not (external and option.end in copied)
            for option in options
        ]
        first = np.array([max(option.first, 0) for option in options], np.int64)
        grids = np.array([option.grids for option in options], np.int64)
        outside = np.array([costs.outside_bytes(k, place) for k in range(len(costs.starts))], np.int64)
        before = [_run(layers, names, costs.bounds[k], costs.starts[k]) for k in range(len(costs.starts))]
        at = first[self.stage] if options else self.stage
        live = _joined([option.live_bytes for option in options]) + outside[at]
        held = [_joined([option.held_bytes[name] for option in options]) for name in names]
        is_grid = np.arange(len(self.stage)) - np.array(self.starts[:-1])[self.stage] < grids[self.stage]
        wanted = np.where(is_grid, StageKind.PATCH in self.space.kinds, StageKind.STREAM in self.space.kinds)
        hops = Hops(
            at,
            np.array([option.end for option in options], np.int64)[self.stage],
            np.arange(len(self.stage), dtype=np.int64),
            np.maximum(live, np.array([b[0] for b in before])[at]),
            tuple([np.maximum(h, np.array([b[1][n] for b in before])[at]) for n, h in enumerate(held)]),
            np.concatenate([[], *[option.cycles for option in options]]) + np.array([b[2] for b in before])[at],
        )
        return hops.where(np.array(usable, np.bool_)[self.stage] & wanted)

    def schedule(self, path: Path) -> Schedule:
        """The schedule that a path stands for."""
        stages: list[StageSpec] = []
        at = 0
        for edge in path.edges:
            if edge.first > at:
                stages.append(StageSpec(StageKind.LAYER, edge.first - at))
            stage = int(self.stage[edge.option])
            option = self.options[stage]._replace(first=edge.first)
            stages.append(option.spec(edge.option - self.starts[stage]))
            at = edge.end
        return Schedule(tuple(stages))


def _joined(arrays: Sequence[Ints]) -> Ints:
    return np.concatenate([np.zeros(0, np.int64), *arrays])


def _run(layers: Layers, names: Sequence[str], start: int, end: int) -> tuple[int, list[int], float]:
    """Live bytes, held bytes by name and cycles of steps that run whole."""
    held = [max([layers.held_bytes[t].get(name, 0) for t in range(start, end)], default=0) for name in names]
    return max(layers.live_bytes[start:end], default=0), held, sum(layers.cycles[start:end])

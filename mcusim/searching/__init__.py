"""The schedules worth having: the Pareto front of SRAM against cycles, exact over a stated space, then placed.

The space: up to three cut stages anywhere in the network, each a grid of patches or bands of rows, layers elsewhere.
Memory is the live peak (bytes alive together, held working memory and what the runtime keeps), cycles are priced as
`simulate` prices them. Every schedule of the front is then lowered and placed: what its planner takes beyond the live
peak is its gap. A schedule off the front is not placed, though its gap may be smaller (A53).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from mcusim.boards.board import Board
from mcusim.errors import ScheduleError
from mcusim.frontends.checks import float_reason, refuse_float
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import flash_info, memory_of
from mcusim.memory.counting import count_as
from mcusim.memory.placement import Placement, setup_bytes
from mcusim.ops.totals import count_parameters
from mcusim.pricing.breakdown import breakdown
from mcusim.pricing.prices import MACS_ONLY, Coefficients, coefficients
from mcusim.pricing.stages import stage_infos
from mcusim.question.question import BoardName, Model, Question
from mcusim.report import FlashInfo
from mcusim.runtimes import Runtime
from mcusim.runtimes.refusals import refusals
from mcusim.schedule import LAYER, Schedule, StageKind
from mcusim.searching.routed import Progress, Routed
from mcusim.searching.surroundings import Space
from mcusim.searching.uncut import layers_are_cheapest
from mcusim.searching.within import within_of
from mcusim.units import cycles_to_ms, format_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CUT_KINDS",
    "Front",
    "Point",
    "Progress",
    "Space",
    "best_of",
    "best_schedule",
    "fewest_bytes",
    "front_of",
    "prices_of",
    "search",
]

CUT_KINDS = (StageKind.PATCH, StageKind.STREAM)
"""The kinds of stage that run in pieces."""

_STAGES, _GRID = 3, 16
"""The space that is searched unless another is asked for."""

_UNCOMPILED = 4
"""Searches for one schedule before code is compiled for them: loading that takes as long as two whole fronts, and
compiling it as long as twenty. The schedule is the same.
"""
_searches = count()


@dataclass(frozen=True, slots=True)
class Point:
    """One schedule of the front.

    peak_bytes: SRAM as the runtime's planner places it.   live_bytes: what no plan can beat.   fits: the SRAM budget.
    cycles, ms: None where nobody has measured the runtime on this core.
    outside_bytes: of an input that lies in memory of the caller, and not in SRAM.
    refusals: why the runtime cannot run it under this schedule, a sentence each.
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
    outside_bytes: int = 0
    refusals: tuple[str, ...] = ()

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
    flash_budget_bytes: int
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
    def flash(self) -> FlashInfo:
        """What is stored, whatever the schedule."""
        return self._flash[0]

    @property
    def flash_warnings(self) -> tuple[str, ...]:
        """What is not known of it, in sentences."""
        return self._flash[1]

    @property
    def _flash(self) -> tuple[FlashInfo, tuple[str, ...]]:
        return flash_info(self.graph, self.runtime, count_parameters(self.graph)[0], self.flash_budget_bytes)

    @property
    def fits(self) -> bool | None:
        """Whether SRAM and flash hold it with some schedule that runs; None where that is not known."""
        if self.best is None or self.flash.fits is False:
            return False
        is_known = self.flash.fits is not None and not self.runtime.bounds_memory
        return True if is_known and not self.best.refusals else None

    @property
    def missing_bytes(self) -> int:
        """What the board lacks for the nearest schedule; 0 where something fits."""
        return 0 if self.best is not None else self.nearest.peak_bytes - self.budget_bytes

    def to_frame(self) -> pd.DataFrame:
        """One row a schedule of the front, cheapest first; sizes in bytes, `schedule` and `input_place` as texts."""
        import pandas as pd

        rows = [
            {
                "schedule": str(point.schedule),
                "input_place": str(point.input_place),
                "peak_bytes": point.peak_bytes,
                "live_bytes": point.live_bytes,
                "outside_bytes": point.outside_bytes,
                "cycles": point.cycles,
                "ms": point.ms,
                "macs": point.macs,
                "recomputed_macs": point.recomputed_macs,
                "halo_bytes": point.halo_bytes,
                "fits": point.fits,
            }
            for point in self.points
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        asked = f"{self.graph.name[:60]!r} on {self.board.name!r} with {self.runtime.name!r}"
        best = "none fits" if self.best is None else f"best {str(self.best.schedule)!r}"
        least = f"{format_bytes(self.nearest.peak_bytes)} of {format_bytes(self.budget_bytes)} SRAM at least"
        counted = f"{len(self.points)} schedule{'s' * (len(self.points) != 1)}"
        return f"<Front {asked}: {counted}, {best}, {least}>"


def search(
    model: Model,
    *,
    profile: BoardName,
    runtime: Runtime | str | None = None,
    max_stages: int = _STAGES,
    max_grid: int = _GRID,
    kinds: Iterable[StageKind | str] | None = None,
    input_place: InputPlace | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    what_if: bool = False,
    progress: Progress | None = None,
) -> Front:
    """The Pareto front of SRAM against cycles for `model` on the board `profile`.

    max_stages, max_grid, kinds: the space; more takes longer. Without `kinds` it has the stages that the runtime can
    run, as `mcusim patch` has it; others may be named, and their points then tell why it cannot. In networks of more
    than 223 steps a stage has at most 50,000 / steps of them (8 at least).
    input_place: the runtime's own choice if None.
    Raises McusimError where the model, board or runtime is wrong.
    """
    question = Question(
        model=model,
        profile=profile,
        runtime=runtime,
        input_place=input_place,
        sram_budget_bytes=sram_budget_bytes,
        flash_budget_bytes=flash_budget_bytes,
        what_if=what_if,
    )
    return front_of(question, max_stages=max_stages, max_grid=max_grid, kinds=kinds, progress=progress)


def front_of(
    question: Question,
    *,
    max_stages: int = _STAGES,
    max_grid: int = _GRID,
    kinds: Iterable[StageKind | str] | None = None,
    progress: Progress | None = None,
) -> Front:
    """The Pareto front for a question, whose schedule is what is sought: see `search`.

    A convention, a calibration and a linked image say nothing about it.
    """
    settled = question.settled()
    graph, board, runtime, budgets = settled.graph, settled.board, settled.runtime, settled.budgets
    space = _space(max_stages, max_grid, _cuts(graph, runtime.cut_stages) if kinds is None else kinds)
    if space.kinds:
        refuse_float(graph)
    input_place = None if settled.wished_place is None else settled.input_place()
    known = prices_of(graph, runtime, board)
    placer = _Placer(graph, board, runtime, known, budgets.sram_bytes)
    schedules = front_schedules(graph, runtime, known or MACS_ONLY, space, input_place, progress)
    points = []
    for done, (schedule, where) in enumerate(schedules, start=1):
        points.append(placer.point(schedule, where))
        if progress is not None:
            progress("placing", done, len(schedules))
    # The comparison is with the network layer by layer where nothing is cut: its input lies where the runtime has it
    # then.
    layer = placer.point(LAYER, input_place or runtime.rules.input_place)
    return Front(
        graph, board, runtime, space, budgets.sram_bytes, budgets.flash_bytes, layer, tuple(points) or (layer,)
    )


def best_of(question: Question, *, kinds: Iterable[StageKind | str] = CUT_KINDS) -> tuple[Point | None, Point]:
    """`Front.best` and `Front.nearest` for a question, without placing points that they do not depend on.

    Where there is a best one, it stands for the nearest too.
    """
    placer, schedule, where, fits = _sought(question, kinds)
    point = placer.point(schedule, where)
    return (point if fits else None), point


def best_schedule(question: Question, *, kinds: Iterable[StageKind | str] = CUT_KINDS) -> tuple[Schedule, bool]:
    """The schedule of `best_of`, and whether it fits."""
    _, schedule, _, fits = _sought(question, kinds)
    return schedule, fits


def fewest_bytes(question: Question, *, kinds: Iterable[StageKind | str] = CUT_KINDS) -> int:
    """SRAM that a network takes under the schedule of its front that takes least."""
    placer, space, input_place = _placing(question, kinds)
    runtime = placer.runtime
    front = _front(placer.graph, runtime, placer.prices or MACS_ONLY, space, input_place) if space.kinds else []
    return placer.peak_bytes(*(placer.nearest(front) if front else (LAYER, input_place or runtime.rules.input_place)))


def _sought(question: Question, kinds: Iterable[StageKind | str]) -> tuple[_Placer, Schedule, InputPlace, bool]:
    """The cheapest schedule that fits, or else the nearest to fitting; where its input is, and whether it fits."""
    placer, space, input_place = _placing(question, kinds)
    graph, runtime, known = placer.graph, placer.runtime, placer.prices
    layer_place = input_place or runtime.rules.input_place
    fits = placer.fits(placer.peak_bytes(LAYER, layer_place))
    if not space.kinds:
        return placer, LAYER, layer_place, fits
    # Layers that fit and that nothing beats need no search at all: the usual answer on a large board.
    if known is not None and placer.is_cheapest(layer_place, known, moves_input=input_place is None):
        if fits:
            return placer, LAYER, layer_place, True
        # The first few questions go to the front in numpy: loading compiled code pays off from the fifth on.
        is_worth_it = next(_searches) >= _UNCOMPILED and not runtime.counted_by
        within = within_of(graph, runtime.rules, known, space, input_place) if is_worth_it else None
        if within is not None:
            room_bytes = placer.room_bytes
            # The limit is of live bytes. Placed, a way may take more (gaps): then the next one must have fewer live
            # bytes.
            while (way := within.cheapest(room_bytes)) is not None:
                if placer.fits(placer.peak_bytes(way.schedule, way.input_place)):
                    return placer, way.schedule, way.input_place, True
                room_bytes = way.total_bytes - 1
    front = _front(graph, runtime, known or MACS_ONLY, space, input_place)
    for schedule, where, total_bytes in front:
        # `least_bytes` before `peak_bytes`: placing is the dear part, and most schedules of a front are clearly too
        # large.
        if placer.fits(placer.least_bytes(total_bytes)) and placer.fits(placer.peak_bytes(schedule, where)):
            return placer, schedule, where, True
    return placer, *(placer.nearest(front) if front else (LAYER, layer_place)), False


def _placing(question: Question, kinds: Iterable[StageKind | str]) -> tuple[_Placer, Space, InputPlace | None]:
    """What places the schedules of a question, their space, and where the input lies: None for either place."""
    settled = question.settled()
    graph, board, runtime = settled.graph, settled.board, settled.runtime
    space = _space(_STAGES, _GRID, _cuts(graph, kinds))
    input_place = None if settled.wished_place is None else settled.input_place()
    known = prices_of(graph, runtime, board)
    return _Placer(graph, board, runtime, known, settled.budgets.sram_bytes), space, input_place


def _cuts(graph: Graph, kinds: Iterable[StageKind | str]) -> Iterable[StageKind | str]:
    """None for a network that computes in floating point: nobody has told what its pieces cost."""
    return () if float_reason(graph) else kinds


def prices_of(graph: Graph, runtime: Runtime, board: Board) -> Coefficients | None:
    """None where nobody has measured: only integer kernels were."""
    return None if float_reason(graph) else coefficients(runtime, board)


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
    return [(schedule, where) for schedule, where, _ in _front(graph, runtime, prices, space, input_place, progress)]


def _front(
    graph: Graph,
    runtime: Runtime,
    prices: Coefficients,
    space: Space,
    input_place: InputPlace | None = None,
    progress: Progress | None = None,
) -> list[tuple[Schedule, InputPlace, int]]:
    """The same, each with the bytes that the search counts: alive at once, and held."""
    place = input_place or runtime.rules.input_place
    if not lower(graph, LAYER, runtime.rules, place).length:  # nothing runs: there is one way to do it
        return [(LAYER, place, 0)]
    routed = Routed(graph, runtime, prices, space, input_place, progress)
    return [(routed.schedule(path), place, path.total_bytes) for path, place in routed.front()]


_MISCOUNTED = 32
"""The search counts a network's bytes exactly, but for kernels whose working memory is bent in the size of a piece:
those by less than one part in so many."""


@dataclass(frozen=True, slots=True)
class _Placer:
    graph: Graph
    board: Board
    runtime: Runtime
    prices: Coefficients | None
    budget_bytes: int

    def _beside_bytes(self, placement: Placement) -> int:
        """What is taken beside the arena."""
        persistent_bytes = self.runtime.persistent(self.graph).size_bytes
        beside = placement.held_bytes + persistent_bytes
        return beside + setup_bytes(self.graph, self.runtime, placement, persistent_bytes)

    def peak_bytes(self, schedule: Schedule, where: InputPlace) -> int:
        """SRAM of a schedule as placed. It prices nothing, so it is asked before a `point` is made."""
        if self.runtime.counted_by:
            return count_as(self.runtime, self.graph, schedule).total_bytes
        placement = memory_of(self.graph, schedule, self.runtime, where).placement
        return placement.arena_bytes + self._beside_bytes(placement)

    def least_bytes(self, total_bytes: int) -> int:
        """What a schedule takes at least, placed, if the search counts `total_bytes`: 0 where that says nothing."""
        if self.runtime.counted_by:
            return 0
        return total_bytes - total_bytes // _MISCOUNTED + self.runtime.persistent(self.graph).size_bytes

    @property
    def room_bytes(self) -> int:
        """What the budget leaves for live and held bytes, beside the stack and what the runtime keeps."""
        taken_bytes = (self.runtime.stack_bytes or 0) + self.runtime.persistent(self.graph).size_bytes
        return self.budget_bytes - taken_bytes

    def nearest(self, front: Sequence[tuple[Schedule, InputPlace, int]]) -> tuple[Schedule, InputPlace]:
        """Of schedules that all do not fit, the first that takes the fewest bytes."""
        order = sorted(range(len(front)), key=lambda place: front[place][2])
        # In order of what the search counts: once placed peaks are lower than what the next can take at least, it ends.
        peaks: dict[int, int] = {}
        for place in order:
            schedule, where, total_bytes = front[place]
            if not peaks or self.least_bytes(total_bytes) <= min(peaks.values()):
                peaks[place] = self.peak_bytes(schedule, where)
        schedule, where, _ = front[min(peaks, key=lambda place: (peaks[place], place))]
        return schedule, where

    def fits(self, peak_bytes: int) -> bool:
        """Whether the budget holds a peak, and the stack beside it."""
        return peak_bytes + (self.runtime.stack_bytes or 0) <= self.budget_bytes

    def point(self, schedule: Schedule, where: InputPlace) -> Point:
        """A schedule as the runtime lowers and places it."""
        _, program, placement, alive, _ = memory_of(self.graph, schedule, self.runtime, where)
        beside = self._beside_bytes(placement)
        layers, missing, *_ = breakdown(program, alive, placement.held_bytes, self.runtime, self.prices)
        priced = self.prices is not None and all(layer.cycles is not None for layer in layers)
        cycles = sum([layer.cycles or 0 for layer in layers]) if priced else None
        stages = stage_infos(program)
        again = sum([stage.recomputed_macs for stage in stages])
        peak = placement.arena_bytes + beside
        least = min(max(alive, default=0) + beside, peak)  # a plan in a file may work in place
        if self.runtime.counted_by:
            peak = least = count_as(self.runtime, self.graph, schedule).total_bytes
        return Point(
            schedule,
            where,
            peak,
            least,
            cycles,
            None if cycles is None else cycles_to_ms(cycles, self.board.clock_hz),
            sum([layer.macs for layer in layers]) + again,
            again,
            sum([stage.halo_bytes for stage in stages]),
            self.fits(peak),
            program.outside_bytes,
            tuple(refusals(program, self.board, self.runtime, missing)),
        )

    def is_cheapest(self, place: InputPlace, prices: Coefficients, *, moves_input: bool) -> bool:
        """Whether the network layer by layer is known to be the cheapest.   moves_input: where stages cut it."""
        rules = self.runtime.rules
        program = memory_of(self.graph, LAYER, self.runtime, place).program
        moves = moves_input and rules.patch_input_place not in (None, rules.input_place)
        return layers_are_cheapest(program, rules, prices, moves_input=moves)

"""A run as a trace that Chrome and Perfetto show: a slice for each step of each piece, and the memory alive meanwhile.

The document is of the Trace Event Format (JSON object form): complete events (`ph` X) for steps, one track a stage;
counter events (C) for the bytes alive in the arena; metadata events (M) for names. Times are microseconds from the
start, rounded to nanoseconds so that one slice begins where the one before it ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from math import inf, nextafter
from os import PathLike
from typing import Any, NamedTuple

from mcusim.boards.board import Board
from mcusim.errors import ModelError, ScheduleError
from mcusim.frontends.checks import refuse_float
from mcusim.graph import ABSENT
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import PlacedNetwork, memory_of
from mcusim.pricing.breakdown import step_cost
from mcusim.pricing.cycles import Cycles
from mcusim.pricing.prices import Coefficients
from mcusim.pricing.stored import Calibration
from mcusim.program import Stage, Step
from mcusim.question.question import BoardName, Model, Question
from mcusim.region import Region, hull
from mcusim.runtimes import Runtime
from mcusim.schedule import Schedule, StageKind
from mcusim.simulation.simulate import prices_for

__all__ = ["SLICES", "trace", "trace_of"]

SLICES = 50_000
"""So many slices at most: a stage that would need more is one slice a step, all its pieces together."""

PROCESS = 1
MEMORY = "arena, bytes alive"

Event = dict[str, Any]


def trace(
    model: Model,
    *,
    profile: BoardName,
    runtime: Runtime | str | None = None,
    schedule: Schedule | str = "layer",
    input_place: InputPlace | str | None = None,
    clock_hz: int | None = None,
    calibration: Calibration | str | PathLike[str] | None = None,
    slices: int = SLICES,
) -> dict[str, Any]:
    """One inference of `model` on the board `profile` as a Chrome or Perfetto trace: `json.dump` it to a file.

    The arguments are those of `simulate`, and the durations of all slices add up to its latency.
    slices: at most so many; `otherData.warning` names the stages whose pieces are then shown together.
    Raises McusimError as `simulate` does, and where the time of a layer is not known.
    """
    question = Question(
        model=model,
        profile=profile,
        runtime=runtime,
        schedule=schedule,
        input_place=input_place,
        clock_hz=clock_hz,
        calibration=calibration,
    )
    return trace_of(question, slices)


def trace_of(question: Question, slices: int = SLICES) -> dict[str, Any]:
    """The trace for a question: see `trace`. A trace knows no budgets."""
    settled = question.settled()
    graph, board, runtime, schedule = settled.graph, settled.board, settled.runtime, settled.schedule
    if schedule.is_auto:
        fix = "name one; `simulate` finds it: its report has it as `schedule.spec`"
        raise ScheduleError("a trace is of one schedule", where=f"schedule '{schedule}'", fix=fix)
    refuse_float(graph)
    memory = memory_of(graph, schedule, runtime, settled.input_place())
    return _document(memory, board, schedule, prices_for(runtime, board, question.calibration), slices)


def _document(
    memory: PlacedNetwork, board: Board, plan: Schedule, prices: Coefficients | None, limit: int
) -> dict[str, Any]:
    program, runtime = memory.program, memory.runtime
    version = runtime.shown_version(prices.version if prices else "")
    title = f"{program.graph.name} on {board.name} with {runtime.name} {version}, schedule {plan}"
    events = [_metadata("process_name", 0, name=title)]
    clock, alive = _Clock(board.clock_hz), iter(memory.alive_bytes)
    together: list[str] = []
    for number, stage in enumerate(program.stages):
        events += _names(number, stage)
        # More slices than a viewer takes: a stage's pieces are then shown as one slice a step.
        whole = sum([_count(step) for step in stage.steps]) > max(limit, len(stage.steps))
        if whole:
            together.append(_stage_name(number, stage))
        tracks = [_track(memory, stage, step, prices, next(alive), whole) for step in stage.steps]
        # What earlier stages used is gone from the budget of later ones.
        limit -= sum([len(track.pieces) for track in tracks])
        events += _stage_events(number, stage, tracks, clock)
    other = {"model": program.graph.name, "board": board.name, "clock_hz": str(board.clock_hz), "runtime": runtime.name}
    if together:
        other["warning"] = f"too many slices: the pieces of {', '.join(together)} are shown together"
    return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": other}


def _names(number: int, stage: Stage) -> list[Event]:
    """What a stage's track is called, and its place."""
    return [
        _metadata("thread_name", number + 1, name=_stage_name(number, stage)),
        _metadata("thread_sort_index", number + 1, sort_index=number),
    ]


def _stage_events(number: int, stage: Stage, tracks: Sequence[_Track], clock: _Clock) -> Iterator[Event]:
    """The slices of a stage, each behind a counter event where the bytes alive have changed."""
    alive_bytes = -1
    for track, at, piece in _in_order(stage, tracks):
        drawn = _slice(number, track, at, piece, clock)
        if track.alive_bytes != alive_bytes:
            alive_bytes = track.alive_bytes
            yield _counter(drawn["ts"], alive_bytes)
        yield drawn


def _stage_name(number: int, stage: Stage) -> str:
    match stage.kind:
        case StageKind.LAYER:
            return f"stage {number}: layer by layer"
        case StageKind.PATCH:
            return f"stage {number}: {stage.row_pieces}x{stage.col_pieces} patches"
        case StageKind.STREAM:
            return f"stage {number}: {stage.row_pieces} bands"


def _metadata(kind: str, track: int, **args: object) -> Event:
    return {"name": kind, "ph": "M", "pid": PROCESS, "tid": track, "args": args}


class _Clock:
    """Turns cycles into time, and remembers how many have passed."""

    def __init__(self, clock_hz: int) -> None:
        self.cycles, self.clock_hz = 0, clock_hz

    def spend(self, cycles: int) -> tuple[float, float]:
        """Start and duration of so many cycles from now on, in microseconds."""
        start_ns = self._ns()
        self.cycles += cycles
        return _microseconds(start_ns), _microseconds(self._ns() - start_ns)

    def _ns(self) -> int:
        # Both ends are rounded, and the duration is their difference: one slice begins where the last one ends.
        return round(self.cycles * 1e9 / self.clock_hz)


def _microseconds(ns: int) -> float:
    """A number that a viewer takes for `ns` again, though it multiplies by 1000 and cuts off what remains."""
    value = ns / 1e3
    return value if int(value * 1e3) == ns else nextafter(value, inf)


# ---------------------------------------------------------------------------------------------------------------------
# Steps and their pieces


class _PieceWork(NamedTuple):
    """What a step does in one iteration. region: of its output.   macs, cycles: its share of the step's."""

    region: Region
    macs: int
    cycles: Cycles[int]


class _Track(NamedTuple):
    """A step of a body. facts: the same in every piece.   pieces: by iteration, where there is something to do."""

    name: str
    facts: Mapping[str, object]
    alive_bytes: int
    pieces: Mapping[tuple[int, int], _PieceWork]


def _count(step: Step) -> int:
    """Iterations in which a step has something to do."""
    return sum([span.length > 0 for span in step.rows]) * sum([span.length > 0 for span in step.cols])


def _track(
    memory: PlacedNetwork, stage: Stage, step: Step, prices: Coefficients | None, alive_bytes: int, whole: bool
) -> _Track:
    """The track of a step. whole: all its pieces as one."""
    kernel, macs, cycles = step_cost(stage, step, memory.runtime, prices)
    if cycles is None:
        fix = "ask for a runtime that was measured and for operators that mcusim knows (`mcusim ops MODEL`)"
        raise ModelError(f"the time of {step.signature.op} is not known", where="trace", fix=fix)
    facts: dict[str, object] = {"op": step.signature.op, "kernel": kernel.name, "why": kernel.why}
    if step.node == ABSENT:
        facts |= {"kernel": "", "why": "the runtime brings the patch in"}
    name = memory.program.name_of(step)
    if whole:
        facts["pieces"] = _count(step)
    return _Track(name, facts, alive_bytes, (_one_piece if whole else _pieces)(step, macs, cycles))


def _pieces(step: Step, macs: int, cycles: Cycles[int]) -> dict[tuple[int, int], _PieceWork]:
    """A step's work dealt out to its pieces: by their areas, or evenly where a runtime pads all to one size (A24)."""
    areas = {
        (row, col): rows.length * cols.length
        for row, rows in enumerate(step.rows)
        for col, cols in enumerate(step.cols)
        if rows.length and cols.length
    } or {(0, 0): 1}
    lengths = [sum([span.length for span in spans]) for spans in (step.rows, step.cols)]
    weights = list(areas.values()) if lengths == [step.priced_rows, step.priced_cols] else [1] * len(areas)
    shares = [_dealt(amount, weights) for amount in (macs, *cycles.causes)]
    return {
        (row, col): _PieceWork(Region(step.rows[row], step.cols[col]), share[0], Cycles(sum(share[1:]), *share[1:]))
        for (row, col), *share in zip(areas, *shares, strict=True)
    }


def _dealt(amount: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `amount` in proportion to `weights`, that add up to it."""
    total = sum(weights)
    return [
        amount * upper // total - amount * lower // total for lower, upper in pairwise(accumulate(weights, initial=0))
    ]


def _one_piece(step: Step, macs: int, cycles: Cycles[int]) -> dict[tuple[int, int], _PieceWork]:
    """All of a step, as if it ran at once."""
    return {(0, 0): _PieceWork(Region(reduce(hull, step.rows), reduce(hull, step.cols)), macs, cycles)}


def _in_order(stage: Stage, tracks: Sequence[_Track]) -> Iterator[tuple[_Track, tuple[int, int], _PieceWork]]:
    """Every piece of every step, as it runs."""
    for row in range(stage.row_pieces):
        for col in range(stage.col_pieces):
            for track in tracks:
                piece = track.pieces.get((row, col))
                if piece is not None:
                    yield track, (row, col), piece


def _slice(number: int, track: _Track, at: tuple[int, int], piece: _PieceWork, clock: _Clock) -> Event:
    (top, bottom), (left, right) = piece.region
    start, duration = clock.spend(piece.cycles.total)
    args: dict[str, object] = {**track.facts, "region": f"rows {top}:{bottom}, columns {left}:{right}"}
    if len(track.pieces) > 1:
        args |= {"row piece": at[0], "column piece": at[1]}
    args |= {"macs": piece.macs, "alive_bytes": track.alive_bytes}
    args |= {f"{name}_cycles": cycles for name, cycles in piece.cycles._asdict().items()}
    where = {"pid": PROCESS, "tid": number + 1}
    return {"name": track.name, "cat": "step", "ph": "X", "ts": start, "dur": duration, **where, "args": args}


def _counter(start: float, alive_bytes: int) -> Event:
    return {"name": MEMORY, "ph": "C", "ts": start, "pid": PROCESS, "tid": 0, "args": {"bytes": alive_bytes}}

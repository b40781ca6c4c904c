"""One network of a search, judged: with its schedule, against the board's budgets, by a predictor of its accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcusim.boards.board import Board
from mcusim.designing.optimising.pieces import CUTS, cut_points, patches
from mcusim.designing.spaces import Made, Space
from mcusim.designing.spaces.choosing import Pick, Picks
from mcusim.designing.spaces.functions import USERS_ERRORS, called, told_by
from mcusim.errors import InputError, McusimError, ScheduleError
from mcusim.graph import Graph
from mcusim.question.arguments import Budgets
from mcusim.report import Report, Verdict
from mcusim.runtimes import Runtime
from mcusim.schedule import LAYER, Schedule
from mcusim.simulation.simulate import simulate
from mcusim.source import Source

__all__ = ["CUT", "GRID", "Candidate", "Judge", "Key", "Known", "Predictor", "Terms", "score_of"]

GRID, CUT = "patches along an axis", "end of the patches"
"""The choices that make the schedule, beside those of the space."""

REFUSED = 100.0
"""The excess of a network that cannot run so: worse than any that merely is too large."""

UNKNOWN = 0.001
"""The least excess of a budget of which nobody knows whether it holds."""

Key = tuple[tuple[str, int], ...]
"""Picks in the order in which they were made."""

Known = dict[Key, tuple[float, float | None]]
"""What was evaluated -> its excess and score."""

SOURCE = Source(description="found by mcusim search, accuracy unknown")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network with its schedule.

    number: of the evaluation, from 0.   picks: of every free choice, by name.   choices: the values of all.
    network: its description, or a Graph where the space builds those.   report: None where it cannot run so.
    excess: how far it is above the budgets, in parts of them, added up; 0 where `simulate` says that it fits.
    score: what the predictor says; None where it does not fit.   why: why it cannot run so, or "".
    """

    number: int
    picks: Picks
    choices: Mapping[str, Any]
    network: Mapping[str, Any] | Graph
    graph: Graph
    schedule: Schedule
    report: Report | None
    excess: float
    score: float | None = None
    why: str = ""

    @property
    def key(self) -> Key:
        """The same for the same choices."""
        return tuple(self.picks.items())

    @property
    def fits(self) -> bool:
        """Whether `simulate` said that every budget holds: only such networks are scored."""
        return self.score is not None

    @property
    def rank(self) -> tuple[float, float]:
        """Less is better: first the budgets, then the score."""
        return self.excess, 0.0 if self.score is None else -self.score


Predictor = Callable[[Candidate], float]
"""A network that fits -> a number; higher is better."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of every network alike.

    grids: of patches along an axis; (1,) for layer by layer only.   predictor_name: for messages.
    """

    space: Space
    board: Board
    runtime: Runtime
    budgets: Budgets
    grids: tuple[int, ...]
    predictor: Predictor
    predictor_name: str
    clock_hz: int | None = None
    what_if: bool = False


class Judge:
    """Evaluates networks; what was evaluated before is known."""

    def __init__(self, terms: Terms, known: Known) -> None:
        self.terms, self._known = terms, known

    def evaluated(self, number: int, pick: Pick) -> Candidate:
        """The network that `pick` chooses. Raises InputError where the space or the predictor fails."""
        picks: dict[str, int] = {}

        def taken(name: str, count: int) -> int:
            picks[name] = index = pick(name, count)
            return index

        terms = self.terms
        made = terms.space.made(taken)
        grid, cut = 1, 0
        if len(terms.grids) > 1:
            grid = terms.grids[taken(GRID, len(terms.grids))]
            cut = taken(CUT, CUTS) if grid > 1 else 0
        candidate = self._built(number, picks, made, grid, cut)
        known = self._known.get(candidate.key)
        if known is not None:
            return replace(candidate, excess=known[0], score=known[1])
        return self.judged(candidate)

    def judged(self, candidate: Candidate) -> Candidate:
        """The candidate with its report, excess and score."""
        if candidate.why:
            return candidate
        try:
            report = self.report(candidate)
        except ScheduleError as error:
            return replace(candidate, why=told_by(error))
        answered = replace(candidate, report=report, excess=_excess(report))
        return replace(answered, score=self._score(answered)) if report.verdict is Verdict.FITS else answered

    def report(self, candidate: Candidate) -> Report:
        """What `mcusim run` says of it."""
        terms = self.terms
        return simulate(
            candidate.graph,
            profile=terms.board,
            runtime=terms.runtime,
            schedule=candidate.schedule,
            clock_hz=terms.clock_hz,
            sram_budget_bytes=terms.budgets.sram_bytes,
            flash_budget_bytes=terms.budgets.flash_bytes,
            max_ms=terms.budgets.max_ms,
            what_if=terms.what_if,
        )

    def _built(self, number: int, picks: Picks, made: Made, grid: int, cut: int) -> Candidate:
        name = f"found in {self.terms.space.name}"
        try:
            graph = made.graph(name, SOURCE)
        except McusimError as error:
            what = f"network {number} cannot be built: {told_by(error)}"
            raise InputError(what, where=f"space '{self.terms.space.name}'", fix="mend the space") from None
        schedule, why = LAYER, ""
        if grid > 1:
            points = cut_points(graph)
            if points:
                schedule = patches(points[cut * len(points) // CUTS], grid)
            else:
                why = "no stage of patches can end anywhere in it"
        choices = {**made.values, "schedule": str(schedule)}
        return Candidate(number, dict(picks), choices, made.description, graph, schedule, None, REFUSED, why=why)

    def _score(self, candidate: Candidate) -> float:
        return score_of(self.terms.predictor, self.terms.predictor_name, candidate)


def score_of(predictor: Predictor, name: str, candidate: Candidate) -> float:
    """What a predictor says of a network. Raises InputError where it raises, or says what is no finite number."""
    where = f"predictor '{name}'"
    try:
        returned = called(predictor, candidate)
    except USERS_ERRORS as error:
        what = f"it raised {told_by(error)} on network {candidate.number}"
        raise InputError(what, where=where, fix="mend the function") from None
    try:
        if isinstance(returned, str | bytes | bytearray):
            raise TypeError
        score: float = called(float, returned)  # its __float__ may be the user's
    except OverflowError:
        what = f"it returned a {type(returned).__name__} beyond floating point for network {candidate.number}"
        raise InputError(what, where=where, fix="return a smaller number; higher is better") from None
    except USERS_ERRORS:
        what = f"it returned a {type(returned).__name__} for network {candidate.number}"
        raise InputError(what, where=where, fix="return a number; higher is better") from None
    if not math.isfinite(score):
        what = f"it returned {score} for network {candidate.number}"
        raise InputError(what, where=where, fix="return a finite number; higher is better")
    return score


def _excess(report: Report) -> float:
    """How far a report is above its budgets, in parts of them; more than 0 wherever it is not known to fit."""
    sram, flash, latency = report.sram, report.flash, report.latency
    sides: list[tuple[bool | None, float | None, float | None]] = [
        (sram.fits, sram.with_stack_bytes, sram.budget_bytes),
        (flash.fits, flash.high_bytes or flash.total_bytes, flash.budget_bytes),
    ]
    if latency.budget_ms is not None:
        sides.append((latency.fits, latency.high_ms or latency.ms, latency.budget_ms))
    total = 0.0
    for fits, value, budget in sides:
        if fits is not True:
            over = value / budget - 1 if value is not None and budget else 0.0
            total += max(over, UNKNOWN)
    return total if report.verdict is not Verdict.FITS else 0.0

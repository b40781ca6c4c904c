"""The best network of a space for a board, together with its schedule: `find_network`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import Any

from mcusim.boards.board import Board
from mcusim.designing.effort import EVALUATIONS, Optimiser
from mcusim.designing.optimising.candidates import Candidate, Judge, Key, Known, Predictor, Terms
from mcusim.designing.optimising.journal import Journal
from mcusim.designing.optimising.optimisers import optimise
from mcusim.designing.optimising.predictors import default_predictor, find_predictor
from mcusim.designing.spaces import Space, find_space
from mcusim.designing.spaces.choosing import Pick
from mcusim.errors import InputError, ScheduleError
from mcusim.question.arguments import Budgets, chosen_runtime, the_board, the_budgets
from mcusim.report import Report
from mcusim.runtimes import Runtime
from mcusim.searching import search
from mcusim.version import __version__

__all__ = ["BestNetwork", "Progress", "find_network"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BestNetwork:
    """What a search found.

    candidate: the best network that fits, or the nearest where none does.
    predicts: what the score is.   distinct, fitting: networks evaluated that differ, and those that fit.
    history: (evaluation, score) wherever a better one was found.   is_polished: its schedule was searched for apart.
    """

    space: Space
    board: Board
    runtime: Runtime
    budgets: Budgets
    predictor: str
    predicts: str
    optimiser: Optimiser
    evaluations: int
    seed: int
    candidate: Candidate
    distinct: int
    fitting: int
    history: tuple[tuple[int, float], ...]
    is_polished: bool

    @property
    def fits(self) -> bool:
        return self.candidate.fits

    @property
    def report(self) -> Report | None:
        """What `mcusim run` says of it; None where it cannot run so."""
        return self.candidate.report


def find_network(
    space: Space | str,
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str | None = None,
    predictor: Predictor | str | None = None,
    optimiser: Optimiser | str = Optimiser.TPE,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    clock_hz: int | None = None,
    patches: bool = True,
    journal: str | PathLike[str] | None = None,
    folder: str = ".",
    what_if: bool = False,
    progress: Progress | None = None,
) -> BestNetwork:
    """The network of `space` with the highest score among those that `simulate` says fit, and its schedule.

    space: a name as `find_space` takes it, or a Space (part of one: `Space.held`).
    predictor: a function of a Candidate, higher is better; its name; or one that comes with mcusim: `imagenet`, `macs`,
    `params`. The first for spaces of ImageNet if None, else `macs`.
    patches: whether stages of patches are among the choices, as far as the runtime can run them.
    journal: a file to go on from where it exists, and to be written.   folder: where a user's modules may lie.
    The same question and seed give the same network. Raises McusimError where the question is wrong.
    """
    terms, predicts = _terms(
        space, profile, runtime, predictor, sram_budget_bytes, flash_budget_bytes, max_ms, clock_hz, patches, folder,
        what_if,
    )  # fmt: skip
    kind = _optimiser(optimiser)
    if isinstance(evaluations, bool) or evaluations < 1:
        raise InputError(f"it is {evaluations!r}", where="evaluations", fix="look at one network at least")
    asked = _asked(terms, kind, seed, evaluations)
    with Journal(fspath(journal), asked) if journal is not None else nullcontext() as kept:
        known: Known = kept.known if kept is not None else {}
        watch = _Watch(Judge(terms, known), known, kept, evaluations, progress)
        optimise(kind, watch.evaluate, evaluations, seed)
    best = watch.best
    assert best is not None
    if best.report is None:  # of a network that the journal knows
        best = watch.judge.judged(best)
    best, is_polished = _polished(watch.judge, best)
    return BestNetwork(
        space=terms.space,
        board=terms.board,
        runtime=terms.runtime,
        budgets=terms.budgets,
        predictor=terms.predictor_name,
        predicts=predicts,
        optimiser=kind,
        evaluations=evaluations,
        seed=seed,
        candidate=best,
        distinct=len(watch.seen),
        fitting=watch.fitting,
        history=tuple(watch.history),
        is_polished=is_polished,
    )


class _Watch:
    """What the optimiser's networks come to: the best, and how it came about."""

    def __init__(
        self, judge: Judge, known: Known, journal: Journal | None, evaluations: int, progress: Progress | None
    ) -> None:
        self.judge, self.known, self.journal = judge, known, journal
        self.evaluations, self.progress = evaluations, progress
        self.best: Candidate | None = None
        self.seen: set[Key] = set()
        self.fitting = self.done = 0
        self.history: list[tuple[int, float]] = []

    def evaluate(self, pick: Pick) -> Candidate:
        candidate = self.judge.evaluated(self.done, pick)
        key = candidate.key
        if self.journal is not None:
            self.journal.add(candidate)
        self.known[key] = candidate.excess, candidate.score
        # Counted once, however often the optimiser comes back to it.
        self.fitting += candidate.fits and key not in self.seen
        self.seen.add(key)
        if self.best is None or candidate.rank < self.best.rank:
            self.best = candidate
            if candidate.score is not None:
                self.history.append((self.done, candidate.score))
        self.done += 1
        if self.progress is not None:
            self.progress(self._progress_words(), self.done, self.evaluations)
        return candidate

    def _progress_words(self) -> str:
        if self.best is None or self.best.score is None:
            return "searching, nothing fits yet"
        return f"searching, best {self.best.score:,.4g}"


def _polished(judge: Judge, best: Candidate) -> tuple[Candidate, bool]:
    # Within the search schedules are taken from a few grids; the winner gets the best of all grids and ends.
    """The network with the cheapest schedule that fits, of all that can be searched for, where it has patches."""
    if best.score is None or best.schedule.is_layer:
        return best, False
    terms = judge.terms
    front = search(
        best.graph,
        profile=terms.board,
        runtime=terms.runtime,
        max_stages=1,
        kinds=terms.runtime.cut_stages,
        sram_budget_bytes=terms.budgets.sram_bytes,
        flash_budget_bytes=terms.budgets.flash_bytes,
        what_if=terms.what_if,
    )
    for point in front.points:
        if not point.fits or point.refusals:
            continue
        other = replace(best, schedule=point.schedule, choices={**best.choices, "schedule": str(point.schedule)})
        try:
            report = judge.report(other)
        except ScheduleError:
            continue
        if report.fits and _cycles(report) < _cycles(best.report):
            return replace(other, report=report), True
        break
    return best, False


def _cycles(report: Report | None) -> float:
    if report is None or report.latency.cycles is None:
        return float("inf")
    return report.latency.cycles


def _terms(
    space: Space | str,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str | None,
    predictor: Predictor | str | None,
    sram_bytes: int | None,
    flash_bytes: int | None,
    max_ms: float | None,
    clock_hz: int | None,
    patches: bool,
    folder: str,
    what_if: bool,
) -> tuple[Terms, str]:
    """What is asked, and what the predictor's number is."""
    resolved = find_space(space, folder) if isinstance(space, str) else space
    board = the_board(profile)
    chosen, _ = chosen_runtime(runtime, resolved.drawn(0).graph("drawn"), board)
    if callable(predictor):
        function, name, predicts = predictor, getattr(predictor, "__name__", "given"), "as the predictor says"
    else:
        name = default_predictor(resolved.dataset) if predictor is None else predictor
        function, predicts = find_predictor(name, folder)
    budgets = the_budgets(board, sram_bytes, flash_bytes, max_ms, what_if=what_if)
    grids = resolved.grids if patches and "patch" in chosen.cut_stages else (1,)
    return Terms(resolved, board, chosen, budgets, grids, function, name, clock_hz, what_if), predicts


def _optimiser(kind: Optimiser | str) -> Optimiser:
    try:
        return Optimiser(kind)
    except ValueError:
        raise InputError(f"'{kind}' is none", where="optimiser", fix=f"use {', '.join(Optimiser)}") from None


def _asked(terms: Terms, kind: Optimiser, seed: int, evaluations: int) -> dict[str, Any]:
    """All that decides which networks are asked for and what they score, for the journal."""
    budgets = terms.budgets
    asked: dict[str, Any] = {
        "mcusim": __version__,
        "space": terms.space.name,
        "fixed": dict(terms.space.fixed),
        "profile": terms.board.name,
        "runtime": terms.runtime.name,
        "predictor": terms.predictor_name,
        "optimiser": str(kind),
        "seed": seed,
        "sram_budget_bytes": budgets.sram_bytes,
        "flash_budget_bytes": budgets.flash_bytes,
        "max_ms": budgets.max_ms,
        "clock_hz": terms.clock_hz,
        "grids": list(terms.grids),
    }
    if kind is not Optimiser.RANDOM:  # the size of a population depends on how many will be
        asked["evaluations"] = evaluations
    return asked

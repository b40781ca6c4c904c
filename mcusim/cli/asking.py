"""What `mcusim run` asks, and the answers: one board or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mcusim.boards import all_boards
from mcusim.boards.board import Board
from mcusim.cli.options import named_board
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.images import Image
from mcusim.networks.loading import load
from mcusim.pricing.stored import Calibration
from mcusim.render.boards import best_first
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES, Runtime, find_runtime
from mcusim.runtimes.choosing import PREFERENCE, why_not
from mcusim.schedule import Schedule, parse_schedule
from mcusim.simulation.simulate import simulate

__all__ = ["ALL", "Answer", "Question", "ask", "ask_all", "ask_others"]

ALL = "all"
"""As a board or a runtime: every one."""


@dataclass(frozen=True, slots=True)
class Question:
    """All of the question but the board. models: the board's own default if empty.   runtime: `all` for every one."""

    models: tuple[str, ...]
    runtime: str | None
    schedule: str
    input_place: InputPlace | None
    clock_hz: int | None
    sram_budget_bytes: int | None
    flash_budget_bytes: int | None
    max_ms: float | None
    what_if: bool
    convention: str | None
    image: Image | None
    calibration: Calibration | None
    bits: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A Report, and what it is about."""

    report: Report
    graph: Graph
    board: Board
    runtime: Runtime


def ask(question: Question, profile: str, banks: str | None) -> Answer:
    """About one board. banks: of `--bank`. Raises McusimError for whatever is wrong in the question."""
    return _answers(question, [named_board(profile, banks)])[0]


def ask_all(question: Question, profile: str, banks: str | None) -> list[Report]:
    """About every network, board and runtime that was asked for, best fit first."""
    boards = all_boards() if profile.strip().lower() == ALL else [named_board(profile, banks)]
    return best_first([answer.report for answer in _answers(question, boards)])


def _answers(question: Question, boards: Sequence[Board]) -> list[Answer]:
    """One answer a board. What is wrong with an option is told before a network is read."""

    schedule, runtimes = parse_schedule(question.schedule), _runtimes(question.runtime)
    graphs: dict[str, Graph] = {}
    answers = []
    for board in boards:
        is_enough = question.what_if or len(boards) == 1
        held = replace(
            question,
            sram_budget_bytes=_at_most(question.sram_budget_bytes, board.sram_budget_bytes, is_enough),
            flash_budget_bytes=_at_most(question.flash_budget_bytes, board.flash_bytes, is_enough),
        )
        for name in question.models or (board.default_model,):
            if name not in graphs:
                graphs[name] = load(name)
            graph = _with_bits(graphs[name], board, held)
            for runtime in runtimes:
                report = _simulated(held, graph, board, runtime, schedule)
                answers.append(Answer(report, graph, board, runtime or find_runtime(report.runtime.name)))
    return answers


def _runtimes(asked: str | None) -> list[Runtime | None]:
    """Every runtime for `all`; None for the first that can run the network."""
    if asked is None:
        return [None]
    return [*RUNTIMES.values()] if asked.strip().lower() == ALL else [find_runtime(asked)]


def ask_others(question: Question, answer: Answer) -> list[Report]:
    """The same of the other runtimes that can run the network; nothing where the user asked for one."""
    if question.runtime is not None:
        return []
    schedule = parse_schedule(answer.report.schedule.spec)
    others = [RUNTIMES[name] for name in PREFERENCE if name != answer.runtime.name]
    found = []
    for runtime in others:
        if not why_not(answer.graph, runtime, answer.board)[0]:
            with suppress(ScheduleError):  # some are counted layer by layer only
                found.append(_simulated(question, answer.graph, answer.board, runtime, schedule))
    return found


def _at_most(asked: int | None, owned: int, is_enough: bool) -> int | None:
    """A budget for one board of many: what it has, where that is less."""
    return asked if asked is None or is_enough else min(asked, owned)


def _simulated(question: Question, graph: Graph, board: Board, runtime: Runtime | None, schedule: Schedule) -> Report:
    return simulate(
        graph,
        profile=board,
        runtime=runtime,
        schedule=schedule,
        input_place=question.input_place,
        clock_hz=question.clock_hz,
        sram_budget_bytes=question.sram_budget_bytes,
        flash_budget_bytes=question.flash_budget_bytes,
        max_ms=question.max_ms,
        what_if=question.what_if,
        convention=question.convention,
        image=question.image,
        calibration=question.calibration,
    )


def _with_bits(graph: Graph, board: Board, question: Question) -> Graph:
    """The network with the bits that were asked for."""
    if question.bits is None:
        return graph
    from mcusim.precision import AUTO, chosen_bits, fit_bits  # its search is wanted only with --bits

    if question.bits.strip().lower() != AUTO:
        return chosen_bits(graph, question.bits)
    return fit_bits(
        graph,
        profile=board,
        runtime=question.runtime,
        schedule=question.schedule,
        input_place=question.input_place,
        sram_budget_bytes=question.sram_budget_bytes,
        flash_budget_bytes=question.flash_budget_bytes,
        what_if=question.what_if,
    ).graph

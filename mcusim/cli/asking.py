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
from mcusim.lowering.reorder import reorder
from mcusim.question.arguments import the_graph, the_schedule
from mcusim.question.question import Question
from mcusim.render.boards import best_first
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES, Runtime, find_runtime
from mcusim.runtimes.choosing import preferred, why_not
from mcusim.runtimes.replanned import with_planner
from mcusim.simulation.simulate import report_of
from mcusim.units import format_bytes
from mcusim.zoo.loading import load

__all__ = ["ALL", "Answer", "Asked", "ask", "ask_all", "ask_others", "cut_budgets"]

ALL = "all"
"""As a board or a runtime: every one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed: one question, asked of each network, board and runtime in turn.

    models: the board's own default if empty.   runtime: `all` for every one.   bits: of `--bits`.
    question: its network, board and runtime are replaced by those of each answer.
    """

    models: tuple[str, ...]
    runtime: str | None
    bits: str | None
    question: Question


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A Report, and what it is about."""

    report: Report
    graph: Graph
    board: Board
    runtime: Runtime


def ask(asked: Asked, profile: str, banks: str | None) -> Answer:
    """About one board. banks: of `--bank`. Raises McusimError for whatever is wrong in the question."""
    return _answers(asked, [named_board(profile, banks)])[0]


def ask_all(asked: Asked, profile: str, banks: str | None) -> list[Report]:
    """About every network, board and runtime that was asked for, best fit first."""
    boards = all_boards() if profile.strip().lower() == ALL else [named_board(profile, banks)]
    return best_first([answer.report for answer in _answers(asked, boards)])


def _answers(asked: Asked, boards: Sequence[Board]) -> list[Answer]:
    """One answer a board. What is wrong with an option is told before a network is read."""

    schedule, runtimes = the_schedule(asked.question.schedule), _runtimes(asked.runtime)
    graphs: dict[str, Graph] = {}
    answers = []
    for board in boards:
        is_enough = asked.question.what_if or len(boards) == 1
        question = replace(
            asked.question,
            profile=board,
            schedule=schedule,
            sram_budget_bytes=_at_most(asked.question.sram_budget_bytes, board.sram_budget_bytes, is_enough),
            flash_budget_bytes=_at_most(asked.question.flash_budget_bytes, board.flash_bytes, is_enough),
        )
        for name in asked.models or (board.default_model,):
            if name not in graphs:
                graphs[name] = load(name)
            graph = _with_bits(replace(question, model=graphs[name], runtime=asked.runtime), asked.bits)
            for runtime in runtimes:
                report = report_of(replace(question, model=graph, runtime=runtime))
                used = runtime or find_runtime(report.runtime.name)
                if question.planner is not None:
                    used = with_planner(used, question.planner)
                ordered = reorder(graph, used.rules).graph if report.schedule.reordered else graph
                answers.append(Answer(report, ordered, board, used))
    return answers


def _runtimes(asked: str | None) -> list[Runtime | None]:
    """Every runtime for `all`; None for the first that can run the network."""
    if asked is None:
        return [None]
    return [*RUNTIMES.values()] if asked.strip().lower() == ALL else [find_runtime(asked)]


def ask_others(asked: Asked, answer: Answer) -> list[Report]:
    """The same of the other runtimes that can run the network; nothing where the user asked for one."""
    if asked.runtime is not None:
        return []
    spec = answer.report.schedule.spec
    question = replace(
        asked.question, model=answer.graph, profile=answer.board, schedule=spec, planner=None, reorder=False
    )
    others = [runtime for runtime in preferred() if runtime.name != answer.runtime.name]
    reports = []
    for runtime in others:
        if not why_not(answer.graph, runtime, answer.board)[0]:
            with suppress(ScheduleError):  # some are counted layer by layer only
                reports.append(report_of(replace(question, runtime=runtime)))
    return reports


def cut_budgets(question: Question) -> list[str]:
    """Where a budget is more than some of all boards have, which are then held to their own: a sentence each."""
    if question.what_if:
        return []
    boards = all_boards()
    sentences = []
    for name, asked, owned in (
        ("--sram-budget", question.sram_budget_bytes, [board.sram_budget_bytes for board in boards]),
        ("--flash-budget", question.flash_budget_bytes, [board.flash_bytes for board in boards]),
    ):
        smaller = 0 if asked is None else sum(each < asked for each in owned)
        if asked is not None and smaller:
            has = "has" if smaller == 1 else "have"
            what = f"{smaller} of {len(boards)} boards {has} less than {format_bytes(asked)}"
            sentences.append(f"{name}: {what}, and each is held to what it has; --what-if holds all to the budget")
    return sentences


def _at_most(asked: int | None, owned: int, is_enough: bool) -> int | None:
    """A budget for one board of many: what it has, where that is less."""
    return asked if asked is None or is_enough else min(asked, owned)


def _with_bits(question: Question, bits: str | None) -> Graph:
    """The question's network with the bits that were asked for."""
    graph = the_graph(question.model)
    if bits is None:
        return graph
    from mcusim.precision import AUTO, bit_fit_of, chosen_bits  # its search is wanted only with --bits

    if bits.strip().lower() != AUTO:
        return chosen_bits(graph, bits)
    # The bits are chosen for memory, as the runtime takes it at the board's own clock.
    memory_only = replace(question, clock_hz=None, max_ms=None, convention=None, firmware=None, calibration=None)
    return bit_fit_of(memory_only).graph

"""Ways to run a network: each has one command line, and the answer that the command gives."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, replace
from typing import NamedTuple

from mcusim import searching
from mcusim.boards.board import Board
from mcusim.errors import McusimError
from mcusim.graph import Graph
from mcusim.lowering.reorder import reorder
from mcusim.lowering.rules import InputPlace
from mcusim.planners import PLANNERS
from mcusim.question.arguments import the_budgets
from mcusim.question.question import Question
from mcusim.report import Report
from mcusim.runtimes import Runtime
from mcusim.schedule import LAYER
from mcusim.searching import best_schedule
from mcusim.simulation.simulate import simulate

__all__ = ["Limits", "Way", "cut", "external", "fewest_bytes", "reordered", "replanned"]


class Limits(NamedTuple):
    """The budgets that the user stated; None for the board's own.   what_if: whether they may be more than it has."""

    sram_bytes: int | None = None
    flash_bytes: int | None = None
    max_ms: float | None = None
    what_if: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a network on a board.

    named, profile: as the user named the network and the board.   input_place: None for the runtime's own choice.
    runtime: None for the first that can run the network there.
    """

    graph: Graph
    named: str
    board: Board
    profile: str
    runtime: Runtime | None
    limits: Limits
    input_place: InputPlace | None = None
    schedule: str = "layer"
    planner: str | None = None
    reorder: bool = False

    @property
    def command(self) -> str:
        """What to type: `mcusim run` with every choice of this way."""
        words = ["mcusim", "run", self.named, "--profile", self.profile]
        limits = self.limits
        options = {
            "--runtime": None if self.runtime is None else self._runtime_name(),
            "--input": self.input_place,
            "--schedule": None if self.schedule == "layer" else self.schedule,
            "--planner": self.planner,
            "--sram-budget": limits.sram_bytes,
            "--flash-budget": limits.flash_bytes,
            "--max-ms": limits.max_ms,
        }
        words += [word for name, value in options.items() if value is not None for word in (name, str(value))]
        words += ["--reorder"] if self.reorder else []
        words += ["--what-if"] if limits.what_if else []
        return shlex.join(words)

    def _runtime_name(self) -> str:
        assert self.runtime is not None
        version = self.runtime.asked_version
        return f"{self.runtime.name}@{version}" if version else self.runtime.name

    def answer(self) -> Report | None:
        """What the command answers; None where the network cannot be run so."""
        try:
            return simulate(
                self.graph,
                profile=self.board,
                runtime=self.runtime,
                schedule=self.schedule,
                input_place=self.input_place,
                sram_budget_bytes=self.limits.sram_bytes,
                flash_budget_bytes=self.limits.flash_bytes,
                max_ms=self.limits.max_ms,
                what_if=self.limits.what_if,
                planner=self.planner,
                reorder=self.reorder,
            )
        except McusimError:
            return None


def replanned(way: Way) -> Way | None:
    """The way with the planner that takes least; None where none takes less than the runtime's own."""
    before = way.answer()
    if before is None or way.runtime is None or not way.runtime.has_placement:
        return None
    best, least = None, before.sram.peak_bytes
    for name in PLANNERS:
        other = replace(way, planner=name)
        answer = other.answer()
        if answer is not None and answer.sram.peak_bytes < least:
            best, least = other, answer.sram.peak_bytes
    return best


def reordered(way: Way) -> Way | None:
    """The way with independent layers in the best order; None where no order is better."""
    if way.runtime is None or not way.runtime.has_placement:
        return None
    is_better = reorder(way.graph, way.runtime.rules).graph is not way.graph
    return replace(way, reorder=True) if is_better else None


def external(way: Way) -> Way | None:
    """The way with the network's input in memory of the caller; None where the user or the runtime has chosen."""
    if way.input_place is not None or way.runtime is None:
        return None
    return replace(way, input_place=InputPlace.EXTERNAL)


def cut(way: Way) -> Way | None:
    """The way with the cheapest schedule that the runtime can run and that fits, or the smallest there is."""
    if way.runtime is None or not way.runtime.cut_stages:
        return None
    try:
        schedule, _ = best_schedule(_question(way), kinds=way.runtime.cut_stages)
    except McusimError:
        return None
    return None if schedule == LAYER else replace(way, schedule=str(schedule))


def fewest_bytes(way: Way) -> float:
    """SRAM that the way takes under the schedule that takes least; infinite where none is known."""
    if way.runtime is None or not way.runtime.cut_stages:
        return math.inf
    try:
        return searching.fewest_bytes(_question(way), kinds=way.runtime.cut_stages)
    except McusimError:
        return math.inf


def _question(way: Way) -> Question:
    """Which schedule is best for a way. Raises McusimError where its budget is none."""
    assert way.runtime is not None
    return Question(
        model=reorder(way.graph, way.runtime.rules).graph if way.reorder else way.graph,
        profile=way.board,
        runtime=way.runtime,
        input_place=way.input_place,
        sram_budget_bytes=the_budgets(way.board, way.limits.sram_bytes, what_if=True).sram_bytes,
        what_if=True,
    )

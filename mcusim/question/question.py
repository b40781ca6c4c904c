"""A question about one network on one board, as a value, and the same with every name looked up.

`simulate`, `search`, `fit_bits` and `trace` have a form that takes a `Question` (`report_of`, `front_of`, `bit_fit_of`,
`trace_of`) and a form with keywords on top. Each reads the fields that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any

from mcusim.boards.board import Board
from mcusim.errors import InputError
from mcusim.graph import Graph
from mcusim.lowering.reorder import reorder
from mcusim.lowering.rules import InputPlace
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.pricing.stored import Calibration
from mcusim.question.arguments import (
    Budgets,
    chosen_runtime,
    the_board,
    the_budgets,
    the_clock,
    the_graph,
    the_input_place,
    the_runtime,
    the_schedule,
)
from mcusim.runtimes import Runtime
from mcusim.runtimes.replanned import planner_warning, with_planner
from mcusim.schedule import LAYER, Schedule
from mcusim.units import format_hz

__all__ = ["BoardName", "Model", "Question", "Settled"]

Model = Graph | str | PathLike[str] | Mapping[str, Any]
"""A network, the name of a published one, the path of a file, or a description for `load`."""
BoardName = Board | str | PathLike[str]
"""A board, its name, or the path of a profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about one network on one board; nothing is checked before `settled`.

    runtime: None for the first that can run the network.   schedule: `auto` for the best that the runtime can run.
    input_place: the runtime's own choice if None.
    clock_hz, sram_budget_bytes, flash_budget_bytes, max_ms: replace or add to the board's own.
    what_if: whether a budget may be larger than what the board has.
    convention: counts SRAM instead of the runtime.   firmware: a linked firmware, whose code counts.
    calibration: a file of `mcusim calibrate`, or what it holds.
    planner: places the buffers instead of the runtime's own; one of `mcusim.planners.PLANNERS`.
    reorder: whether independent layers run in the order with the lowest peak instead of the file's.
    """

    model: Model
    profile: BoardName
    runtime: Runtime | str | None = None
    schedule: Schedule | str = LAYER
    input_place: InputPlace | str | None = None
    clock_hz: int | None = None
    sram_budget_bytes: int | None = None
    flash_budget_bytes: int | None = None
    max_ms: float | None = None
    what_if: bool = False
    convention: str | None = None
    firmware: LinkedFirmware | None = None
    calibration: Calibration | str | PathLike[str] | None = None
    planner: str | None = None
    reorder: bool = False

    def settled(self) -> Settled:
        """The question with its names looked up. Raises McusimError for the first thing that is wrong.

        What costs little is checked first: a slip in an option is told before a network is read.
        """
        own, schedule = the_board(self.profile), the_schedule(self.schedule)
        wished = None if self.runtime is None else the_runtime(self.runtime)
        budgets = the_budgets(own, self.sram_budget_bytes, self.flash_budget_bytes, self.max_ms, self.what_if)
        clock_hz = the_clock(self.clock_hz)
        board = own if clock_hz is None else own.with_clock(clock_hz)
        graph = the_graph(self.model)
        plain, why = chosen_runtime(wished, graph, board)
        runtime, warnings = plain, []
        if self.planner is not None:
            if self.convention is not None:
                what = f"{self.convention} counts SRAM, and places nothing"
                raise InputError(what, where="planner", fix="leave out the planner or the convention")
            runtime = with_planner(plain, self.planner)
            warnings += planner_warning(runtime)
        if board.clock_hz > own.clock_hz and not self.what_if:
            faster = f"{format_hz(board.clock_hz)} is more than the {format_hz(own.clock_hz)} of the profile"
            warnings.append(f"clock: {faster}: whether the part runs at that is not known.")
        ordered = reorder(graph, runtime.rules).graph if self.reorder else graph
        if ordered is not graph:
            warnings.append("order: the layers run in another order than the file's.")
        place = self.input_place
        power_clock_hz = None if own.power is None else own.clock_hz
        is_reordered = ordered is not graph
        asked = (ordered, board, runtime, why, schedule, place, budgets, is_reordered)
        return Settled(*asked, tuple(warnings), power_clock_hz)


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A question with every name looked up.

    board: at the clock that was asked for.   runtime: as it is built for the board's core.
    why_runtime: why it was chosen; "" where it was asked for.   wished_place: None for the runtime's own choice.
    is_reordered: whether the layers run in another order than the file's.   warnings: what to know about the choices.
    power_clock_hz: of the profile's power figures, which hold at no other clock; None where it has none.
    """

    graph: Graph
    board: Board
    runtime: Runtime
    why_runtime: str
    schedule: Schedule
    wished_place: InputPlace | str | None
    budgets: Budgets
    is_reordered: bool = False
    warnings: tuple[str, ...] = ()
    power_clock_hz: int | None = None

    def input_place(self, schedule: Schedule | None = None, runtime: Runtime | None = None) -> InputPlace:
        """Where the network's input lies under a schedule and runtime; the question's own if None.

        Raises InputError for a place that is none.
        """
        return the_input_place(self.wished_place, runtime or self.runtime, schedule or self.schedule)

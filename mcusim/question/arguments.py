"""What a caller may hand to `simulate`, checked once: one sentence for a wrong kind or value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from typing import Any, SupportsIndex

from mcusim.boards import load_board
from mcusim.boards.board import Board, total_bytes
from mcusim.errors import InputError
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.runtimes import Runtime, find_runtime
from mcusim.runtimes.choosing import RuntimeChoice, choose_runtime
from mcusim.schedule import Schedule, parse_schedule
from mcusim.units import format_bytes, parse_bytes, parse_hz
from mcusim.zoo.loading import load

__all__ = [
    "Budgets",
    "chosen_runtime",
    "the_board",
    "the_budgets",
    "the_bytes",
    "the_clock",
    "the_graph",
    "the_input_place",
    "the_ms",
    "the_runtime",
    "the_schedule",
]

_SRAM_BUDGET, _FLASH_BUDGET = "sram_budget_bytes", "flash_budget_bytes"


def the_graph(model: Graph | str | PathLike[str] | Mapping[str, Any]) -> Graph:
    """The network that `model` is or names. Raises ModelError."""
    return model if isinstance(model, Graph) else load(model)


def the_board(profile: Board | str | PathLike[str]) -> Board:
    """The board that `profile` is or names. Raises ProfileError, InputError for what can be no board."""
    if isinstance(profile, Board):
        return profile
    if not isinstance(profile, str | PathLike):
        raise _wrong_kind(profile, "profile", 'name a board, as in "stm32f412", a path, or give a Board')
    return load_board(profile)


def the_runtime(runtime: Runtime | str) -> Runtime:
    """The runtime that `runtime` is or names. Raises RuntimeNameError, InputError for what can be no runtime."""
    if isinstance(runtime, Runtime):
        return runtime
    if not isinstance(runtime, str):
        raise _wrong_kind(runtime, "runtime", 'name one, as in "tflm", or give a Runtime')
    return find_runtime(runtime)


def chosen_runtime(runtime: Runtime | str | None, graph: Graph, board: Board | None) -> RuntimeChoice:
    """The runtime that was asked for; if None, the first of a stated preference that can run `graph` on `board`.

    With a board, it is the runtime as it is built for the board's core.
    """
    choice = choose_runtime(graph, board) if runtime is None else RuntimeChoice(the_runtime(runtime), "")
    return choice if board is None else choice._replace(runtime=choice.runtime.on(board.core))


def the_schedule(schedule: Schedule | str) -> Schedule:
    """The schedule that `schedule` is or spells. Raises ScheduleError, InputError for what can be no schedule."""
    if isinstance(schedule, Schedule):
        return schedule
    if not isinstance(schedule, str):
        raise _wrong_kind(schedule, "schedule", 'write one, as in "layer" or "patch:4x4@13", or give a Schedule')
    return parse_schedule(schedule)


def the_input_place(wanted: InputPlace | str | None, runtime: Runtime, schedule: Schedule) -> InputPlace:
    """Where the network's input lies; the runtime's own choice if None. Raises InputError."""
    if wanted is None:
        return runtime.rules.default_input_place(schedule)
    try:
        return InputPlace(wanted)
    except ValueError:
        fix = f"use {' or '.join(InputPlace)}"
        raise InputError(f"{wanted!r:.60} is no place for the input", where="input_place", fix=fix) from None


def the_clock(clock_hz: int | None) -> int | None:
    """A clock in hertz; `Board.with_clock` judges its range. Raises InputError for what is no whole number."""
    return None if clock_hz is None else _whole(clock_hz, "clock_hz", "hertz", 480_000_000, parse_hz)


def the_bytes(size_bytes: int | None, name: str) -> int | None:
    """A budget in bytes. Raises InputError for what is no whole number above zero."""
    if size_bytes is None:
        return None
    amount = _whole(size_bytes, name, "bytes", 262_144, parse_bytes)
    if amount <= 0:
        raise InputError(f"it is {amount:,}", where=name, fix="give it a number of bytes above zero, or leave it out")
    return amount


@dataclass(frozen=True, slots=True)
class Budgets:
    """What the answer is held against. max_ms: None where time is not limited."""

    sram_bytes: int
    flash_bytes: int
    max_ms: float | None = None


def the_budgets(
    board: Board,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    what_if: bool = False,
) -> Budgets:
    """The budgets that were stated, and the board's own for the others.

    what_if: whether a budget may be larger than what the board has; without it a slip such as 10M for 10k would turn
    a check off. Of SRAM it has the largest run of banks, which an arena in one piece can take. Raises InputError.
    """
    sram_bytes, flash_bytes = the_bytes(sram_budget_bytes, _SRAM_BUDGET), the_bytes(flash_budget_bytes, _FLASH_BUDGET)
    for name, asked, owned in (
        (_SRAM_BUDGET, sram_bytes, board.arena_run_bytes),
        (_FLASH_BUDGET, flash_bytes, board.flash_bytes),
    ):
        if asked is not None and asked > owned and not what_if:
            in_one_piece = " in one piece" if name == _SRAM_BUDGET and owned < total_bytes(board.memory) else ""
            what = f"{format_bytes(asked)} is more than the {format_bytes(owned)} that {board.name} has{in_one_piece}"
            fix = f"use {owned} or less, or add --what-if to ask about a board with more"
            raise InputError(what, where=name, fix=fix)
    return Budgets(
        board.sram_budget_bytes if sram_bytes is None else sram_bytes,
        board.flash_bytes if flash_bytes is None else flash_bytes,
        the_ms(max_ms),
    )


def the_ms(max_ms: float | None) -> float | None:
    """A limit in milliseconds. Raises InputError for what is no number above zero."""
    if max_ms is None:
        return None
    fix = "give it milliseconds above zero, as in 50 or 1.5, or leave it out"
    if isinstance(max_ms, bool | str):
        raise _wrong_kind(max_ms, "max_ms", fix)
    try:
        amount = float(max_ms)
    except (TypeError, ValueError):
        raise _wrong_kind(max_ms, "max_ms", fix) from None
    if not 0 < amount < math.inf:
        raise InputError(f"it is {amount}", where="max_ms", fix=fix)
    return amount


def _whole(value: object, name: str, unit: str, example: int, parse: Callable[[str], int]) -> int:
    fix = f"give it a whole number of {unit}, as in {example:_}"
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            fix = f"write {name}={parse(value):_}, in {unit}"
        raise _wrong_kind(value, name, fix)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)  # 480e6 says what it means
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        with suppress(TypeError):  # arrays have the method, and refuse
            return operator.index(value)
    raise _wrong_kind(value, name, fix)


def _wrong_kind(value: object, name: str, fix: str) -> InputError:
    kind = "" if value is None else f"{type(value).__name__} "
    return InputError(f"it is {kind}{value!r:.60}", where=name, fix=fix)

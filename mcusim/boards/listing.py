"""Boards picked out of many, and put in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from mcusim.boards.board import Board, Core
from mcusim.errors import InputError

__all__ = ["BoardOrder", "Wanted", "chosen_boards"]


class BoardOrder(StrEnum):
    """What a list of boards goes by: the largest first, but names and prices rising."""

    NAME = "name"
    CORE = "core"
    CLOCK = "clock"
    SRAM = "sram"
    FLASH = "flash"
    PRICE = "price"


class Wanted(NamedTuple):
    """core: whole, or without `cortex-`.   series: how the board's name or series begins.

    least_sram_bytes: of the arena's run.   most_usd: boards without a known price do not meet it.
    """

    core: str | None = None
    series: str | None = None
    least_sram_bytes: int = 0
    least_flash_bytes: int = 0
    least_clock_hz: int = 0
    most_usd: float | None = None


def chosen_boards(boards: Iterable[Board], wanted: Wanted, order: BoardOrder = BoardOrder.NAME) -> list[Board]:
    """Those that are wanted, in order. Raises InputError for a core that there is not."""
    core = None if wanted.core is None else _core(wanted.core)
    kept = [board for board in boards if core in (None, board.core) and _meets(board, wanted)]
    return sorted(sorted(kept, key=lambda board: board.name), key=_KEYS[order])


def _core(text: str) -> Core:
    name = text.strip().lower()
    name = name if name.startswith("cortex-") else f"cortex-{name}"
    try:
        return Core(name)
    except ValueError:
        fix = f"use one of {', '.join(core.removeprefix('cortex-') for core in Core)}"
        raise InputError(f"there is no core '{text:.40}'", where="--core", fix=fix) from None


def _meets(board: Board, wanted: Wanted) -> bool:
    begins = (wanted.series or "").strip().lower()
    return (
        (board.name.startswith(begins) or (board.series or "").startswith(begins))
        and board.sram_budget_bytes >= wanted.least_sram_bytes
        and board.flash_bytes >= wanted.least_flash_bytes
        and board.clock_hz >= wanted.least_clock_hz
        and (wanted.most_usd is None or (board.price is not None and board.price.usd <= wanted.most_usd))
    )


_KEYS: dict[BoardOrder, Callable[[Board], tuple[float, ...]]] = {
    BoardOrder.NAME: lambda board: (),
    BoardOrder.CORE: lambda board: (list(Core).index(board.core),),
    BoardOrder.CLOCK: lambda board: (-board.clock_hz,),
    BoardOrder.SRAM: lambda board: (-board.sram_budget_bytes,),
    BoardOrder.FLASH: lambda board: (-board.flash_bytes,),
    BoardOrder.PRICE: lambda board: (float("inf") if board.price is None else board.price.usd,),
}

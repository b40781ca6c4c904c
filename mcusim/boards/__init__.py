"""Boards: TOML profiles, read and checked, and what one says: core, clock, memories, flash, power."""

from mcusim.boards.loading import (
    BankKind,
    Board,
    Caches,
    Core,
    Finding,
    Flash,
    Level,
    MemoryBank,
    Power,
    UnitPrice,
    all_boards,
    board_names,
    check_profile,
    load_board,
)

__all__ = [
    "BankKind",
    "Board",
    "Caches",
    "Core",
    "Finding",
    "Flash",
    "Level",
    "MemoryBank",
    "Power",
    "UnitPrice",
    "all_boards",
    "board_names",
    "check_profile",
    "load_board",
]

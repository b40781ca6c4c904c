"""A file of networks with a budget a board -> whether each is held.

[[budget]]
network = "models/kws.tflite"      a path beside the file, or a published network's name
board = "stm32f412"                or a list of boards
runtime = "tflm"                   left out: the first that can run it
schedule = "layer"                 left out: layer
sram = "64k"                       left out, as flash: what the board has
flash = "512k"
ms = 100                           left out: time is not limited
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mcusim.boundary.wording import without_options
from mcusim.errors import InputError, McusimError, key_fix
from mcusim.files import folder_of, is_file, reason_of, toml_of
from mcusim.report import Report
from mcusim.simulation.simulate import simulate
from mcusim.units import parse_bytes

__all__ = ["Held", "check_budgets"]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: str
    board: str | list[str]
    runtime: str | None = None
    schedule: str = "layer"
    sram: str | int | None = None
    flash: str | int | None = None
    ms: float | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    budget: list[_Entry]


_KEYS = {"$": _File.__struct_fields__, "$.budget": _Entry.__struct_fields__}


@dataclass(frozen=True, slots=True)
class Held:
    """A network on a board against its budget. report: None where the question is wrong, and `why` says why."""

    network: str
    board: str
    report: Report | None
    why: str = ""

    @property
    def fits(self) -> bool | None:
        """Whether every budget is held; None where that cannot be known."""
        return None if self.report is None else self.report.fits


def check_budgets(path: str) -> Iterator[Held]:
    """Every network of the file on every board that it names, in their order.

    Raises InputError for a file that cannot be read, or asks nothing. What is wrong with one question (a name that
    nothing has, a missing file, a size that is none) is an item that says so: the others are answered.
    """
    folder = folder_of(path)
    for entry in _read(path).budget:
        for board in _boards(entry):
            yield _held(entry, board, folder, path)


def _boards(entry: _Entry) -> list[str]:
    return [entry.board] if isinstance(entry.board, str) else entry.board


def _read(path: str) -> _File:
    fix = "write a [[budget]] with network and board, as docs/ci.md shows"
    try:
        content = msgspec.convert(toml_of(path), _File)
    except OSError as error:
        raise InputError(reason_of(error), where=path, fix=fix) from None
    except msgspec.ValidationError as error:
        raise InputError(str(error), where=path, fix=key_fix(str(error), _KEYS, listed_by="docs/ci.md")) from None
    except ValueError as error:
        raise InputError(" ".join(str(error).split()), where=path, fix=fix) from None
    if not content.budget:
        raise InputError("it has no [[budget]]", where=path, fix=fix)
    for entry in content.budget:
        if not _boards(entry):
            raise InputError(
                f"the budget of {entry.network} names no board", where=path, fix='write board = "stm32f412"'
            )
    return content


def _held(entry: _Entry, board: str, folder: Path, where: str) -> Held:
    beside = folder / entry.network
    try:
        report = simulate(
            str(beside) if is_file(beside) else entry.network,
            profile=str(folder / board) if board.endswith(".toml") and not os.path.isabs(board) else board,
            runtime=entry.runtime,
            schedule=entry.schedule,
            sram_budget_bytes=_size(entry.sram, where),
            flash_budget_bytes=_size(entry.flash, where),
            max_ms=entry.ms,
        )
    except McusimError as error:
        return Held(entry.network, board, None, f"{error.where}: {error.what}; {without_options(error.fix)}")
    return Held(entry.network, board, report)


def _size(size: str | int | None, where: str) -> int | None:
    try:
        return None if size is None else parse_bytes(str(size))
    except (ValueError, OverflowError):
        raise InputError(f"'{size}' is not a size above zero", where=where, fix="write 256k, 1M or 262144") from None

"""Boards by name or file: finding a profile, loading it, and the rules that a profile has to keep.

The values themselves are in `board.py`, the reading of TOML in `profile_files.py`. A built-in board is a file of
`hardware_profiles/`, read when it is first asked for and kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import msgspec

from mcusim.boards.board import (
    MAX_CLOCK_HZ,
    MIN_CLOCK_HZ,
    NO_ARENA,
    BankKind,
    Board,
    Caches,
    Core,
    Flash,
    MemoryBank,
    Power,
    UnitPrice,
    total_bytes,
)
from mcusim.boards.profile_files import NAME_PATTERN, decode, is_path, read_toml, readable_part, show
from mcusim.errors import ProfileError, did_you_mean
from mcusim.files import is_dir, is_file

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

_FOLDER = "hardware_profiles"
_ADDRESS_END = 2**32
# The smallest Cortex-M parts have 1 KiB; less is a size given in KiB by mistake.
_MIN_MEMORY_BYTES = 1024
_MIN_BYTES_PER_SECOND = 1_000_000  # less is a rate given in MB a second by mistake
_MAX_WAIT_STATES = 15  # four bits, the widest LATENCY field of an STM32 FLASH_ACR
_MAX_FLASH_BYTES_PER_SECOND = 1_000_000_000
_MAX_CACHE_BYTES = 16 * 1024**2
_MAX_POWER_MW = 100_000.0


class Level(StrEnum):
    """How bad a finding is: an error keeps a profile from loading, advice does not."""

    ERROR = "error"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `mcusim profiles check`: where, what, and what to do."""

    level: Level
    where: str
    what: str
    fix: str


_ALL = "all"


def load_board(name: str | PathLike[str]) -> Board:
    """The board called `name`, or described by the TOML file at that path.

    A text with a slash or that ends in `.toml` is a path; else it is the name of a built-in board or an alias of
    one, in upper or lower case. A file's `default_model` may be a .tflite beside it.
    Raises ProfileError if there is none, or if the file is wrong.
    """
    if not isinstance(name, str) or is_path(name):
        return _with_model_beside(_load(Path(name), str(fspath(name))), Path(name))
    lower = name.strip().lower()
    if lower in board_names():
        return _builtin(lower)
    own_name = _aliases().get(lower)
    if lower == _ALL:
        every = "`mcusim run MODEL --profile all` asks them all, all_boards() in Python lists them"
        fix = f"name one, as in stm32f412; {every}"
        raise ProfileError("'all' is many boards, and this answer is of one", where="profile", fix=fix)
    if own_name is None:
        fix = did_you_mean(lower, [*board_names(), *_aliases()], listed_by="mcusim profiles")
        with suppress(OSError, ValueError):
            own = Path(f"{name.strip()}.toml")
            fix = f"for the file here, write ./{own}" if lower and is_file(own) else fix
        raise ProfileError(f"there is no board called {show(name)}", where="profile", fix=fix)
    return _builtin(own_name)


def _with_model_beside(board: Board, path: Path) -> Board:
    model = Path(board.default_model)
    if model.suffix.lower() != ".tflite" or model.is_absolute():
        return board
    return msgspec.structs.replace(board, default_model=str(path.parent / model))


@cache
def board_names() -> tuple[str, ...]:
    """Names of the built-in boards, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def all_boards() -> tuple[Board, ...]:
    """Every built-in board, sorted by name."""
    return tuple(_builtin(name) for name in board_names())


def check_profile(path: str | PathLike[str]) -> tuple[Finding, ...]:
    """Everything wrong with a profile file, or what would make it answer more; empty if there is nothing to say."""
    where = str(fspath(path))
    try:
        document = read_toml(Path(path), where)
    except ProfileError as error:
        problems, board = [error], None
    else:
        board, problems = _judge(document, where)
    findings = [Finding(Level.ERROR, p.where, p.what, p.fix) for p in problems]
    if board is not None and not problems:
        findings += [Finding(Level.ADVICE, where, what, fix) for what, fix in _advice(board, Path(path).stem)]
    return tuple(findings)


@cache
def _folder() -> Path:
    """The profiles of an installed wheel lie in the package, those of a source tree beside it."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / _FOLDER, package.parent / _FOLDER):
        if is_dir(folder):
            return folder
    raise ProfileError("the built-in profiles are missing", where=_FOLDER, fix="install mcusim again")


@cache
def _builtin(name: str) -> Board:
    board = _load(_folder() / f"{name}.toml", f"{_FOLDER}/{name}.toml")
    if board.name != name:
        raise ProfileError(
            f"name is {show(board.name)}", where=f"{_FOLDER}/{name}.toml", fix=f'write name = "{name}", as the file'
        )
    return board


@cache
def _aliases() -> dict[str, str]:
    return {alias.lower(): board.name for board in all_boards() for alias in board.aliases}


def _load(path: Path, where: str) -> Board:
    board, problems = _judge(read_toml(path, where), where)
    if board is None or problems:
        raise problems[0]
    return board


def _judge(document: dict[str, Any], where: str) -> tuple[Board | None, list[ProfileError]]:
    """The board, and all that is wrong with it. What does not read must not hide the other faults."""
    board, problems = decode(Board, document, where)
    if board is not None:
        return board, list(_problems(board, where))
    readable = readable_part(Board, document)
    rest, _ = decode(Board, readable, where)
    if rest is not None:
        known = all(readable.get(key) == document.get(key) for key in ("memory", "flash"))
        problems += _problems(rest, where, known)
    return None, problems


def _problems(board: Board, where: str, spans_known: bool = True) -> Iterator[ProfileError]:
    """What types cannot say: ranges, overlaps, and texts that must not be empty.

    spans_known: whether addresses and sizes are the profile's own; banks are laid side by side only then.
    """
    yield from _text_problems(board, where)
    yield from _clock_problems(board, where)
    yield from _bank_problems(board, where)
    yield from _flash_problems(board.flash, f"{where} [flash]")
    spans: list[MemoryBank | Flash] = [*board.memory, board.flash]
    if spans_known and not any(list(_span_problems(span, where)) for span in spans):
        yield from _layout_problems(board, where)
    for key in ("icache_bytes", "dcache_bytes"):
        yield from _range_problem(key, getattr(board.caches, key), 0, _MAX_CACHE_BYTES, f"{where} [caches]")
    yield from _power_problems(board, where)


def _text_problems(board: Board, where: str) -> Iterator[ProfileError]:
    names = [("name", board.name), *(("aliases", alias) for alias in board.aliases)]
    for key, name in names:
        if not re.fullmatch(NAME_PATTERN, name):
            fix = "use lower-case letters, digits, '.', '_' and '-', a letter or digit first"
            yield ProfileError(f"{key} is {show(name)}", where=where, fix=fix)
    if not board.title.strip():
        yield ProfileError("title is empty", where=where, fix="say which board this is")
    if not board.title.isprintable():
        yield ProfileError(
            f"title is {show(board.title)}", where=where, fix="write one line without control characters"
        )
    if not board.default_model or re.search(r"\s", board.default_model):
        fix = "name one network; `mcusim models` lists them"
        yield ProfileError(f"default_model is {show(board.default_model)}", where=where, fix=fix)


def _clock_problems(board: Board, where: str) -> Iterator[ProfileError]:
    clock = board.clock_hz
    if not MIN_CLOCK_HZ <= clock <= MAX_CLOCK_HZ:
        fix = "use 1_000_000 to 2_000_000_000, in hertz"
        if 1 <= clock <= 2000:
            fix = f"write clock_hz = {clock * 1_000_000:_} for {clock} MHz"
        yield ProfileError(f"clock_hz is {show(clock)}", where=where, fix=fix)


def _bank_problems(board: Board, where: str) -> Iterator[ProfileError]:
    for index, bank in enumerate(board.memory, start=1):
        place = f"{where} [[memory]] {bank.name or f'number {index}'}"
        if not bank.name.strip():
            yield ProfileError("name is empty", where=place, fix="call the bank as the reference manual does")
        if not bank.name.isprintable():
            fix = "write one line without control characters"
            yield ProfileError(f"name is {show(bank.name)}", where=place, fix=fix)
        if any(bank.name.lower() == other.name.lower() for other in board.memory[: index - 1]):
            yield ProfileError("two banks have this name", where=place, fix="rename one of them")
        yield from _span_problems(bank, place)
        if bank.arena and bank.kind in NO_ARENA:
            yield ProfileError(f"arena is true for {bank.kind} memory", where=place, fix="leave `arena` out")
        if bank.bytes_per_second is not None and bank.bytes_per_second < _MIN_BYTES_PER_SECOND:
            fix = "write bytes a second, such as 80_000_000"
            yield ProfileError(f"bytes_per_second is {show(bank.bytes_per_second)}", where=place, fix=fix)


def _layout_problems(board: Board, where: str) -> Iterator[ProfileError]:
    """What the banks are together."""
    spans = [(bank.address, bank.end, bank.name) for bank in board.memory]
    spans = sorted([*spans, (board.flash.address, board.flash.end, "the flash")])
    for (_, end, lower), (address, _, upper) in pairwise(spans):
        if address < end:
            fix = "correct an address or a size; give an alias of a bank only once"
            yield ProfileError(f"{lower} and {upper} overlap", where=f"{where} [[memory]]", fix=fix)
    if not any(bank.holds_arena for bank in board.memory):
        fix = "add a [[memory]] of kind sram, axi, dtcm or ccm"
        yield ProfileError("no memory bank can hold the arena", where=where, fix=fix)
    run_bytes = total_bytes(board.arena_run)
    if run_bytes and not 0 <= board.reserved_bytes < run_bytes:
        fix = f"use 0 to {run_bytes - 1:_}, less than the arena's run of banks ({run_bytes:_} bytes)"
        yield ProfileError(f"reserved_bytes is {show(board.reserved_bytes)}", where=where, fix=fix)


def _span_problems(span: MemoryBank | Flash, place: str) -> Iterator[ProfileError]:
    if not 0 <= span.address < _ADDRESS_END:
        yield ProfileError(f"address is {show(span.address)}", where=place, fix="use 0x00000000 to 0xFFFFFFFF")
    if span.size_bytes < _MIN_MEMORY_BYTES:
        fix = "use at least 1_024"
        if span.size_bytes > 0:
            fix = f"write size_bytes = {span.size_bytes * 1024:_} for {span.size_bytes} KiB"
        yield ProfileError(f"size_bytes is {show(span.size_bytes)}", where=place, fix=fix)
    elif 0 <= span.address < _ADDRESS_END < span.end:
        what = f"size_bytes is {show(span.size_bytes)}, past the end of 32-bit addresses"
        yield ProfileError(what, where=place, fix=f"use at most {_ADDRESS_END - span.address:_} at this address")


def _flash_problems(flash: Flash, place: str) -> Iterator[ProfileError]:
    yield from _span_problems(flash, place)
    yield from _range_problem("wait_states", flash.wait_states, 0, _MAX_WAIT_STATES, place)
    if flash.read_width_bits not in (None, 16, 32, 64, 128, 256, 512):
        fix = "use 16, 32, 64, 128, 256 or 512"
        yield ProfileError(f"read_width_bits is {show(flash.read_width_bits)}", where=place, fix=fix)
    if flash.bytes_per_second is not None and not 0 < flash.bytes_per_second <= _MAX_FLASH_BYTES_PER_SECOND:
        fix = (
            f"use bytes, more than 0 and at most {_MAX_FLASH_BYTES_PER_SECOND:_}; leave it out for a flash on the chip"
        )
        yield ProfileError(f"bytes_per_second is {show(flash.bytes_per_second)}", where=place, fix=fix)
    for key in ("accelerator_icache_bytes", "accelerator_dcache_bytes"):
        yield from _range_problem(key, getattr(flash, key), 0, _MAX_CACHE_BYTES, place)
        if flash.accelerator is not True and getattr(flash, key):
            yield ProfileError(f"{key} without an accelerator", where=place, fix="write accelerator = true")


def _power_problems(board: Board, where: str) -> Iterator[ProfileError]:
    if board.power is not None:
        low, high = board.power.active_low_mw, board.power.active_high_mw
        for key, value in (("active_low_mw", low), ("active_high_mw", high)):
            if not (math.isfinite(value) and 0 < value <= _MAX_POWER_MW):
                fix = f"use milliwatts, more than 0 and at most {_MAX_POWER_MW:_.0f}"
                yield ProfileError(f"{key} is {show(value)}", where=f"{where} [power]", fix=fix)
        if 0 < high < low:
            what = f"active_low_mw is {show(low)}, more than active_high_mw, {show(high)}"
            yield ProfileError(what, where=f"{where} [power]", fix="exchange the two")
    if board.price is not None and not (math.isfinite(board.price.usd) and board.price.usd > 0):
        yield ProfileError(f"usd is {show(board.price.usd)}", where=f"{where} [price]", fix="use more than 0")


def _range_problem(key: str, value: int | None, low: int, high: int, place: str) -> Iterator[ProfileError]:
    if value is not None and not low <= value <= high:
        yield ProfileError(f"{key} is {show(value)}", where=place, fix=f"use {low} to {high:_}")


def _advice(board: Board, stem: str) -> Iterator[tuple[str, str]]:
    if board.name != stem:
        yield f"name is {show(board.name)}, the file is called {show(stem)}", "give them one name"
    if board.flash.wait_states is None:
        yield "no wait_states: latency cannot tell what the flash costs", "add wait_states to [flash], at clock_hz"
    if board.core is Core.CORTEX_M7 and board.caches.icache_bytes is None:
        yield "no cache sizes for a Cortex-M7", "add [caches] with icache_bytes and dcache_bytes"
    if board.power is None:
        yield "no power: energy will be null", "add [power] with active_low_mw and active_high_mw"
    outside = board.sram_bytes - total_bytes(board.arena_run)
    if outside:
        names = " + ".join(bank.name for bank in board.arena_run)
        what = f"{outside:_} bytes lie outside the largest run ({names}): a runtime with one arena cannot use them"
        yield what, "nothing, if the addresses are right"
    tables = [("the top", board.source), ("[flash]", board.flash.source)]
    tables += [(f"[[memory]] {bank.name}", bank.source) for bank in board.memory]
    missing = [label for label, source in tables if source is None]
    if missing:
        yield f"no source at {', '.join(missing)}", "say where the numbers come from: `source = ...`"

"""Options that several commands have, and their values: what people write with units -> bytes, hertz, milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import typer

from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.boards.profile_files import is_path
from mcusim.cli.memory import limit_memory
from mcusim.errors import InputError
from mcusim.limits import DEFAULT_LIMIT_BYTES
from mcusim.lowering.rules import InputPlace
from mcusim.memory.linked_firmware import LinkedFirmware, read_linked_firmware
from mcusim.render.layers import LayerChoice
from mcusim.units import parse_bytes, parse_count, parse_hz

__all__ = [
    "BANK",
    "EMITTED",
    "EMITTED_NAME",
    "EMITTED_SCHEDULE",
    "FLASH_BUDGET",
    "FOLDER",
    "HOLD",
    "INPUT",
    "JSON",
    "LINKED",
    "MAX_MEMORY",
    "MAX_MS",
    "MODEL",
    "MODELS",
    "OPTIMISE",
    "RUNTIME",
    "SCHEDULE",
    "SEED",
    "SRAM_BUDGET",
    "WHAT_IF",
    "board_option",
    "bytes_option",
    "choice_option",
    "convention_names",
    "count_option",
    "csv_of",
    "hz_option",
    "layers_option",
    "linked_option",
    "ms_option",
    "named_board",
    "option",
    "place_option",
    "profile_file",
    "share_option",
]

Choice = TypeVar("Choice", bound=StrEnum)


def convention_names() -> tuple[str, ...]:
    """Every convention by its file, as help that lists them should not have to load them."""
    folder = Path(__file__).parents[1] / "conventions"
    stems = [path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "registry")]
    return tuple(sorted([stem.replace("_", "-") for stem in stems]))


def option(*names: str, **how: Any) -> Any:
    """An option that may be left out or has no default worth showing: where it has one, its help says so."""
    return typer.Option(*names, show_default=False, **how)


RUNTIME = option(
    metavar="NAME",
    help="The runtime, as NAME or NAME@VERSION: its memory rules and kernels. Default: the first of tinyengine, "
    "tflm-cmsis-nn, tflm and x-cube-ai that has a kernel for every layer.",
)
SRAM_BUDGET = option(metavar="SIZE", help="The SRAM budget, such as 256k. Default: the board's.")
FLASH_BUDGET = option(metavar="SIZE", help="The flash budget, such as 1M. Default: the board's.")
MAX_MS = option(metavar="MS", help="The time budget of an inference, such as 50 (or 1.5s).")
WHAT_IF = typer.Option("--what-if", help="A budget may be more than the board has.")
MODELS = typer.Argument(
    metavar="MODEL...", help=".tflite or .onnx files, or names of published networks; several share one arena."
)
MODEL = typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or the name of a published network.")
PLANNER = option(
    metavar="NAME",
    help="Another planner than the runtime's own: tflm-greedy, tinyengine-first-fit, executorch-greedy, best-fit or "
    "optimal.",
)
EMITTED = typer.Argument(metavar="MODEL", help="A .tflite file, or the name of a published network.")
SCHEDULE = typer.Option(metavar="SPEC", help="In which pieces the network runs.")
EMITTED_SCHEDULE = typer.Option(
    metavar="SPEC",
    help="In which pieces the network runs: layer, auto (the cheapest that fits), or stages joined by +: "
    "patch:PxQ@N, stream:R@N, layer@N.",
)
EMITTED_NAME = typer.Option(metavar="NAME", help="Prefixes every symbol, and names the files.")
OPTIMISE = typer.Option(
    metavar="WHAT", help="speed: unrolled kernels, one for each way of requantising; size: one kernel for all."
)
FOLDER = option("--output", "-o", metavar="DIR", help="The folder to write.")
SEED = typer.Option(min=0, metavar="N", help="Draws the weights of published networks.")
BANK = option(metavar="NAMES", help="Put the arena into these memory banks of the board only: A or A,B.")
LINKED = option(
    "--map",
    metavar="FILE",
    help="Linked firmware, as ELF or GNU ld's map file: its code counts instead of the estimate.",
)
INPUT = option(
    "--input", metavar="PLACE", help="Where the network's input lies: arena or external. Default: the runtime's own."
)
HOLD = option(
    metavar="NAME=VALUE",
    help="Hold a choice at a value, as in resolution=144. Several times for several choices.",
)
JSON = option(metavar="FILE", help="Write the JSON document; - is standard output.")


def _limit_memory(text: str | None) -> str | None:
    """Let the rest of this command take so much memory of this computer, and no more."""
    limit_memory(DEFAULT_LIMIT_BYTES if text is None else bytes_option(text, "--max-memory") or DEFAULT_LIMIT_BYTES)
    return text


MAX_MEMORY = option(
    "--max-memory",
    metavar="SIZE",
    callback=_limit_memory,
    help="Memory of this computer for tensors and tables, such as 500M; the program takes 0.3 GiB beside it. "
    "Default: 2G.",
)


def csv_of(line: str) -> Any:
    """The option that writes one line a `line` as CSV."""
    help_ = f"Write one line per {line} as CSV; - is standard output."
    return option(metavar="FILE", help=help_)


def choice_option(text: str, kind: type[Choice], option: str) -> Choice:
    """One of the values of an enum. Raises InputError."""
    try:
        return kind(text.strip().lower())
    except ValueError:
        raise InputError(f"there is no '{text}' to show", where=option, fix=f"use {', '.join(kind)}") from None


def layers_option(text: str) -> LayerChoice:
    """Which layers a report shows. Raises InputError."""

    return choice_option(text, LayerChoice, "--layers")


def named_board(profile: str, banks: str | None = None) -> Board:
    """The board of `--profile`, its arena in the banks of `--bank` only. Raises ProfileError for unknown ones."""

    board = load_board(profile)
    return board if banks is None else board.with_banks(tuple(banks.split(",")))


def board_option(profile: str | None, banks: str | None = None) -> Board | None:
    """As `named_board`; None if no board is named. Raises InputError for a bank of no board."""
    if profile is None:
        if banks is not None:
            raise InputError("a bank of which board?", where="--bank", fix="add --profile BOARD")
        return None
    return named_board(profile, banks)


def profile_file(profile: str | None) -> str | None:
    """The file that `--profile` names; None for a built-in board."""

    return profile if profile is not None and is_path(profile) else None


def place_option(text: str | None) -> InputPlace | None:
    """Where the network's input lies; None if it was not said. Raises InputError."""
    if text is None:
        return None

    try:
        return InputPlace(text.strip().lower())
    except ValueError:
        fix = f"use {' or '.join(InputPlace)}"
        raise InputError(f"'{text}' is no place for the input", where="--input", fix=fix) from None


def linked_option(path: str | None) -> LinkedFirmware | None:
    """What the linked firmware at `path` says; None if it was not given. Raises InputError."""
    if path is None:
        return None

    return read_linked_firmware(path)


def bytes_option(text: str | None, option: str) -> int | None:
    """Bytes of `256k`, `1M` or `262144`; None if it was not given. Raises InputError."""
    return _amount(text, option, parse_bytes, "a size", "256k, 1M or 262144")


def hz_option(text: str | None, option: str) -> int | None:
    """Hertz of `480MHz`; None if it was not given. Raises InputError."""
    return _amount(text, option, parse_hz, "a clock", "480MHz, 64M or 32000000")


def count_option(text: str | None, option: str) -> int | None:
    """A number of things, such as `119M`, `0.67M` or `64000`; None if it was not given. Raises InputError."""
    return _amount(text, option, parse_count, "a number", "119M, 64k or 64000")


def share_option(text: str, option: str) -> float:
    """A share of something, `1%` or `0.01`, below 1. Raises InputError."""
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / 100 if text.strip().endswith("%") else float(number)
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise InputError(f"'{text}' is not a share below 1", where=option, fix="write it as in 1% or 0.01")
    return share


def ms_option(text: str | None, option: str) -> float | None:
    """Milliseconds of `50`, `50ms` or `1.5s`; None if it was not given. Raises InputError."""
    if text is None:
        return None
    lower = text.strip().lower()
    number, factor = (lower[:-2], 1.0) if lower.endswith("ms") else (lower, 1.0)
    if factor == 1.0 and lower.endswith("s") and not lower.endswith("ms"):
        number, factor = lower[:-1], 1000.0
    try:
        ms = float(number) * factor
    except ValueError:
        ms = math.nan
    if not 0 < ms < math.inf:
        raise InputError(f"'{text}' is not a time", where=option, fix="write milliseconds, as in 50 or 1.5s")
    return ms


def _amount(text: str | None, option: str, parse: Callable[[str], int], what: str, examples: str) -> int | None:
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, OverflowError):
        fix = f"write {examples}"
        raise InputError(f"'{text}' is not {what} above zero", where=option, fix=fix) from None

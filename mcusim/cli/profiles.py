"""`mcusim profiles`: the boards that mcusim knows, and how to describe one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer
from typer.core import TyperGroup

from mcusim.boards import Finding, Level, all_boards, check_profile, load_board
from mcusim.boards.board import Board, Caches, Core, Flash, MemoryBank, Power, UnitPrice
from mcusim.boards.listing import BoardOrder, Wanted, chosen_boards
from mcusim.boards.profile_files import profile_template
from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, bytes_option, choice_option, hz_option, option
from mcusim.cli.shell import STDOUT, complain, document, glyphs, refuse_overwriting, show, terminal_width, write_output
from mcusim.errors import InputError, ModelError, OutputError
from mcusim.files import is_file
from mcusim.render.catalog import board_details, board_list, finding_lines
from mcusim.render.text import counted
from mcusim.zoo.loading import load

__all__ = ["FindingsDocument", "ProfilesDocument", "app"]


class ProfileDocument(TypedDict):
    """A board, as its profile says. sram_budget_bytes: what an arena can have, in the banks `arena_banks`."""

    name: str
    title: str
    core: Core
    clock_hz: int
    default_model: str
    memory: Sequence[MemoryBank]
    flash: Flash
    caches: Caches
    power: Power | None
    price: UnitPrice | None
    reserved_bytes: int
    aliases: Sequence[str]
    series: str | None
    source: str | None
    sram_budget_bytes: int
    arena_banks: list[str]


class ProfilesDocument(Versioned):
    """What `mcusim profiles` lists."""

    profiles: list[ProfileDocument]


class FindingsDocument(Versioned):
    """What `mcusim profiles check` found. is_valid: whether the profile loads."""

    file: str
    is_valid: bool
    findings: Sequence[Finding]


SHOW = "show"


class _NameOrCommand(TyperGroup):
    """A group whose first argument may also be a board: `mcusim profiles stm32f412` is `profiles show stm32f412`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        values = {name for param in self.params if not getattr(param, "is_flag", True) for name in param.opts}
        words = [
            word
            for before, word in zip(["", *args], args, strict=False)
            if not word.startswith("-") and before not in values
        ]
        if words and words[0] not in self.commands and len(words) == 1:
            args = [SHOW, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(cls=_NameOrCommand, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def profiles(
    context: typer.Context,
    sort: Annotated[
        str,
        typer.Option(
            metavar="KEY",
            help="Sort by name, core, clock, sram, flash or price: largest first, but lowest price first.",
        ),
    ] = "name",
    core: Annotated[str | None, option(metavar="CORE", help="Only this core, such as cortex-m7 or m33.")] = None,
    series: Annotated[
        str | None, option(metavar="NAME", help="Only names or series that begin so, such as stm32h7 or nrf.")
    ] = None,
    min_sram: Annotated[str | None, option(metavar="SIZE", help="Only with an arena of at least so much.")] = None,
    min_flash: Annotated[str | None, option(metavar="SIZE", help="Only with at least so much flash.")] = None,
    min_clock: Annotated[str | None, option(metavar="CLOCK", help="Only at least so fast, such as 100MHz.")] = None,
    max_price: Annotated[
        float | None, option(metavar="USD", help="Only boards whose price is known, and at most this.")
    ] = None,
    also: Annotated[
        list[str] | None,
        option("--also", metavar="FILE", help="A profile of your own, with its own [price]; repeatable."),
    ] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The boards that mcusim knows; `mcusim profiles BOARD` shows one of them.

    A price is a hint for the bare part. Where no source gives one, it is left open: write a copy of the profile with
    a `[price]` of your own, and name that file.

    \b
    Examples:
      mcusim profiles
      mcusim profiles stm32h743
      mcusim profiles --core m7 --min-sram 400k --sort clock
      mcusim profiles --series stm32h7 --sort price
      mcusim profiles --json
    """
    if context.invoked_subcommand is not None:
        return

    key = choice_option(sort, BoardOrder, "--sort")
    if max_price is not None and not max_price > 0:
        raise InputError(f"{max_price:g} is no price", where="--max-price", fix="write US dollars above 0, such as 7.5")
    refuse_overwriting(also or (), json=json)
    wanted = Wanted(
        core=core,
        series=series,
        least_sram_bytes=bytes_option(min_sram, "--min-sram") or 0,
        least_flash_bytes=bytes_option(min_flash, "--min-flash") or 0,
        least_clock_hz=hz_option(min_clock, "--min-clock") or 0,
        most_usd=max_price,
    )
    known = [*all_boards(), *(load_board(Path(file)) for file in also or ())]
    boards = chosen_boards(known, wanted, key)
    if json is not None:
        write_output(
            document(ProfilesDocument(schema_version=1, profiles=[_plain(board) for board in boards])), json, "--json"
        )
    if json != STDOUT:
        show(board_list(boards, terminal_width(), glyphs()))
    if max_price is not None and json != STDOUT:
        unpriced = [board for board in chosen_boards(known, wanted._replace(most_usd=None)) if board.price is None]
        if unpriced:
            complain(f"--max-price: {counted(len(unpriced), 'board')} without a known price left out")


@app.command(SHOW)
def show_one(
    name: Annotated[
        str, typer.Argument(metavar="BOARD", help="A board's name, or the path of a profile.", show_default=False)
    ],
    json: Annotated[str | None, JSON] = None,
) -> None:
    """All that the profile of one board says, with its sources. The word `show` may be left out.

    \b
    Example:
      mcusim profiles show nrf52840
    """

    board = load_board(name)
    if json is not None:
        write_output(document(ProfilesDocument(schema_version=1, profiles=[_plain(board)])), json, "--json")
    if json != STDOUT:
        show(board_details(board, terminal_width(), glyphs()))


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new board.", show_default=False)],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: NAME.toml; - is standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if there is one.")] = False,
) -> None:
    """Write a commented profile of a board, to be filled in.

    \b
    Example:
      mcusim profiles new my-board -o my-board.toml
    """

    text = profile_template(name)
    target = output if output is not None else f"{name}.toml"
    if target != "-" and is_file(target) and not force:
        raise OutputError("there is a file of this name", where=target, fix="choose another with -o, or add --force")
    write_output(text, target, "-o")
    if target != "-":
        print(f"{target} is written. Fill it in, then: mcusim profiles check {target}")


@app.command()
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The profile to judge.", show_default=False)],
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Judge a profile: everything that is wrong (exit code 2), and advice (0).

    \b
    Example:
      mcusim profiles new my-board -o my-board.toml --force
      mcusim profiles check my-board.toml
    """

    findings = check_profile(file)
    errors = [finding for finding in findings if finding.level is Level.ERROR]
    board = None if errors else load_board(Path(file))
    if board is not None:
        findings += _model_findings(board, file)
    if json is not None:
        json_document = FindingsDocument(schema_version=1, file=file, is_valid=not errors, findings=findings)
        write_output(document(json_document), json, "--json")
    if json != STDOUT:
        show(finding_lines(file, findings, board, terminal_width()))
    if errors:
        raise typer.Exit(2)


def _model_findings(board: Board, file: str) -> tuple[Finding, ...]:
    """Advice where there is no network of the name that the profile gives."""

    try:
        load(board.default_model)
    except ModelError as error:
        what = f"default_model is {board.default_model!r:.60}, which {error.what}"
        if error.where != board.default_model:
            what = f"default_model is {board.default_model!r:.60}: {error.what}"
        return (Finding(Level.ADVICE, file, what, error.fix),)
    return ()


def _plain(board: Board) -> ProfileDocument:
    return {
        "name": board.name,
        "title": board.title,
        "core": board.core,
        "clock_hz": board.clock_hz,
        "default_model": board.default_model,
        "memory": board.memory,
        "flash": board.flash,
        "caches": board.caches,
        "power": board.power,
        "price": board.price,
        "reserved_bytes": board.reserved_bytes,
        "aliases": board.aliases,
        "series": board.series,
        "source": board.source,
        "sram_budget_bytes": board.sram_budget_bytes,
        "arena_banks": [bank.name for bank in board.arena_run],
    }

"""`mcusim profiles`: the boards that mcusim knows, and how to describe one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mcusim.boards import Finding, Level, all_boards, check_profile, load_board
from mcusim.boards.board import Board
from mcusim.boards.profile_files import profile_template
from mcusim.cli.options import JSON
from mcusim.cli.shell import STDOUT, document, glyphs, show, terminal_width, write_output
from mcusim.errors import ModelError, OutputError
from mcusim.files import is_file
from mcusim.networks.loading import load
from mcusim.render.catalog import board_details, board_list, finding_lines

__all__ = ["app"]

SHOW = "show"


class _NameOrCommand(TyperGroup):
    """A group whose first argument may also be a board: `mcusim profiles stm32f412` is `profiles show stm32f412`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        if words and words[0] not in self.commands and len(words) == 1:
            args = [SHOW, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(cls=_NameOrCommand, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def profiles(
    context: typer.Context,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """The boards that mcusim knows; `mcusim profiles BOARD` shows one of them.

    \b
    Examples:
      mcusim profiles
      mcusim profiles stm32h743
      mcusim profiles --json
    """
    if context.invoked_subcommand is not None:
        return

    boards = all_boards()
    if json is not None:
        write_output(document({"schema_version": 1, "profiles": [_plain(board) for board in boards]}), json, "--json")
    if json != STDOUT:
        show(board_list(boards, terminal_width(), glyphs()))


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
        write_output(document({"schema_version": 1, "profiles": [_plain(board)]}), json, "--json")
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


def _plain(board: Board) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(board)
    plain["sram_budget_bytes"] = board.sram_budget_bytes
    plain["arena_banks"] = [bank.name for bank in board.arena_run]
    return plain

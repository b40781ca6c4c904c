"""`mcusim check`: networks held against budgets of their own, from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    document,
    glyphs,
    refuse_overwriting,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError
from mcusim.gating.budgets import Held, check_budgets
from mcusim.render.gates import budget_lines
from mcusim.report import Report

__all__ = ["CheckDocument", "check"]


class HeldDocument(TypedDict):
    """A network on a board. fits: None where it cannot be known.   error: what is wrong with the question."""

    network: str
    board: str
    fits: bool | None
    error: str | None
    report: Report | None


class CheckDocument(Versioned):
    """What `mcusim check` answers, in the order of the file."""

    budgets: list[HeldDocument]


def check(
    budgets: Annotated[
        str, typer.Argument(metavar="BUDGETS", help="A TOML file of networks and their budgets on boards.")
    ],
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Do all networks of a file hold their budgets? One table, one exit code.

    Exit codes: 0 all budgets hold, 1 one is missed, 2 the file is wrong (a network, board or size that is none; the
    others are answered all the same), 3 none is missed but one cannot be judged.

    \b
    Example:
      mcusim check budgets.toml
    """
    refuse_overwriting((budgets,), json=json)
    answers = list(check_budgets(budgets))
    if json is not None:
        write_output(document(_document(answers)), json, "--json")
    if json != STDOUT:
        show(budget_lines(answers, terminal_width(), glyphs()))
    wrong = [held for held in answers if held.report is None]
    if wrong:
        count, (first, *_) = len(wrong), wrong
        what = f"{first.network} on {first.board} cannot be asked ({first.why})"
        rest = f", as {count - 1} more" if count > 1 else ""
        raise InputError(f"{what}{rest}", where=budgets, fix="mend the file, or take the entry out")
    fits = [held.fits for held in answers]
    holds = False if False in fits else None if None in fits else True
    check_exit(
        "mcusim check", [holds], no="a budget is missed", unknown="of some networks it cannot be known whether they fit"
    )


def _document(answers: Sequence[Held]) -> CheckDocument:
    return {
        "schema_version": 1,
        "budgets": [
            {
                "network": held.network,
                "board": held.board,
                "fits": held.fits,
                "error": held.why or None,
                "report": held.report,
            }
            for held in answers
        ],
    }

"""The options that say which schedules are searched: shared by `patch` and `plot front`."""

from __future__ import annotations

from collections.abc import Collection

import typer

from mcusim.cli.options import option
from mcusim.errors import InputError

__all__ = ["ALL_KINDS", "GRID", "KINDS", "STAGES", "stage_kinds"]

KINDS = option(
    metavar="KIND[,KIND]", help="Stages that are allowed: patch, stream. Default: those that the runtime can run."
)
STAGES = typer.Option(min=0, max=8, metavar="N", help="Cut stages in one schedule, at most.")
GRID = typer.Option(min=1, max=64, metavar="N", help="Patches along an axis, at most.")

ALL_KINDS = ("patch", "stream")


def stage_kinds(text: str | None, runs: Collection[str]) -> tuple[str, ...]:
    """The kinds that `--kinds` names; those that the runtime `runs` if it names none. Raises InputError."""
    if text is None:
        return tuple([kind for kind in ALL_KINDS if kind in runs])
    kinds = tuple(kind.strip().lower() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in ALL_KINDS]
    if unknown or not kinds:
        what = f"'{unknown[0] if unknown else text}' is no kind of stage"
        raise InputError(what, where="--kinds", fix="use patch, stream or both, with a comma between")
    return kinds

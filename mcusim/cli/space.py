"""The options that say which schedules are searched: shared by `patch` and `plot front`."""

from __future__ import annotations

import typer

from mcusim.errors import InputError

__all__ = ["GRID", "KINDS", "SRAM_BUDGET", "STAGES", "stage_kinds"]

KINDS = typer.Option(metavar="KIND[,KIND]", help="Stages that are allowed: patch, stream.")
STAGES = typer.Option(min=0, max=8, metavar="N", help="Cut stages in one schedule, at most.")
GRID = typer.Option(min=1, max=64, metavar="N", help="Patches along an axis, at most.")
SRAM_BUDGET = typer.Option(metavar="SIZE", help="SRAM to hold, such as 256k.", show_default=False)

_KINDS = ("patch", "stream")


def stage_kinds(text: str) -> tuple[str, ...]:
    """The kinds that `--kinds` names. Raises InputError."""
    found = tuple(kind.strip().lower() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in found if kind not in _KINDS]
    if unknown or not found:
        what = f"'{unknown[0] if unknown else text}' is no kind of stage"
        raise InputError(what, where="--kinds", fix="use patch, stream or both, with a comma between")
    return found

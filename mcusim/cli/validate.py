"""`mcusim validate`: predicted times beside measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mcusim.cli.options import JSON, csv_of
from mcusim.cli.sheets import validation_csv
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    one_thread,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError
from mcusim.pricing.validation import (
    MANY_NETWORKS,
    SOME_NETWORKS,
    Prediction,
    energy_checks,
    left_out,
    of_systems,
    predictions,
    score,
    score_systems,
)
from mcusim.render.validation import validation_lines

__all__ = ["validate"]


def validate(
    systems: Annotated[
        str, typer.Option(metavar="N", help="Show systems with at least so many networks, or all.")
    ] = "4",
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[str | None, csv_of("measured time")] = None,
) -> None:
    """How far off are the times that mcusim predicts, from those measured on real boards?

    Every published network is left out in turn, on all systems, and predicted from the others; beside it stands what
    multiply-accumulates alone would predict. Takes some seconds.

    \b
    Examples:
      mcusim validate
      mcusim validate --systems all --csv validation.csv
      mcusim plot validation -o validation.svg
    """
    one_thread()

    refuse_same_target(json=json, csv=csv)
    least = _least(systems)
    found = predictions()
    checks = energy_checks(found)
    if json is not None:
        write_output(document(_document(found, len(left_out()))), json, "--json")
    if csv is not None:
        write_output(validation_csv(found), csv, "--csv")
    if STDOUT not in (json, csv):
        show(validation_lines(found, checks, left_out(), least, terminal_width(), glyphs()))


def _least(text: str) -> int:
    if text.strip().lower() == "all":
        return 1
    if not text.strip().isdigit() or int(text) < 1:
        raise InputError(f"'{text}' is no number of networks", where="--systems", fix="use all, or a number from 1 on")
    return int(text)


def _document(found: Sequence[Prediction], reasons: int) -> dict[str, Any]:

    kept = {str(n): of_systems(found, n) for n in (MANY_NETWORKS, SOME_NETWORKS, 1)}
    return {
        "schema_version": 1,
        "summary": {n: score(rows)._asdict() for n, rows in kept.items() if rows},
        "systems": [
            {**entry.system._asdict(), "networks": entry.networks, **entry.score._asdict()}
            for entry in score_systems(found)
        ],
        "energy": [{"id": check.row.id, **check._asdict(), "row": check.row.model} for check in energy_checks(found)],
        "reasons_left_out": reasons,
    }

"""`mcusim validate`: predicted times beside measured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mcusim.pricing.scoring import Prediction, score_systems
from mcusim.pricing.validation import EARLIER_COMMIT, EnergyCheck, Group, energy_checks, left_out, predictions
from mcusim.render.validation import group_scores, validation_lines

__all__ = ["validate"]


def validate(
    systems: Annotated[
        str, typer.Option(metavar="N", help="Show systems with at least so many networks, or all.")
    ] = "4",
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[str | None, csv_of("measured time")] = None,
) -> None:
    """How far off are the times that mcusim predicts, from those measured on real boards?

    Whole families of networks, whole boards, versions and single operators are left out in turn, on all systems, and
    predicted from the rest; beside it stands what multiply-accumulates alone would predict, and what an earlier model
    of mcusim did. Takes some seconds.

    \b
    Examples:
      mcusim validate
      mcusim validate --systems all --csv validation.csv
      mcusim plot validation -o validation.svg
    """
    one_thread()

    refuse_same_target(json=json, csv=csv)
    least = _least(systems)
    every = {group: predictions(group) for group in Group}
    checks = energy_checks(every[Group.FAMILIES])
    if json is not None:
        write_output(document(_document(every, checks, len(left_out()))), json, "--json")
    if csv is not None:
        write_output(validation_csv(every), csv, "--csv")
    if STDOUT not in (json, csv):
        show(validation_lines(every, checks, left_out(), least, terminal_width(), glyphs()))


def _least(text: str) -> int:
    if text.strip().lower() == "all":
        return 1
    if not text.strip().isdigit() or int(text) < 1:
        raise InputError(f"'{text}' is no number of networks", where="--systems", fix="use all, or a number from 1 on")
    return int(text)


def _document(
    every: Mapping[Group, Sequence[Prediction]], checks: Sequence[EnergyCheck], reasons: int
) -> dict[str, Any]:

    return {
        "schema_version": 2,
        "earlier_commit": EARLIER_COMMIT,
        "groups": [
            {"left_out": group, "rows": which, "by": name, "score": score._asdict()}
            for group, which, scores in group_scores(every)
            for name, score in scores.items()
        ],
        "systems": [
            {**entry.system._asdict(), "networks": entry.networks, **entry.score._asdict()}
            for entry in score_systems(every[Group.FAMILIES])
        ],
        "energy": [{"id": check.row.id, **check._asdict(), "row": check.row.model} for check in checks],
        "reasons_left_out": reasons,
    }

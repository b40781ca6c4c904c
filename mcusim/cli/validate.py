"""`mcusim validate`: predicted times beside measured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypedDict

import typer

from mcusim.cli.documents import SystemDocument, system_document
from mcusim.cli.options import JSON, csv_of
from mcusim.cli.sheets import validation_csv
from mcusim.cli.shell import (
    STDOUT,
    document,
    glyphs,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError
from mcusim.pricing.scoring import Prediction, Score, SystemScore, score_systems
from mcusim.pricing.validation import EARLIER_COMMIT, EnergyCheck, Group, energy_checks, left_out, predictions
from mcusim.render.validation import group_scores, validation_lines

__all__ = ["ValidateDocument", "validate"]


class GroupDocument(TypedDict):
    """left_out: together.   rows: which of them.   by: mcusim, an earlier commit of it, or MACs alone."""

    left_out: str
    rows: str
    by: str
    score: Score


class ScoredDocument(SystemDocument):
    """How far off the times of a system are with families left out."""

    networks: int
    rows: int
    mean_error: float
    median_error: float
    within_10: float
    within_20: float
    coverage: float
    median_width: float
    interval_score: float


class EnergyDocument(TypedDict):
    """A published energy beside what power and time give, in microjoules. row: the network's name."""

    id: str
    row: str
    published_uj: float
    measured_time_uj: float
    answer_uj: float
    left_out_uj: float
    low_uj: float
    high_uj: float


class ValidateDocument(TypedDict):
    """What `mcusim validate` answers. reasons_left_out: how many reasons leave rows out."""

    schema_version: Literal[2]
    earlier_commit: str
    groups: list[GroupDocument]
    systems: list[ScoredDocument]
    energy: list[EnergyDocument]
    reasons_left_out: int


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
) -> ValidateDocument:
    return {
        "schema_version": 2,
        "earlier_commit": EARLIER_COMMIT,
        "groups": [
            {"left_out": group, "rows": which, "by": name, "score": score}
            for group, which, scores in group_scores(every)
            for name, score in scores.items()
        ],
        "systems": [_system(entry) for entry in score_systems(every[Group.FAMILIES])],
        "energy": [_energy(check) for check in checks],
        "reasons_left_out": reasons,
    }


def _system(entry: SystemScore) -> ScoredDocument:
    score = entry.score
    return {
        **system_document(entry.system),
        "networks": entry.networks,
        "rows": score.rows,
        "mean_error": score.mean_error,
        "median_error": score.median_error,
        "within_10": score.within_10,
        "within_20": score.within_20,
        "coverage": score.coverage,
        "median_width": score.median_width,
        "interval_score": score.interval_score,
    }


def _energy(check: EnergyCheck) -> EnergyDocument:
    return {
        "id": check.row.id,
        "row": check.row.model,
        "published_uj": check.published_uj,
        "measured_time_uj": check.measured_time_uj,
        "answer_uj": check.answer_uj,
        "left_out_uj": check.left_out_uj,
        "low_uj": check.low_uj,
        "high_uj": check.high_uj,
    }

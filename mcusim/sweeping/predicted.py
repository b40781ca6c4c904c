"""What a predictor says of the networks of a sweep, which are drawn or read again for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcusim.designing.optimising.candidates import Candidate, score_of
from mcusim.designing.optimising.predictors import find_predictor
from mcusim.designing.spaces import Made
from mcusim.errors import InputError, McusimError
from mcusim.graph import Graph
from mcusim.question.arguments import the_graph
from mcusim.schedule import parse_schedule
from mcusim.simulation.simulate import simulate
from mcusim.sweeping.drawing import drawn_by_name
from mcusim.sweeping.reading import StoredRow

__all__ = ["PREDICTED_FROM", "predicted_scores"]

PREDICTED_FROM = ("number", "network", "board", "asked.schedule", "asked.runtime", "asked.clock_hz")
"""Columns that are needed for it."""


def predicted_scores(rows: Sequence[StoredRow], predictor: str, folder: str = ".") -> dict[str, float]:
    """Network -> its score, each asked about once, with the report of its first row.

    folder: that of the spec, where paths of networks, spaces and profiles begin.   Raises InputError where the
    predictor fails, and where a network is not there any more.
    """
    asked, _ = find_predictor(predictor, folder)
    scores: dict[str, float] = {}
    for row in rows:
        label = str(row["network"])
        if label not in scores:
            scores[label] = score_of(asked, predictor, _candidate(label, row, folder))
    return scores


def _candidate(label: str, row: Mapping[str, Any], folder: str) -> Candidate:
    schedule = str(row["asked.schedule"])
    try:
        drawn = drawn_by_name(label, folder)
        made: Made | None = None if drawn is None else drawn.made()
        graph: Graph = the_graph(label) if made is None else made.graph(label)
        report = simulate(
            graph, profile=row["board"], runtime=row["asked.runtime"], schedule=schedule, clock_hz=row["asked.clock_hz"]
        )
    except McusimError as error:
        what = f"it cannot be asked about {label}: {error.where}: {error.what}"
        fix = "run this in the folder of the sweep's spec, with the files of then"
        raise InputError(what, where="--predictor", fix=fix) from None
    picks, values = ({}, {}) if made is None else (made.picks, made.values)
    network = graph if made is None else made.description
    choices = {**values, "schedule": report.schedule.spec}
    return Candidate(
        int(row["number"]), dict(picks), choices, network, graph, parse_schedule(report.schedule.spec), report, 0.0
    )

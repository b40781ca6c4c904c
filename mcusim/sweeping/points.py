"""Answers of a sweep as points of a plane, in panels, each with the front of those that fit.

Accuracy is no answer of a sweep: it is read from a file of the user's, else it is what the zoo's source prints of the
quantised network, else what a fit to such networks says of MACs and parameters (optimising/predictors.py), where the
network is for ImageNet. Which of the three is kept with each point.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from mcusim import zoo
from mcusim.designing.optimising.predictors import IMAGENET, imagenet_fit
from mcusim.designing.spaces import find_space
from mcusim.errors import InputError, McusimError, did_you_mean
from mcusim.files import reason_of, text_of
from mcusim.report import Verdict
from mcusim.sweeping.predicted import PREDICTED_FROM, predicted_scores
from mcusim.sweeping.reading import StoredRow, read_answers
from mcusim.units import BYTES_PER_KIB

__all__ = [
    "DIVIDERS",
    "METRICS",
    "AccuracySource",
    "Metric",
    "Panel",
    "Point",
    "SweepPoints",
    "front_of",
    "sweep_points",
]


class AccuracySource(StrEnum):
    """Where an accuracy comes from."""

    GIVEN = "given"
    PREDICTED = "predicted"
    """By a predictor that was named."""
    PUBLISHED = "published"
    FIT = "fit"


class Metric(NamedTuple):
    """One axis. column: of the rows; "" for accuracy.   base: the unit, in the column's own.   budget: its column."""

    name: str
    title: str
    unit: str
    column: str
    base: float = 1.0
    budget: str = ""
    more_is_better: bool = False


ACCURACY = "accuracy"
METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(ACCURACY, "top-1 accuracy", "%", "", more_is_better=True),
        Metric("sram", "peak SRAM", "KiB", "sram.peak_bytes", BYTES_PER_KIB, "sram.budget_bytes"),
        Metric("flash", "flash", "KiB", "flash.total_bytes", BYTES_PER_KIB, "flash.budget_bytes"),
        Metric("time", "time", "ms", "latency.ms", budget="latency.budget_ms"),
        Metric("energy", "energy", "mJ", "energy.uj", 1e3),
        Metric("macs", "MACs", "millions", "model.macs", 1e6),
        Metric("params", "parameters", "millions", "model.params", 1e6),
    )
}
SYNONYMS = {"latency": "time"}
DIVIDERS: Mapping[str, str] = {
    "board": "board",
    "runtime": "runtime.name",
    "schedule": "asked.schedule",
    "network": "network",
    "clock": "profile.clock_hz",
}
"""What `--by` may name -> its column."""

MOST_PANELS = 12
_COLUMNS = (
    "number",
    "network",
    "board",
    "error",
    "verdict",
    "schedule.spec",
    "runtime.name",
    "model.macs",
    "model.params",
)


_NAMES = ("network", "board", "runtime.name", "schedule.spec", "verdict")


class Point(NamedTuple):
    """x, y: in the units of the axes.   source: of the accuracy, if an axis is one.   on_front: of those that fit."""

    number: int
    network: str
    board: str
    runtime: str
    schedule: str
    verdict: str
    x: float
    y: float
    source: AccuracySource | None = None
    on_front: bool = False


class Panel(NamedTuple):
    """title: "" where there is one only.   budget_x, budget_y: None where the rows have several, or none."""

    title: str
    points: tuple[Point, ...]
    budget_x: float | None
    budget_y: float | None


@dataclass(frozen=True, slots=True)
class SweepPoints:
    """dataset: of the accuracies; "" where none is drawn.   left_out: answers that lack a figure of one of the axes."""

    x: Metric
    y: Metric
    by: str
    panels: tuple[Panel, ...]
    dataset: str
    left_out: int

    @property
    def count(self) -> int:
        """Points in all panels."""
        return sum(len(panel.points) for panel in self.panels)


def sweep_points(
    folder: str,
    x: str,
    y: str,
    by: str | None = None,
    *,
    accuracies: str | None = None,
    dataset: str | None = None,
    predictor: str | None = None,
) -> SweepPoints:
    """Every answer of a sweep that has both figures.

    x, y: names of METRICS.   by: one of DIVIDERS, a panel for each of its values.   accuracies: a CSV file of networks
    and their accuracies.   predictor: says them instead, as `search` knows it.   dataset: of the accuracies; the one
    with the most answers if None.
    Raises InputError where a name is unknown, or nothing is left to draw.
    """
    across, up = _metric(x, "--x"), _metric(y, "--y")
    if predictor is not None and accuracies is not None:
        raise InputError("--accuracies says them already", where="--predictor", fix="leave out one of the two")
    if across is up:
        raise InputError(f"both axes are {across.name}", where="--y", fix="name another one")
    if by is not None and by not in DIVIDERS:
        fix = f"use {', '.join(DIVIDERS)}"
        raise InputError(f"'{by}' divides no answers", where="--by", fix=fix)
    columns = dict.fromkeys((*_COLUMNS, *PREDICTED_FROM, *(c for m in (across, up) for c in (m.column, m.budget) if c)))
    if by is not None:
        columns[DIVIDERS[by]] = None
    rows = read_answers(folder, tuple(columns)).rows
    answered = [row for row in rows if row["error"] is None]
    scores: Mapping[str, tuple[str, float, AccuracySource]] = {}
    of = ""
    if ACCURACY in (across.name, up.name):
        if predictor is None:
            scores, of = _accuracies(answered, accuracies, dataset)
        else:
            predicted = predicted_scores(answered, predictor)
            scores = {label: ("", score, AccuracySource.PREDICTED) for label, score in predicted.items()}
    panels: dict[str, list[tuple[StoredRow, Point]]] = {}
    for row in answered:
        point = _point(row, across, up, scores)
        if point is not None:
            panels.setdefault("" if by is None else str(row[DIVIDERS[by]]), []).append((row, point))
    if not panels:
        what = f"no answer has both {across.title} and {up.title}"
        fix = "name other axes, or give accuracies with --accuracies FILE.csv" if of or scores == {} else "name others"
        raise InputError(what, where=str(folder), fix=fix)
    if len(panels) > MOST_PANELS:
        fix = f"sweep or divide by less; at most {MOST_PANELS} are drawn"
        raise InputError(f"{len(panels)} panels are more than can be read", where=f"--by {by}", fix=fix)
    made = tuple([_panel(title, pairs, across, up) for title, pairs in panels.items()])
    return SweepPoints(across, up, by or "", made, of, len(rows) - sum(len(panel.points) for panel in made))


def _metric(name: str, option: str) -> Metric:
    metric = METRICS.get(SYNONYMS.get(name, name))
    if metric is None:
        fix = did_you_mean(name, METRICS, listed_by="docs/sweep.md")
        raise InputError(
            f"'{name}' is no axis", where=option, fix=fix if fix.startswith("did") else f"use {', '.join(METRICS)}"
        )
    return metric


def _point(
    row: StoredRow, x: Metric, y: Metric, scores: Mapping[str, tuple[str, float, AccuracySource]]
) -> Point | None:
    places, source = [], None
    for metric in (x, y):
        if metric.name == ACCURACY:
            score = scores.get(str(row["network"]))
            if score is None:
                return None
            places.append(score[1])
            source = score[2]
        else:
            value: Any = row[metric.column]
            if value is None:
                return None
            places.append(value / metric.base)
    number: Any = row["number"]
    network, board, runtime, schedule, verdict = (str(row[name]) for name in _NAMES)
    return Point(number, network, board, runtime, schedule, verdict, places[0], places[1], source)


def _panel(title: str, pairs: Sequence[tuple[StoredRow, Point]], x: Metric, y: Metric) -> Panel:
    front = front_of([point for _, point in pairs if point.verdict == Verdict.FITS], x, y)
    chosen = {point.number for point in front}
    points = tuple([point._replace(on_front=point.number in chosen) for _, point in pairs])
    rows = [row for row, _ in pairs]
    return Panel(title, points, _budget(rows, x), _budget(rows, y))


def front_of(points: Sequence[Point], x: Metric, y: Metric) -> list[Point]:
    """Those that no other beats: in order of x, each better in y than all before it. Of equal ones the first."""
    across, up = (-1 if x.more_is_better else 1), (-1 if y.more_is_better else 1)
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (across * point.x, up * point.y, point.number)):
        if not front or up * point.y < up * front[-1].y:
            front.append(point)
    return front


def _budget(rows: Sequence[StoredRow], metric: Metric) -> float | None:
    """The one budget of all rows."""
    budgets: set[Any] = {row[metric.budget] for row in rows} if metric.budget else set()
    only = next(iter(budgets)) if len(budgets) == 1 else None
    return None if only is None else only / metric.base


# ---------------------------------------------------------------------------------------------------------------------
# Accuracy


def _accuracies(
    rows: Sequence[StoredRow], file: str | None, dataset: str | None
) -> tuple[dict[str, tuple[str, float, AccuracySource]], str]:
    """Network -> (data set, percent, source), of one data set: accuracies on two of them are not compared."""
    given = {} if file is None else _read_accuracies(file)
    accuracy_of: dict[str, tuple[str, float, AccuracySource]] = {}
    weights: Counter[str] = Counter()
    for row in rows:
        label = str(row["network"])
        if label not in accuracy_of:
            of = _dataset(label)
            score = _score(label, of, row, given)
            if score is None:
                continue
            accuracy_of[label] = (of, *score)
        weights[accuracy_of[label][0]] += 1
    if not accuracy_of or given:
        return accuracy_of, next(iter(weights), "")
    if dataset is not None and dataset not in weights:
        fix = did_you_mean(dataset, weights, listed_by="the sweep")
        have = f"use {', '.join(weights)}"
        raise InputError(
            f"no network has an accuracy on {dataset}", where="--dataset", fix=fix if fix.startswith("did") else have
        )
    chosen = dataset or max(weights, key=lambda name: weights[name])
    return {label: score for label, score in accuracy_of.items() if score[0] == chosen}, chosen


def _score(label: str, dataset: str, row: StoredRow, given: Mapping[str, float]) -> tuple[float, AccuracySource] | None:
    if given:
        return (given[label], AccuracySource.GIVEN) if label in given else None
    published = _published(label)
    if published is not None:
        return published, AccuracySource.PUBLISHED
    macs, params = row["model.macs"], row["model.params"]
    if dataset == IMAGENET and isinstance(macs, int) and isinstance(params, int) and macs > 0 and params > 0:
        return imagenet_fit().top1(macs, params), AccuracySource.FIT
    return None


@cache
def _published(label: str) -> float | None:
    """Top-1 of the quantised network, as its source prints it."""
    if label not in zoo.names():
        return None
    printed = next((figure.top1_quantized for figure in zoo.describe(label).published if figure.top1_quantized), None)
    return None if printed is None else float(printed)


def _dataset(label: str) -> str:
    """What a network of the zoo or of a space is for; "" for a file."""
    if label in zoo.names():
        return zoo.describe(label).dataset
    space, drawn, _ = label.rpartition("#")
    return _dataset_of_space(space) if drawn else ""


@cache
def _dataset_of_space(name: str) -> str:
    if name.endswith(".toml") or "/" in name:
        return ""  # a user's file, which may have changed
    try:
        return find_space(name, ".").dataset
    except McusimError:
        return ""


def _read_accuracies(file: str) -> dict[str, float]:
    """Lines `network,accuracy` in percent; a first line that names the columns is passed over."""
    fix = "write lines of network,accuracy, as in mcunet-in2,60.3"
    accuracies: dict[str, float] = {}
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text_of(file))), 1):
            if not cells or (number == 1 and cells[-1].strip().lower() == ACCURACY):
                continue
            try:
                label, text = cells
                value = float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise InputError(f"line {number} is no network and its accuracy", where=file, fix=fix)
            if not 0 <= value <= 100:
                raise InputError(f"line {number}: {value:g} is no percentage", where=file, fix=fix)
            if label.strip() in accuracies:
                what = f"line {number} gives {label.strip()} a second accuracy"
                raise InputError(what, where=file, fix="leave one of them out")
            accuracies[label.strip()] = value
    except OSError as error:
        raise InputError(reason_of(error), where=file, fix=fix) from None
    except (ValueError, csv.Error):
        raise InputError("it is no CSV file in UTF-8", where=file, fix=fix) from None
    if not accuracies:
        raise InputError("it has no accuracies", where=file, fix=fix)
    return accuracies

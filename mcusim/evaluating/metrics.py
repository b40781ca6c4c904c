"""Shares, areas and their intervals. All take plain arrays; none knows a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from enum import StrEnum
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CONFIDENCE",
    "Metric",
    "Score",
    "area_under_roc",
    "auc_score",
    "bootstrap",
    "percent",
    "percentiles",
    "share",
    "spanned",
    "wilson",
]

CONFIDENCE = 0.95
REPLICATES, LEAST_REPLICATES = 1000, 200
MOST_NUMBERS = 50_000_000
"""That a bootstrap looks at; where a replicate has many, there are fewer, LEAST_REPLICATES at least."""
AT_ONCE = 2_000_000
"""Numbers in memory at a time."""
SEED = 0


Floats = NDArray[np.float64]


class Metric(StrEnum):
    """What is measured. MAP: Pascal VOC's area under the whole curve; MAP11: VOC 2007's mean of eleven points."""

    TOP1 = "top1"
    TOP5 = "top5"
    AUC = "auc"
    MAP = "map"
    MAP11 = "map11"

    @property
    def words(self) -> str:
        """As people write it."""
        return _WORDS[self]


_WORDS = {
    Metric.TOP1: "top-1",
    Metric.TOP5: "top-5",
    Metric.AUC: "AUC",
    Metric.MAP: "mAP (whole curve)",
    Metric.MAP11: "mAP (11 points)",
}


def percent(share: float) -> str:
    """`33.3 %`; two digits below a tenth of a percent."""
    return f"{share * 100:.2g} %" if 0 < share < 0.001 else f"{share * 100:.1f} %"


class Score(NamedTuple):
    """A metric with its 95 % interval, all from 0 to 1.   method: how the interval came about; samples: of how many."""

    metric: Metric
    value: float
    low: float
    high: float
    method: str
    samples: int


def wilson(successes: int, count: int) -> tuple[float, float]:
    """Interval of a share. Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927), 209."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, scale = successes / count, 1 + z * z / count
    centre = share + z * z / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    low, high = (centre - half) / scale, (centre + half) / scale
    return (0.0 if successes == 0 else low), (1.0 if successes == count else high)


def share(metric: Metric, successes: int, count: int) -> Score:
    low, high = wilson(successes, count)
    return Score(metric, successes / count, low, high, "Wilson", count)


def area_under_roc(scores: Sequence[float], labels: Sequence[int]) -> float:
    """The chance that a random positive scores above a random negative, ties counted half. NaN without both."""
    return float(_areas(np.asarray(scores, np.float64), np.asarray(labels) > 0, np.ones((1, len(scores))))[0])


def auc_score(scores: Sequence[float], labels: Sequence[int]) -> Score:
    """The area with a bootstrap interval over the samples."""
    values, positive = np.asarray(scores, np.float64), np.asarray(labels) > 0
    count = len(values)
    areas = np.concatenate([_areas(values, positive, weights) for weights in bootstrap(count, count)])
    value, rarer = area_under_roc(scores, labels), int(min(positive.sum(), (~positive).sum()))
    return Score(Metric.AUC, value, *spanned(value, areas, rarer), "bootstrap", count)


def bootstrap(count: int, numbers: int) -> Iterator[Floats]:
    """How often each of `count` samples is drawn, a row a replicate, in blocks of rows; the same every time.

    numbers: that a replicate is computed from, which decides how many there are.
    """
    left = max(min(REPLICATES, MOST_NUMBERS // max(numbers, 1)), LEAST_REPLICATES)
    rng = np.random.Generator(np.random.PCG64(SEED))
    while left > 0:
        rows = min(max(AT_ONCE // max(count, numbers), 1), left)
        yield rng.multinomial(count, np.full(count, 1 / count), size=rows).astype(np.float64)
        left -= rows


def spanned(value: float, replicates: Floats, count: int) -> tuple[float, float]:
    """The interval of a bootstrap; where nothing ever fails, or all does, Wilson's of `count` trials."""
    low, high = percentiles(replicates)
    return (low, high) if low < high else wilson(round(value * count), count)


def percentiles(values: Floats) -> tuple[float, float]:
    """The middle 95 % of a bootstrap; replicates without an answer are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _areas(scores: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Area for each row of weights, by Mann and Whitney's statistic over groups of equal scores."""
    values, group = np.unique(scores, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(values)))
    up = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    down = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    pairs = up.sum(axis=1) * down.sum(axis=1)
    wins = (up * below).sum(axis=1)
    return np.asarray(np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))

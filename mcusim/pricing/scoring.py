"""Predictions that were made without what they predict, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean, median
from typing import NamedTuple

from mcusim.pricing.intervals import COVERAGE
from mcusim.pricing.measurements import KernelTime, Measurement
from mcusim.pricing.systems import System

__all__ = ["Guess", "Prediction", "Score", "SystemScore", "of_systems", "score", "score_of", "score_systems"]


class Guess(NamedTuple):
    """A time and the interval around it, in milliseconds."""

    ms: float
    low_ms: float
    high_ms: float


class Prediction(NamedTuple):
    """A measured time and what is said of it by a model that has not seen it.

    family: networks built alike.   network: what counts as one network.   networks: how many were measured on its
    system.   macs: of the network.   macs_only: what multiply-accumulates alone predict.   earlier: what the model of
    an earlier commit said in the same experiment; None where it was not asked.
    """

    row: Measurement | KernelTime
    family: str
    network: str
    networks: int
    macs: float
    guess: Guess
    macs_only: Guess
    earlier: Guess | None

    @property
    def measured_ms(self) -> float:
        return self.row.cycles / self.row.clock_hz * 1e3

    @property
    def error(self) -> float:
        """Of the prediction, as a share of the measured time."""
        return self.guess.ms / self.measured_ms - 1.0

    @property
    def is_inside(self) -> bool:
        return self.guess.low_ms <= self.measured_ms <= self.guess.high_ms


class Score(NamedTuple):
    """Of some guesses. Errors are shares of the measured time, widths of the guessed one.

    coverage: of the intervals, which aim at 0.8.   interval_score: their width, and 10 times what they miss by, on the
    mean as a share of the measured time: less is better (Gneiting and Raftery 2007).
    """

    rows: int
    mean_error: float
    median_error: float
    within_10: float
    within_20: float
    coverage: float
    median_width: float
    interval_score: float


class SystemScore(NamedTuple):
    """Of one system: ours, and that of multiply-accumulates alone."""

    system: System
    networks: int
    score: Score
    macs_only: Score


def score(pairs: Iterable[tuple[float, Guess]]) -> Score:
    """pairs: measured milliseconds and what was guessed; at least one."""
    pairs = list(pairs)
    errors = [abs(guess.ms / measured - 1.0) for measured, guess in pairs]

    def share(holds: Callable[[float], bool]) -> float:
        return fmean([holds(error) for error in errors])

    return Score(
        len(pairs),
        fmean(errors),
        median(errors),
        share(lambda error: error <= 0.10),
        share(lambda error: error <= 0.20),
        fmean([guess.low_ms <= measured <= guess.high_ms for measured, guess in pairs]),
        median([(guess.high_ms - guess.low_ms) / guess.ms for _, guess in pairs]),
        fmean([_interval_score(measured, guess) for measured, guess in pairs]),
    )


def score_of(predictions: Sequence[Prediction]) -> Score:
    """Of our own guesses."""
    return score((p.measured_ms, p.guess) for p in predictions)


def score_systems(predictions: Iterable[Prediction]) -> tuple[SystemScore, ...]:
    """One entry a system, those with most networks first."""
    groups: dict[System, list[Prediction]] = {}
    for prediction in predictions:
        groups.setdefault(prediction.row.system, []).append(prediction)
    scored = [
        SystemScore(system, own[0].networks, score_of(own), score((p.measured_ms, p.macs_only) for p in own))
        for system, own in groups.items()
    ]
    return tuple(sorted(scored, key=lambda entry: (-entry.networks, entry.system)))


def of_systems(predictions: Iterable[Prediction], networks: int) -> list[Prediction]:
    """Those of systems with at least so many networks."""
    return [prediction for prediction in predictions if prediction.networks >= networks]


def _interval_score(measured_ms: float, guess: Guess) -> float:
    missed = max(guess.low_ms - measured_ms, measured_ms - guess.high_ms, 0.0)
    return (guess.high_ms - guess.low_ms + 2.0 / (1.0 - COVERAGE) * missed) / measured_ms

"""The model against measurements that it has not seen, beside the trivial baseline.

Every measured network is left out in turn, on all systems at once; all that is shown was predicted without it. The
baseline knows multiply-accumulates only: the mean cycles a MAC of the same system's other networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import exp, log
from statistics import fmean, median
from typing import NamedTuple

from mcusim.boards import board_names, load_board
from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.fitting import COVERAGE, NORMAL_QUANTILE, evidence_of, refit
from mcusim.pricing.measurements import Measurement, measurements
from mcusim.pricing.regression import Evidence, leave_out
from mcusim.pricing.stored import package_calibration
from mcusim.pricing.systems import System

__all__ = [
    "MANY_NETWORKS",
    "SOME_NETWORKS",
    "Baseline",
    "EnergyCheck",
    "Prediction",
    "Score",
    "SystemScore",
    "energy_checks",
    "left_out",
    "of_systems",
    "predictions",
    "score",
    "score_systems",
]

MANY_NETWORKS, SOME_NETWORKS = 10, 4
"""A system with so many networks is judged by itself; with so many, in the mean."""

_MACS = [place for place, effort in enumerate(EFFORTS) if effort.name.endswith("_mac")]
_LEAST_DEVIATION = 0.02
_MLPERF = "mlcommons/tiny_results"


class Baseline(NamedTuple):
    """What multiply-accumulates alone predict."""

    ms: float
    low_ms: float
    high_ms: float


class Prediction(NamedTuple):
    """A measured time, what the model says of it without its network, and what the baseline says; None if it cannot."""

    row: Measurement
    ms: float
    low_ms: float
    high_ms: float
    baseline: Baseline | None

    @property
    def measured_ms(self) -> float:
        return float(self.row.latency_ms)

    @property
    def error(self) -> float:
        """Of the prediction, as a share of the measured time."""
        return self.ms / self.measured_ms - 1.0

    @property
    def is_inside(self) -> bool:
        return self.low_ms <= self.measured_ms <= self.high_ms

    @property
    def width(self) -> float:
        """Of the interval, as a share of the prediction."""
        return (self.high_ms - self.low_ms) / self.ms


class Score(NamedTuple):
    """Of some predictions. Errors and widths are shares of the measured and the predicted time.

    coverage: of the intervals, which aim at 0.8.   interval_score: their width, and 10 times what they miss by, on the
    mean as a share of the measured time: less is better (Gneiting and Raftery 2007).
    """

    rows: int
    mean_error: float
    worst_error: float
    within_10: float
    within_15: float
    within_20: float
    coverage: float
    median_width: float
    interval_score: float
    baseline_error: float | None
    baseline_coverage: float | None
    baseline_interval_score: float | None


class SystemScore(NamedTuple):
    system: System
    networks: int
    score: Score


def predictions(rows: Sequence[Measurement] | None = None) -> tuple[Prediction, ...]:
    """Every measurement that is evidence, predicted from all other networks.   rows: the package's own if None."""
    used = [row for row in (measurements() if rows is None else rows) if not row.left_out]
    evidence = evidence_of(used)
    fit, scale = refit(evidence, package_calibration().fit.spreads)
    left = leave_out(evidence, fit)
    found = []
    for row, own, mean, deviation in zip(used, evidence, left.log_cycles, left.deviation, strict=True):
        ms = exp(mean) / row.clock_hz * 1e3
        factor = exp(NORMAL_QUANTILE * scale * deviation)
        found.append(Prediction(row, ms, ms / factor, ms * factor, _baseline(row, own, evidence)))
    return tuple(found)


def _baseline(row: Measurement, own: Evidence, evidence: Sequence[Evidence]) -> Baseline | None:
    others = [other for other in evidence if other.system == own.system and other.network != own.network]
    if not others:
        return None
    rates = [other.cycles / _macs(other) for other in others]
    rate = fmean(rates)
    spread = (sum(log(r / rate) ** 2 for r in rates) / len(rates)) ** 0.5
    ms = rate * _macs(own) / row.clock_hz * 1e3
    factor = exp(NORMAL_QUANTILE * max(spread, _LEAST_DEVIATION) * (1.0 + 1.0 / len(rates)) ** 0.5)
    return Baseline(ms, ms / factor, ms * factor)


def _macs(row: Evidence) -> float:
    return sum(row.amounts[place] for place in _MACS)


def score_systems(found: Iterable[Prediction]) -> tuple[SystemScore, ...]:
    """One entry a system, those with most networks first."""
    groups: dict[System, list[Prediction]] = {}
    for prediction in found:
        groups.setdefault(prediction.row.system, []).append(prediction)
    scored = [
        SystemScore(system, len({p.row.network_id for p in group}), score(group)) for system, group in groups.items()
    ]
    return tuple(sorted(scored, key=lambda entry: (-entry.networks, entry.system)))


def score(found: Sequence[Prediction]) -> Score:
    """Of some predictions together; the baseline's figures only where it answers for every one of them."""
    errors = [abs(p.error) for p in found]
    bases = [p.baseline for p in found if p.baseline is not None]
    whole = len(bases) == len(found)
    measured = [p.measured_ms for p in found]

    def share(holds: Callable[[float], bool]) -> float:
        return sum(map(holds, errors)) / len(errors)

    return Score(
        len(found),
        fmean(errors),
        max(errors),
        share(lambda error: error <= 0.10),
        share(lambda error: error <= 0.15),
        share(lambda error: error <= 0.20),
        fmean([p.is_inside for p in found]),
        median([p.width for p in found]),
        fmean([_interval_score(p.measured_ms, p.low_ms, p.high_ms) for p in found]),
        fmean([abs(b.ms / ms - 1.0) for b, ms in zip(bases, measured, strict=True)]) if whole else None,
        fmean([b.low_ms <= ms <= b.high_ms for b, ms in zip(bases, measured, strict=True)]) if whole else None,
        fmean([_interval_score(ms, b.low_ms, b.high_ms) for b, ms in zip(bases, measured, strict=True)])
        if whole
        else None,
    )


def of_systems(found: Sequence[Prediction], networks: int) -> list[Prediction]:
    """Those of systems with at least so many networks."""
    kept = {entry.system for entry in score_systems(found) if entry.networks >= networks}
    return [prediction for prediction in found if prediction.row.system in kept]


def left_out() -> dict[str, list[Measurement]]:
    """Measurements that are no evidence, by the reason."""
    found: dict[str, list[Measurement]] = {}
    for row in measurements():
        if row.left_out:
            found.setdefault(row.left_out, []).append(row)
    return found


class EnergyCheck(NamedTuple):
    """A published energy beside the board's power times a time, in microjoules.

    measured_time_uj: times the published time: what the power alone is worth.   answer_uj: times the time that a report
    gives.   left_out_uj: times the time predicted without the network.
    """

    row: Measurement
    published_uj: float
    measured_time_uj: float
    answer_uj: float
    left_out_uj: float


def energy_checks(found: Sequence[Prediction]) -> tuple[EnergyCheck, ...]:
    """Every MLPerf Tiny row with an energy, on a board whose power is known at that setting (assumption A23)."""
    fit = package_calibration().fit
    checks = []
    for prediction in found:
        row = prediction.row
        board = row.system.board
        if row.energy_uj is None or row.power_setting or _MLPERF not in row.source or board not in board_names():
            continue
        power = load_board(board).power
        if power is None:
            continue
        milliwatts = (power.active_low_mw + power.active_high_mw) / 2
        (own,) = evidence_of([row])
        mean, _ = fit.posterior(row.system, own.log_physics).log_cycles(own.amounts)
        answer_ms = exp(mean) / row.clock_hz * 1e3
        times = (prediction.measured_ms, answer_ms, prediction.ms)
        checks.append(EnergyCheck(row, row.energy_uj, *(milliwatts * ms for ms in times)))
    return tuple(checks)


def _interval_score(measured: float, low: float, high: float) -> float:
    missed = max(low - measured, measured - high, 0.0)
    return (high - low + 2.0 / (1.0 - COVERAGE) * missed) / measured

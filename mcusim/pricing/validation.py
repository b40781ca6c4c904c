"""The model against measurements that it has not seen: whole families, boards, versions, and kernels left out.

Leaving out one network flatters: its kin on the same board give it away. Each experiment here leaves out all that is
alike, on every system at once, and predicts it from the rest. Beside it stand what multiply-accumulates alone would
predict from the same rest, and what the model of commit `EARLIER_COMMIT` said in the same experiment.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import cache
from importlib import resources
from math import exp, log
from statistics import fmean
from typing import NamedTuple

import numpy as np

from mcusim.boards import board_names, load_board
from mcusim.pricing.fitting import evidence_of, log_physics, lone_operators, package_evidence
from mcusim.pricing.intervals import (
    NORMAL_QUANTILE,
    Known,
    Scale,
    is_tiny,
    kernels_left_out,
    known_without,
    macs_of,
    networks_of,
)
from mcusim.pricing.measurements import KernelTime, Measurement, kernel_times, measurements
from mcusim.pricing.regression import Block, Evidence, blocks_of, leave_out
from mcusim.pricing.scoring import Guess, Prediction
from mcusim.pricing.stored import package_calibration
from mcusim.pricing.systems import System

__all__ = [
    "EARLIER_COMMIT",
    "MANY_NETWORKS",
    "SOME_NETWORKS",
    "EnergyCheck",
    "Group",
    "energy_checks",
    "left_out",
    "predictions",
]

MANY_NETWORKS, SOME_NETWORKS = 10, 4
"""A system with so many networks is judged by itself; with so many, in the mean."""

EARLIER_COMMIT = "e7d7433"
"""Its answers in these experiments are kept in `data/validation_e7d7433.csv`: that commit's code on today's
measurements, refitted with each block left out; its interval scale as it shipped."""

_LEAST_DEVIATION = 0.02
_MLPERF = "mlcommons/tiny_results"


class Group(StrEnum):
    """What is left out together, on every system."""

    FAMILIES = "families"
    NETWORKS = "networks"
    BOARDS = "boards"
    VERSIONS = "versions"
    COMBINATIONS = "combinations"
    KERNELS = "kernels"


MEANING = {
    Group.FAMILIES: "all networks built alike",
    Group.NETWORKS: "one network",
    Group.BOARDS: "all times on a board",
    Group.VERSIONS: "all times of a version and build",
    Group.COMBINATIONS: "a family, and all times on a board",
    Group.KERNELS: "all times on a board, single operators predicted",
}


@cache
def predictions(group: Group = Group.FAMILIES) -> tuple[Prediction, ...]:
    """Every published time that is evidence, or every single operator, predicted without its group."""
    # Kernels have a fit of their own a board; the other groups are left out of one fit algebraically (`leave_out`).
    if group is Group.KERNELS:
        return tuple(_kernel_predictions())
    rows, calibration = package_evidence(), package_calibration()
    blocks = _blocks(rows, group)
    left, remaining = leave_out(rows, calibration.fit, blocks), known_without(rows, blocks)
    published = {row.id: row for row in measurements()}
    networks, earlier, scales = networks_of(rows), _earlier(group), calibration.scales
    base = _macs_only(rows, blocks)
    return tuple(
        _prediction(
            published[row.id],
            row,
            networks[row.system],
            _around(left.log_cycles[i], left.deviation[i], scales.of(remaining[i], row.system.runtime), row),
            base[i],
            earlier.get(row.id),
        )
        for i, row in enumerate(rows)
        if not row.is_kernel
    )


def _blocks(rows: Sequence[Evidence], group: Group) -> list[Block]:
    if group is Group.COMBINATIONS:
        families, boards = (np.array([label(row) for row in rows]) for label in (_family, _board))
        pairs = sorted(set(zip(families.tolist(), boards.tolist(), strict=True)))
        return [
            Block(np.flatnonzero((families == f) | (boards == b)), np.flatnonzero((families == f) & (boards == b)))
            for f, b in pairs
        ]
    label = _LABELS[group]
    return blocks_of([label(row) for row in rows])


def _family(row: Evidence) -> str:
    return row.family


def _board(row: Evidence) -> str:
    return row.system.board


_LABELS: dict[Group, Callable[[Evidence], str]] = {
    Group.FAMILIES: _family,
    Group.NETWORKS: lambda row: row.network,
    Group.BOARDS: _board,
    Group.VERSIONS: lambda row: " ".join(row.system[:3]),
}


class _LogGuess(NamedTuple):
    """Of the logarithm of cycles: its mean, and how far the interval reaches to each side."""

    mean: float
    reach: float


def _around(mean: float, deviation: float, scale: Scale, row: Evidence) -> _LogGuess:
    stretched = scale.at(float(deviation), is_tiny(row.amounts)) * float(deviation)
    return _LogGuess(float(mean), NORMAL_QUANTILE * stretched)


def _prediction(
    row: Measurement | KernelTime,
    own: Evidence,
    networks: int,
    log_guess: _LogGuess,
    macs_only: _LogGuess,
    earlier: _LogGuess | None,
) -> Prediction:
    def shown(guess: _LogGuess) -> Guess:
        # Mean, low end, high end.
        return Guess(*[exp(guess.mean + side * guess.reach) / row.clock_hz * 1e3 for side in (0, -1, 1)])

    return Prediction(
        row,
        own.family,
        own.network,
        networks,
        macs_of(own.amounts),
        shown(log_guess),
        shown(macs_only),
        None if earlier is None else shown(earlier),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Single operators


def _kernel_predictions() -> Iterator[Prediction]:
    """Operators measured alone, from a fit that has seen nothing of their board."""
    rows, calibration, earlier = package_evidence(), package_calibration(), _earlier(Group.KERNELS)
    published = {row.id: row for row in kernel_times()}
    alone, scale = lone_operators(), calibration.scales.by_known[Known.KERNEL]
    guesses = kernels_left_out(rows, alone, calibration.fit.spreads)
    for board in sorted({row.system.board for row in alone}):
        kept = [row for row in rows if row.system.board != board]
        here = [row for row in alone if row.system.board == board]
        base = _macs_only([*kept, *here], _tail(len(kept), len(here)))
        for place, row in enumerate(here, len(kept)):
            guess = _around(*guesses[row.id], scale, row)
            yield _prediction(published[row.id], row, 0, guess, base[place], earlier.get(row.id))


def _tail(first: int, count: int) -> list[Block]:
    out = np.arange(first, first + count)
    return [Block(out, out)]


# ---------------------------------------------------------------------------------------------------------------------
# What else could have been said


def _macs_only(rows: Sequence[Evidence], blocks: Sequence[Block]) -> dict[int, _LogGuess]:
    """Mean cycles a multiply-accumulate of the nearest system with rows that are not left out, by place of a row."""
    macs = [macs_of(row.amounts) for row in rows]
    networks = [i for i, row in enumerate(rows) if not row.is_kernel and macs[i]]
    guesses: dict[int, _LogGuess] = {}
    for block in blocks:
        out = set(block.out.tolist())
        rates: dict[tuple[str, ...], list[float]] = {}
        for i in networks:
            if i not in out:
                for key in _nearness(rows[i].system):
                    rates.setdefault(key, []).append(rows[i].cycles / macs[i])
        for i in block.asked.tolist():
            # The nearest level with any row: the system itself, its release on that core, the runtime on it, the core,
            # everything.
            near = next((rates[key] for key in _nearness(rows[i].system) if key in rates), [1.0])
            mean = fmean(near)
            spread = (sum(log(rate / mean) ** 2 for rate in near) / len(near)) ** 0.5
            # One row more is as uncertain as those seen, and the mean itself is uncertain by a part of that.
            reach = NORMAL_QUANTILE * max(spread, _LEAST_DEVIATION) * (1.0 + 1.0 / len(near)) ** 0.5
            guesses[i] = _LogGuess(log(mean * max(macs[i], 1.0)), reach)
    return guesses


def _nearness(system: System) -> tuple[tuple[str, ...], ...]:
    """Names of ever larger groups of systems."""
    runtime, version, option, core = system[:4]
    return (tuple(system), (runtime, version, option, core), (runtime, core), (core,), ())


@cache
def _earlier(group: Group) -> dict[str, _LogGuess]:
    """What the earlier commit's model said of each row in one experiment."""
    name = f"validation_{EARLIER_COMMIT}.csv"
    text = resources.files("mcusim.pricing").joinpath("data", name).read_text(encoding="utf-8")
    return {
        row["id"]: _LogGuess(float(row["log_cycles"]), float(row["reach"]))
        for row in csv.DictReader(io.StringIO(text))
        if row["group"] == group
    }


def left_out() -> dict[str, list[Measurement]]:
    """Measurements that are no evidence, by the reason."""
    reasons: dict[str, list[Measurement]] = {}
    for row in measurements():
        if row.left_out:
            reasons.setdefault(row.left_out, []).append(row)
    return reasons


# ---------------------------------------------------------------------------------------------------------------------
# Energy


class EnergyCheck(NamedTuple):
    """A published energy beside the board's power times a time, in microjoules.

    measured_time_uj: times the published time: what the power alone is worth.   answer_uj: times the time that a report
    gives.   left_out_uj: times the time predicted without the network's family.   low_uj, high_uj: of that, with the
    bounds of both power and time.
    """

    row: Measurement
    published_uj: float
    measured_time_uj: float
    answer_uj: float
    left_out_uj: float
    low_uj: float
    high_uj: float

    @property
    def is_inside(self) -> bool:
        return self.low_uj <= self.published_uj <= self.high_uj


def energy_checks(predicted: Sequence[Prediction]) -> tuple[EnergyCheck, ...]:
    """Every MLPerf Tiny row with an energy, on a board whose power is known at that setting (assumption A23)."""
    fit = package_calibration().fit
    checks = []
    for prediction in predicted:
        row = prediction.row
        if not isinstance(row, Measurement) or row.energy_uj is None or row.power_setting or _MLPERF not in row.source:
            continue
        board = row.system.board
        power = load_board(board).power if board in board_names() else None
        if power is None:
            continue
        milliwatts = (power.active_low_mw + power.active_high_mw) / 2
        (own,) = evidence_of([row])
        mean, _ = fit.posterior(row.system, log_physics(row.system, row.clock_hz)).log_cycles(own.amounts)
        answer_ms = exp(mean) / row.clock_hz * 1e3
        guess = prediction.guess
        measured_uj, answer_uj, guessed_uj = (milliwatts * ms for ms in (prediction.measured_ms, answer_ms, guess.ms))
        low_uj, high_uj = power.active_low_mw * guess.low_ms, power.active_high_mw * guess.high_ms
        checks.append(EnergyCheck(row, row.energy_uj, measured_uj, answer_uj, guessed_uj, low_uj, high_uj))
    return tuple(checks)

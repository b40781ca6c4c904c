"""Evidence from measurements, a fit from evidence, and the fit as a file.

`scripts/calibrate.py` makes the package's own (`data/fit.json`); `mcusim calibrate` adds one's own measurements to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from math import log
from typing import Any

import msgspec
import numpy as np

from mcusim.boards import board_names, load_board
from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.measurements import Measurement, network_efforts
from mcusim.pricing.physics import physics, wait_factor
from mcusim.pricing.regression import Evidence, Fit, Spread, Spreads, fit_rows, leave_out
from mcusim.pricing.systems import LEVELS, System

__all__ = [
    "COVERAGE",
    "NORMAL_QUANTILE",
    "evidence_of",
    "fit_from_bytes",
    "fit_to_bytes",
    "interval_scale",
    "log_physics",
    "refit",
]

COVERAGE = 0.8
NORMAL_QUANTILE = 1.2816
"""A normal variable lies within so many standard deviations of its mean with probability COVERAGE."""

_FEW_NETWORKS = 4
"""Systems with fewer say little about how wide an interval should be: their rows are wide in any case."""


def log_physics(system: System) -> tuple[float, ...]:
    """Log cycles of each effort on a system, as far as counted instructions and its memory tell."""
    known = physics()
    shift = known.core[system.core][0]
    if system.board in board_names():
        shift += log(wait_factor(load_board(system.board)))
    return tuple(value + shift for value in known.log_cycles)


@cache
def _row(measurement: Measurement) -> Evidence:
    system = measurement.system
    return Evidence(
        measurement.id,
        system,
        measurement.network_id,
        network_efforts(measurement.network, system.runtime),
        measurement.cycles,
        measurement.rounding,
        log_physics(system),
    )


def evidence_of(rows: Iterable[Measurement]) -> tuple[Evidence, ...]:
    """The measurements that count as evidence, with the efforts of their networks."""
    return tuple(_row(row) for row in rows if not row.left_out)


def refit(rows: Sequence[Evidence], spreads: Spreads) -> tuple[Fit, float]:
    """A fit and the scale of its intervals."""
    fit = fit_rows(rows, spreads)
    return fit, interval_scale(rows, fit)


def interval_scale(rows: Sequence[Evidence], fit: Fit) -> float:
    """What the model's deviations must be multiplied with so that intervals hold COVERAGE of what was left out."""
    left = leave_out(rows, fit)
    networks: dict[System, set[str]] = {}
    for row in rows:
        networks.setdefault(row.system, set()).add(row.network)
    off = [
        abs(log(row.cycles) - mean) / deviation
        for row, mean, deviation in zip(rows, left.log_cycles, left.deviation, strict=True)
        if len(networks[row.system]) >= _FEW_NETWORKS
    ]
    return float(np.quantile(off, COVERAGE)) / NORMAL_QUANTILE if off else 1.0


# ---------------------------------------------------------------------------------------------------------------------
# The fit as a file


class _Row(msgspec.Struct, frozen=True):
    id: str
    system: list[str]
    shares: list[float]
    pull: float
    variance: float
    weight: float
    log_prices: list[float]


class _Document(msgspec.Struct, frozen=True):
    """efforts, levels: names, so that a fit of another version of mcusim is seen to be one."""

    efforts: list[str]
    levels: dict[str, list[float]]
    effort_spread: float
    noise: float
    interval_scale: float
    rows: list[_Row]
    own_scale: float = 1.0


_DIGITS = 7


def fit_to_bytes(fit: Fit, scale: float, own_scale: float = 1.0) -> bytes:
    """JSON text of a fit: a line a row. scale, own_scale: of `stored.Calibration`."""
    spreads = fit.spreads
    head = {
        "efforts": [effort.name for effort in EFFORTS],
        "levels": {name: [_short(value) for value in spreads.levels[name]] for name in LEVELS},
        "effort_spread": _short(spreads.effort),
        "noise": _short(spreads.noise),
        "interval_scale": _short(scale),
        **({} if own_scale == 1.0 else {"own_scale": _short(own_scale)}),
    }
    rows = [
        {
            "id": fit.ids[i],
            "system": list(fit.systems[i]),
            "shares": [_short(value) for value in fit.shares[i]],
            "pull": _short(fit.pull[i]),
            "variance": _short(fit.variance[i]),
            "weight": _short(fit.weights[i]),
            "log_prices": [_short(value) for value in fit.log_prices[i]],
        }
        for i in range(len(fit.ids))
    ]
    lines = [f'"{name}": {msgspec.json.encode(value).decode()},' for name, value in head.items()]
    body = ",\n".join(msgspec.json.encode(row).decode() for row in rows)
    return ("{\n" + "\n".join(lines) + '\n"rows": [\n' + body + "\n]}\n").encode()


def _short(value: float) -> float:
    """So many digits that a fit made elsewhere, with another order of sums, has the same text in all but rare cases."""
    return float(f"{value:.{_DIGITS}g}")


def fit_from_bytes(content: bytes) -> tuple[Fit, float, float]:
    """The fit, its interval scale and that of one's own systems.

    Raises msgspec.DecodeError or ValueError if it is not one of this version.
    """
    document = msgspec.json.decode(content, type=_Document)
    if document.efforts != [effort.name for effort in EFFORTS] or list(document.levels) != list(LEVELS):
        raise ValueError("it was made by another version of mcusim")
    spreads = Spreads(
        {name: Spread(*values) for name, values in document.levels.items()}, document.effort_spread, document.noise
    )
    rows = document.rows

    def column(name: str) -> Any:
        return np.array([getattr(row, name) for row in rows])

    fit = Fit(
        tuple(row.id for row in rows),
        tuple(System(*row.system) for row in rows),
        spreads,
        column("shares"),
        column("pull"),
        column("variance"),
        column("weight"),
        column("log_prices"),
    )
    return fit, document.interval_scale, document.own_scale

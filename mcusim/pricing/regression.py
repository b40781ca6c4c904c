"""Measured cycles + physics -> what an effort costs on any system, with the covariance of that answer.

The logarithm of the price of effort f on system s is the physics' plus a sum of deviations, one for each level that s
belongs to (its runtime, its version, its core, its board, ...: `systems.LEVELS`). At each level there are three: of
all prices together, of each group of efforts, of each single effort. All deviations are normal with mean 0; how wide is
the level's `Spread`. Prices are therefore never negative, a price that no row determines stays at the physics', and a
system with few rows borrows from its kin.

    cycles of a row i   =   sum over f of  amount[i, f] * exp(log_price[s(i), f])

Linearised at the current prices, the log of the cycles moves by the shares of the efforts, so that rows are jointly
normal with the covariance that `_Kernel` computes; the prices are found by a few Newton steps in row space. Rows far
from the model count less (Student's t with four degrees of freedom), so one odd row does not bend its system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.pricing.efforts import EFFORTS, GROUPS
from mcusim.pricing.physics import physics
from mcusim.pricing.systems import LEVELS, System, keys_of

__all__ = ["Evidence", "Fit", "Posterior", "Spread", "Spreads", "fit_rows", "leave_out", "linear_view"]

Floats = NDArray[np.float64]

_GROUP = np.array([GROUPS.index(effort.group) for effort in EFFORTS])
_INTO_GROUPS: Floats = np.eye(len(GROUPS))[_GROUP]
_IN_GROUP: Floats = _INTO_GROUPS @ _INTO_GROUPS.T
_STEPS, _STEPS_WARM, _REWEIGHTS = 12, 5, 4
_CLOSE = 1e-4
_FREEDOM, _LEAST_WEIGHT = 4.0, 0.02


class Spread(NamedTuple):
    """Standard deviations at one level: of all prices together, of a group's, of a single effort's."""

    together: float
    group: float
    effort: float


@dataclass(frozen=True, slots=True)
class Spreads:
    """How far systems differ. levels: by name of LEVELS.   effort: of each effort, everywhere.   noise: of a row."""

    levels: Mapping[str, Spread]
    effort: float
    noise: float


class Evidence(NamedTuple):
    """One measured time as the regression sees it.

    network: rows of one network are left out together.   amounts: of each of EFFORTS.   log_physics: the physics'
    log cycles of each effort on this system.   rounding: standard deviation of log(cycles) left open by its digits.
    """

    id: str
    system: System
    network: str
    amounts: tuple[float, ...]
    cycles: float
    rounding: float
    log_physics: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What was learned from rows, in the form that answers for any system.

    shares: (rows, efforts) of each effort in a row's cycles.   pull: what each row adds to prices that share a level
    with it.   variance: of each row, its weight included.   weights: in (0, 1], how much each row counts.
    log_prices: (rows, efforts), of each row's system.
    """

    ids: tuple[str, ...]
    systems: tuple[System, ...]
    spreads: Spreads
    shares: Floats
    pull: Floats
    variance: Floats
    weights: Floats
    log_prices: Floats

    def posterior(self, system: System, log_physics: Sequence[float]) -> Posterior:
        """The prices of any system, measured or not."""
        kernel = _Kernel(self.systems, self.spreads)
        met = kernel.meet(system)
        cross = kernel.cross(met, self.shares)
        log_prices = np.asarray(log_physics) + self.pull @ cross
        covariance = kernel.prior(system) - cross.T @ np.linalg.solve(self._gram(kernel), cross)
        return Posterior(log_prices, covariance)

    def _gram(self, kernel: _Kernel) -> Floats:
        found: Floats = kernel.gram(self.shares) + np.diag(self.variance)
        return found


class Posterior(NamedTuple):
    """Log cycles of each effort on a system, and their covariance."""

    log_prices: Floats
    covariance: Floats

    def log_cycles(self, amounts: Sequence[float]) -> tuple[float, float]:
        """Mean and variance of the logarithm of the cycles that some efforts take."""
        parts = np.asarray(amounts) * np.exp(self.log_prices)
        total = parts.sum()
        shares = parts / total
        return float(np.log(total)), max(float(shares @ self.covariance @ shares), 0.0)


class _Kernel:
    """Covariances between rows, and between rows and the prices of a system."""

    def __init__(self, systems: Sequence[System], spreads: Spreads) -> None:
        self.spreads = spreads
        self._names = list(zip(*map(keys_of, systems), strict=True))
        self._levels = [spreads.levels[name] for name in LEVELS]
        self._doubt = np.asarray(physics().uncertainty)

    @cached_property
    def weighed(self) -> tuple[Floats, Floats, Floats]:
        """Three times (rows, rows): variances that two rows share, of all prices, of a group's, of single efforts."""
        together, group, effort = (np.zeros((len(self._names[0]),) * 2) for _ in range(3))
        for names, level in zip(self._names, self._levels, strict=True):
            code = np.unique(names, return_inverse=True)[1]
            shared = code[:, None] == code[None, :]
            together += level.together**2 * shared
            group += level.group**2 * shared
            effort += level.effort**2 * shared
        return together, group, effort + self.spreads.effort**2

    def gram(self, shares: Floats) -> Floats:
        """(rows, rows): of the log cycles of two rows."""
        groups, efforts = shares @ _INTO_GROUPS, shares * self._doubt
        together, group, effort = self.weighed
        total: Floats = together + group * (groups @ groups.T) + effort * (efforts @ efforts.T)
        return total

    def meet(self, system: System) -> list[NDArray[np.bool_]]:
        """For each level, which rows share it with the system."""
        own = keys_of(system)
        return [np.array([name == key for name in names]) for names, key in zip(self._names, own, strict=True)]

    def cross(self, met: list[NDArray[np.bool_]], shares: Floats) -> Floats:
        """(rows, efforts): of the log cycles of a row and the log price of an effort."""
        groups, efforts = (shares @ _INTO_GROUPS) @ _INTO_GROUPS.T, shares * self._doubt**2
        total: Floats = self.spreads.effort**2 * efforts
        for rows, level in zip(met, self._levels, strict=True):
            part = level.together**2 + level.group**2 * groups + level.effort**2 * efforts
            total = total + rows[:, None] * part
        return total

    def prior(self, system: System) -> Floats:
        """(efforts, efforts): of the log prices of a system before any row is seen.

        A core that no row was measured on is as uncertain as the physics says.
        """
        single = np.diag(self._doubt**2)
        total: Floats = self.spreads.effort**2 * single
        for level in self._levels:
            total = total + level.together**2 + level.group**2 * _IN_GROUP + level.effort**2 * single
        if system.core not in self._names[LEVELS.index("core")]:
            total = total + physics().core[system.core][1] ** 2
        return total


# ---------------------------------------------------------------------------------------------------------------------
# Fitting


class _Rows:
    """Evidence as arrays, and the state of the iteration: log prices of each row's system."""

    def __init__(self, rows: Sequence[Evidence], spreads: Spreads) -> None:
        self.rows, self.spreads = rows, spreads
        self.amounts = np.array([row.amounts for row in rows])
        self.measured = np.log([row.cycles for row in rows])
        self.physics = np.array([row.log_physics for row in rows])
        self.variance = spreads.noise**2 + np.array([row.rounding for row in rows]) ** 2
        self.kernel = _Kernel([row.system for row in rows], spreads)

    def linearised(self, log_prices: Floats) -> tuple[Floats, Floats]:
        """Log cycles of every row, and the shares of its efforts in them."""
        parts = self.amounts * np.exp(log_prices)
        total = parts.sum(axis=1)
        return np.log(total), parts / total[:, None]

    def solve(
        self, chosen: NDArray[np.int64], weights: Floats, log_prices: Floats, steps: int
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Newton steps: log prices of every row's system from the chosen rows; shares, pull and gram of those."""
        for _ in range(steps):
            predicted, shares = self.linearised(log_prices)
            target = self.measured - predicted + (shares * (log_prices - self.physics)).sum(axis=1)
            gram = self.kernel.gram(shares)
            noisy = gram[np.ix_(chosen, chosen)] + np.diag(self.variance[chosen] / weights[chosen])
            pull = np.linalg.solve(noisy, target[chosen])
            found = self.physics + self._moved(chosen, shares[chosen], pull)
            step = found - log_prices
            largest = float(np.abs(step).max())
            log_prices = log_prices + step * min(1.0, 1.0 / max(largest, 1e-12))
            if largest < _CLOSE:
                break
        return log_prices, shares, pull, gram

    def _moved(self, chosen: NDArray[np.int64], shares: Floats, pull: Floats) -> Floats:
        """How far the chosen rows move the log prices of every row's system from the physics'."""
        efforts = shares * np.asarray(physics().uncertainty) ** 2
        together, group, effort = (shared[:, chosen] * pull for shared in self.kernel.weighed)
        by_group = (group @ (shares @ _INTO_GROUPS)) @ _INTO_GROUPS.T
        total: Floats = together.sum(axis=1)[:, None] + by_group + effort @ efforts
        return total


def fit_rows(rows: Sequence[Evidence], spreads: Spreads) -> Fit:
    """Prices from all rows; rows that do not go with the others count less."""
    state = _Rows(rows, spreads)
    everyone = np.arange(len(rows))
    weights, log_prices = np.ones(len(rows)), state.physics
    for _ in range(_REWEIGHTS):
        log_prices, *_ = state.solve(everyone, weights, log_prices, _STEPS)
        off = (state.measured - state.linearised(log_prices)[0]) / np.sqrt(state.variance)
        weights = np.clip((_FREEDOM + 1.0) / (_FREEDOM + off**2), _LEAST_WEIGHT, 1.0)
    log_prices, shares, pull, _ = state.solve(everyone, weights, log_prices, _STEPS)
    return Fit(
        tuple(row.id for row in rows),
        tuple(row.system for row in rows),
        spreads,
        shares,
        pull,
        state.variance / weights,
        weights,
        log_prices,
    )


class LinearView(NamedTuple):
    """The model linearised at a fit: `target` is normal with mean 0 and a covariance that the spreads give."""

    target: Floats
    shares: Floats
    weights: Floats
    rounding: Floats
    systems: tuple[System, ...]

    def covariance(self, spreads: Spreads) -> Floats:
        """(rows, rows), noise included."""
        gram = _Kernel(self.systems, spreads).gram(self.shares)
        found: Floats = gram + np.diag((spreads.noise**2 + self.rounding**2) / self.weights)
        return found


def linear_view(rows: Sequence[Evidence], fit: Fit) -> LinearView:
    """What finding spreads needs."""
    state = _Rows(rows, fit.spreads)
    predicted, shares = state.linearised(fit.log_prices)
    target = state.measured - predicted + (shares * (fit.log_prices - state.physics)).sum(axis=1)
    return LinearView(target, shares, fit.weights, np.array([row.rounding for row in rows]), fit.systems)


class LeftOut(NamedTuple):
    """What the model says of rows that it has not seen. log_cycles: mean.   deviation: standard deviation of log."""

    log_cycles: Floats
    deviation: Floats


def leave_out(rows: Sequence[Evidence], fit: Fit) -> LeftOut:
    """Every row predicted from the rows of all other networks, on every system."""
    state = _Rows(rows, fit.spreads)
    networks = np.array([row.network for row in rows])
    mean, deviation = np.zeros(len(rows)), np.zeros(len(rows))
    for network in sorted(set(networks)):
        out, kept = np.flatnonzero(networks == network), np.flatnonzero(networks != network)
        log_prices, _, _, _ = state.solve(kept, fit.weights, fit.log_prices, _STEPS_WARM)
        mean[out], variance = _predict(state, out, kept, fit.weights, log_prices)
        deviation[out] = np.sqrt(variance + state.variance[out])
    return LeftOut(mean, deviation)


def _predict(
    state: _Rows, out: NDArray[np.int64], kept: NDArray[np.int64], weights: Floats, log_prices: Floats
) -> tuple[Floats, Floats]:
    predicted, shares = state.linearised(log_prices)
    gram = state.kernel.gram(shares)
    noisy = gram[np.ix_(kept, kept)] + np.diag(state.variance[kept] / weights[kept])
    cross = gram[np.ix_(out, kept)]
    variance = np.diag(gram)[out] - np.einsum("ij,ji->i", cross, np.linalg.solve(noisy, cross.T))
    return predicted[out], np.maximum(variance, 0.0)

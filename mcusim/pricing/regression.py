"""Measured cycles + physics -> what an effort costs on any system, with the covariance of that answer.

The logarithm of the price of effort f on system s is the physics' plus a sum of deviations, one for each level that s
belongs to (its runtime, its version, its core, its board, ...: `systems.LEVELS`). At each level there are four: of
all prices together, of each group of efforts, of each kind of work whatever its shape, and of each effort as a smooth
function of shape. All deviations are normal with mean 0; how wide is the level's `Spread`, times what is known of the
runtime and of where activations lie (`Spreads.reach`). Prices are therefore never
negative, a price that no row determines stays at the physics', and a system with few rows borrows from its kin.

    price of depthwise work     |      o                  o: where a system's networks spent their time
    by the width of the map     |   .-' '-.__o___
                                |  '               far from there the price returns to what kin have, and its
                                +---5---12---28--- interval widens by the `shape` spread

    cycles of a row i   =   sum over f of  amount[i, f] * exp(log_price[s(i), f])

Linearised at the current prices, the log of the cycles moves by the shares of the efforts, so that rows are jointly
normal with the covariance that `covariances.py` computes; the prices are found by a few Newton steps in row space.
Rows far from the model count less (Student's t with four degrees of freedom), so one odd row does not bend its system.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.pricing.covariances import IN_GROUP, Covariances, Floats, Spreads, work_alike
from mcusim.pricing.systems import LEVELS, System, keys_of

__all__ = [
    "Block",
    "Evidence",
    "Fit",
    "Posterior",
    "blocks_of",
    "fit_rows",
    "join_rows",
    "leave_out",
    "linear_view",
    "noise_variance",
]

_STEPS, _REWEIGHTS = 12, 4
_CLOSE, _CLOSE_WEIGHT, _MOST_STEPS = 1e-4, 0.01, 40
_FREEDOM, _LEAST_WEIGHT = 4.0, 0.02


class Evidence(NamedTuple):
    """One measured time as the regression sees it.

    network: rows of one network are left out together.   family: networks built alike.   amounts: of each of EFFORTS.
    log_physics: the physics' log cycles of each effort on this system.   rounding: standard deviation of log(cycles)
    left open by its digits.   is_kernel: one operator alone.
    """

    id: str
    system: System
    network: str
    family: str
    amounts: tuple[float, ...]
    cycles: float
    rounding: float
    log_physics: tuple[float, ...]
    is_kernel: bool = False


@dataclass(frozen=True, eq=False)
class Fit:
    """What was learned from rows, in the form that answers for any system.

    networks: of each row, "" for a single kernel.   shares: (rows, efforts) of each effort in a row's cycles.
    pull: what each row adds to prices that share a level with it.   variance: of each row, its weight included.
    weights: in (0, 1], how much each row counts.   log_prices: (rows, efforts), of each row's system.
    """

    ids: tuple[str, ...]
    systems: tuple[System, ...]
    networks: tuple[str, ...]
    spreads: Spreads
    shares: Floats
    pull: Floats
    variance: Floats
    weights: Floats
    log_prices: Floats

    def posterior(self, system: System, log_physics: Sequence[float]) -> Posterior:
        """The prices of any system, measured or not."""
        kernel = self._kernel
        cross = kernel.cross(kernel.meet(system), self.shares)
        # The posterior mean is the prior mean plus what the rows pull, and the covariance shrinks by what they
        # determine.
        log_prices = np.asarray(log_physics) + self.pull @ cross
        return Posterior(log_prices, kernel.prior(system) - cross.T @ (self._precision @ cross))

    @cached_property
    def _kernel(self) -> Covariances:
        return Covariances(self.systems, self.spreads)

    @cached_property
    def _precision(self) -> Floats:
        """(rows, rows): the inverse of the covariance of the rows' log cycles, noise included.

        It serves every system: advice asks for forty and more.
        """
        covariance = self._kernel.gram(self.shares) + np.diag(self.variance)
        return np.linalg.inv(covariance).astype(np.float64)

    @cached_property
    def measured(self) -> dict[System, int]:
        """Networks of every system with evidence, 0 where only kernels were measured."""
        names: dict[System, set[str]] = {}
        for system, network in zip(self.systems, self.networks, strict=True):
            names.setdefault(system, set()).update([network] if network else [])
        return {system: len(networks) for system, networks in names.items()}


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


# ---------------------------------------------------------------------------------------------------------------------
# Fitting


def noise_variance(row: Evidence, spreads: Spreads) -> float:
    """Of the logarithm of a row's cycles around what its system's prices say."""
    return (spreads.kernel_noise if row.is_kernel else spreads.noise) ** 2 + row.rounding**2


class _Rows:
    """Evidence as arrays, and the state of the iteration: log prices of each row's system."""

    def __init__(self, rows: Sequence[Evidence], spreads: Spreads) -> None:
        self.rows, self.spreads = rows, spreads
        self.amounts = np.array([row.amounts for row in rows])
        self.measured = np.log([row.cycles for row in rows])
        self.physics = np.array([row.log_physics for row in rows])
        self.variance = np.array([noise_variance(row, spreads) for row in rows])
        self.kernel = Covariances([row.system for row in rows], spreads)

    def linearised(self, log_prices: Floats) -> tuple[Floats, Floats]:
        """Log cycles of every row, and the shares of its efforts in them."""
        parts = self.amounts * np.exp(log_prices)
        total = parts.sum(axis=1)
        return np.log(total), parts / total[:, None]

    def target(self, log_prices: Floats) -> tuple[Floats, Floats]:
        """What the linearised model explains, with mean 0, and the shares that it is linear in."""
        predicted, shares = self.linearised(log_prices)
        # Linear in log prices around the current ones, so what is left over is measured against the physics, the prior
        # mean.
        return self.measured - predicted + (shares * (log_prices - self.physics)).sum(axis=1), shares

    def weights_at(self, log_prices: Floats) -> Floats:
        """How much each row counts: less, the further it lies from what the prices say."""
        off = (self.measured - self.linearised(log_prices)[0]) / np.sqrt(self.variance)
        # The expected precision of a row under Student's t: 1.25 for one that is met, small for one that is far off.
        weights: Floats = np.clip((_FREEDOM + 1.0) / (_FREEDOM + off**2), _LEAST_WEIGHT, 1.0)
        return weights

    def as_fit(self, shares: Floats, pull: Floats, weights: Floats, log_prices: Floats) -> Fit:
        """Of all rows."""
        return Fit(
            tuple(row.id for row in self.rows),
            tuple(row.system for row in self.rows),
            tuple("" if row.is_kernel else row.network for row in self.rows),
            self.spreads,
            shares,
            pull,
            self.variance / weights,
            weights,
            log_prices,
        )

    def solve(
        self, chosen: NDArray[np.int64], weights: Floats, log_prices: Floats, steps: int
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Newton steps: log prices of every row's system from the chosen rows; shares, pull and gram of those."""
        for _ in range(steps):
            target, shares = self.target(log_prices)
            gram = self.kernel.gram(shares)
            # Down-weighted rows count as noisier by just that factor.
            noisy = gram[np.ix_(chosen, chosen)] + np.diag(self.variance[chosen] / weights[chosen])
            # In row space: hundreds of rows against systems times efforts, which are many thousands of unknowns.
            pull = np.linalg.solve(noisy, target[chosen]).astype(np.float64)
            solution = self.physics + self.kernel.moved(chosen, shares[chosen], pull)
            step = solution - log_prices
            largest = float(np.abs(step).max())
            # No price moves by more than a factor of e at once: far away the linearisation is no guide.
            log_prices = log_prices + step * min(1.0, 1.0 / max(largest, 1e-12))
            if largest < _CLOSE:
                break
        return log_prices, shares, pull, gram

    def join(self, new: NDArray[np.int64], weights: Floats, log_prices: Floats) -> tuple[Floats, Floats, Floats]:
        """Newton steps of the new rows alone; the others stay linearised where they are: log prices, shares, pull.

        Whole steps may go to and fro: one that turns back is half as long as the last.
        """
        everyone = np.arange(len(self.rows))
        length, before = 1.0, np.zeros_like(log_prices[new])
        for _ in range(_MOST_STEPS):
            target, shares = self.target(log_prices)
            noisy = self.kernel.gram(shares) + np.diag(self.variance / weights)
            pull = np.linalg.solve(noisy, target).astype(np.float64)
            step = self.physics[new] + self.kernel.moved(everyone, shares, pull, new) - log_prices[new]
            largest = float(np.abs(step).max())
            if largest < _CLOSE:
                break
            length = length / 2 if np.vdot(step, before) < 0 else min(1.0, 1.5 * length)
            log_prices = log_prices.copy()
            log_prices[new] += step * min(length, 1.0 / largest)
            before = step
        return log_prices, shares, pull


def fit_rows(rows: Sequence[Evidence], spreads: Spreads) -> Fit:
    """Prices from all rows; rows that do not go with the others count less."""
    state = _Rows(rows, spreads)
    everyone = np.arange(len(rows))
    weights, log_prices = np.ones(len(rows)), state.physics
    # Weights and prices depend on each other: found in turn.
    for _ in range(_REWEIGHTS):
        log_prices, *_ = state.solve(everyone, weights, log_prices, _STEPS)
        weights = state.weights_at(log_prices)
    log_prices, shares, pull, _ = state.solve(everyone, weights, log_prices, _STEPS)
    return state.as_fit(shares, pull, weights, log_prices)


def join_rows(rows: Sequence[Evidence], fit: Fit) -> Fit:
    """A fit of the first of the rows, and the other rows as well.

    Those of the fit keep their weights, and stay linearised at its prices: what is new hardly moves other systems, and
    is found in a few steps.
    """
    state, known = _Rows(rows, fit.spreads), len(fit.ids)
    new = np.arange(known, len(rows))
    one_of = {row.system: row for row in rows[known:]}
    # A new system starts at what its kin say of it, which is nearer than the physics.
    prices = {system: fit.posterior(system, row.log_physics).log_prices for system, row in one_of.items()}
    log_prices = np.concatenate([fit.log_prices, [prices[row.system] for row in rows[known:]]])
    weights = np.concatenate([fit.weights, np.ones(len(new))])
    for _ in range(_REWEIGHTS):
        log_prices, shares, pull = state.join(new, weights, log_prices)
        before, weights = weights, np.concatenate([fit.weights, state.weights_at(log_prices)[new]])
        if np.allclose(weights, before, atol=_CLOSE_WEIGHT):
            break
    log_prices, shares, pull = state.join(new, weights, log_prices)
    return state.as_fit(shares, pull, weights, log_prices)


class LinearView(NamedTuple):
    """The model linearised at a fit: `target` is normal with mean 0 and a covariance that the spreads give.

    parts: by name of a spread, `LEVEL.FIELD` or a field of Spreads: what its square is multiplied with in that
    covariance, (rows, rows).   fixed: what is there whatever the spreads.
    """

    target: Floats
    parts: dict[str, Floats]
    fixed: Floats


def linear_view(rows: Sequence[Evidence], fit: Fit) -> LinearView:
    """What finding spreads needs."""
    state = _Rows(rows, fit.spreads)
    target, shares = state.target(fit.log_prices)
    one_kind, alike = work_alike()
    wholes = {
        "together": np.ones((len(rows), len(rows))),
        "group": shares @ IN_GROUP @ shares.T,
        "effort": shares @ one_kind @ shares.T,
        "shape": shares @ alike @ shares.T,
    }
    parts = {"effort": wholes["effort"], "shape": wholes["shape"]}
    for level, names in zip(LEVELS, zip(*[keys_of(row.system) for row in rows], strict=True), strict=True):
        code = np.unique(names, return_inverse=True)[1]
        shared = code[:, None] == code[None, :]
        parts |= {f"{level}.{field}": shared * whole for field, whole in wholes.items()}
    is_kernel = np.array([row.is_kernel for row in rows])
    parts["noise"], parts["kernel_noise"] = np.diag(~is_kernel / fit.weights), np.diag(is_kernel / fit.weights)
    rounding = np.array([row.rounding for row in rows])
    return LinearView(target, parts, np.diag(rounding**2 / fit.weights))


class LeftOut(NamedTuple):
    """What the model says of rows that it has not seen. log_cycles: mean.   deviation: standard deviation of log."""

    log_cycles: Floats
    deviation: Floats


class Block(NamedTuple):
    """Places of rows that are left out together, and of those among them that are predicted."""

    out: NDArray[np.int64]
    asked: NDArray[np.int64]


def leave_out(rows: Sequence[Evidence], fit: Fit, blocks: Iterable[Block] | None = None) -> LeftOut:
    """Rows predicted from others alone.   blocks: one for each network, on every system, if None.

    The others' prices are found without the rows that are left out; what the others' cycles are made of stays as it is
    at the fit, so that one matrix serves every block. Rows of no block get NaN.
    """
    state = _Rows(rows, fit.spreads)
    target, shares = state.target(fit.log_prices)
    noise = state.variance / fit.weights
    precision = np.linalg.inv(state.kernel.gram(shares) + np.diag(noise)).astype(np.float64)
    pull: Floats = precision @ target
    mean, deviation = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for out, asked in blocks_of([row.network for row in rows]) if blocks is None else blocks:
        # With P the inverse for all rows, the others alone need none: inv(P[out, out]) is the covariance of what is
        # left out given the others, and undoing its part of the pull leaves what the others say.
        kept = np.setdiff1d(np.arange(len(rows)), out)
        covariance = np.linalg.inv(precision[np.ix_(out, out)])
        without = pull[kept] - precision[np.ix_(kept, out)] @ (covariance @ pull[out])
        log_prices = state.physics[asked] + state.kernel.moved(kept, shares[kept], without, asked)
        mean[asked] = np.log((state.amounts[asked] * np.exp(log_prices)).sum(axis=1))
        own = np.diag(covariance)[np.searchsorted(out, asked)] - noise[asked]
        deviation[asked] = np.sqrt(np.maximum(own, 0.0) + state.variance[asked])
    return LeftOut(mean, deviation)


def blocks_of(labels: Sequence[str]) -> list[Block]:
    """Blocks for `leave_out`: rows of one label together."""
    code = np.unique(labels, return_inverse=True)[1]
    return [Block(whole, whole) for whole in (np.flatnonzero(code == i) for i in range(code.max() + 1))]

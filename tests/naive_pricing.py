"""The pricing model, obvious and slow: dense covariances over every (system, effort), no mcusim.

log price[s, f] = physics[s, f] + sum of deviations of the levels that s belongs to; cycles = sum of amount * price.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def prior_covariance(keys: list[tuple[str, ...]], spreads: list[tuple[float, float, float, float]],
                     everywhere: tuple[float, float], groups: list[int], bases: list[str],
                     knots: list[tuple[float, ...]], doubt: Array, reach: list[list[float]]) -> Array:  # fmt: skip
    """Of every log price with every other, systems outermost. Shapes two octaves apart correlate with exp(-1/2).

    reach: of each system, what its deviations at each level are multiplied with.
    """
    systems, efforts = len(keys), len(groups)
    covariance = np.zeros((systems, efforts, systems, efforts))
    for s in range(systems):
        for t in range(systems):
            for f in range(efforts):
                for g in range(efforts):
                    one_kind = doubt[f] * doubt[g] if bases[f] == bases[g] else 0.0
                    alike = 0.0
                    if bases[f] == bases[g] and knots[f]:
                        squared = sum((x - y) ** 2 for x, y in zip(knots[f], knots[g], strict=True))
                        alike = float(np.exp(-squared / 8.0))
                    value = everywhere[0] ** 2 * one_kind + everywhere[1] ** 2 * alike
                    for level, (together, group, single, shape) in enumerate(spreads):
                        if keys[s][level] != keys[t][level]:
                            continue
                        own = together**2
                        own += group**2 if groups[f] == groups[g] else 0.0
                        own += single**2 * one_kind + shape**2 * alike
                        value += own * reach[s][level] * reach[t][level]
                    covariance[s, f, t, g] = value
    return covariance.reshape(systems * efforts, systems * efforts)


def most_likely(prior_mean: Array, covariance: Array, amounts: Array, which: list[int], logs: Array, variance: Array,
                steps: int = 60) -> tuple[Array, Array]:  # fmt: skip
    """Log prices at the maximum of the posterior and their covariance, by Gauss-Newton on the precision matrix.

    prior_mean: (systems, efforts).   which: the system of each row.   logs: measured log cycles.
    """
    systems, efforts = prior_mean.shape
    precision = np.linalg.inv(covariance + 1e-9 * np.eye(len(covariance)))
    mean = prior_mean.ravel()
    price = mean.copy()
    for _ in range(steps):
        jacobian = np.zeros((len(logs), len(price)))
        predicted = np.zeros(len(logs))
        for row, system in enumerate(which):
            own = slice(system * efforts, (system + 1) * efforts)
            parts = amounts[row] * np.exp(price[own])
            predicted[row] = np.log(parts.sum())
            jacobian[row, own] = parts / parts.sum()
        weighed = jacobian.T / variance
        normal = precision + weighed @ jacobian
        step = np.linalg.solve(normal, weighed @ (logs - predicted) - precision @ (price - mean))
        price = price + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
    return price.reshape(systems, efforts), np.linalg.inv(normal)

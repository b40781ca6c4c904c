"""Make the fit that prices every answer (mcusim/pricing/data/fit.json) from the package's measurements.

    scripts/calibrate.py            fit the prices again, with the spreads that are stored
    scripts/calibrate.py --spreads  first find the spreads: how far runtimes, versions, cores, boards differ
    scripts/calibrate.py --check    write nothing; exit with 1 if the stored fit is not what the measurements give

Spreads maximise the density of the data: half of it that of all rows together (the marginal likelihood), half that of
each network given all others, which is what `mcusim validate` scores; a weak prior holds them near round numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mcusim.pricing.fitting import evidence_of, fit_from_bytes, fit_to_bytes, refit
from mcusim.pricing.measurements import measurements
from mcusim.pricing.regression import Evidence, Fit, Spread, Spreads, fit_rows, linear_view
from mcusim.pricing.systems import LEVELS

FIT = Path(__file__).resolve().parents[1] / "mcusim" / "pricing" / "data" / "fit.json"
ROUNDS, ITERATIONS = 3, 40

START = Spreads(
    {
        "runtime": Spread(0.6, 0.3, 0.2),
        "version": Spread(0.15, 0.2, 0.1),
        "option": Spread(0.1, 0.2, 0.1),
        "core": Spread(0.2, 0.15, 0.1),
        "runtime on core": Spread(0.12, 0.1, 0.05),
        "series": Spread(0.1, 0.1, 0.05),
        "board": Spread(0.05, 0.1, 0.05),
        "runtime on series": Spread(0.08, 0.1, 0.05),
        "system": Spread(0.03, 0.04, 0.03),
    },
    effort=0.25,
    noise=0.03,
)
"""Round numbers: what one would guess of kernels, versions and boards before seeing a measurement."""


def to_vector(spreads: Spreads) -> NDArray[np.float64]:
    return np.log([*(value for name in LEVELS for value in spreads.levels[name]), spreads.effort, spreads.noise])


def from_vector(vector: NDArray[np.float64]) -> Spreads:
    values = np.exp(vector)
    levels = {name: Spread(*map(float, values[3 * i : 3 * i + 3])) for i, name in enumerate(LEVELS)}
    return Spreads(levels, float(values[-2]), float(values[-1]))


def find_spreads(rows: tuple[Evidence, ...]) -> Spreads:
    """The spreads that the measurements ask for."""
    start = to_vector(START)
    vector = start
    networks = np.unique([row.network for row in rows], return_inverse=True)[1]
    blocks = [np.flatnonzero(networks == i) for i in range(networks.max() + 1)]
    bounds = [(value - 2.5, value + 1.5) for value in start]
    for _ in range(ROUNDS):
        view = linear_view(rows, fit_rows(rows, from_vector(vector)))

        def loss(vector: NDArray[np.float64], view: object = view) -> float:
            gram, target = view.covariance(from_vector(vector)), view.target  # type: ignore[attr-defined]
            inverse = np.linalg.inv(gram)
            pulled = inverse @ target
            together = 0.5 * target @ pulled + 0.5 * np.linalg.slogdet(gram)[1]
            left = 0.0
            for block in blocks:
                covariance = np.linalg.inv(inverse[np.ix_(block, block)])
                off, variance = covariance @ pulled[block], np.diag(covariance)
                left += float(np.sum(2.5 * np.log1p(off**2 / variance / 4) + 0.5 * np.log(variance)))
            return float(0.5 * left + 0.5 * together + 0.5 * ((vector - start) ** 2).sum())

        found = minimize(loss, vector, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
        vector = found.x
        print(f"{found.fun:.2f} after {found.nit} steps", file=sys.stderr, flush=True)
    return from_vector(vector)


def stored() -> tuple[Fit, float]:
    return fit_from_bytes(FIT.read_bytes())[:2]


def main() -> int:
    asked = sys.argv[1:]
    if asked not in ([], ["--spreads"], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    rows = evidence_of(measurements())
    spreads = find_spreads(rows) if asked == ["--spreads"] else stored()[0].spreads
    fit, scale = refit(rows, spreads)
    if asked != ["--check"]:
        FIT.write_bytes(fit_to_bytes(fit, scale))
        return 0
    old, old_scale = stored()
    same = old.ids == fit.ids and np.allclose(old.log_prices, fit.log_prices, atol=1e-3)
    if not same or abs(scale - old_scale) > 1e-2:
        print("the stored fit is not what the measurements give; run scripts/calibrate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

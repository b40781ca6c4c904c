"""Make the fit that prices every answer (mcusim/pricing/data/fit.json) from the package's measurements.

    scripts/calibrate.py            fit the prices again, with the spreads that are stored
    scripts/calibrate.py --spreads  first find the spreads: how far runtimes, versions, cores, boards, shapes differ
    scripts/calibrate.py --check    write nothing; exit with 1 if the stored fit is not what the measurements give

Spreads maximise the density of the data: a third that of all rows together (the marginal likelihood), two thirds that
of what `mcusim validate` scores: each family (twice), network, board and version given all others. A weak prior holds
them near round numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from mcusim.pricing.covariances import Spread, Spreads
from mcusim.pricing.fitting import fit_from_bytes, fit_to_bytes, package_evidence, refit
from mcusim.pricing.regression import Block, Evidence, LinearView, blocks_of, fit_rows, linear_view
from mcusim.pricing.systems import LEVELS, OF_A_RUNTIME, release_of

FIT = Path(__file__).resolve().parents[1] / "mcusim" / "pricing" / "data" / "fit.json"
ROUNDS, ITERATIONS = 2, 45
LIKELIHOOD_SHARE = 0.35
FREEDOM = 4.0
Floats = NDArray[np.float64]

START = Spreads(
    {
        "runtime": Spread(0.5, 0.2, 0.15, 0.2),
        "version": Spread(0.15, 0.15, 0.1, 0.2),
        "option": Spread(0.2, 0.15, 0.1, 0.3),
        "core": Spread(0.2, 0.15, 0.1, 0.08),
        "runtime on core": Spread(0.1, 0.1, 0.05, 0.05),
        "series": Spread(0.1, 0.1, 0.05, 0.03),
        "board": Spread(0.05, 0.1, 0.05, 0.03),
        "runtime on series": Spread(0.08, 0.1, 0.05, 0.04),
        "system": Spread(0.03, 0.04, 0.03, 0.08),
    },
    effort=0.2,
    shape=0.1,
    noise=0.02,
    kernel_noise=0.04,
)
"""Round numbers: what one would guess of kernels, versions and boards before seeing a measurement."""

EVERYWHERE = ("effort", "shape", "noise", "kernel_noise")
PRIOR_WIDTHS = {"shape": 0.2, "group": 0.5}
PRIOR_WIDTH, REACH_WIDTH = 1.2, 0.7
WIDENED = 2.0
NAMES = (*(f"{level}.{field}" for level in LEVELS for field in Spread._fields), *EVERYWHERE)


def to_vector(spreads: Spreads, runtimes: Sequence[str]) -> Floats:
    values = [value for name in LEVELS for value in spreads.levels[name]]
    reach = [spreads.runtimes.get(name, 1.0) for name in runtimes]
    return np.log([*values, *(getattr(spreads, name) for name in EVERYWHERE), *reach, spreads.external])


def from_vector(vector: Floats, runtimes: Sequence[str]) -> Spreads:
    values = np.exp(vector).tolist()
    width = len(Spread._fields)
    levels = {name: Spread(*values[width * i : width * (i + 1)]) for i, name in enumerate(LEVELS)}
    *reach, external = values[len(NAMES) :]
    effort, shape, noise, kernel_noise = values[width * len(LEVELS) : len(NAMES)]
    by_runtime = dict(zip(runtimes, reach, strict=True))
    return Spreads(levels, effort, shape, noise, kernel_noise, by_runtime, external)


class Loss:
    """Minus the log density, and how it changes with the logarithm of each spread."""

    def __init__(
        self, rows: Sequence[Evidence], view: LinearView, experiments: Sequence[Sequence[Block]], centre: Floats
    ) -> None:
        self.view, self.experiments, self.centre = view, experiments, centre
        self.parts = [view.parts[name] for name in NAMES]
        self.levels = [name.rpartition(".")[0] for name in NAMES]
        widths = [PRIOR_WIDTHS.get(name.rpartition(".")[2], PRIOR_WIDTH) for name in NAMES]
        self.runtimes = runtimes_of(rows)
        self.of_runtime = np.array([[row.system.runtime == name for row in rows] for name in self.runtimes])
        self.is_external = np.array([bool(row.system.memory) for row in rows])
        self.widths = np.array([*widths, *[REACH_WIDTH] * (len(self.runtimes) + 1)])

    def __call__(self, vector: Floats) -> tuple[float, Floats]:
        squares, reach = np.exp(2.0 * vector[: len(NAMES)]), np.exp(vector[len(NAMES) :])
        by_runtime = np.outer(*[reach[:-1] @ self.of_runtime] * 2)
        by_board = np.outer(*[np.where(self.is_external, reach[-1], 1.0)] * 2)
        of_runtime, of_board, gram = np.zeros_like(by_board), np.zeros_like(by_board), self.view.fixed.copy()
        for square, part, level in zip(squares, self.parts, self.levels, strict=True):
            into = of_runtime if level in OF_A_RUNTIME else of_board if level == "board" else gram
            into += square * part
        of_runtime *= by_runtime
        of_board *= by_board
        gram += of_runtime + of_board
        inverse = np.linalg.inv(gram).astype(np.float64)
        pulled: Floats = inverse @ self.view.target
        together = 0.5 * self.view.target @ pulled + 0.5 * np.linalg.slogdet(gram)[1]
        left, by_inverse = self._left_out(inverse, pulled)
        by_gram = 0.5 * LIKELIHOOD_SHARE * (inverse - np.outer(pulled, pulled)) - inverse @ by_inverse @ inverse
        scaled = dict.fromkeys(OF_A_RUNTIME, by_gram * by_runtime) | {"board": by_gram * by_board}
        slope = [
            2.0 * square * float(np.vdot(scaled.get(level, by_gram), part))
            for square, part, level in zip(squares, self.parts, self.levels, strict=True)
        ]
        slope += (2.0 * self.of_runtime @ (by_gram * of_runtime).sum(axis=1)).tolist()
        slope += [2.0 * float(self.is_external @ (by_gram * of_board).sum(axis=1))]
        off = (vector - self.centre) / self.widths
        value = LIKELIHOOD_SHARE * together + left + 0.5 * off @ off
        return float(value), np.array(slope) + off / self.widths

    def _left_out(self, inverse: Floats, pulled: Floats) -> tuple[float, Floats]:
        """Of every block given all other rows (Student's t), and its derivative by the inverse covariance."""
        share = (1.0 - LIKELIHOOD_SHARE) / len(self.experiments)
        value, slope = 0.0, np.zeros_like(inverse)
        for blocks in self.experiments:
            for block in blocks:
                place = np.ix_(block.out, block.out)
                covariance = np.linalg.inv(inverse[place])
                off, variance = covariance @ pulled[block.out], np.diag(covariance)
                squared = off**2
                reach = FREEDOM * variance + squared
                half = 0.5 * (FREEDOM + 1.0)
                value += share * float(np.sum(half * np.log(reach / variance / FREEDOM) + 0.5 * np.log(variance)))
                by_off = share * (FREEDOM + 1.0) * off / reach
                by_variance = share * (0.5 / variance - half * squared / variance / reach)
                moved = covariance @ by_off
                slope[block.out, :] += np.outer(moved, self.view.target)
                slope[place] -= np.outer(moved, off) + (covariance * by_variance) @ covariance
        return value, 0.5 * (slope + slope.T)


def runtimes_of(rows: Sequence[Evidence]) -> list[str]:
    return sorted({row.system.runtime for row in rows})


def find_spreads(rows: Sequence[Evidence]) -> Spreads:
    """The spreads that the measurements ask for."""
    families = blocks_of([row.family for row in rows])
    networks = blocks_of([row.network for row in rows])
    boards = blocks_of([row.system.board for row in rows])
    releases = blocks_of([" ".join(release_of(row.system)) for row in rows])
    experiments = (families, families, networks, boards, releases)
    runtimes = runtimes_of(rows)
    start = to_vector(START, runtimes)
    vector = start
    bounds = [(value - 2.5, value + 1.6) for value in start]
    for _ in range(ROUNDS):
        loss = Loss(rows, linear_view(rows, fit_rows(rows, from_vector(vector, runtimes))), experiments, start)
        minimum = minimize(loss, vector, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": ITERATIONS})
        vector = minimum.x
        print(f"{minimum.fun:.2f} after {minimum.nit} steps", file=sys.stderr, flush=True)
    return widened(from_vector(vector, runtimes))


def widened(spreads: Spreads) -> Spreads:
    """With more room for how versions and builds differ by shape than the measured networks show.

    A build's few networks are alike (MLPerf Tiny's, on wide maps), so what it wins there would be credited to shapes on
    which nobody measured it. Others of its spreads stay as found.
    """
    levels = {
        name: spread._replace(shape=spread.shape * WIDENED) if name in ("version", "option") else spread
        for name, spread in spreads.levels.items()
    }
    return replace(spreads, levels=levels)


def main() -> int:
    asked = sys.argv[1:]
    if asked not in ([], ["--spreads"], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    rows = package_evidence()
    spreads = find_spreads(rows) if asked == ["--spreads"] else fit_from_bytes(FIT.read_bytes())[0].spreads
    fit, scales = refit(rows, spreads)
    print({known.name.lower(): tuple(round(value, 2) for value in scale) for known, scale in scales.by_known.items()})
    print({runtime: tuple(round(value, 2) for value in pair) for runtime, pair in scales.by_runtime.items()})
    if asked != ["--check"]:
        FIT.write_bytes(fit_to_bytes(fit, scales))
        return 0
    stored, old_scales, *_ = fit_from_bytes(FIT.read_bytes())
    same = stored.ids == fit.ids and np.allclose(stored.log_prices, fit.log_prices, atol=1e-3)
    numbers, old_numbers = (
        np.concatenate([np.ravel(list(part.values())) for part in parts]) for parts in (scales, old_scales)
    )
    if not same or not np.allclose(numbers, old_numbers, atol=1e-2):
        print("the stored fit is not what the measurements give; run scripts/calibrate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The regression of measured times on efforts: against a naive one, with rows left out, odd and none."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import naive_pricing
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim.pricing.covariances import Spread, Spreads
from mcusim.pricing.efforts import EFFORTS, GROUPS
from mcusim.pricing.fitting import (
    fit_from_bytes,
    log_physics,
    package_evidence,
    refit,
)
from mcusim.pricing.intervals import Known
from mcusim.pricing.physics import physics
from mcusim.pricing.regression import (
    _FREEDOM,
    _LEAST_WEIGHT,
    Evidence,
    fit_rows,
    join_rows,
    leave_out,
    noise_variance,
)
from mcusim.pricing.stored import Calibration, package_calibration
from mcusim.pricing.systems import LEVELS, System, keys_of, series_of

SPREADS = Spreads(
    {name: Spread(0.2 + 0.01 * i, 0.15, 0.1, 0.08) for i, name in enumerate(LEVELS)},
    effort=0.2,
    shape=0.12,
    noise=0.05,
    kernel_noise=0.08,
    runtimes={"r1": 1.7},
    external=3.0,
)


def as_bytes(calibration: Calibration) -> bytes:
    return calibration.to_bytes()


def drawn_rows(count: int, seed: int) -> list[Evidence]:
    """Times of made-up networks on made-up systems."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        board = f"stm32h7{rng.integers(3)}"
        runtime, version = f"r{rng.integers(2)}", f"{rng.integers(2)}"
        memory = "external" if i % 4 == 3 else ""
        system = System(runtime, version, "", "cortex-m7", series_of(board), board, memory)
        amounts = rng.uniform(0, 1e6, len(EFFORTS)) * (rng.random(len(EFFORTS)) < 0.6)
        amounts[-1] = 50
        prior = log_physics(System("x", "", "", "cortex-m7", "", "nowhere"))
        cycles = float(amounts @ np.exp(prior)) * math.exp(rng.normal(0, 0.3))
        names = (f"n{i // 2}", f"f{i // 4}")
        rows.append(Evidence(str(i), system, *names, tuple(amounts), cycles, 0.01, prior, i % 5 == 4))
    return rows


def test_the_regression_equals_a_naive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row space and shared levels against one dense matrix over all prices; no weights, which the naive one lacks."""
    monkeypatch.setattr("mcusim.pricing.regression._LEAST_WEIGHT", 1.0)
    rows = drawn_rows(9, 1)
    fit = fit_rows(rows, SPREADS)
    systems = sorted({row.system for row in rows})
    groups = [GROUPS.index(effort.group) for effort in EFFORTS]
    doubt = np.array(physics().uncertainty)
    covariance = naive_pricing.prior_covariance(
        [keys_of(s) for s in systems],
        [tuple(SPREADS.levels[name]) for name in LEVELS],
        (SPREADS.effort, SPREADS.shape),
        groups,
        [effort.base for effort in EFFORTS],
        [effort.knot for effort in EFFORTS],
        doubt,
        [[_reach(system, level) for level in LEVELS] for system in systems],
    )
    prior = np.array([rows[0].log_physics] * len(systems))
    logs = np.log([row.cycles for row in rows])
    noise = np.array([SPREADS.kernel_noise if row.is_kernel else SPREADS.noise for row in rows])
    variance = noise**2 + np.array([row.rounding for row in rows]) ** 2
    which = [systems.index(row.system) for row in rows]
    prices, after = naive_pricing.most_likely(
        prior, covariance, np.array([row.amounts for row in rows]), which, logs, variance
    )
    for i, system in enumerate(systems):
        posterior = fit.posterior(system, rows[0].log_physics)
        np.testing.assert_allclose(posterior.log_prices, prices[i], atol=2e-3)
        own = slice(i * len(EFFORTS), (i + 1) * len(EFFORTS))
        np.testing.assert_allclose(posterior.covariance, after[own, own], atol=2e-3)


def _reach(system: System, level: str) -> float:
    """By the words of `Spreads`: builds of r1 differ more, and boards with activations outside the chip."""
    if level in ("version", "option", "runtime on core", "runtime on series", "system"):
        return 1.7 if system.runtime == "r1" else 1.0
    return 3.0 if level == "board" and system.memory else 1.0


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    rows = drawn_rows(12, seed)
    one, other = fit_rows(rows, SPREADS), fit_rows(rows[::-1], SPREADS)
    np.testing.assert_allclose(one.log_prices, other.log_prices[::-1], atol=1e-3)


def test_a_system_without_rows_stays_at_the_physics_of_an_unknown_runtime() -> None:
    rows = [
        row._replace(system=row.system._replace(core="cortex-m4", board="b", series="b")) for row in drawn_rows(4, 3)
    ]
    fit = fit_rows(rows, SPREADS)
    stranger = System("nobody's", "1", "", "cortex-m33", "s", "t")
    prior = log_physics(stranger)
    posterior = fit.posterior(stranger, prior)
    shared = np.array(posterior.log_prices) - prior
    assert np.abs(shared).max() < 0.5  # only what is common to all runtimes moved
    spread = np.sqrt(np.diag(posterior.covariance))
    assert spread.min() > physics().core["cortex-m33"][1]


def test_more_evidence_makes_prices_surer() -> None:
    rows = drawn_rows(12, 7)
    few, many = fit_rows(rows[:4], SPREADS), fit_rows(rows, SPREADS)
    system = rows[0].system
    before, after = (np.trace(fit.posterior(system, rows[0].log_physics).covariance) for fit in (few, many))
    assert after < before


def test_an_odd_row_does_not_bend_its_system() -> None:
    rows = [row._replace(system=drawn_rows(1, 0)[0].system) for row in drawn_rows(10, 11)]
    fair = [row._replace(cycles=float(np.dot(row.amounts, np.exp(row.log_physics)))) for row in rows]
    odd = [fair[0]._replace(cycles=fair[0].cycles * 4), *fair[1:]]
    fit = fit_rows(odd, SPREADS)
    assert fit.weights[0] < 0.2
    mean, _ = fit.posterior(fair[1].system, fair[1].log_physics).log_cycles(fair[1].amounts)
    assert math.exp(mean) == pytest.approx(fair[1].cycles, rel=0.05)


@pytest.mark.parametrize("factor", [1.0, 20.0, 0.05])
def test_rows_count_by_how_far_they_lie_from_what_is_predicted_of_them(factor: float) -> None:
    """Weights of a t-distribution, whichever side a row lies on."""
    rows = drawn_rows(24, 3)
    rows[5] = rows[5]._replace(cycles=rows[5].cycles * factor)
    fit = fit_rows(rows, SPREADS)
    off = np.array([
        (math.log(row.cycles) - math.log(np.dot(row.amounts, np.exp(prices)))) / noise_variance(row, SPREADS) ** 0.5
        for row, prices in zip(rows, fit.log_prices, strict=True)
    ])  # fmt: skip
    expected = np.clip((_FREEDOM + 1.0) / (_FREEDOM + off**2), _LEAST_WEIGHT, 1.0)
    np.testing.assert_allclose(fit.weights, expected, atol=0.05)


def test_a_left_out_network_is_predicted_from_the_others_alone() -> None:
    rows = drawn_rows(8, 5)
    fit = fit_rows(rows, SPREADS)
    left = leave_out(rows, fit)
    changed = [rows[0]._replace(cycles=rows[0].cycles * 1.01), *rows[1:]]
    again = leave_out(changed, replace(fit, weights=fit.weights))
    assert left.log_cycles[0] == pytest.approx(again.log_cycles[0], abs=1e-3)
    assert left.log_cycles[-1] != again.log_cycles[-1]


def test_a_fit_survives_its_file() -> None:
    calibration = package_calibration()
    fit, scales, *_ = fit_from_bytes(as_bytes(calibration))
    for known in Known:
        assert scales.by_known[known] == pytest.approx(calibration.scales.by_known[known])
    assert scales.by_runtime == calibration.scales.by_runtime
    assert (fit.spreads.runtimes, fit.spreads.external) == (
        calibration.fit.spreads.runtimes,
        calibration.fit.spreads.external,
    )
    np.testing.assert_allclose(fit.log_prices, calibration.fit.log_prices, atol=1e-5)


@pytest.mark.slow
def test_the_stored_fit_is_what_the_measurements_give() -> None:
    rows = package_evidence()
    stored = package_calibration()
    fit, scales = refit(rows, stored.fit.spreads)
    assert fit.ids == stored.fit.ids
    np.testing.assert_allclose(fit.log_prices, stored.fit.log_prices, atol=2e-3)
    for known in Known:
        assert scales.by_known[known] == pytest.approx(stored.scales.by_known[known], abs=0.02), known
    for runtime, factors in stored.scales.by_runtime.items():
        assert scales.by_runtime[runtime] == pytest.approx(factors, abs=0.02), runtime
    assert (np.exp(stored.fit.log_prices) > 0).all()


@pytest.mark.parametrize(
    ("field", "value"), [("variance", -5.0), ("weight", -1.0), ("weight", 7.0), ("shares", [-1.0] * len(EFFORTS))]
)
def test_a_fit_with_numbers_out_of_range_is_none(field: str, value: object) -> None:
    document = json.loads(as_bytes(package_calibration()))
    document["rows"][0][field] = value
    with pytest.raises(ValueError, match="Expected `float`"):
        fit_from_bytes(json.dumps(document).encode())


def test_rows_that_join_a_fit_settle_their_own_system_and_leave_others() -> None:
    """As all rows fitted anew would, on the new system; the rows of the fit keep their prices."""
    fit, rows = package_calibration().fit, package_evidence()
    known = next(row for row in rows if row.system.board == "nrf52840" and not row.is_kernel)
    system = known.system._replace(version="own")
    new = [known._replace(id=f"own{i}", system=system, cycles=known.cycles * (1.5 + i / 100)) for i in range(3)]
    joined = join_rows([*rows, *new], fit)
    assert joined.ids == (*fit.ids, "own0", "own1", "own2")
    np.testing.assert_array_equal(joined.log_prices[: len(rows)], fit.log_prices)
    mean, variance = joined.posterior(system, known.log_physics).log_cycles(known.amounts)
    assert mean == pytest.approx(np.log(1.51 * known.cycles), abs=0.02)
    assert variance**0.5 < 0.05
    elsewhere = next(row for row in rows if row.system.board == "stm32h747" and not row.is_kernel)
    before, after = (
        every.posterior(elsewhere.system, elsewhere.log_physics).log_cycles(elsewhere.amounts)[0]
        for every in (fit, joined)
    )
    assert after == pytest.approx(before, abs=0.02)

"""Work -> efforts -> cycles: prices, causes, versions and intervals of answers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim.boards import all_boards, load_board
from mcusim.errors import RuntimeNameError
from mcusim.graph import Attributes, signature
from mcusim.ops import Work, WorkKind
from mcusim.pricing.efforts import EFFORTS, efforts, rates_of_work
from mcusim.pricing.intervals import Scale
from mcusim.pricing.measurements import (
    add_efforts,
    measurements,
    network_efforts,
    work_of_graph,
)
from mcusim.pricing.physics import log_cycles_of, stall_share, wait_factor
from mcusim.pricing.places import find_place
from mcusim.pricing.prices import coefficients, price_work
from mcusim.pricing.stored import package_calibration
from mcusim.runtimes import RUNTIMES, find_runtime

MEASURED = [name for name, runtime in RUNTIMES.items() if runtime.versions]
"""Runtimes whose times somebody published."""


# ---------------------------------------------------------------------------------------------------------------------
# Efforts


WORKS = st.builds(
    Work,
    kind=st.sampled_from(WorkKind),
    macs=st.integers(0, 10**7),
    outputs=st.integers(0, 10**5),
    inputs=st.integers(0, 10**5),
    channels_in=st.integers(1, 600),
    channels_out=st.integers(1, 64),
    taps=st.integers(1, 49),
    width=st.integers(1, 200),
    calls=st.integers(0, 9),
    weight_bits=st.sampled_from([2, 4, 8]),
    input_bits=st.sampled_from([2, 4, 8]),
    output_bits=st.sampled_from([2, 4, 8]),
)


@given(WORKS)
def test_rates_and_efforts_price_alike(work: Work) -> None:
    cycles = tuple(1.0 + place for place in range(len(EFFORTS)))
    rates = rates_of_work(cycles, work)
    total = rates.mac * work.macs + rates.output * work.outputs + rates.input * work.inputs + rates.call * work.calls
    assert total == pytest.approx(sum(amount * cycles[place] for place, amount in efforts(work)))


@pytest.mark.parametrize(
    ("kind", "feature", "sizes"),
    [
        (WorkKind.DEPTHWISE, "width", (1, 5, 8, 12, 20, 28, 64, 300)),
        (WorkKind.DEPTHWISE, "taps", (3, 9, 15, 25, 49)),
        (WorkKind.POINTWISE, "channels_in", (1, 8, 16, 32, 100, 128, 1280)),
        (WorkKind.CONV, "channels_in", (1, 2, 3, 4, 16, 40, 64, 512)),
        (WorkKind.FULLY_CONNECTED, "channels_in", (4, 32, 100, 512, 4000)),
    ],
)
def test_every_multiply_accumulate_has_one_price_whatever_the_shape(
    kind: WorkKind, feature: str, sizes: tuple[int, ...]
) -> None:
    """Knots share a shape out among them, none is counted twice, and prices move without steps."""
    base = f"{kind.value.replace('fully_connected', 'dense')}_mac"
    rising = tuple(1.0 + place for place in range(len(EFFORTS)))
    for size in sizes:
        near = [Work(kind, macs=1000, **{feature: size}), Work(kind, macs=1000, **{feature: size + 1})]
        amounts = dict(efforts(near[0]))
        assert sum(amount for place, amount in amounts.items() if EFFORTS[place].base == base) == pytest.approx(1000)
        prices = [rates_of_work(rising, work).mac for work in near]
        assert abs(prices[1] - prices[0]) <= 8.0 / size + 1e-6


def test_weights_that_no_cache_holds_are_read_again_from_a_flash_outside_the_chip() -> None:
    """RP2350: 264 KB read once take 34.84 ms (raws-labs/tigris-bench); a wide convolution reads its own again."""
    pico = load_board("rp2350")
    price = dict(zip([e.base for e in EFFORTS], log_cycles_of("cortex-m33", pico), strict=True))
    assert math.exp(price["weight_byte"]) == pytest.approx(19.7, abs=0.1)
    small, large = (Work(WorkKind.POINTWISE, 10**6, 10**4, channels_in=c, channels_out=c) for c in (64, 256))
    names = [{EFFORTS[place].base for place, _ in efforts(work)} for work in (small, large)]
    assert ["weight_again" in each for each in names] == [False, True]


@given(WORKS)
def test_causes_add_up_to_the_total(work: Work) -> None:
    prices = coefficients(RUNTIMES["tinyengine"], load_board("stm32l4r5"))
    assert prices is not None
    cycles = price_work(prices, signature("ADD", Attributes(), (), ()), work)
    assert sum(cycles[1:]) == pytest.approx(cycles.total)
    assert min(cycles) >= 0


TABLED = (
    "mlperf_ad01_int8",
    "mlperf_ic01_resnet8_int8",
    "mlperf_kws01_dscnn_int8",
    "mlperf_vww01_mbv1_025_96_int8",
    "micronet_vww2",
    "armzoo_kws_dscnn_l",
)


@pytest.mark.parametrize("name", TABLED)
def test_layer_tables_are_the_networks_that_they_name(name: str, corpus: Path) -> None:
    """Efforts from the shipped table and from the real file agree: what is calibrated is what is priced."""
    real = add_efforts(work_of_graph(mcusim.load(corpus / "models" / f"{name}.tflite"), RUNTIMES["x-cube-ai"]))
    table = network_efforts(f"layers:{name}", "x-cube-ai")
    for effort, there, here in zip(EFFORTS, real, table, strict=True):
        if effort.group in ("pointwise", "conv", "depthwise", "dense"):
            assert there == pytest.approx(here), effort.name


# ---------------------------------------------------------------------------------------------------------------------
# Measurements


def test_every_measurement_has_a_source_and_every_version_is_told() -> None:
    rows = measurements()
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.source for row in rows)
    used = [row for row in rows if not row.left_out]
    for name, runtime in RUNTIMES.items():
        assert {row.system.version for row in used if row.system.runtime == name} == set(runtime.versions), name
    assert all(row.clock_hz > 0 and float(row.latency_ms) > 0 for row in used)


def test_the_digits_of_a_time_say_how_exact_it_is() -> None:
    row = measurements()[0]
    coarse, fine = row._replace(latency_ms="587"), row._replace(latency_ms="587.00")
    assert coarse.rounding == pytest.approx(100 * fine.rounding)


# ---------------------------------------------------------------------------------------------------------------------
# Answers


@pytest.mark.parametrize(
    ("runtime", "measured_ms"), [("tinyengine", 336), ("x-cube-ai", 414), ("tflm-cmsis-nn", 770), ("tflm", 7821)]
)
def test_measured_times_are_bracketed_and_say_on_what(runtime: str, measured_ms: float) -> None:
    latency = mcusim.simulate("mcunet-in3", profile="stm32h743", runtime=runtime).latency
    assert latency.low_ms is not None
    assert latency.high_ms is not None
    assert latency.low_ms < measured_ms < latency.high_ms
    assert (latency.high_ms - latency.low_ms) / measured_ms < 0.3
    assert latency.basis is mcusim.Basis.CALIBRATED
    assert "stm32h743" in latency.evidence


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_every_runtime_answers_on_every_board_and_wider_where_nobody_measured(name: str) -> None:
    widths = {}
    for board in all_boards():
        report = mcusim.simulate("mcunet-vww0", profile=board, runtime=name)
        latency = report.latency
        assert latency.ms is not None
        assert latency.low_ms is not None
        assert latency.high_ms is not None
        assert 0 < latency.low_ms < latency.ms < latency.high_ms
        prices = coefficients(find_runtime(name), board)
        assert prices is not None
        widths.setdefault(prices.basis is mcusim.Basis.CALIBRATED, []).append(latency.high_ms / latency.low_ms)
        assert any(warning.startswith("time: ") for warning in report.warnings) is (prices.networks == 0)
    if len(widths) == 2:
        assert min(widths[False]) > min(widths[True])


def test_versions_are_asked_for_by_name() -> None:
    old, new = (
        mcusim.simulate("mcunet-vww0", profile="stm32h747", runtime=f"x-cube-ai@{version}") for version in ("7.3", "10")
    )
    assert (old.runtime.version, new.runtime.version) == ("7.3", "10.0")
    assert (old.latency.ms or 0) > (new.latency.ms or 0)
    mlperf = mcusim.simulate("mcunet-vww0", profile="stm32h7a3", runtime="x-cube-ai@9.0+mlperf")
    assert "9.0+mlperf" in mlperf.latency.evidence
    assert "as ST submitted it to MLPerf Tiny" in mlperf.latency.evidence
    with pytest.raises(RuntimeNameError, match="nobody measured the option 'x'"):
        mcusim.simulate("mcunet-vww0", profile="stm32h7a3", runtime="x-cube-ai@9.0+x")


@pytest.mark.parametrize(
    ("asked", "priced"), [("x-cube-ai@10.0", "10.0"), ("x-cube-ai@7.3", "7.3"), ("x-cube-ai", "7.3")]
)
def test_the_version_that_is_named_is_the_one_that_is_priced(asked: str, priced: str) -> None:
    report = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime=asked)
    assert report.runtime.version == report.latency.version == priced
    assert priced in report.latency.evidence


@pytest.mark.parametrize("name", MEASURED)
def test_without_a_version_only_current_ones_without_options_answer(name: str) -> None:
    runtime = find_runtime(name)
    for board in all_boards():
        place = find_place(package_calibration(), runtime, board)
        assert place is not None
        assert place.system.version in runtime.current_versions
        assert not place.system.option


def test_a_version_without_an_option_is_its_default_build() -> None:
    """Of 10.2 only what ST submitted to MLPerf was measured: another default build stands in and is named."""
    plain, fast = (
        mcusim.simulate("mcunet-vww0", profile="stm32l4r5", runtime=f"x-cube-ai@{version}").latency
        for version in ("10.2", "10.2+mlperf")
    )
    assert (plain.ms or 0) > 1.3 * (fast.ms or 0)
    assert "default build of 10.2 was not measured" in plain.evidence
    assert "x-cube-ai@10.2+mlperf" in plain.evidence
    assert (plain.high_ms or 0) / (plain.low_ms or 1) > (fast.high_ms or 0) / (fast.low_ms or 1)


@pytest.mark.parametrize("name", ["plumerai", "hale"])
def test_times_of_submissions_say_so(name: str) -> None:
    assert "MLPerf Tiny" in mcusim.simulate("mcunet-vww0", profile="stm32l4r5", runtime=name).latency.evidence


@given(st.floats(1e-3, 2.0), st.floats(1.0, 3.0))
def test_intervals_widen_with_the_deviation(deviation: float, factor: float) -> None:
    for scale in package_calibration().scales.by_known.values():
        assert scale.at(deviation * factor) * deviation * factor >= 0.999 * scale.at(deviation) * deviation
    assert Scale(1.0, 2.0, 3.0).at(deviation) == pytest.approx(min(max(Scale(1.0, 2.0, 3.0).at(deviation), 1.0), 3.0))


def test_shapes_that_a_system_never_ran_widen_its_interval() -> None:
    """Depthwise kernels of 25 and 49 taps, on a system that was measured on MLPerf's networks, with nine only."""
    prices = coefficients(find_runtime("x-cube-ai@9.0+mlperf"), load_board("stm32l4r5"))
    assert prices is not None
    ran, never_ran = (
        prices.interval(network_efforts(name, "x-cube-ai")).high
        for name in ("layers:mlperf_vww01_mbv1_025_96_int8", "zoo:mcunet-in3")
    )
    assert never_ran - 1 > 1.5 * (ran - 1)


def test_layers_and_their_causes_add_up() -> None:
    for schedule in ("layer", "patch:2x2@5", "stream:4@5"):
        report = mcusim.simulate("mcunet-vww1", profile="stm32l4r5", schedule=schedule)
        assert report.latency.cycles == sum(layer.cycles or 0 for layer in report.layers)
        for layer in report.layers:
            parts = (layer.compute_cycles, layer.store_cycles, layer.memory_cycles, layer.overhead_cycles)
            assert sum(part or 0 for part in parts) == layer.cycles
            assert all((part or 0) >= 0 for part in parts)


def test_wait_states_never_make_a_network_faster() -> None:
    board = load_board("stm32f412")
    factors = []
    for wait_states in range(8):
        slow = type(board)(**{**_fields(board), "flash": _with(board.flash, wait_states=wait_states)})
        factors.append(wait_factor(slow))
        assert 0 <= stall_share(slow) < 1
    assert factors == sorted(factors)
    assert factors[0] == 1.0 < factors[1]


def _fields(struct: object) -> dict[str, object]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}  # type: ignore[attr-defined]


def _with(struct: object, **changes: object) -> object:
    return type(struct)(**{**_fields(struct), **changes})

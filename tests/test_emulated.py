"""What mcusim's own kernels take, against what the built C executed and held in emulation."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim import zoo
from mcusim.boards import load_board
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Padding
from mcusim.pricing.emulated import effort_names, emulated_model, emulation
from mcusim.pricing.kernel_loops import amounts_of, mean_sources, mean_taps
from mcusim.pricing.prices import coefficients, price_work, step_work
from mcusim.published.tables.firmware import (
    EmulatedNetwork,
    emulated_networks,
    firmware_document,
    predicted_instructions,
)
from mcusim.region import Window
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES

MCUSIM = RUNTIMES["mcusim"]
RUNS = emulated_networks()


SMALL = st.integers(1, 9)
WINDOW = st.builds(Window, SMALL, SMALL, dilation=SMALL, before=st.integers(-3, 9), after=st.just(0))


@given(WINDOW, st.integers(0, 9), st.integers(0, 12))
def test_taps_inside_are_counted_without_walking_them(window: Window, outputs: int, size: int) -> None:
    places = product(range(outputs), range(window.kernel))
    inside = sum(0 <= at * window.stride + tap * window.dilation - window.before < size for at, tap in places)
    assert mean_taps(window, outputs, size) == pytest.approx(inside / (outputs or 1), abs=0)


@given(WINDOW, st.integers(0, 9), st.integers(0, 12))
def test_sources_under_taps_are_counted_without_walking_them(window: Window, outputs: int, size: int) -> None:
    places = product(range(size), range(window.kernel))
    under = sum(0 <= source * window.stride + tap - window.before < outputs for source, tap in places)
    assert mean_sources(window, outputs, size) == pytest.approx(under / (outputs or 1), abs=0)


def test_a_window_of_two_thousand_million_taps_is_priced_at_once() -> None:
    """A hostile file took minutes: every tap was asked whether it is inside."""
    window = Window(kernel=2**31 - 1, stride=3, dilation=7, before=10**9, after=0)
    assert mean_taps(window, outputs=1000, size=2000) == pytest.approx(2000 / 7, rel=1e-2)


def identity(run: EmulatedNetwork) -> str:
    return f"{run.network}-{run.schedule}"


@pytest.mark.parametrize("run", RUNS, ids=identity)
def test_the_built_image_is_what_was_predicted(run: EmulatedNetwork) -> None:
    """SRAM, weights and tables to the byte; the executor's outputs; instructions within 5 %."""
    report = mcusim.simulate(run.network, profile="stm32h743", runtime="mcusim", schedule=run.schedule)
    assert run.is_equal
    assert report.sram.peak_bytes == run.arena_bytes
    assert report.flash.model_bytes == run.stored_bytes
    assert predicted_instructions(run.network, run.schedule) == pytest.approx(run.instructions, rel=0.05)


def test_ten_networks_were_run_whole_and_some_in_pieces() -> None:
    whole = {run.network for run in RUNS if run.schedule == "layer"}
    assert len(whole) == 10
    assert any(run.schedule.startswith("patch") for run in RUNS)
    assert any(run.schedule.startswith("stream") for run in RUNS)


def test_networks_left_out_of_the_fit_are_met() -> None:
    assert emulation().network_spread < 0.05
    assert emulation().layer_spread < 0.10


@pytest.mark.parametrize("spec", ["layer", "patch:2x2@5", "stream:2@7"])
def test_rates_and_parts_price_alike(spec: str) -> None:
    """The search multiplies rates, a report adds up parts."""
    graph = zoo.build("mcunet-in0")
    prices = coefficients(MCUSIM, load_board("stm32f412"))
    assert prices is not None
    program = mcusim.lowering.lower.lower(graph, mcusim.schedule.parse_schedule(spec), MCUSIM.rules)
    for step in program.body():
        work = step_work(step)
        parts = emulated_model().parts(step.signature, work)
        total = sum(amount * prices.cycles[place] for place, amount in parts)
        cycles = price_work(prices, step.signature, work)
        assert cycles.total == pytest.approx(total)
        assert sum(cycles[1:]) == pytest.approx(total)
        assert min(cycles) >= 0


def test_every_effort_of_the_zoo_was_counted() -> None:
    known = set(effort_names())
    for name in zoo.names():
        for node in zoo.build(name).nodes:
            asked = amounts_of(node.signature)
            kernels = {effort for effort, _ in (*asked.a_place, *asked.a_call)}
            assert not {effort for effort in kernels if effort.startswith(("conv_", "depthwise_s", "sum_"))} - known


@pytest.mark.parametrize("padding", Padding)
@pytest.mark.parametrize(
    ("size", "channels", "kernel", "stride", "dilation"),
    [
        ((5, 7), 5, (3, 2), 1, 1),
        ((6, 6), 3, (5, 3), 2, 1),
        ((9, 8), 6, (2, 3), 1, 2),
        ((4, 4), 1, (3, 3), 1, 1),
        ((7, 6), 4, (3, 3), 1, 2),
    ],
)
def test_windows_inside_and_at_the_border_are_counted_as_one_by_one(
    size: tuple[int, int], channels: int, kernel: tuple[int, int], stride: int, dilation: int, padding: Padding
) -> None:
    """Columns of odd depth: inside they are copied run by run, at the border tap by tap."""
    builder = GraphBuilder("windows")
    x = builder.input((1, *size, channels))
    made = builder.conv_2d(x, 6, kernel, stride, padding, dilation=dilation)
    [node] = builder.build([made]).nodes
    shape = node.signature.output.shape
    reach = [(k - 1) * dilation + 1 for k in kernel]
    before = [
        max((out - 1) * stride + r - length, 0) // 2 if padding is Padding.SAME else 0
        for out, r, length in zip(shape[1:3], reach, size, strict=True)
    ]
    is_inside = [
        all(
            place * stride - start >= 0 and place * stride - start + r <= length
            for place, start, r, length in zip(places, before, reach, size, strict=True)
        )
        for places in product(range(shape[1]), range(shape[2]))
    ]
    inside, over = sum(is_inside), len(is_inside) - sum(is_inside)
    pixels = shape[1] * shape[2]
    amounts = {name: amount * pixels for name, amount in amounts_of(node.signature).a_place}
    area = kernel[0] * kernel[1]
    # A run is what lies side by side: a row of taps, or one tap where taps are apart.
    runs, length = (kernel[0], kernel[1] * channels) if dilation == 1 else (area, channels)
    expected = {
        "conv_any_column": inside,
        "conv_any_run": inside * runs,
        "conv_any_rest": inside * runs * (length % 4),
        "conv_any_tap": over * area,
        "conv_any_byte": over * area * channels if channels % 4 else 0,
    }
    assert {name: round(amounts.get(name, 0), 6) for name in expected} == expected


def test_an_answer_says_that_no_board_has_confirmed_it() -> None:
    report = mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime="mcusim")
    assert report.latency.basis is Basis.PROVISIONAL
    assert any("no board has confirmed their times yet" in warning for warning in report.warnings)
    assert report.latency.ms is not None
    assert report.latency.low_ms is not None
    assert report.latency.high_ms is not None
    assert report.latency.low_ms < report.latency.ms < report.latency.high_ms


@pytest.mark.slow
def test_the_report_shows_both() -> None:
    (table,) = firmware_document().tables
    assert {row.network for row in table.rows} == {run.network for run in RUNS}
    for key in ("sram", "stored"):
        assert all(figure.printed_value == figure.value for figure in table.figures(key))


def test_the_stack_must_fit_beside_the_peak() -> None:
    """It is outside of the peak; a budget that holds the peak alone is missed, and the report says why."""
    roomy = mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime="mcusim").sram
    assert roomy.stack_bytes == MCUSIM.stack_bytes == roomy.with_stack_bytes - roomy.peak_bytes
    for budget, fits in ((roomy.with_stack_bytes, True), (roomy.with_stack_bytes - 1, False)):
        report = mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime="mcusim", sram_budget_bytes=budget)
        assert report.sram.fits is fits
        assert any("the stack takes up to" in warning for warning in report.warnings) is not fits
    assert mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime="tinyengine").sram.stack_bytes is None

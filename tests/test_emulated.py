"""What mcusim's own kernels take, against what the built C executed and held in emulation."""

from __future__ import annotations

import pytest

import mcusim
from mcusim import zoo
from mcusim.boards import load_board
from mcusim.pricing.emulated import amounts_of, effort_names, emulated_model, emulation
from mcusim.pricing.prices import coefficients, price_work, step_work
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES
from mcusim.tables.firmware import EmulatedNetwork, emulated_networks, firmware_document, predicted_instructions

MCUSIM = RUNTIMES["mcusim"]
RUNS = emulated_networks()


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


def test_an_answer_says_that_no_board_has_confirmed_it() -> None:
    report = mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime="mcusim")
    assert report.latency.basis is Basis.PROVISIONAL
    assert any("no board has confirmed their times yet" in warning for warning in report.warnings)
    assert report.latency.ms is not None
    assert report.latency.low_ms is not None
    assert report.latency.high_ms is not None
    assert report.latency.low_ms < report.latency.ms < report.latency.high_ms


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

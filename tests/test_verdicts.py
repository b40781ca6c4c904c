"""What a verdict may say, which budgets may be asked about, and how a check ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from commands import run

import mcusim
from mcusim import GraphBuilder
from mcusim.boards import all_boards, load_board
from mcusim.boards.board import Board
from mcusim.errors import InputError
from mcusim.graph import Graph, signature
from mcusim.question.arguments import the_budgets
from mcusim.report import Verdict
from mcusim.simulation.simulate import _holds as holds
from mcusim.simulation.simulate import _verdict as verdict_of

SMALL = ("mcunet-vww0", "--profile", "stm32f410")


@pytest.mark.parametrize(
    ("fits", "runs", "verdict"),
    [
        ([True, True, True], True, Verdict.FITS),
        ([True, None, True], True, Verdict.UNKNOWN),
        ([True, None, False], True, Verdict.DOES_NOT_FIT),
        # Nobody knows whether the runtime runs it: too much is too much all the same, enough is not enough.
        ([True, True], None, Verdict.UNKNOWN),
        ([True, False], None, Verdict.DOES_NOT_FIT),
        # What cannot run takes nothing, and another runtime may run it in less.
        ([True, True], False, Verdict.UNKNOWN),
        ([True, False], False, Verdict.UNKNOWN),
    ],
)
def test_a_verdict_follows_from_its_budgets_and_the_runtime(
    fits: list[bool | None], runs: bool | None, verdict: Verdict
) -> None:
    assert verdict_of(fits, runs) is verdict


@pytest.mark.parametrize(
    ("limit_ms", "is_held"), [(9.0, False), (10.0, None), (15.0, None), (19.9, None), (20.0, True), (21.0, True)]
)
def test_a_limit_inside_of_the_interval_is_neither_held_nor_missed(limit_ms: float, is_held: bool | None) -> None:
    assert holds(10.0, 20.0, limit_ms) is is_held


def test_nobody_knows_whether_a_runtime_runs_what_it_was_never_seen_with() -> None:
    builder = GraphBuilder("foreign")
    graph = builder.build([builder.softmax(builder.input((1, 10)))])
    [node] = graph.nodes
    foreign = signature("GELU", node.attributes, node.signature.inputs, node.signature.outputs)
    unknown = replace(graph, nodes=(replace(node, signature=foreign),))
    for network, runs, verdict in ((graph, True, Verdict.FITS), (unknown, None, Verdict.UNKNOWN)):
        report = mcusim.simulate(network, profile="stm32f746", runtime="x-cube-ai")
        assert (report.runtime.runs, report.verdict) == (runs, verdict)
        assert any("takes for GELU is not known" in warning for warning in report.warnings) is (runs is None)


def test_weights_alone_may_be_too_much_where_nobody_knows_the_code() -> None:
    for budget_bytes, fits in ((100_000, False), (1_000_000, None)):
        flash = mcusim.simulate(
            "mcunet-vww0", profile="stm32f746", runtime="executorch", flash_budget_bytes=budget_bytes
        ).flash
        assert (flash.total_bytes, flash.fits) == (None, fits)


def test_a_limit_in_time_takes_part_in_the_verdict() -> None:
    time = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="tinyengine").latency
    assert time.low_ms is not None
    assert time.high_ms is not None
    for limit_ms, verdict in (
        (time.low_ms / 2, Verdict.DOES_NOT_FIT),
        ((time.low_ms + time.high_ms) / 2, Verdict.UNKNOWN),
        (time.high_ms * 2, Verdict.FITS),
    ):
        report = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="tinyengine", max_ms=limit_ms)
        assert report.verdict is verdict


def test_energy_has_the_bounds_of_power_and_time() -> None:
    power = load_board("stm32l4r5").power
    report = mcusim.simulate("mcunet-vww0", profile="stm32l4r5", runtime="tflm")
    low_ms, ms, high_ms = report.latency.low_ms, report.latency.ms, report.latency.high_ms
    assert power is not None
    assert report.energy is not None
    assert low_ms is not None
    assert ms is not None
    assert high_ms is not None
    low_mw, high_mw = power.active_low_mw, power.active_high_mw
    assert report.energy.low_uj == pytest.approx(low_mw * low_ms)
    assert report.energy.uj == pytest.approx((low_mw + high_mw) / 2 * ms)
    assert report.energy.high_uj == pytest.approx(high_mw * high_ms)


def test_a_budget_is_no_more_than_the_board_has() -> None:
    for option, size in (("--sram-budget", "10M"), ("--flash-budget", "64M")):
        for command in ("run", "fit", "patch", "bits"):
            answer = run(command, *SMALL, option, size)
            assert (answer.code, answer.out) == (2, "")
            assert "stm32f410 has" in answer.err
            assert "--what-if" in answer.err
    with pytest.raises(InputError, match="stm32f410 has"):
        mcusim.simulate("mcunet-vww0", profile="stm32f410", sram_budget_bytes=10**7)


def test_what_if_asks_about_more() -> None:
    answer = run("run", *SMALL, "--sram-budget", "10M", "--flash-budget", "10M", "--what-if", "--check")
    assert answer.code == 0
    assert "FITS" in answer.out


@pytest.mark.slow
def test_every_board_is_held_to_what_it_has() -> None:
    """With all boards a budget limits the larger ones; the smaller keep their own, which is said."""
    many = run("run", "mcunet-vww0", "--profile", "all", "--sram-budget", "5M", "--flash-budget", "1k")
    assert many.code == 0
    said = " ".join(many.err.split())
    assert (
        f"--sram-budget: {len(all_boards())} of {len(all_boards())} boards have less than 5,120.0 KiB, and each" in said
    )
    assert "--flash-budget" not in said
    assert "held" not in run("run", "mcunet-vww0", "--profile", "all", "--sram-budget", "5M", "--what-if").err


@pytest.mark.parametrize("board", all_boards(), ids=lambda each: each.name)
def test_no_budget_is_more_than_one_arena_can_take(board: Board) -> None:
    """The banks of a board together are more than any run of them; the advice can be followed."""
    most = max(sum(bank.size_bytes for bank in run) for run in board.runs)
    assert the_budgets(board, most).sram_bytes == most
    with pytest.raises(InputError, match=f"(?s)than the .* that {board.name} has.* use {most} or less"):
        the_budgets(board, most + 1)
    assert the_budgets(board, most + 1, what_if=True).sram_bytes == most + 1


def needs_softmax(side: int) -> Graph:
    builder = GraphBuilder("classifier")
    feature_map = builder.conv_2d(builder.input((1, side, side, 3)), 64, kernel=3, stride=1, padding=1)
    return builder.build([builder.softmax(builder.mean(feature_map))])


def test_nothing_is_said_of_room_where_a_kernel_lacks() -> None:
    """TinyEngine has no SOFTMAX: that its rules would take too much says nothing about the network."""
    report = mcusim.simulate(needs_softmax(200), profile="stm32f410", runtime="tinyengine")
    assert report.sram.fits is False
    assert report.verdict is Verdict.UNKNOWN
    assert report.fits is None


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 0, ""),
        (["--flash-budget", "1k"], 1, "it does not fit"),
        (["--runtime", "plumerai"], 3, "it cannot be known whether it fits"),
    ],
)
def test_a_check_says_which(options: list[str], code: int, words: str) -> None:
    answer = run("run", "mcunet-vww0", "--profile", "stm32h743", "--check", *options)
    assert answer.code == code
    assert words in answer.err


@pytest.mark.slow
def test_fit_is_held_to_the_budgets_that_were_stated() -> None:
    answer = run("fit", "mcunet-vww1", "--profile", "stm32f746", "--sram-budget", "64k", "--check")
    assert answer.code == 1
    assert "64.0" in answer.out
    assert run("fit", "mcunet-vww1", "--profile", "stm32f746", "--max-ms", "1ms", "--check").code == 1
    assert run("patch", "mcunet-vww1", "--profile", "stm32f746", "--flash-budget", "64k", "--check").code == 1


def test_flash_carries_its_uncertainty() -> None:
    """A budget inside what the code may take is not judged; a linked image would settle it."""
    flash = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime="tflm").flash
    assert flash.total_bytes is not None
    assert flash.low_bytes is not None
    assert flash.high_bytes is not None
    assert flash.low_bytes < flash.total_bytes < flash.high_bytes

    def verdict(budget_bytes: int) -> Verdict:
        return mcusim.simulate(
            "mcunet-vww0", profile="stm32h743", runtime="tflm", flash_budget_bytes=budget_bytes
        ).verdict

    assert verdict(flash.total_bytes - 20) is Verdict.UNKNOWN
    assert verdict(flash.total_bytes + 20) is Verdict.UNKNOWN
    assert verdict(flash.high_bytes) is Verdict.FITS
    assert verdict(flash.low_bytes - 1) is Verdict.DOES_NOT_FIT


def test_a_few_bytes_are_not_shown_as_no_kib() -> None:
    peak_bytes = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime="tflm").sram.peak_bytes
    shown = run(
        "run", "mcunet-vww0", "--profile", "stm32h743", "--runtime", "tflm", "--sram-budget", str(peak_bytes - 20)
    ).out
    assert "SRAM 20 B over" in shown
    assert "0.0 KiB over" not in shown
    assert "0.0 over" not in shown


def test_a_command_that_many_boards_share_names_no_board() -> None:
    out = " ".join(run("run", "mcunet-vww0", "--profile", "all", "--runtime", "executorch").out.split())
    assert "`mcusim plan MODEL --profile BOARD`" in out
    assert "--profile this board" not in out

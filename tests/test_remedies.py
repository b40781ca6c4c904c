"""`mcusim fit`: every kind of remedy shows where it helps, and its numbers are those of the command that it names."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from commands import run

import mcusim
from mcusim import zoo
from mcusim.advising import remedies as remedies_module
from mcusim.advising.remedies import Remedy, RemedyKind, narrowed, remedies
from mcusim.advising.ways import cut
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Graph
from mcusim.render.remedies import remedy_lines
from mcusim.render.text import UNICODE, listed
from mcusim.simulation.simulate import simulate


def branching() -> Graph:
    """Two branches that widen and narrow again: run one after the other they need less than side by side."""
    b = mcusim.GraphBuilder("branches")
    x = b.input((1, 16, 16, 8))
    wide = [b.conv_2d(x, 64, kernel=3), b.conv_2d(x, 64, kernel=1)]
    narrow = [b.conv_2d(y, 8, kernel=3) for y in wide]
    return b.build([b.add(*narrow)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "board", "runtime", "kinds"),
    [
        ("mbv2-w0.35-r144", "stm32f412", "tinyengine", {"schedule", "board", "bits", "resolution", "width"}),
        ("mcunet-in3", "stm32f412", "tflm", {"plan", "runtime", "board", "resolution", "width"}),
    ],
)
def test_a_command_shows_the_numbers_of_its_remedy(model, board, runtime, kinds):
    advice = remedies(model, profile=board, runtime=runtime)
    assert kinds <= {str(remedy.kind) for remedy in advice.remedies}
    for remedy in advice.remedies:
        if remedy.kind in (RemedyKind.RESOLUTION, RemedyKind.WIDTH):
            assert (remedy.command, remedy.keeps_outputs) == ("", False)
            continue
        assert_typed(remedy)


def assert_typed(remedy: Remedy) -> None:
    """The command answers with the figures of its remedy, to the byte."""
    assert remedy.command.startswith("mcusim run ")
    code, out, err = run(*shlex.split(remedy.command)[1:], "--json", "-")
    assert (code, err) == (0, ""), remedy.command
    answer = json.loads(out)
    assert answer["sram"]["peak_bytes"] == remedy.sram_bytes, remedy.command
    assert answer["latency"]["ms"] == pytest.approx(remedy.ms)
    assert answer["flash"]["total_bytes"] == remedy.flash_bytes
    assert {"fits": True, "does-not-fit": False, "unknown": None}[answer["verdict"]] is remedy.fits, remedy.command


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "board", "asked"),
    [
        ("mcunet-in3", "nrf5340", {"runtime": "tflm"}),
        ("mcunet-in3", "stm32f412", {"max_ms": 3400}),
        ("mcunet-in3", "stm32f412", {"flash_budget_bytes": 855_048}),
        ("mcunet-vww1", "nrf52832", {"runtime": "executorch"}),
    ],
)
def test_the_word_of_a_remedy_is_the_verdict_of_its_command(model, board, asked):
    """What may fit is unknown, and stands behind what does: a time, a flash or a runtime that nobody is sure of."""
    every = remedies(model, profile=board, **asked).remedies
    assert None in {remedy.fits for remedy in every}
    places = [(True, None, False).index(remedy.fits) for remedy in every]
    assert places == sorted(places)
    for remedy in every:
        assert bool(remedy.lacks) == (remedy.fits is not True)
        if remedy.command and "--bits" not in remedy.command:
            assert_typed(remedy)


@pytest.mark.slow
def test_budgets_and_limits_are_part_of_the_command():
    advice = remedies(
        "mcunet-vww1", profile="stm32f746", sram_budget_bytes=64 << 10, max_ms=500.5, runtime="tinyengine"
    )
    assert any(remedy.fits for remedy in advice.remedies)
    for remedy in advice.remedies:
        if remedy.command:
            assert_typed(remedy)


@pytest.mark.slow
def test_remedies_are_combined_where_none_is_enough(tmp_path: Path):
    """Another order saves 14 KB and another runtime 3; together they fit."""
    path = tmp_path / "branches.tflite"
    path.write_bytes(write_tflite(with_seeded_weights(branching())))
    proposed = remedies(path, profile="stm32f412", runtime="x-cube-ai", sram_budget_bytes=25_000).remedies
    fitting = [
        remedy for remedy in proposed if remedy.fits and remedy.keeps_outputs and remedy.kind is not RemedyKind.BOARD
    ]
    assert {remedy.kind for remedy in fitting} == {RemedyKind.COMBINATION}
    reordering = "run the layers in another order"
    assert {f"runtime tflm, {reordering}", f"runtime tflm-cmsis-nn, {reordering}"} <= {
        remedy.what for remedy in fitting
    }
    assert all(remedy.what.startswith("runtime ") and "," in remedy.what for remedy in fitting)
    for remedy in fitting:
        assert_typed(remedy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "profile"),
    [("mcunet-in3", "stm32f412"), ("mbv2-w1.0-r224", "stm32f412"), ("mcunet-in2", "stm32f410")],
)
def test_the_next_board_is_the_first_of_all_boards(model, profile):
    """Of those that hold the network as it is, the smallest, of equal ones the fastest; with the figures of its row."""
    advice = remedies(model, profile=profile)
    code, out, _ = run("run", model, "--profile", "all", "--json", "-")
    assert code == 0
    rows = [row for row in json.loads(out)["reports"] if row["verdict"] == "fits" and row["profile"]["name"] != profile]
    boards = [remedy for remedy in advice.remedies if remedy.kind is RemedyKind.BOARD]
    whole = [remedy for remedy in boards if "schedule" not in remedy.what]
    for remedy in boards:
        if remedy not in whole:  # a smaller board, which another runtime's pieces fit
            assert remedy.fits
            assert "runtime mcusim, schedule " in remedy.what
            assert not whole or remedy.sram_bytes < whole[0].sram_bytes
            assert_typed(remedy)
    if not rows:
        assert not [remedy for remedy in whole if remedy.fits]
        return
    smallest = rows[0]
    (remedy,) = whole
    assert f"board {smallest['profile']['name']}" in remedy.what
    assert remedy.sram_bytes == smallest["sram"]["peak_bytes"]
    assert remedy.flash_bytes == smallest["flash"]["total_bytes"]
    assert remedy.ms == pytest.approx(smallest["latency"]["ms"])
    assert_typed(remedy)


@pytest.mark.slow
def test_runtime_board_and_schedule_together():
    """No board of flash enough holds it whole: one does in pieces, with a runtime that runs pieces there."""
    advice = remedies("mbv2-w1.0-r224", profile="stm32f746").remedies
    fitting = [remedy for remedy in advice if remedy.fits and remedy.keeps_outputs]
    assert fitting[0].kind is RemedyKind.BOARD
    assert all(word in fitting[0].what for word in ("board ", "runtime mcusim", "schedule "))
    assert_typed(fitting[0])


def test_another_order_of_a_file(tmp_path: Path):
    path = tmp_path / "two branches.tflite"
    path.write_bytes(write_tflite(with_seeded_weights(branching())))
    advice = remedies(path, profile="stm32f412")
    order = next(remedy for remedy in advice.remedies if remedy.kind is RemedyKind.ORDER)
    assert order.keeps_outputs
    assert order.sram_bytes < advice.report.sram.peak_bytes
    code, out, _ = run(*shlex.split(order.command)[1:], "--json", "-")
    assert code == 0
    answer = json.loads(out)
    assert answer["sram"]["peak_bytes"] == order.sram_bytes
    assert answer["schedule"]["reordered"] is True


def two_filters_a_channel() -> Graph:
    """A depthwise convolution that TinyEngine has no kernel for."""
    b = mcusim.GraphBuilder("two filters")
    x = b.conv_2d(b.input((1, 48, 48, 3)), 8, kernel=3)
    return b.build([b.depthwise_conv_2d(x, kernel=3, multiplier=2)])


@pytest.mark.slow
def test_of_runtimes_that_fit_the_fastest_comes_first():
    proposed = remedies(two_filters_a_channel(), profile="nrf52840", runtime="tinyengine").remedies
    times = [remedy.ms for remedy in proposed if remedy.kind is RemedyKind.RUNTIME and remedy.fits]
    known = [ms for ms in times if ms is not None]
    assert len(known) > 1
    assert times == sorted(known) + [None] * (len(times) - len(known))


@pytest.mark.slow
def test_no_remedy_keeps_a_runtime_that_cannot_run_the_network():
    """A plan, a schedule or a board that mends SRAM alone is not said to fit."""
    advice = remedies(two_filters_a_channel(), profile="stm32f410", runtime="tinyengine")
    assert advice.report.runtime.runs is False
    boards = [remedy for remedy in advice.remedies if remedy.kind is RemedyKind.BOARD]
    assert all("runtime " in remedy.what and remedy.fits for remedy in boards)
    others = (RemedyKind.RUNTIME, RemedyKind.COMBINATION, RemedyKind.BOARD)
    same = [remedy for remedy in advice.remedies if remedy.kind not in others]
    assert same
    for remedy in same:
        assert "tinyengine cannot run it" in remedy.lacks
    shown = "\n".join(line.plain for line in remedy_lines(advice, 100, UNICODE))
    assert "no depthwise kernel for more than" in shown
    for remedy in same:
        assert remedy.fits is None
        assert f"It is not known to fit with {remedy.what}: {listed(remedy.lacks)}." in " ".join(shown.split())


def test_a_narrower_and_smaller_network_is_the_published_one():
    """MobileNetV2 at width 0.35 and 144 x 144 is a published network of its own: the same bytes and time."""
    description = {**zoo.network_description("mbv2-w1.0-r224"), "input": [144, 144, 3]}
    made = simulate(narrowed(description, 0.35), profile="stm32f746")
    published = simulate("mbv2-w0.35-r144", profile="stm32f746")
    assert made.sram.peak_bytes == published.sram.peak_bytes
    assert made.latency.ms == published.latency.ms
    assert made.flash.weight_bytes == published.flash.weight_bytes


@pytest.mark.slow
def test_a_smaller_input_is_as_large_as_fits():
    """Flash that no smaller input can mend does not make the input smaller than SRAM asks."""
    advice = remedies("mbv2-w1.0-r224", profile="stm32h743")
    smaller = next(remedy for remedy in advice.remedies if remedy.kind is RemedyKind.RESOLUTION)
    assert advice.report.flash.fits is False
    assert smaller.sram_bytes <= advice.report.sram.budget_bytes
    assert not smaller.fits
    side = int(smaller.what.rsplit("x", 1)[1])
    larger = {**zoo.network_description("mbv2-w1.0-r224"), "input": [side + 16, side + 16, 3]}
    assert simulate(larger, profile="stm32h743").sram.peak_bytes > advice.report.sram.budget_bytes


@pytest.mark.slow
def test_no_schedule_is_sought_for_what_flash_cannot_hold(monkeypatch):
    """What is stored stays the same, whatever the plan: one schedule is looked for, to be told, and none together."""
    sought = []

    def counted(way):
        sought.append(way)
        return cut(way)

    monkeypatch.setitem(
        remedies_module.__dict__, "_CHANGES", {**remedies_module._CHANGES, RemedyKind.SCHEDULE: counted}
    )
    network = zoo.build("smallcifar")
    least = {"sram_budget_bytes": 2_000, "profile": "stm32f412", "runtime": "tinyengine"}
    advice = remedies(network, **least, flash_budget_bytes=10_000)
    assert not advice.report.fits
    assert len(sought) == 1
    sought.clear()
    remedies(network, **least)
    assert len(sought) > 1


@pytest.mark.slow
def test_an_order_that_is_no_better_is_no_remedy():
    """A network without branches has one order."""
    advice = remedies("smallcifar", profile="stm32f412", runtime="tflm", sram_budget_bytes=2_000)
    assert RemedyKind.ORDER not in {remedy.kind for remedy in advice.remedies}
    assert not [remedy for remedy in advice.remedies if "another order" in remedy.what]

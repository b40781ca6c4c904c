"""Which runtime answers where none is asked for, and what is said of the others."""

from __future__ import annotations

import pytest
from commands import run
from conftest import CorpusModel

import mcusim
from mcusim import GraphBuilder
from mcusim.graph import Graph
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.choosing import choose_runtime, preferred, why_not


def network(*, with_softmax: bool) -> Graph:
    builder = GraphBuilder("small")
    place = builder.conv_2d(builder.input((1, 16, 16, 3)), 8, kernel=3, stride=2, padding=1)
    return builder.build([builder.softmax(builder.mean(place)) if with_softmax else place])


def test_the_first_that_can_run_it() -> None:
    assert choose_runtime(network(with_softmax=False)) == (RUNTIMES["tinyengine"], "")
    chosen, why = choose_runtime(network(with_softmax=True))
    assert chosen.name == "tflm-cmsis-nn"
    assert why.startswith("tinyengine cannot run")
    assert "SOFTMAX" in why


def test_a_board_counts_only_where_it_is_named() -> None:
    reason, _ = why_not(network(with_softmax=False), RUNTIMES["x-cube-ai"], mcusim.load_board("nrf52840"))
    assert "parts only" in reason
    assert why_not(network(with_softmax=False), RUNTIMES["x-cube-ai"]) == ("", 0)


def test_a_core_that_a_runtime_is_not_known_on_is_answered_by_the_next() -> None:
    """TinyEngine's kernels use the DSP extension, which a Cortex-M0+ lacks."""
    report = mcusim.simulate(network(with_softmax=False), profile="stm32g0b1")
    assert report.runtime.name == "tflm-cmsis-nn"
    assert report.runtime.why == "tinyengine is known on cortex-m33, cortex-m4, cortex-m7 only"
    assert report.fits is not None


def test_the_report_names_it_and_why() -> None:
    report = mcusim.simulate(network(with_softmax=True), profile="stm32h743")
    assert report.runtime.name == "tflm-cmsis-nn"
    assert report.runtime.why == choose_runtime(network(with_softmax=True)).why
    assert mcusim.simulate(network(with_softmax=True), profile="stm32h743", runtime="tflm").runtime.why == ""


def test_the_others_are_told_below() -> None:
    shown = run("run", "mcunet-vww0", "--profile", "stm32h743", "--layers", "none").out
    others = [line for line in shown.splitlines() if line.startswith("also: ")]
    assert [line.split()[1] for line in others] == [
        runtime.name for runtime in preferred() if runtime.name != "tinyengine"
    ]
    asked = run("run", "mcunet-vww0", "--profile", "stm32h743", "--runtime", "tflm", "--layers", "none").out
    assert "also: " not in asked


@pytest.mark.corpus
def test_real_networks_have_a_verdict(corpus_model: CorpusModel) -> None:
    """Every network of the corpus has a runtime that runs it, so that the verdict is one."""
    report = mcusim.simulate(corpus_model.path, profile="stm32h743")
    assert report.runtime.runs is True
    assert report.fits is not None


def test_a_cut_schedule_leaves_out_what_is_counted_layer_by_layer_only(elsewhere):
    code, out, err = run("run", "smallcifar", "--profile", "stm32h743", "--schedule", "patch:2x2@3")
    assert (code, err) == (0, "")
    assert "also: tflm" in out
    assert "also: x-cube-ai" not in out


def test_the_order_is_that_of_the_fastest_on_most_boards() -> None:
    assert [runtime.name for runtime in preferred()] == ["tinyengine", "tflm-cmsis-nn", "tflm", "x-cube-ai"]

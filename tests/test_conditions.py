"""What a caller of the Python interface may get wrong, and how a Report and a Graph show themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from reports import report
from tflite_maker import tiny_network

import mcusim
from mcusim.boards import load_board
from mcusim.errors import InputError, McusimError, ModelError, ProfileError
from mcusim.frontends.tflite import parse_tflite
from mcusim.report import Report, Verdict
from mcusim.runtimes import RUNTIMES


def simulated(**options: Any) -> Report:
    return mcusim.simulate("mcunet-vww0", **{"profile": "stm32f412", **options})


@pytest.mark.parametrize(
    ("options", "where", "fix"),
    [
        ({"clock_hz": "480MHz"}, "clock_hz", "write clock_hz=480_000_000, in hertz"),
        ({"clock_hz": True}, "clock_hz", "a whole number of hertz"),
        ({"clock_hz": 1.5}, "clock_hz", "a whole number of hertz"),
        ({"sram_budget_bytes": 0}, "sram_budget_bytes", "above zero"),
        ({"sram_budget_bytes": "256k"}, "sram_budget_bytes", "write sram_budget_bytes=262_144, in bytes"),
        ({"flash_budget_bytes": -1}, "flash_budget_bytes", "above zero"),
        ({"max_ms": math.nan}, "max_ms", "above zero"),
        ({"max_ms": -1}, "max_ms", "above zero"),
        ({"max_ms": math.inf}, "max_ms", "above zero"),
        ({"max_ms": "50"}, "max_ms", "milliseconds"),
        ({"schedule": 3}, "schedule", "give a Schedule"),
        ({"schedule": None}, "schedule", "give a Schedule"),
        ({"profile": None}, "profile", "give a Board"),
        ({"profile": 412}, "profile", "give a Board"),
        ({"profile": "all"}, "profile", "all_boards()"),
        ({"input_place": "moon"}, "input_place", "use arena or external"),
    ],
    ids=str,
)
def test_a_wrong_option_is_named_as_python_names_it(options: dict[str, Any], where: str, fix: str) -> None:
    with pytest.raises((InputError, ProfileError)) as caught:
        simulated(**options)
    assert caught.value.where == where
    assert fix in caught.value.fix
    assert "NoneType" not in caught.value.what


@pytest.mark.slow
def test_numbers_of_numpy_and_whole_floats_pass() -> None:
    numpy = pytest.importorskip("numpy")
    assert simulated(clock_hz=numpy.int64(50_000_000)).profile.clock_hz == 50_000_000
    assert simulated(clock_hz=50e6).profile.clock_hz == 50_000_000
    assert simulated(max_ms=numpy.float32(50)).latency.budget_ms == 50


@pytest.mark.parametrize("model", [None, 3, b"net.tflite", [1], "", "  "], ids=repr)
def test_what_names_no_network(model: Any) -> None:
    with pytest.raises(ModelError, match=r"names no network|is empty"):
        mcusim.load(model)


def test_a_limit_is_judged_by_the_whole_interval() -> None:
    time = simulated().latency
    assert time.low_ms is not None
    assert time.high_ms is not None
    slow, fast, unsure = (simulated(max_ms=limit) for limit in (time.low_ms * 0.99, time.high_ms, time.high_ms * 0.99))
    assert (slow.latency.fits, slow.verdict) == (False, Verdict.DOES_NOT_FIT)
    assert (fast.latency.fits, fast.verdict) == (True, Verdict.FITS)
    assert (unsure.latency.fits, unsure.verdict) == (None, Verdict.UNKNOWN)
    assert any("not sure" in warning for warning in unsure.warnings)
    assert not any("not sure" in warning for warning in (*slow.warnings, *fast.warnings))


def test_no_energy_says_why() -> None:
    board = load_board("stm32l4r5")
    assert board.power is not None
    assert mcusim.simulate("mcunet-vww0", profile=board).energy is not None
    for kwargs in ({"profile": board, "clock_hz": 80_000_000}, {"profile": "stm32f412"}):
        answer = mcusim.simulate("mcunet-vww0", **kwargs)
        assert answer.energy is None
        assert any(warning.startswith("energy: ") and "power" in warning for warning in answer.warnings)
    unmeasured = replace(RUNTIMES["tflm"], price_family="nobody's")
    untimed = mcusim.simulate("mcunet-vww0", profile=board, runtime=unmeasured)
    assert (untimed.energy, untimed.latency.ms) == (None, None)
    assert "energy: not known, as the time is not." in untimed.warnings


def test_cycles_are_whole_and_add_up() -> None:
    answer = simulated()
    assert all(type(layer.cycles) is int for layer in answer.layers)
    assert type(answer.latency.cycles) is int
    assert answer.latency.cycles == sum(layer.cycles or 0 for layer in answer.layers)


def test_an_unknown_operator_keeps_its_output_shape() -> None:
    made = tiny_network()
    made.operator("CUSTOM", [7], [made.tensor((1, 7))], custom="Mine")
    made.graph.outputs = [len(made.graph.tensors) - 1]
    answer = mcusim.simulate(
        parse_tflite(made.pack(), name="net", where="net.tflite"), profile="stm32f412", runtime="tflm"
    )
    assert (answer.layers[-1].op, answer.layers[-1].output_shape) == ("CUSTOM:Mine", (1, 7))


def test_tensors_without_a_name_go_by_their_number() -> None:
    made = tiny_network()
    for tensor in made.graph.tensors:
        tensor.name = ""
    answer = mcusim.simulate(
        parse_tflite(made.pack(), name="net", where="net.tflite"), profile="stm32f412", runtime="tflm"
    )
    assert answer.sram.peak is not None
    assert answer.sram.peak.alive
    assert all(item.name.startswith("tensor ") for item in answer.sram.peak.alive)


# ---------------------------------------------------------------------------------------------------------------------
# How they show themselves


def test_a_report_and_a_graph_are_one_line() -> None:
    shown = repr(simulated())
    assert shown.startswith("<Report 'mcunet-vww0' on 'stm32f412' with 'tinyengine': fits, ")
    assert repr(mcusim.load("mcunet-vww0")) == "<Graph 'mcunet-vww0': 94 nodes, 1x64x64x3 int8 -> 1x2 int8>"
    evil = report()
    evil = replace(evil, model=evil.model._replace(name="a\nb" * 99))
    for text in (shown, repr(mcusim.load("mcunet-vww0")), repr(evil)):
        assert "\n" not in text
        assert len(text) < 240


def test_errors_of_the_interface_are_mcusims() -> None:
    with pytest.raises(McusimError, match=r"^max_ms: it is str '5'\n  fix: "):
        simulated(max_ms="5")

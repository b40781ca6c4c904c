"""The value that `simulate`, `search`, `fit_bits`, `trace` and sweeps ask with, and the keyword forms on top of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

import mcusim
from mcusim.errors import InputError, McusimError, ModelError, RuntimeNameError
from mcusim.precision import fit_bits
from mcusim.question.question import Question
from mcusim.runtimes import find_runtime
from mcusim.schedule import parse_schedule
from mcusim.searching import front_of
from mcusim.simulation.simulate import report_of, simulate
from mcusim.simulation.tracing import trace

FIELDS = {field.name: field for field in fields(Question)}
OF_THE_ANSWER = {"max_stages", "max_grid", "kinds", "progress", "min_bits", "margin", "slices"}
"""Keywords that say how to answer, and not what is asked."""


@pytest.mark.parametrize("keyword_form", [simulate, mcusim.search, fit_bits, trace])
def test_a_keyword_form_asks_with_the_fields_of_the_question(keyword_form: Callable[..., object]) -> None:
    parameters = inspect.signature(keyword_form).parameters
    assert set(parameters) - OF_THE_ANSWER <= set(FIELDS)
    for name, parameter in parameters.items():
        if name in FIELDS and parameter.default is not inspect.Parameter.empty:
            default = parse_schedule(parameter.default) if name == "schedule" else parameter.default
            assert default == FIELDS[name].default, name


def test_simulate_can_ask_all_that_a_question_says() -> None:
    assert set(inspect.signature(simulate).parameters) == set(FIELDS)


def test_every_keyword_reaches_the_answer() -> None:
    asked: dict[str, Any] = {
        "runtime": "tflm",
        "schedule": "patch:2x2@5",
        "input_place": "external",
        "clock_hz": 100_000_000,
        "sram_budget_bytes": 100_000,
        "flash_budget_bytes": 900_000,
        "max_ms": 1.0,
        "convention": "live",
    }
    plain = simulate("mcunet-vww0", profile="stm32f746").to_dict()
    for name, value in asked.items():
        assert simulate("mcunet-vww0", profile="stm32f746", **{name: value}).to_dict() != plain, name
        question = Question(model="mcunet-vww0", profile="stm32f746", **{name: value})
        assert report_of(question) == simulate("mcunet-vww0", profile="stm32f746", **{name: value}), name


def test_a_slip_in_an_option_is_told_before_the_network_is_read() -> None:
    slips: tuple[tuple[dict[str, Any], type[McusimError]], ...] = (
        ({"runtime": "nix"}, RuntimeNameError),
        ({"clock_hz": "fast"}, InputError),
    )
    for option, error in slips:
        with pytest.raises(error):
            Question(model="no such network", profile="stm32f412", **option).settled()
    with pytest.raises(ModelError):
        Question(model="no such network", profile="stm32f412").settled()


def test_a_settled_question_is_at_the_clock_that_was_asked() -> None:
    settled = Question(model="mcunet-vww0", profile="stm32f746", clock_hz=100_000_000).settled()
    assert (settled.board.name, settled.board.clock_hz) == ("stm32f746", 100_000_000)


@pytest.mark.parametrize(
    ("clock_hz", "what_if", "warned"), [(217_000_000, False, 1), (216_000_000, False, 0), (217_000_000, True, 0)]
)
def test_a_clock_above_the_profiles_is_warned_of(clock_hz: int, what_if: bool, warned: int) -> None:
    question = Question(model="mcunet-vww0", profile="stm32f746", clock_hz=clock_hz, what_if=what_if)
    assert sum(each.startswith("clock: ") for each in question.settled().warnings) == warned


@pytest.mark.slow
@pytest.mark.parametrize("clock_hz", [16_000_000, 216_000_000])
def test_the_best_schedule_is_looked_for_at_the_clock_that_is_asked_about(clock_hz: int) -> None:
    question = Question(
        model="mbv2-w0.35-r144", profile="stm32f746", runtime="tinyengine", clock_hz=clock_hz, sram_budget_bytes=100_000
    )
    best = front_of(question, kinds=find_runtime("tinyengine").cut_stages).best
    assert best is not None
    assert not best.schedule.is_layer
    auto = report_of(replace(question, schedule="auto"))
    assert auto.schedule.spec == str(best.schedule)
    assert auto.latency.ms == pytest.approx(best.ms, rel=1e-3)

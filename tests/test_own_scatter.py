"""Own times that contradict each other, or what is expected: the interval holds them, and `run` says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_layer_logs import as_profiler_csv, as_profiler_text, as_sums, logged_layers
from test_log_faults import Form, written
from test_own_times import save

import mcusim
from mcusim.errors import InputError
from mcusim.pricing.own import Measured, calibrate, contradictions
from mcusim.pricing.own_logs import LoggedRun, read_own
from mcusim.render.run_report import report_lines
from mcusim.render.text import ASCII

RUN = LoggedRun("mcunet-vww0", "nrf52840", "tflm-cmsis-nn")


ALIKE = "mcunet-vww1"
"""Three of its convolutions are of one shape."""


def alike_layers() -> tuple[list[tuple[str, int]], int]:
    """Operators and cycles of one inference of ALIKE, and the place of the second of its convolutions of one shape."""
    report = mcusim.simulate(ALIKE, profile=RUN.profile, runtime=RUN.runtime)
    nodes = mcusim.load(ALIKE).nodes
    timed = [layer for layer in report.layers if not layer.kernel.startswith("none")]
    works = [(layer.op, layer.output_shape, layer.macs, nodes[layer.index].signature.inputs[0]) for layer in timed]
    place = next(i for i, work in enumerate(works) if work[0] == "CONV_2D" and works[:i].count(work) == 1)
    assert works.count(works[place]) == 3
    return [(layer.op, layer.cycles or 0) for layer in timed], place


def answer(own: list[Measured], folder: Path) -> mcusim.Report:
    """What `run --calibration` says of the network that was measured."""
    target = folder / "mine.json"
    target.write_bytes(calibrate(own)[0].to_bytes())
    return mcusim.simulate(RUN.model, profile=RUN.profile, runtime=RUN.runtime, calibration=target)


def expected_ms() -> float:
    return mcusim.simulate(RUN.model, profile=RUN.profile, runtime=RUN.runtime).latency.ms or 0.0


def inside(report: mcusim.Report, times_ms: list[float]) -> list[float]:
    low, high = report.latency.low_ms, report.latency.high_ms
    assert low is not None
    assert high is not None
    return [ms for ms in times_ms if low <= ms <= high]


@pytest.mark.slow
@pytest.mark.parametrize("factors", [(1, 2), (0.5, 2), (1, 1, 1, 2, 2, 2), (1, 1, 2, 2, 2), (1, 1.3)])
def test_an_interval_holds_own_times_that_contradict_each_other(factors: tuple[float, ...], tmp_path: Path) -> None:
    times_ms = [round(expected_ms() * factor, 2) for factor in factors]
    own = read_own(save(tmp_path, *(f"mcunet-vww0,nrf52840,tflm-cmsis-nn,{ms}" for ms in times_ms)))
    report = answer(own, tmp_path)
    assert inside(report, times_ms) == times_ms
    assert len(contradictions(own)) == 1
    assert any("calibration: lines" in warning and "contradict each other" in warning for warning in report.warnings)
    elsewhere = mcusim.simulate(RUN.model, profile="stm32f412", runtime=RUN.runtime, calibration=tmp_path / "mine.json")
    assert not any("calibration:" in warning for warning in elsewhere.warnings)


@pytest.mark.slow
def test_inferences_of_a_log_that_differ_are_held_too(tmp_path: Path) -> None:
    runs = [[(op, int(ticks * by)) for op, ticks in logged_layers()] for by in (1, 3)]
    own = read_own(written(tmp_path, "".join(map(as_profiler_csv, runs))), RUN)
    times_ms = [sum(ticks for _, ticks in run) / 64e3 for run in runs]
    report = answer(own, tmp_path)
    assert inside(report, times_ms) == times_ms
    assert any("the inferences that begin in lines" in warning for warning in report.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("by", [10, 1 / 10])
def test_a_layer_unlike_others_of_its_shape_is_named_and_widens(by: float, tmp_path: Path) -> None:
    layers, place = alike_layers()
    spoilt = [(op, int(ticks * by) if i == place else ticks) for i, (op, ticks) in enumerate(layers)]
    run = RUN._replace(model=ALIKE)
    own = read_own(written(tmp_path, as_profiler_text(spoilt)), run)
    (sentence,) = contradictions(own)
    named = rf"line {place + 2}: CONV_2D '.*' takes (10 times|1/10 of) what other layers of its shape take"
    assert re.match(named, sentence)
    assert contradictions(read_own(written(tmp_path, as_profiler_text(layers)), run)) == []
    target = tmp_path / "mine.json"
    target.write_bytes(calibrate(own)[0].to_bytes())
    report = mcusim.simulate(ALIKE, profile=RUN.profile, runtime=RUN.runtime, calibration=target)
    total = sum(ticks for _, ticks in spoilt) / 64e3
    assert inside(report, [total]) == [total]
    assert any(sentence in warning for warning in report.warnings)


@pytest.mark.slow
def test_a_calibration_far_from_what_was_expected_says_so_ever_after(tmp_path: Path) -> None:
    own = read_own(save(tmp_path, f"mcunet-vww0,nrf52840,tflm-cmsis-nn,{1000 * expected_ms():.0f}"))
    report = answer(own, tmp_path)
    (warning,) = [warning for warning in report.warnings if "calibration:" in warning]
    assert "line 2, mcunet-vww0" in warning
    assert "check its unit" in warning
    assert inside(report, [1000 * expected_ms()])


@pytest.mark.parametrize("form", [as_profiler_csv, as_sums])
def test_operators_that_the_network_lacks_are_named_and_do_not_count(form: Form, tmp_path: Path) -> None:
    layers = logged_layers()
    clean = read_own(written(tmp_path, form(layers)), RUN)
    own = read_own(written(tmp_path, form([*layers, ("QUANTIZE", 50_000_000)])), RUN)
    assert own[0].row.cycles == clean[0].row.cycles
    (sentence,) = contradictions(own)
    assert re.match(r"line \d+: mcunet-vww0 has no such QUANTIZE; 781 ms do not count", sentence)


def test_a_clock_that_stands_still_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="every layer takes 1 cycles: the clock that times them stands still"):
        read_own(written(tmp_path, as_profiler_csv([(op, 1) for op, _ in logged_layers()])), RUN)


@pytest.mark.slow
def test_own_times_on_one_board_name_no_version_on_another(tmp_path: Path) -> None:
    own = read_own(save(tmp_path, f"mcunet-vww0,nrf52840,tflm-cmsis-nn,{1.2 * expected_ms():.1f}"))
    here = answer(own, tmp_path)
    assert here.latency.version == "own"
    text = " ".join(line.plain for line in report_lines(here, 300, ASCII))
    assert "calibrated (fitted to published figures and your own times)" in text
    for board in ("stm32f412", "stm32g474", "nrf52832"):
        before, after = (
            mcusim.simulate(RUN.model, profile=board, runtime=RUN.runtime, calibration=calibration)
            for calibration in (None, tmp_path / "mine.json")
        )
        assert after.latency.version == before.latency.version
        assert "own" not in after.latency.evidence.split()
        assert after.latency.ms == pytest.approx(before.latency.ms, rel=0.1)

"""What stands behind times: measured systems, the nearest kernels and layers, and how intervals come about."""

from __future__ import annotations

from math import log

import pytest

import mcusim
from mcusim.boards import board_names, load_board
from mcusim.cli.app import answer
from mcusim.errors import RuntimeNameError
from mcusim.pricing.evidence import systems_behind
from mcusim.pricing.intervals import NORMAL_QUANTILE, Known
from mcusim.pricing.measurements import family_of, kernel_times, measurements
from mcusim.pricing.places import _list, find_place
from mcusim.pricing.stored import package_calibration
from mcusim.render.reasons import reason_lines
from mcusim.runtimes import RUNTIMES, find_runtime
from mcusim.simulation.reasons import TimeReasons, time_reasons
from mcusim.units import format_ms


def reasons_of(model: str, board: str, runtime: str) -> tuple[mcusim.Report, TimeReasons]:
    report = mcusim.simulate(model, profile=board, runtime=runtime)
    reasons = time_reasons(report, mcusim.load(model), load_board(board), find_runtime(runtime))
    assert reasons is not None
    return report, reasons


def test_every_time_that_counts_is_behind_one_system() -> None:
    listed = [row.id for entry in systems_behind(package_calibration()) for row in entry.rows]
    assert sorted(listed) == sorted(row.id for row in measurements() if not row.left_out)
    assert sum(entry.kernels for entry in systems_behind(package_calibration())) == len(kernel_times())


def test_every_network_has_a_family() -> None:
    families = {family_of(row.network) for row in measurements() if not row.left_out}
    assert len(families) == 15
    assert family_of("layers:st2_ssd_mobilenet_v2_fpnlite_035_192_coco_2017_person") == "ssd"


def test_a_measured_network_is_its_own_nearest_layer() -> None:
    _, reasons = reasons_of("mcunet-in3", "stm32h743", "tinyengine")
    assert reasons.interval.known is Known.MANY
    for _, reason in reasons.layers:
        near = reason.layers[0]
        assert near.octaves == pytest.approx(0.0)
        assert near.row.network == "zoo:mcunet-in3"
        assert near.row.system.runtime == "tinyengine"


@pytest.mark.parametrize(
    ("model", "board", "runtime"),
    [("mcunet-in3", "stm32h743", "tinyengine"), ("mcunet-vww0", "stm32g474", "tflm"), ("smallcifar", "rp2350", "hale")],
)
def test_the_interval_is_what_its_reasons_say(model: str, board: str, runtime: str) -> None:
    report, reasons = reasons_of(model, board, runtime)
    latency, why = report.latency, reasons.interval
    assert latency.ms is not None
    assert latency.high_ms is not None
    deviation = (why.prices**2 + why.noise**2) ** 0.5
    reach, own = log(latency.high_ms / latency.ms), NORMAL_QUANTILE * why.scale * deviation
    assert reach > own if why.sibling else reach == pytest.approx(own, rel=1e-6)
    assert sum(part.of_time for part in why.parts) == pytest.approx(1.0, abs=0.05)
    assert [part.deviation for part in why.parts] == sorted((p.deviation for p in why.parts), reverse=True)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["evidence", "--runtime", "hale"], 0, "stm32l4r5"),
        (["evidence", "--runtime", "x-cube-ai@10.2", "--profile", "stm32u575"], 0, "mlcommons"),
        (["evidence", "--runtime", "hale", "--profile", "stm32f412"], 2, "nothing was measured there"),
        (["evidence", "--runtime", "hal"], 2, "hale"),
        (["run", "mcunet-vww0", "--profile", "stm32h743", "--why-time", "--layers", "none"], 0, "same shape"),
        (["run", "mcunet-vww0", "--profile", "all", "--why-time"], 2, "one board and one runtime"),
    ],
)
def test_the_commands_say_it(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(arguments) == code
    shown = capsys.readouterr()
    assert sentence in " ".join((shown.out + shown.err).split())


@pytest.mark.parametrize(("names", "sentence"), [("a", "a"), ("ab", "a and b"), ("abcd", "a, b, c and d")])
def test_boards_are_listed_as_a_sentence_has_them(names: str, sentence: str) -> None:
    assert _list(names) == sentence


def test_an_answer_as_wide_as_its_kin_says_so() -> None:
    report, reasons = reasons_of("mcunet-vww0", "stm32l4r5", "x-cube-ai@10.0")
    assert reasons.interval.sibling == "10.2+mlperf on stm32l4r5"
    text = " ".join(line.plain for line in reason_lines(report, reasons, 300))
    assert "That would be narrower than for 10.2+mlperf on stm32l4r5, which was measured: the wider interval" in text


def test_run_answers_for_every_system_that_evidence_lists() -> None:
    runtimes = {runtime.price_family: name for name, runtime in RUNTIMES.items() if runtime.versions}
    for system in [entry.system for entry in systems_behind(package_calibration())]:
        if system.board not in board_names():
            continue
        build = f"{system.version}+{system.option}" if system.option else system.version
        runtime = find_runtime(f"{runtimes[system.runtime]}@{build}")
        place = find_place(package_calibration(), runtime, load_board(system.board), system.memory)
        assert place is not None
        assert place.system == system
        assert place.sure == system
        assert "was not measured" not in place.evidence


def test_a_newer_version_that_would_take_another_time_is_told() -> None:
    """Of the STM32H743 X-CUBE-AI 7.3 is the newest that was measured; on the STM32H747 core-4.0 was."""
    asked = {"profile": "stm32h743", "what_if": True}
    report = mcusim.simulate("mcunet-vww0", runtime="x-cube-ai", **asked)
    newer = mcusim.simulate("mcunet-vww0", runtime="x-cube-ai@core-4.0", **asked)
    assert report.latency.version == "7.3"
    assert newer.latency.ms is not None
    assert report.latency.low_ms is not None
    assert newer.latency.ms < report.latency.low_ms
    (warning,) = [warning for warning in report.warnings if "measured nearest to this board" in warning]
    assert f"core-4.0, which was measured on others, would take about {format_ms(newer.latency.ms)}" in warning
    named = mcusim.simulate("mcunet-vww0", runtime="x-cube-ai@7.3", **asked)
    for silent in (newer, named):
        assert not any("measured nearest to this board" in warning for warning in silent.warnings)


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        ("x-cube-ai@10.1", "use x-cube-ai@10.0 or x-cube-ai@10.2, or"),
        ("x-cube-ai@99", "use x-cube-ai@10.2, or"),
        ("x-cube-ai@1", "use x-cube-ai@7.1, or"),
        ("x-cube-ai@core-5.0", "use x-cube-ai@core-4.0 or x-cube-ai@core-3.0, or"),
        ("x-cube-ai@abc", "use x-cube-ai@10.0, or"),
        ("plumerai@2024.01", "use plumerai@2023.05, or"),
    ],
)
def test_a_version_that_nobody_knows_is_answered_with_those_beside_it(asked: str, suggested: str) -> None:
    with pytest.raises(RuntimeNameError) as raised:
        find_runtime(asked)
    assert raised.value.fix.startswith(suggested)


def test_a_runtime_without_a_version_is_its_current_one_and_says_what_else_was_measured() -> None:
    """Plumerai's times on this board are of 2022, and its next version was twice as fast."""
    place = find_place(package_calibration(), find_runtime("plumerai"), load_board("stm32u585"))
    assert place is not None
    assert (place.system.version, place.networks) == ("2023.05", 0)
    assert "a version that its source does not state (plumerai@unstated)" in place.evidence
    older = find_place(package_calibration(), find_runtime("plumerai@unstated"), load_board("stm32u585"))
    assert older is not None
    assert older.networks == 3


@pytest.mark.parametrize(
    ("board", "clock_hz", "sentence"),
    [
        ("stm32u585", None, "energy: not known, as the profile has no power figures."),
        ("stm32u585", 100_000_000, "energy: not known, as the profile has no power figures."),
        ("stm32h7a3", 100_000_000, "energy: not known, as the profile's power figures are for 280 MHz."),
    ],
)
def test_why_there_is_no_energy_is_told(board: str, clock_hz: int | None, sentence: str) -> None:
    report = mcusim.simulate("mcunet-vww0", profile=board, clock_hz=clock_hz)
    assert report.energy is None
    assert sentence in report.warnings

"""What stands behind times: measured systems, the nearest kernels and layers, and how intervals come about."""

from __future__ import annotations

from math import log

import pytest

import mcusim
from mcusim.boards import load_board
from mcusim.cli.app import answer
from mcusim.pricing.evidence import systems_behind
from mcusim.pricing.intervals import NORMAL_QUANTILE, Known
from mcusim.pricing.measurements import family_of, kernel_times, measurements
from mcusim.pricing.places import _list
from mcusim.pricing.stored import package_calibration
from mcusim.runtimes import find_runtime
from mcusim.simulation.reasons import TimeReasons, time_reasons


def reasons_of(model: str, board: str, runtime: str) -> tuple[mcusim.Report, TimeReasons]:
    report = mcusim.simulate(model, profile=board, runtime=runtime)
    found = time_reasons(report, mcusim.load(model), load_board(board), find_runtime(runtime))
    assert found is not None
    return report, found


def test_every_time_that_counts_is_behind_one_system() -> None:
    listed = [row.id for entry in systems_behind(package_calibration()) for row in entry.rows]
    assert sorted(listed) == sorted(row.id for row in measurements() if not row.left_out)
    assert sum(entry.kernels for entry in systems_behind(package_calibration())) == len(kernel_times())


def test_every_network_has_a_family() -> None:
    families = {family_of(row.network) for row in measurements() if not row.left_out}
    assert len(families) == 15
    assert family_of("layers:st2_ssd_mobilenet_v2_fpnlite_035_192_coco_2017_person") == "ssd"


def test_a_measured_network_is_its_own_nearest_layer() -> None:
    _, found = reasons_of("mcunet-in3", "stm32h743", "tinyengine")
    assert found.interval.known is Known.MANY
    for _, reason in found.layers:
        near = reason.layers[0]
        assert near.octaves == pytest.approx(0.0)
        assert near.row.network == "zoo:mcunet-in3"
        assert near.row.system.runtime == "tinyengine"


@pytest.mark.parametrize(
    ("model", "board", "runtime"),
    [("mcunet-in3", "stm32h743", "tinyengine"), ("mcunet-vww0", "stm32g474", "tflm"), ("smallcifar", "rp2350", "hale")],
)
def test_the_interval_is_what_its_reasons_say(model: str, board: str, runtime: str) -> None:
    report, found = reasons_of(model, board, runtime)
    latency, why = report.latency, found.interval
    assert latency.ms is not None
    assert latency.high_ms is not None
    deviation = (why.prices**2 + why.noise**2) ** 0.5
    assert log(latency.high_ms / latency.ms) == pytest.approx(NORMAL_QUANTILE * why.scale * deviation, rel=1e-6)
    assert sum(part.of_time for part in why.parts) == pytest.approx(1.0, abs=0.05)
    assert [part.deviation for part in why.parts] == sorted((p.deviation for p in why.parts), reverse=True)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["evidence", "--runtime", "hale"], 0, "stm32l4r5"),
        (["evidence", "--runtime", "x-cube-ai@10.2", "--profile", "stm32u575"], 0, "mlcommons"),
        (["evidence", "--runtime", "hale", "--profile", "stm32f412"], 2, "nothing was measured there"),
        (["evidence", "--runtime", "hal"], 2, "hale"),
        (["run", "mcunet-vww0", "--profile", "stm32h743", "--why-time", "--layers", "none"], 0, "same shape"),
        (["run", "mcunet-vww0", "--profile", "all", "--why-time"], 2, "one board and one runtime"),
    ],
)
def test_the_commands_say_it(arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(arguments) == code
    shown = capsys.readouterr()
    assert told in " ".join((shown.out + shown.err).split())


@pytest.mark.parametrize(("names", "sentence"), [("a", "a"), ("ab", "a and b"), ("abcd", "a, b, c and d")])
def test_boards_are_listed_as_a_sentence_has_them(names: str, sentence: str) -> None:
    assert _list(names) == sentence

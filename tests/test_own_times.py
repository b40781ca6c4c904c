"""A user's own measured times: read, compared, joined with the published ones, refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_regression import as_bytes

import mcusim
from mcusim.errors import InputError
from mcusim.pricing.own import OWN_VERSION, calibrate, contradictions, read_measurements
from mcusim.pricing.stored import package_calibration, read_calibration
from mcusim.render.calibration import calibration_lines
from mcusim.render.text import ASCII

HEADER = "model,profile,runtime,latency_ms"


def save(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_own_times_are_compared_with_what_run_says_at_the_clock_of_the_row(tmp_path: Path) -> None:
    path = save(tmp_path, "mcunet-vww0,stm32h743,tflm-cmsis-nn,100,240MHz", header=f"{HEADER},clock_hz")
    _, (change,) = calibrate(read_measurements(path))
    latency = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime="tflm-cmsis-nn", clock_hz=240_000_000).latency
    assert change.old_ms == pytest.approx(latency.ms)
    assert (change.old_low_ms, change.old_high_ms) == pytest.approx((latency.low_ms, latency.high_ms))
    assert change.new_ms is None
    assert not change.is_odd


@pytest.mark.slow
def test_own_times_that_scatter_get_wide_intervals(tmp_path: Path) -> None:
    names = ("mcunet-vww0", "mcunet-vww1", "mcunet-in0", "mcunet-in1")
    truth = {name: mcusim.simulate(name, profile="nrf52840").latency.ms or 0 for name in names}
    scales = []
    for scatter in (1.01, 2.0):
        factors = (scatter, 1 / scatter, 1 / scatter, scatter)
        rows = (f"{name},nrf52840,tinyengine,{truth[name] * by:.2f}" for name, by in zip(names, factors, strict=True))
        calibration, _ = calibrate(read_measurements(save(tmp_path, *rows)))
        scales.append(calibration.own_scale)
        target = tmp_path / "mine.json"
        target.write_bytes(as_bytes(calibration))
        assert read_calibration(target).own_scale == pytest.approx(calibration.own_scale)
    assert scales[0] == pytest.approx(1.0, abs=0.2)
    assert scales[1] > 2.0


@pytest.mark.slow
def test_a_time_in_another_unit_is_seen(tmp_path: Path) -> None:
    _, changes = calibrate(read_measurements(save(tmp_path, "mcunet-vww0,stm32f412,tinyengine,0.2")))
    text = "\n".join(line.plain for line in calibration_lines(changes, "mine.json", 100, ASCII))
    assert "! line 2, mcunet-vww0" in text
    assert "check its unit" in text


@pytest.mark.slow
def test_own_times_join_the_published_ones(tmp_path: Path) -> None:
    truth = {name: mcusim.simulate(name, profile="nrf52840").latency.ms for name in ("mcunet-vww0", "mcunet-in0")}
    path = save(tmp_path, *(f"{name},nrf52840,tinyengine,{1.4 * (ms or 0):.1f}" for name, ms in truth.items()))
    calibration, changes = calibrate(read_measurements(path))
    assert [change.system.version for change in changes] == [OWN_VERSION] * 2
    for change in changes:
        assert change.new_ms is not None
        assert abs(change.new_ms / change.measured_ms - 1) < abs(change.old_ms / change.measured_ms - 1)
    target = tmp_path / "mine.json"
    target.write_bytes(as_bytes(calibration))
    before = mcusim.simulate("mcunet-vww1", profile="nrf52840").latency
    after = mcusim.simulate("mcunet-vww1", profile="nrf52840", calibration=target).latency
    assert (after.ms or 0) > 1.2 * (before.ms or 0)
    assert (after.high_ms or 0) / (after.low_ms or 1) < (before.high_ms or 0) / (before.low_ms or 1)
    elsewhere = mcusim.simulate("mcunet-vww1", profile="stm32h743", calibration=target).latency.ms
    assert elsewhere == pytest.approx(mcusim.simulate("mcunet-vww1", profile="stm32h743").latency.ms, rel=0.03)


@pytest.mark.parametrize(
    ("lines", "header", "sentence"),
    [
        ((), HEADER, "it has no measurements"),
        (("a,b",), "model,profile", "it has no column 'runtime'"),
        (("mcunet-vww0,stm32f412,tinyengine,fast",), HEADER, "line 2: latency_ms is 'fast'"),
        (("mcunet-vww0,stm32f412,tinyengine,-1",), HEADER, "latency_ms is '-1'"),
        (("mcunet-vww9,stm32f412,tinyengine,1",), HEADER, "line 2: .*mcunet-vww9"),
        (("mcunet-vww0,stm32f999,tinyengine,1",), HEADER, "line 2: .*stm32f999"),
        (("mcunet-vww0,stm32f412,tiny,1",), HEADER, "line 2: .*no such runtime"),
        (("mcunet-vww0,stm32f412,tinyengine,1,64mm",), f"{HEADER},clock_hz", "clock_hz is '64mm'"),
        (("mcunet-vww0,stm32f412,tinyengine,1,0",), f"{HEADER},clock_hz", "clock_hz is '0'"),
        (("mcunet-vww0,stm32f412,tinyengine,1,moon",), f"{HEADER},schedule", "line 2: .*moon"),
    ],
)
def test_a_wrong_row_is_named(lines: tuple[str, ...], header: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        read_measurements(save(tmp_path, *lines, header=header))


def test_every_wrong_row_is_named_at_once(tmp_path: Path) -> None:
    rows = [
        f"mcunet-vww0,{board},tinyengine,{ms}" for board, ms in (("stm32f412", 200), ("stm32", 1), ("stm32f412", -3))
    ]
    with pytest.raises(InputError, match="2 lines are wrong") as raised:
        read_measurements(save(tmp_path, *rows))
    assert "line 3: profile: there is no board called 'stm32'" in raised.value.what
    assert "line 4: latency_ms is '-3' (write a number above 0" in raised.value.what
    assert "line 2" not in raised.value.what
    with pytest.raises(InputError, match="and 5 lines more"):
        read_measurements(save(tmp_path, *rows[1:2] * 25))


def test_rows_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    lines = [f"mcunet-vww0,stm32f412,tinyengine,{ms}" for ms in (200, 204, 300)]
    (sentence,) = contradictions(read_measurements(save(tmp_path, *lines)))
    assert "lines 2 and 4 contradict each other: mcunet-vww0 takes 1.50 times as long" in sentence
    assert "lines 2, 3, 4 are of it" in sentence


@pytest.mark.parametrize("content", [b"", b"{}", b'{"efforts": []}', b"\xff\xfe", b"[1, 2]"])
def test_a_wrong_calibration_gets_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="it is no calibration"):
        read_calibration(path)
    with pytest.raises(InputError, match=r"it cannot be read \(No such file or directory\)"):
        read_calibration(tmp_path / "nowhere.json")


def test_a_calibration_of_another_version_is_refused(tmp_path: Path) -> None:
    document = json.loads(as_bytes(package_calibration()))
    document["efforts"] = document["efforts"][:-1]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="made by another version"):
        read_calibration(path)

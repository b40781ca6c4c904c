"""Logs of single layers: every form says the same, one network narrows its board, and what is wrong is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim.errors import InputError
from mcusim.pricing.layer_logs import read_layer_log
from mcusim.pricing.own import calibrate, contradictions
from mcusim.pricing.own_logs import LoggedRun, _scatter, read_own


def logged_layers() -> list[tuple[str, int]]:
    """Operators and made-up cycles of one inference, 1.3 times what is said of the board."""
    report = mcusim.simulate("mcunet-vww0", profile="nrf52840", runtime="tflm-cmsis-nn")
    return [
        (layer.op, int(1.3 * (layer.cycles or 0))) for layer in report.layers if not layer.kernel.startswith("none")
    ]


def as_profiler_text(layers: list[tuple[str, int]]) -> str:
    return "boot\n" + "".join(f"{op} took {ticks} ticks ({ticks // 64_000} ms).\n" for op, ticks in layers)


def as_profiler_csv(layers: list[tuple[str, int]]) -> str:
    return '"Event","Tag","Ticks"\n' + "".join(f"{i},{op},{ticks}\n" for i, (op, ticks) in enumerate(layers))


def as_old_profiler_csv(layers: list[tuple[str, int]]) -> str:
    rows = [f"{i},{op},{ticks / 64e3:.0f},{ticks}\n" for i, (op, ticks) in enumerate(layers)]
    return '"Event","Tag","Ms","Ticks"\n' + "".join(rows)


def as_sums(layers: list[tuple[str, int]]) -> str:
    ops = dict.fromkeys(op for op, _ in layers)
    lines = [f"{op},{sum(ticks for other, ticks in layers if other == op)}\n" for op in ops]
    return '"Unique Tag","Total ticks across all events with that tag."\n' + "".join(lines)


def as_microseconds(layers: list[tuple[str, int]]) -> str:
    return "layer,op,us\n" + "".join(f"{i},{op},{ticks / 64}\n" for i, (op, ticks) in enumerate(layers))


def as_etdump(layers: list[tuple[str, int]]) -> str:
    names = {
        "CONV_2D": "cortex_m::quantized_conv2d.out",
        "DEPTHWISE_CONV_2D": "cortex_m::quantized_depthwise_conv2d.out",
        "FULLY_CONNECTED": "cortex_m::quantized_linear.out",
        "AVERAGE_POOL_2D": "aten::avg_pool2d.out",
        "ADD": "cortex_m::quantized_add.out",
        "PAD": "aten::constant_pad_nd.out",
    }
    rows = [f"Execute,native_call_{names.get(op, op.lower())},{ticks / 64e3},{ticks / 64e3}\n" for op, ticks in layers]
    whole = sum(ticks for _, ticks in layers) / 64e3
    header = "event_block_name,event_name,p50 (ms),avg (ms)\n"
    return f"{header}Execute,Method::execute,{whole},{whole}\n" + "".join(rows)


RUN = LoggedRun("mcunet-vww0", "nrf52840", "tflm-cmsis-nn")
FORMS = [as_profiler_text, as_profiler_csv, as_old_profiler_csv, as_sums, as_microseconds, as_etdump]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_of_log_says_the_same(form: Callable[[list[tuple[str, int]]], str], tmp_path: Path) -> None:
    layers, path = logged_layers(), tmp_path / "log"
    path.write_text(form(layers), encoding="utf-8")
    whole, *parts = read_own(path, RUN)
    assert whole.row.cycles == pytest.approx(sum(ticks for _, ticks in layers), rel=1e-6)
    assert not whole.row.is_kernel
    assert all(part.row.is_kernel for part in parts)
    assert sum(part.row.cycles for part in parts) == pytest.approx(whole.row.cycles, rel=1e-3)
    np.testing.assert_allclose(sum(np.array(part.row.amounts) for part in parts), whole.row.amounts, rtol=1e-6)


def test_several_inferences_count_by_their_median(tmp_path: Path) -> None:
    layers, path = logged_layers(), tmp_path / "log"
    runs = [[(op, ticks * by // 100) for op, ticks in layers] for by in (100, 300, 102)]
    path.write_text("".join(map(as_profiler_text, runs)), encoding="utf-8")
    whole, *parts = read_own(path, RUN)
    assert whole.row.cycles == pytest.approx(1.02 * sum(ticks for _, ticks in layers), rel=1e-3)
    assert len(parts) == len([ticks for _, ticks in layers if ticks])


def test_inferences_that_differ_are_named(tmp_path: Path) -> None:
    layers, path = logged_layers(), tmp_path / "log"
    runs = [[(op, ticks * by) for op, ticks in layers] for by in (1, 2)]
    path.write_text("".join(map(as_profiler_text, runs)), encoding="utf-8")
    (sentence,) = contradictions(read_own(path, RUN))
    assert re.search(r"in lines 2 and \d+ contradict each other: the latter takes 2.00 times as long", sentence)
    path.write_text(as_profiler_text(layers) * 2, encoding="utf-8")
    assert not contradictions(read_own(path, RUN))


@pytest.mark.parametrize("prefix", ["12:00:01.123 -> ", "I (1234) main: ", "  "])
def test_what_a_serial_monitor_puts_before_a_line_is_passed_over(prefix: str, tmp_path: Path) -> None:
    layers, path = logged_layers(), tmp_path / "log"
    path.write_text("".join(prefix + line for line in as_profiler_text(layers).splitlines(True)), encoding="utf-8")
    assert read_own(path, RUN)[0].row.cycles == sum(ticks for _, ticks in layers)


def test_milliseconds_of_a_firmware_without_a_clock_are_passed_over(tmp_path: Path) -> None:
    layers, path = logged_layers(), tmp_path / "log"
    path.write_text(re.sub(r"\(\d+ ms", "(0 ms", as_profiler_text(layers)), encoding="utf-8")
    assert read_own(path, RUN)[0].row.cycles == sum(ticks for _, ticks in layers)


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("native_call_add.out", "ADD"),
        ("aten::mul.out", "MUL"),
        ("native_call_cat.out", "CONCATENATION"),
        ("native_call_relu.out", "RELU"),
        ("cortex_m::quantized_add.out", "ADD"),
        ("native_call_addmm.out", "FULLY_CONNECTED"),
    ],
)
def test_operators_of_an_etdump_have_their_names(name: str, op: str) -> None:
    text = f"event_block_name,event_name,p50 (ms)\nExecute,OPERATOR_CALL,2.5\nExecute,{name},1.5\n"
    (layer,) = read_layer_log(text, "log", 64_000_000).layers
    assert layer.op == op


@pytest.mark.parametrize("ticks", ["9" * 30, "9" * 400])
def test_a_time_of_more_than_a_day_is_no_time(ticks: str) -> None:
    with pytest.raises(InputError, match="is no time that a layer takes"):
        read_layer_log(f"CONV_2D took {ticks} ticks\n", "log", 64_000_000)


@pytest.mark.slow
def test_one_network_with_layers_narrows_its_board(tmp_path: Path) -> None:
    path, target = tmp_path / "log", tmp_path / "mine.json"
    path.write_text(as_profiler_text(logged_layers()), encoding="utf-8")
    calibration, (change,) = calibrate(read_own(path, RUN))
    target.write_bytes(calibration.to_bytes())
    asked = {"profile": "nrf52840", "runtime": "tflm-cmsis-nn"}
    before, after = (mcusim.simulate("mcunet-vww1", **asked, calibration=c).latency for c in (None, target))
    assert change.measured_ms == pytest.approx(1.3 * change.old_ms, rel=0.01)
    assert after.ms == pytest.approx(1.3 * (before.ms or 0), rel=0.05)
    assert (after.high_ms or 0) / (after.low_ms or 1) < (before.high_ms or 0) / (before.low_ms or 1)


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda text: text[: len(text) - 20], "line .*: the line is cut"),
        (lambda text: "\n".join(text.splitlines()[:9]) + "\n", "the log ends at line 9 before layer"),
        (lambda text: text.replace("CONV_2D", "WARP_2D", 1), "line 3: WARP_2D is logged, and mcunet-vww0 has"),
        (lambda text: text.replace(" took ", " took -", 1), "line 2: -[0-9e+.]+ ticks is negative"),
        (lambda text: re.sub(r"\((\d+) ms", r"(9\1 ms", text), "line 2: .* are not one time at 64 MHz"),
        (lambda text: re.sub(r"took \d+ ticks \(\d+", "took 0 ticks (0", text), "line 3: CONV_2D takes no time"),
        (lambda text: text.replace(" ticks (", " us (", 1), "line 2: the time is in us, and a line of Micro"),
        (lambda text: "boot\n", "it is no log of layers"),
    ],
)
def test_a_wrong_log_is_named(edit: Callable[[str], str], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(edit(as_profiler_text(logged_layers())), encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        read_own(path, RUN)


def test_a_log_must_say_of_which_network_it_is(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(as_profiler_text(logged_layers()), encoding="utf-8")
    with pytest.raises(InputError, match="does not say of which network"):
        read_own(path)


@given(times=st.lists(st.one_of(st.just(0.0), st.floats(0.5, 1e9)), max_size=6))
def test_the_scatter_of_a_middle_is_that_of_its_times_over_the_root_of_how_many(times: list[float]) -> None:
    """Times of nothing have no logarithm and do not count; one time alone scatters by nothing."""
    logs = np.log([time for time in times if time])
    expected = logs.std(ddof=1) / len(logs) ** 0.5 if len(logs) > 1 else 0.0
    assert _scatter(times) == pytest.approx(float(expected), abs=1e-9)


def test_sums_that_lack_an_operator_name_it(tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    path.write_text(as_sums([pair for pair in logged_layers() if pair[0] != "DEPTHWISE_CONV_2D"]))
    with pytest.raises(InputError, match="the log has no sum for DEPTHWISE_CONV_2D, which mcunet-vww0 has"):
        read_own(path, RUN)
    path.write_text(as_sums([pair for pair in logged_layers() if pair[0] != "RESHAPE"]))  # takes no time
    assert read_own(path, RUN)


@pytest.mark.parametrize("form", [as_profiler_csv, as_sums])
def test_a_layer_that_multiplies_takes_time(form: Callable[[list[tuple[str, int]]], str], tmp_path: Path) -> None:
    """A clock of whole milliseconds logs 0 for a small layer; one that only moves bytes may take none."""
    path = tmp_path / "log.csv"
    path.write_text(form([(op, 0 if op == "CONV_2D" else ticks) for op, ticks in logged_layers()]))
    with pytest.raises(InputError, match="CONV_2D takes no time"):
        read_own(path, RUN)
    path.write_text(form([(op, 0 if op == "PAD" else ticks) for op, ticks in logged_layers()]))
    assert read_own(path, RUN)

"""Logs of layers as boards and people make them: mixed, prefixed, with totals and labels; each fault is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from test_layer_logs import (
    FORMS,
    RUN,
    as_etdump,
    as_microseconds,
    as_old_profiler_csv,
    as_profiler_csv,
    as_profiler_text,
    as_sums,
    logged_layers,
)

from mcusim.errors import InputError
from mcusim.pricing.own import contradictions, read_measurements
from mcusim.pricing.own_logs import read_own

TABLES = [as_profiler_csv, as_old_profiler_csv, as_sums, as_microseconds, as_etdump]
Form = Callable[[list[tuple[str, int]]], str]


def whole_cycles(text: str, folder: Path) -> float:
    """Of the network that a log is of, as it is read."""
    path = folder / "log"
    path.write_text(text, encoding="utf-8")
    return read_own(path, RUN)[0].row.cycles


def named(form: Form) -> str:
    return form.__name__


def as_kit(layers: list[tuple[str, int]]) -> str:
    lines = "".join(f"{i},{op},{ticks}\n" for i, (op, ticks) in enumerate(layers))
    return f"# smallcifar\nlayer,op,cycles\n{lines}all,total,{sum(ticks for _, ticks in layers)}\n"


@pytest.mark.parametrize("form", [*FORMS, as_kit], ids=named)
@pytest.mark.parametrize("by", [1000, 1 / 64])
def test_a_line_in_another_unit_is_named(form: Form, by: float, tmp_path: Path) -> None:
    layers = logged_layers()
    spoilt = [i for i, (op, _) in enumerate(layers) if op == "DEPTHWISE_CONV_2D"]
    spoilt = spoilt if form is as_sums else spoilt[3:4]
    mixed = [(op, int(ticks * by) if i in spoilt else ticks) for i, (op, ticks) in enumerate(layers)]
    fault = r"DEPTHWISE_CONV_2D takes (1/)?[0-9,]+ .*: it is in another unit"
    with pytest.raises(InputError, match=rf"log, line \d+: {fault}") as raised:
        whole_cycles(form(mixed), tmp_path)
    number = int(re.findall(r"line (\d+)", raised.value.where)[0])
    line = (tmp_path / "log").read_text().splitlines()[number - 1]
    assert "depthwise" in line.lower()


def test_each_unit_may_have_a_header_of_its_own(tmp_path: Path) -> None:
    layers = logged_layers()
    half = len(layers) // 2
    first, second = as_microseconds(layers[:half]), "layer,op,cycles\n"
    second += "".join(f"{i},{op},{ticks}\n" for i, (op, ticks) in enumerate(layers[half:], half))
    assert whole_cycles(first + second, tmp_path) == pytest.approx(sum(ticks for _, ticks in layers), rel=1e-6)


@pytest.mark.parametrize(("unit", "in_a_second"), [("ns", 1e9), ("us", 1e6), ("ms", 1e3), ("s", 1.0)])
def test_every_scale_of_an_etdump_is_one_time(unit: str, in_a_second: float, tmp_path: Path) -> None:
    rows = "".join(
        f"x,{line.split(',')[1]},{float(line.split(',')[2]) * in_a_second / 1e3}\n"
        for line in as_etdump(logged_layers()).splitlines()[2:]
    )
    text = f"event_block_name,event_name,p50 ({unit})\n{rows}"
    assert whole_cycles(text, tmp_path) == pytest.approx(sum(ticks for _, ticks in logged_layers()), rel=1e-4)


@pytest.mark.parametrize("form", [as_kit, as_sums, as_etdump], ids=named)
def test_a_total_that_its_lines_exceed_is_wrong(form: Form, tmp_path: Path) -> None:
    total = sum(ticks for _, ticks in logged_layers())
    text = form(logged_layers()) + (f'"total number of ticks", {total}\n' if form is as_sums else "")
    assert whole_cycles(text, tmp_path) == pytest.approx(total, rel=1e-6)
    pattern = r"(total,|total number of ticks\", |Method::execute,)\d+"
    with pytest.raises(InputError, match=r"line \d+: the total is .* cycles, and its \d+ lines add up to"):
        whole_cycles(re.sub(pattern, r"\g<1>77", text), tmp_path)


def test_a_total_that_holds_more_is_told(tmp_path: Path) -> None:
    total = sum(ticks for _, ticks in logged_layers())
    (tmp_path / "log").write_text(as_kit(logged_layers()).replace(f"total,{total}", f"total,{2 * total}"))
    (sentence,) = contradictions(read_own(tmp_path / "log", RUN))
    assert re.fullmatch(r"line \d+: 50% of the total is in no layer, and does not count", sentence)


def with_labels(labels: list[str]) -> str:
    rows = zip(labels, logged_layers(), strict=True)
    return "layer,op,cycles\n" + "".join(f"{label},{op},{ticks}\n" for label, (op, ticks) in rows)


def test_the_column_layer_counts_as_the_network_does(tmp_path: Path) -> None:
    whole, *parts = read_own(written(tmp_path, as_profiler_text(logged_layers())), RUN)
    nodes = [str(part.row.id.rpartition(".")[2].lstrip("0") or "0") for part in parts]
    places = [str(i) for i in range(len(nodes))]
    for labels in (places, nodes, [str(i + 1) for i in range(len(nodes))], [f"my{i}" for i in nodes]):
        assert whole_cycles(with_labels(labels), tmp_path) == whole.row.cycles
    names = [part.layer.name for part in parts if part.layer is not None]
    assert whole_cycles(with_labels(names), tmp_path) == whole.row.cycles
    for wrong, fault in (
        ([*places[:5], places[4], *places[6:]], "layer 4 follows layer 4"),
        ([*places[:5], places[6], places[5], *places[7:]], "layer 6 follows layer 4"),
        ([*places[:5], "60", *places[6:]], "layer 60 follows layer 4"),
        ([names[1], names[0], *names[2:]], f"it is of layer '{names[1]}', and"),
    ):
        with pytest.raises(InputError, match=rf"line \d+: {re.escape(fault)}"):
            whole_cycles(with_labels(wrong), tmp_path)


def written(folder: Path, text: str) -> Path:
    path = folder / "log"
    path.write_text(text, encoding="utf-8")
    return path


def test_layers_and_their_sums_in_one_log_are_one_measurement(tmp_path: Path) -> None:
    """As TFLM's benchmark prints them, beside times of its own functions."""
    layers = logged_layers()
    own = as_sums([]) + 'tflite::GetModel, 12\n"total number of ticks", 12\n'
    text = own + as_profiler_text(layers) + as_sums(layers) + as_profiler_text(layers) + as_sums(layers)
    assert whole_cycles(text, tmp_path) == sum(ticks for _, ticks in layers)
    spoilt = [(op, ticks + ticks // 3) for op, ticks in layers]
    with pytest.raises(InputError, match=r"line \d+: PAD takes .* cycles in all, and its lines above add up to"):
        whole_cycles(as_profiler_text(layers) + as_sums(spoilt), tmp_path)
    assert whole_cycles(as_profiler_text(layers) + as_profiler_csv(layers), tmp_path) == sum(t for _, t in layers)


def test_several_tables_of_sums_count_by_their_median(tmp_path: Path) -> None:
    runs = [[(op, ticks * by // 100) for op, ticks in logged_layers()] for by in (100, 300, 102)]
    total = sum(ticks for _, ticks in logged_layers())
    assert whole_cycles("".join(map(as_sums, runs)), tmp_path) == pytest.approx(1.02 * total, rel=1e-3)


@pytest.mark.parametrize("form", TABLES, ids=named)
@pytest.mark.parametrize("delimiter", [";", "\t", " ; "])
def test_cells_are_separated_as_spreadsheets_do(form: Form, delimiter: str, tmp_path: Path) -> None:
    text = form(logged_layers())
    assert whole_cycles(text.replace(",", delimiter), tmp_path) == whole_cycles(text, tmp_path)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_of_networks_as_well(delimiter: str, tmp_path: Path) -> None:
    lines = ("model,profile,runtime,latency_ms", "mcunet-vww0,stm32f412,tinyengine,200")
    path = written(tmp_path, "\n".join(line.replace(",", delimiter) for line in lines) + "\n")
    (row,) = read_measurements(path)
    assert row.row.network == "mcunet-vww0"
    assert read_own(path)[0].row == row.row


@pytest.mark.parametrize("form", FORMS, ids=named)
@pytest.mark.parametrize(
    "prefix", ["12:00:01.123 -> ", "[00:00:01.234,000] <inf> main: ", "I (1234) main: ", "\x1b[0;32mI (12) tflm: "]
)
def test_what_a_monitor_adds_is_passed_over_in_every_form(form: Form, prefix: str, tmp_path: Path) -> None:
    text, end = form(logged_layers()), "\x1b[0m\r\n" if "\x1b" in prefix else "\n\n"
    lines = [f"{prefix}{line}{end}" for line in text.splitlines()]
    assert whole_cycles("".join(lines), tmp_path) == whole_cycles(text, tmp_path)


@pytest.mark.parametrize("form", [as_profiler_text, as_old_profiler_csv], ids=named)
def test_milliseconds_that_are_all_zero_say_nothing(form: Form, tmp_path: Path) -> None:
    text = form(logged_layers())
    silent = re.sub(r"\(\d+ ms", "(0 ms", re.sub(r"^(\d+,[A-Z_0-9]+),\d+,", r"\1,0,", text, flags=re.MULTILINE))
    assert silent != text
    assert whole_cycles(silent, tmp_path) == sum(ticks for _, ticks in logged_layers())


def test_a_cell_of_several_lines_is_one_cell(tmp_path: Path) -> None:
    rows = "".join(f'"a\nb,c ""d""",{op},{ticks}\n' for op, ticks in logged_layers())
    assert whole_cycles(f"stack,op,cycles\n{rows}", tmp_path) == sum(ticks for _, ticks in logged_layers())
    with pytest.raises(InputError, match="line 2: a quote opens and does not close"):
        whole_cycles(f'stack,op,cycles\n"{as_profiler_csv(logged_layers()).partition(chr(10))[2]}', tmp_path)


def test_a_long_name_does_not_swamp_the_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, as_profiler_text([("X" * 5000, 3)]))
    code, _, err = run("calibrate", str(path), *ASKED, "-o", str(tmp_path / "own.json"))
    assert code == 2
    assert "no such layer" in err or "is logged, and" in err
    assert len(err) < 600 + len(str(path))


ASKED = ("--model", "mcunet-vww0", "--profile", "nrf52840", "--runtime", "tflm-cmsis-nn")


def test_own_layers_are_counted_and_shown(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    path = written(tmp_path, as_profiler_text(logged_layers()) * 2)
    code, _, err = run("calibrate", str(path), *ASKED, "-o", str(own))
    assert (code, err) == (0, "")
    code, out, _ = run("run", "mcunet-vww0", *ASKED[2:], "--calibration", str(own), "--why-time", "--layers", "none")
    shown = " ".join(out.split())
    assert code == 0
    layers = sum(1 for _, ticks in logged_layers() if ticks)
    assert f"1 measurement of own on nrf52840 and {layers} single operators" in shown
    assert "yours, same shape: " in shown
    assert re.search(r"in mcunet-vww0, \S+, [0-9,]+ cycles, own on nrf52840 \[own000\.\d{3}\]", shown)


def test_what_contradicts_itself_is_told_and_counts(tmp_path: Path) -> None:
    """Exit code 0: medians count, and a first inference is often slower."""
    runs = [[(op, ticks * by // 10) for op, ticks in logged_layers()] for by in (12, 10, 10)]
    path = written(tmp_path, "".join(map(as_profiler_text, runs)))
    code, _, err = run("calibrate", str(path), *ASKED, "-o", str(tmp_path / "own.json"))
    assert code == 0
    assert "contradict each other: the latter takes 1.20 times as long; their medians count" in err


@pytest.mark.parametrize("header", ["layer,op,time", "op;duration", "Event,Tag"])
def test_times_in_no_unit_are_named(header: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: of its columns \(.*\) none says its unit"):
        whole_cycles(f"boot, ok\n{header}\n0,CONV_2D,12\n", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("form", FORMS, ids=named)
def test_what_a_shell_redirects_is_read(form: Form, encoding: str, tmp_path: Path) -> None:
    text = form(logged_layers())
    (tmp_path / "wide").write_text(text, encoding=encoding)
    assert read_own(tmp_path / "wide", RUN)[0].row.cycles == whole_cycles(text, tmp_path)


@pytest.mark.parametrize("form", FORMS, ids=named)
@pytest.mark.parametrize("noise", [b"\xff\xfa\x00\n", b"# caf\xe9\n"])
def test_stray_bytes_are_passed_over_where_there_is_no_time(form: Form, noise: bytes, tmp_path: Path) -> None:
    text = form(logged_layers())
    expected = whole_cycles(text, tmp_path)
    (tmp_path / "log").write_bytes(noise + text.encode() + noise)
    assert read_own(tmp_path / "log", RUN)[0].row.cycles == expected
    (tmp_path / "log").write_bytes(text.encode("utf-16-le"))  # without a mark
    assert read_own(tmp_path / "log", RUN)[0].row.cycles == expected


@pytest.mark.parametrize("form", [as_profiler_text, as_profiler_csv, as_microseconds], ids=named)
def test_stray_bytes_within_a_time_are_named(form: Form, tmp_path: Path) -> None:
    content = re.sub(rb"CONV_2D\D+\d", lambda part: part[0] + b"\xff", form(logged_layers()).encode(), count=1)
    (tmp_path / "log").write_bytes(content)
    line = 1 + content[: content.index(b"\xff")].count(b"\n")
    with pytest.raises(InputError, match=rf"log, line {line}: the line holds bytes that are no text"):
        read_own(tmp_path / "log", RUN)


def test_what_is_no_text_at_all_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(InputError, match="it is no text"):
        read_own(tmp_path / "log", RUN)

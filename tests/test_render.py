"""What people see: a golden report, widths that hold, characters that every terminal has."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from reports import LAYERS, layer, report
from rich.cells import cell_len

import mcusim
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.render.boards import best_first, board_lines
from mcusim.render.layers import ALL_UP_TO, TOP, LayerChoice, layer_table
from mcusim.render.run_report import other_lines, report_lines
from mcusim.render.spending import SLOWEST, causes_of, main_cause, slowest, spending_lines
from mcusim.render.text import ASCII, UNICODE, clean, counted, fraction_bar, in_kib, kib, listed, shorten
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import AliveInfo, BankInfo, Report, Verdict
from mcusim.units import format_percent

GOLDEN = Path(__file__).parent / "golden" / "report_80.txt"
LONG = tuple(layer(i, f"net/block_{i}/depthwise/BiasAdd", "CONV_2D", "k", i + 1, 1000 * (200 - i)) for i in range(120))


def text(shown: Report, width: int, choice: LayerChoice = LayerChoice.AUTO) -> list[str]:
    return [line.plain for line in report_lines(shown, width, UNICODE, choice)]


def test_report_is_as_it_was() -> None:
    """MCUSIM_REGEN=1 rewrites the golden file; look at the difference."""
    shown = "\n".join(line.rstrip() for line in text(report(), 80)) + "\n"
    if os.environ.get("MCUSIM_REGEN"):
        GOLDEN.write_text(shown, encoding="utf-8")
    assert shown == GOLDEN.read_text(encoding="utf-8")


BANKS = "Memory banks, and what each holds at the peak"
SRAM1 = BankInfo("SRAM1", 0x20000000, 131_072, 153_600)
ELSEWHERE = BankInfo("CCM", 0x10000000, 65_536, 0, in_run=False)


@pytest.mark.parametrize(
    ("verdict", "banks", "is_shown"),
    [
        (Verdict.FITS, (SRAM1,), False),
        (Verdict.FITS, (SRAM1, ELSEWHERE), False),
        (Verdict.FITS, (SRAM1, SRAM1), True),
        (Verdict.DOES_NOT_FIT, (SRAM1,), False),
        (Verdict.DOES_NOT_FIT, (SRAM1, ELSEWHERE), True),
    ],
)
def test_banks_are_shown_where_several_hold_the_arena_or_another_might(
    verdict: Verdict, banks: tuple[BankInfo, ...], is_shown: bool
) -> None:
    shown = report(verdict)
    assert (BANKS in text(replace(shown, sram=shown.sram._replace(banks=banks)), 100)) is is_shown


@pytest.mark.parametrize(
    ("is_bound", "budget_bytes", "rest"),
    [(False, 262_144, "106.0 free"), (True, 262_144, "rest not known"), (True, 131_072, "22.0 over")],
)
def test_a_bound_that_fits_leaves_the_rest_open(is_bound: bool, budget_bytes: int, rest: str) -> None:
    shown = report(Verdict.FITS)
    bound = shown.sram._replace(is_bound=is_bound, budget_bytes=budget_bytes, fits=None if is_bound else True)
    [line] = [line for line in text(replace(shown, sram=bound), 120) if line.startswith("  SRAM ")]
    assert rest in line
    assert ("> 150.0 KiB" in line) is is_bound


def test_what_is_alive_at_the_peak_beyond_six_buffers_is_added_up() -> None:
    shown = report(Verdict.FITS)
    peak = shown.sram.peak
    assert peak is not None
    alive = tuple(AliveInfo(f"b{i}", (9 - i) * 10_240) for i in range(9))
    many = replace(shown, sram=shown.sram._replace(peak=peak._replace(alive=alive)))
    [line] = [line for line in text(many, 100) if "3 more" in line]
    assert line.split()[:2] == ["60.0", "KiB"]


def test_times_of_another_version_than_the_rules_are_said() -> None:
    shown = report()
    for version, words in (("", "tinyengine 1 "), ("1", "tinyengine 1 "), ("2020", "tinyengine 1, times of 2020 ")):
        priced = replace(shown, latency=shown.latency._replace(version=version))
        assert words in " ".join(text(priced, 120))


def test_other_runtimes_of_which_a_bound_is_known_take_at_least_that() -> None:
    shown = report(Verdict.FITS)
    bound = replace(shown, sram=shown.sram._replace(is_bound=True))
    lines = [line.plain for line in other_lines([shown, bound], 100)]
    assert lines == [
        "",
        "also: tinyengine 150.0 KiB fits, 42.0 ms",
        "also: tinyengine at least 150.0 KiB fits, 42.0 ms",
    ]


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("layers", [LAYERS, LONG, ()], ids=["short", "long", "none"])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("choice", list(LayerChoice))
def test_no_line_is_wider_than_asked(verdict: Verdict, layers: tuple, glyphs: object, choice: LayerChoice) -> None:
    for width in (40, 41, 47, 50, 60, 79, 80, 99, 100, 120, 160):
        lines = report_lines(report(verdict, layers), width, glyphs, choice)
        assert [line.plain for line in lines if cell_len(line.plain) > width] == []
        if glyphs is ASCII:
            assert all(line.plain.isascii() for line in lines)


def test_long_names_do_not_break_the_width() -> None:
    shown = report()
    named = replace(shown, model=shown.model._replace(name="a_network_with_a_name/" * 9))
    for width in (40, 60, 100):
        assert max(map(cell_len, text(named, width))) <= width


def test_verdict_comes_first_and_warnings_last() -> None:
    lines = text(report(), 100)
    assert lines[0] == "tiny-net on some-board: DOES NOT FIT, SRAM 22.0 KiB over (17 %)"
    assert lines[-1].startswith(("! tinyengine cannot run", "  "))
    assert text(report(Verdict.FITS), 100)[0].endswith("FITS, with 106.0 KiB of SRAM to spare (41 %)")
    assert "UNKNOWN, flash cannot be known" in text(report(Verdict.UNKNOWN), 100)[0]


def test_time_that_may_miss_its_budget_says_so() -> None:
    assert any("not sure" in line for line in text(report(), 100))


def test_peak_adds_up() -> None:
    shown = report()
    assert shown.sram.peak is not None
    lines = text(shown, 100)
    start = next(i for i, line in enumerate(lines) if line.startswith("SRAM peaks at layer 2"))
    sizes = []
    for line in lines[start + 1 :]:
        if "KiB" not in line:
            break
        sizes.append(float(line.split()[0]))
    assert sum(sizes) == pytest.approx(shown.sram.peak_bytes / 1024)


@pytest.mark.parametrize("size", [0, 4, 51, 52, 1023, 1024, 5_000_000])
def test_a_size_never_rounds_to_nothing(size: int) -> None:
    """Where KiB would round to 0.0 bytes are shown, in columns as in sentences."""
    assert kib(size) == (f"{size} B" if size < 52 else f"{size / 1024:,.1f}")
    assert in_kib(size) == (kib(size) if size < 52 else f"{kib(size)} KiB")
    assert "0.0" not in (kib(size), in_kib(size).split()[0])


def test_the_peak_names_what_setting_up_takes() -> None:
    shown = report()
    sram = shown.sram._replace(setup_bytes=4, peak_bytes=shown.sram.peak_bytes + 4)
    lines = text(replace(shown, sram=sram), 100)
    assert ["4", "B", "setting", "up"] in [re.sub("[^a-zA-Z0-9. ]", "", line).split() for line in lines]


def test_silent_nodes_have_no_row() -> None:
    lines = [line.plain for line in layer_table(report(), 120, UNICODE, LayerChoice.ALL)]
    assert not any("stem/pad" in line or "head/reshape" in line for line in lines)
    assert lines[-1].strip() == "Not run as layers: PAD (folded), RESHAPE (same bytes)."


def test_long_networks_show_the_heaviest() -> None:
    assert len(LONG) > ALL_UP_TO
    shown = report(layers=LONG)
    lines = [line.plain for line in layer_table(shown, 100, UNICODE, LayerChoice.AUTO)]
    assert len(lines) == 1 + TOP + 1
    assert "105 lighter layers are not shown" in lines[-1]
    assert lines[1].split()[0] == "0"  # the largest
    assert lines[TOP].split()[0] == "119"  # the slowest
    assert len(layer_table(shown, 100, UNICODE, LayerChoice.ALL)) == 1 + len(LONG)


def test_names_from_files_cannot_steer_the_terminal() -> None:
    evil = layer(0, "a\x1b[31mb\nc", "CONV\x07", "k", 1, 1000)
    assert all(line.isprintable() for line in text(report(layers=(evil,)), 100))


@given(st.text(), st.integers(0, 60), st.booleans())
def test_shorten_keeps_to_the_width(name: str, width: int, keep_end: bool) -> None:
    for glyphs in (UNICODE, ASCII):
        assert cell_len(shorten(clean(name), width, glyphs, keep_end)) <= width


@given(st.floats(allow_nan=False), st.integers(0, 40))
def test_bars_are_as_wide_as_asked(share: float, width: int) -> None:
    for glyphs in (UNICODE, ASCII):
        bar = fraction_bar(share, width, glyphs)
        assert len(bar) == width
        assert bool(bar.strip()) == (share > 0 and width > 0)


@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30), st.floats(0, 2)), max_size=5),
    st.integers(20, 120),
)
def test_tables_never_wrap(rows: list[tuple[str, str, float]], width: int) -> None:
    columns = (Column("a", least=4), Column("b", right=True, drop=2, least=4), Column("c", drop=1, least=3, most=10))
    lines = table(columns, [[Cell(a), Cell(b), Bar(c)] for a, b, c in rows], width, UNICODE)
    assert len(lines) == len(rows) + 1
    assert all(cell_len(line.plain) <= width and "\n" not in line.plain for line in lines)


def numbers(line: str) -> set[str]:
    return set(re.findall(r"[\d,.]*\d", line))


@given(
    st.lists(
        st.tuples(st.text("ab", max_size=30), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=4
    ),
    st.integers(20, 90),
)
def test_numbers_are_shown_whole_or_not_at_all(rows: list[tuple[str, int, int]], width: int) -> None:
    columns = (Column("name"), Column("bytes of it", right=True), Column("of", right=True), Column("", whole=True))
    shown = [[Cell(name), Cell(f"{a:,}"), Cell(f"{b:,}"), Cell(f"{a:,} to {b:,}")] for name, a, b in rows]
    for line, (_, a, b) in zip(table(columns, shown, width, UNICODE, header=False), rows, strict=True):
        assert cell_len(line.plain) <= width
        assert numbers(line.plain) <= {f"{a:,}", f"{b:,}"}


def test_columns_of_one_rank_go_together() -> None:
    columns = (Column("board"), Column("flash KiB", right=True, drop=1), Column("of", right=True, drop=1))
    rows = [[Cell("a_board"), Cell("123.4"), Cell("512.0")]]
    assert table(columns, rows, 30, UNICODE)[0].plain == "board    flash KiB     of"
    assert table(columns, rows, 22, UNICODE)[0].plain == "board"


def test_a_column_without_an_entry_is_left_out() -> None:
    lines = table(
        (Column("board"), Column("network"), Column("n", right=True)), [[Cell("a"), Cell(""), Cell("1")]], 40, UNICODE
    )
    assert lines[0].plain == "board  n"


@pytest.mark.parametrize("width", [40, 50, 60, 79, 80, 100, 160])
def test_times_are_whole_at_any_width(width: int) -> None:
    slow = report(Verdict.FITS)
    slow = replace(
        slow, latency=slow.latency._replace(ms=123_456.0, low_ms=98_765.0, high_ms=234_567.0, budget_ms=None)
    )
    board = [line.plain for line in board_lines([slow], width, UNICODE)]
    head = next(i for i, line in enumerate(board) if line.startswith("board "))
    assert board[head].endswith("time ms")
    assert board[head + 1].endswith("123,000")
    single = "\n".join(text(slow, width))
    assert "123,000 ms" in single
    assert "98,800 to 235,000" in single


def test_places_that_are_no_tensors_are_named_whole() -> None:
    for width in (40, 41, 60):
        assert any(line.endswith(" scratch, beside the arena") for line in text(report(), width))


def test_boards_whose_times_are_inferred_share_one_warning() -> None:
    """From which other times is told where one board is asked about: two networks on all boards had nine such lines."""
    reports = [report(Verdict.FITS) for _ in range(3)]
    boards = []
    for number, each in enumerate(reports):
        board = each.profile._replace(name=f"board-{number}")
        from_where = "its times on cortex-m4" if number else "tflm's times on board-9"
        warnings = (
            f"time: tflm 2026 was not measured on {board.name}; inferred from {from_where}: it is wide.",
            "SRAM.",
        )
        boards.append(replace(each, profile=board, warnings=warnings))
    lines = " ".join(line.plain.strip() for line in board_lines(boards, 200, UNICODE))
    assert lines.count("! ") == 2
    assert "! 3 boards: time: this version of tflm was not measured on this board" in lines
    assert "! 3 boards: SRAM." in lines
    alone = " ".join(line.plain.strip() for line in board_lines(boards[1:], 200, UNICODE))
    assert "! 2 boards: time: tflm 2026 was not measured on this board; inferred from its times on cortex-m4" in alone


def test_boards_are_counted_and_say_what_they_miss() -> None:
    late = report(Verdict.FITS)
    late = replace(late, verdict=Verdict.DOES_NOT_FIT, latency=late.latency._replace(fits=False, budget_ms=1.0))
    stored = report(Verdict.FITS)
    stored = replace(stored, verdict=Verdict.DOES_NOT_FIT, flash=stored.flash._replace(fits=False, budget_bytes=1024))
    unknown = report(Verdict.UNKNOWN)
    shown = [late, stored, report(Verdict.DOES_NOT_FIT), unknown, report(Verdict.FITS)]
    for width in (40, 80, 140):
        lines = [line.plain for line in board_lines(best_first(shown), width, UNICODE)]
        assert " ".join(lines).startswith("tiny-net with tinyengine fits 1 of 5 boards; 3 do not fit, 1 unknown")
        for words in ("no: time", "no: flash", "no: SRAM", "unknown", "fits"):
            assert sum(f" {words} " in line for line in lines if line.startswith("some-board")) == 1, (words, width)
        assert not any("network" in line for line in lines)
        header = next(line for line in lines if line.startswith("board "))
        assert header.count("of") == 2 * (width > 50)  # SRAM's and flash's, each beside its own
    assert any("> 13.7" in line for line in lines)


def test_huge_shares_are_capped() -> None:
    assert format_percent(1e9) == ">999x"
    assert format_percent(12.3) == "12x"
    assert format_percent(9.99) == "999 %"


def test_boards_that_fit_come_first() -> None:
    reports = [report(Verdict.DOES_NOT_FIT), report(Verdict.UNKNOWN), report(Verdict.FITS)]
    ordered = best_first(reports)
    assert [r.verdict for r in ordered] == [Verdict.FITS, Verdict.UNKNOWN, Verdict.DOES_NOT_FIT]
    for width in (40, 60, 80, 140):
        lines = [line.plain for line in board_lines(ordered, width, UNICODE)]
        assert max(map(cell_len, lines)) <= width
        assert " ".join(lines).startswith("tiny-net with tinyengine fits 1 of 3")


# ---------------------------------------------------------------------------------------------------------------------
# Where the time goes


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_the_split_adds_up_and_names_the_slowest(width):
    lines = [line.plain for line in spending_lines(report(), width, UNICODE)]
    assert max(map(cell_len, lines)) <= width
    joined = " ".join(lines)
    assert "compute 50 %" in joined
    assert "store 30 %" in joined
    assert sum(int(share) for share in re.findall(r" (\d+) %[,;]", joined)) == 100
    assert re.findall(r" ms +\d+ % +(\d) ", "\n".join(lines)) == ["1", "2", "3"]
    assert "slow path: so" in joined


def test_nothing_is_said_of_time_that_is_not_known():
    unknown = tuple(layer(one.index, one.name, one.op, one.kernel, None, one.sram_bytes) for one in LAYERS)
    assert spending_lines(report(layers=unknown), 80, UNICODE) == []
    nobody = replace(report(), latency=report().latency._replace(ms=None))
    assert spending_lines(nobody, 80, UNICODE) == []


@given(st.lists(st.tuples(*[st.integers(0, 10**6)] * 4), min_size=1, max_size=12))
def test_the_slowest_come_first(splits):
    layers = tuple(
        LAYERS[1]._replace(
            index=index,
            cycles=sum(split),
            compute_cycles=split[0],
            store_cycles=split[1],
            memory_cycles=split[2],
            overhead_cycles=split[3],
        )
        for index, split in enumerate(splits)
    )
    ranked = slowest(report(layers=layers))
    assert [one.layer.cycles for one in ranked] == sorted((sum(s) for s in splits if sum(s)), reverse=True)[:SLOWEST]
    for one in ranked:
        spent = dict(zip(("compute", "store", "memory", "overhead"), causes_of(one.layer), strict=True))
        assert spent[main_cause(one.layer)] == max(spent.values())


def test_one_and_many():
    assert (counted(1, "cut stage"), counted(1200, "schedule")) == ("1 cut stage", "1,200 schedules")
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    simulated = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="x-cube-ai")
    assert "Basis: SRAM, flash and time calibrated" in "\n".join(text(simulated, 100, LayerChoice.NONE))


@pytest.mark.slow
def test_a_layer_has_one_name_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of fused layers the first name, with its folders: in tables, in sentences and in documents."""
    monkeypatch.setenv("COLUMNS", "240")
    b = mcusim.GraphBuilder("folders")
    stem = b.conv_2d(b.input((1, 16, 16, 3)), 8, kernel=3)
    head = b.conv_2d(stem, 8, kernel=3)
    made, names = b.build([head]), {stem: "net/stem/Relu;net/stem/Conv2D", head: "net/head/Relu;net/head/Conv2D"}
    named = tuple(replace(tensor, name=names.get(index, tensor.name)) for index, tensor in enumerate(made.tensors))
    graph = replace(made, tensors=named)
    path = tmp_path / "folders.tflite"
    path.write_bytes(write_tflite(with_seeded_weights(graph)))
    asked = (str(path), "--profile", "stm32h743", "--runtime", "tflm")
    shown = {
        "run": run("run", *asked, "--layers", "all")[1],
        "bits": run("bits", *asked)[1],
        "ops": run("ops", str(path), "--runtime", "tflm")[1],
        "plan": run("plan", str(path), "--runtime", "tflm", "--buffers", "all")[1],
        "diff": run("diff", str(path), "--float")[1],
    }
    for command, text in shown.items():
        assert "net/head/Relu" in text, command
        assert "net/head/Conv2D" not in text, command
    documents = [json.loads(run(name, *asked, "--json", "-")[1])["layers"] for name in ("run", "bits")]
    assert [layer["name"] for layer in documents[0]] == [layer["name"] for layer in documents[1]]

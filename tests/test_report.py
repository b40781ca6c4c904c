"""A Report by itself: sums of its parts, its frame, its document and its page in a notebook. No simulation."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from reports import layer, report

from mcusim.report import SHOWN_LAYERS, Basis, Verdict

LAYERS_OF_REPORT = 6
CLOCK_HZ = 100_000_000


def cells(page: str) -> list[list[str]]:
    """The text of each cell of the page's tables, row by row, without the heads."""
    rows = re.findall(r"<tr>(.*?)</tr>", page)
    return [re.findall(r"<td [^>]*>(.*?)</td>", row) for row in rows if "<td" in row]


def test_it_fits_or_not_or_nobody_knows() -> None:
    assert [report(verdict).fits for verdict in Verdict] == [
        {Verdict.FITS: True, Verdict.DOES_NOT_FIT: False}.get(verdict) for verdict in Verdict
    ]


def test_what_must_fit_is_the_peak_and_the_stack() -> None:
    sram = report().sram
    assert sram.with_stack_bytes == sram.peak_bytes == 153_600
    assert sram._replace(stack_bytes=2048).with_stack_bytes == 155_648


def test_what_a_benchmark_measures_is_without_setting_up_and_with_its_own_bytes() -> None:
    assert report().sram._replace(setup_bytes=1000, harness_bytes=24).measured_bytes == 153_600 - 1000 + 24


def test_layers_are_counted_otherwise_by_another_convention_or_its_parts() -> None:
    made = report()
    assert not made.counts_layers_otherwise
    assert replace(made, convention=made.convention._replace(name="io")).counts_layers_otherwise
    assert replace(made, convention=made.convention._replace(parts=made.sram.peak.alive)).counts_layers_otherwise


def test_a_frame_has_milliseconds_beside_cycles() -> None:
    pytest.importorskip("pandas")
    made = report(layers=(layer(0, "a", "CONV_2D", "k", 2_500_000, 10), layer(1, "b", "PAD", "k", None, 20)))
    frame = made.to_frame()
    columns = list(frame.columns)
    assert columns[columns.index("cycles") + 1] == "ms"
    assert frame["ms"].tolist()[0] == 1e3 * 2_500_000 / CLOCK_HZ
    assert frame["ms"].isna().tolist() == [False, True]
    assert frame["basis"].tolist() == ["provisional"] * 2
    assert len(report().to_frame()) == LAYERS_OF_REPORT


def test_a_document_holds_plain_values_only() -> None:
    document = report().to_dict()
    assert type(document["verdict"]) is str
    assert type(document["sram"]["basis"]) is str
    assert document["sram"]["peak_bytes"] == 153_600
    assert document["layers"][1]["output_shape"] == [1, 48, 48, 16]
    assert document["layers"][1]["kernel"].startswith("convolve_s8")


def test_a_line_says_memory_and_time() -> None:
    made = report(Verdict.FITS)
    assert repr(made) == (
        "<Report 'tiny-net' on 'some-board' with 'tinyengine': fits, 150.0 KiB of 256.0 KiB SRAM, 42.0 ms>"
    )
    timeless = replace(made, latency=made.latency._replace(ms=None))
    assert repr(timeless).endswith("SRAM>")
    long = replace(made, model=made.model._replace(name="n" * 100))
    assert f"'{'n' * 60}'" in repr(long)


def test_a_notebook_shows_every_budget() -> None:
    rows = {row[0]: row[1:] for row in cells(report(Verdict.FITS)._repr_html_())}
    assert rows["SRAM"] == ["150.0 KiB", "256.0 KiB", "59 %", "fits", "derived"]
    assert rows["flash"] == ["390.6 KiB", "1,024.0 KiB", "38 %", "fits", "calibrated"]
    assert rows["time"] == ["42.0 ms (30.0 ms to 60.0 ms)", "100 ms", "42 %", "fits", "provisional"]
    assert rows["energy"] == ["1.89 mJ (1.20 to 3.00)", "", "", "", "provisional"]


def test_a_notebook_says_what_is_not_known() -> None:
    made = report(Verdict.UNKNOWN)
    rows = {row[0]: row[1:] for row in cells(made._repr_html_())}
    assert rows["flash"] == ["&gt; 13.7 KiB", "1,024.0 KiB", "1.3 %", "not sure", "calibrated"]
    without_limit = replace(made, latency=made.latency._replace(budget_ms=None, fits=None), energy=None)
    rows = {row[0]: row[1:] for row in cells(without_limit._repr_html_())}
    assert rows["time"] == ["42.0 ms (30.0 ms to 60.0 ms)", "", "", "", "provisional"]
    assert "energy" not in rows
    for unknown in ("ms", "low_ms", "high_ms"):
        latency = made.latency._replace(**{unknown: None})
        assert ["time", "not known", "", "", "", ""] in cells(replace(made, latency=latency)._repr_html_())
    least = made.flash._replace(model_bytes=None, weight_bytes=10_240)
    assert "&gt; 10.0 KiB" in replace(made, flash=least)._repr_html_()


def test_a_notebook_shows_the_heaviest_layers_in_their_order() -> None:
    page = report()._repr_html_()
    shown = cells(page)[4:]
    assert [row[0] for row in shown] == [
        "stem/pad", "stem/conv", "block_1/depthwise", "block_1/project", "head/mystery",
    ]  # fmt: skip
    assert shown[1] == ["stem/conv", "CONV_2D", "108.0 KiB", "24.0 ms"]
    assert f"{SHOWN_LAYERS} of {LAYERS_OF_REPORT} layers" in page
    assert "! tinyengine cannot run head/mystery" in page


def test_a_notebook_ranks_by_memory_where_no_time_is_known() -> None:
    layers = tuple([layer(i, f"l{i}", "ADD", "k", None, 1000 * (i % 4) + i) for i in range(8)])
    shown = cells(report(layers=layers)._repr_html_())[4:]
    assert [row[0] for row in shown] == ["l2", "l3", "l5", "l6", "l7"]
    assert {row[3] for row in shown} == {"?"}


def test_a_notebook_with_all_layers_does_not_say_that_some_are_left_out() -> None:
    page = report(layers=tuple([layer(i, "x" * 70, "ADD", "k", 5, 5) for i in range(SHOWN_LAYERS)]))._repr_html_()
    assert "layers; .to_frame()" not in page
    assert cells(page)[4][0] == "x" * 60
    assert "<th" in page
    assert page.count("<table") == 2
    assert report(layers=())._repr_html_().count("<table") == 1


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_notebook_shows_a_table(verdict: Verdict) -> None:
    page = report(verdict)._repr_html_()
    assert page.startswith("<div>")
    assert page.endswith("</div>")
    assert str(verdict).replace("-", " ") in page
    assert "150.0 KiB" in page
    assert "block_1/depthwise" in page
    assert "color:" not in page  # the page's own, dark or light
    assert page.count("<tr>") == 1 + 4 + 1 + SHOWN_LAYERS


def test_names_from_files_are_escaped() -> None:
    evil = report(layers=(layer(0, "<script>alert(1)</script>\x1b", "<b>", "k", 1, 1000),))
    evil = replace(evil, model=evil.model._replace(name="<img src=x>"), warnings=("<i>",))
    page = evil._repr_html_()
    for tag in ("<script", "<img", "<i>", "\x1b"):
        assert tag not in page
    assert "&lt;script&gt;" in page


def test_a_page_without_time_or_layers() -> None:
    bare = report(layers=())
    bare = replace(bare, latency=bare.latency._replace(cycles=None, ms=None, low_ms=None, high_ms=None), energy=None)
    assert "not known" in bare._repr_html_()
    assert bare.latency.basis is Basis.PROVISIONAL

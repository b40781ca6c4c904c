"""Plots of published tables: the numbers behind them, the same bytes every time, printed figures told by shape."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import run
from documents import chart

from mcusim import published
from mcusim.published.tables.curves import CHARTS
from mcusim.render.charts import PLOTS, chart_csv

SVG_LIMIT = 200_000
KIB = 1024


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARTS)
def test_a_plot_is_the_same_every_time(name):
    first = PLOTS[name](chart(name), "svg")
    assert first == PLOTS[name](chart(name), "svg")
    assert len(first) < SVG_LIMIT
    assert b"<dc:date>" not in first
    root = ElementTree.fromstring(first)
    assert len(root.findall(".//{*}g[@id]")) > len(chart(name).panels)


@pytest.mark.slow
def test_pictures_for_slides_and_papers():
    for kind, mark in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert PLOTS["table4"](chart("table4"), kind).startswith(mark)


@pytest.mark.slow
def test_table_4_has_a_ring_for_every_row():
    dots = [dot for panel in chart("table4").panels for dot in panel.dots]
    rows = published.table4().rows
    rings = {(dot.value, dot.accuracy, dot.is_bound) for dot in dots if dot.is_published}
    assert rings == {(float(r.sram.number) * KIB, float(r.top1), r.sram.is_bound) for r in rows}
    budgets = [panel.budgets[0].value for panel in chart("table4").panels]
    assert budgets == [256 * KIB, 512 * KIB]
    simulated = {dot.name for dot in dots if not dot.is_published}
    assert {"mcunet-in2", "mcunet-in4", "mcunet-256kb-int4"} <= simulated
    assert {dot.name for dot in dots if dot.is_published and dot.is_grey} == {
        "MbV1 0.5x (r=192) mixed",
        "MbV1 0.75x (r=224) mixed",
        "MCUNet int4",
    }


@pytest.mark.slow
def test_vww_shows_what_is_published_and_every_front():
    sram, latency = chart("vww").panels
    assert [dot.value for dot in sram.dots if dot.is_published and not dot.is_bound] == [n * KIB for n in (59, 92, 174)]
    claim = next(dot for dot in sram.dots if dot.is_bound)
    assert (claim.value, claim.accuracy) == (32 * KIB, 90)
    assert [budget.value for budget in sram.budgets] == [32 * KIB, 256 * KIB]
    assert [dot.value for dot in latency.dots if dot.is_published] == [27, 51, 234]
    for name in ("mcunet-vww0", "mcunet-vww1", "mcunet-vww2"):
        front = [dot.value for dot in sram.dots if dot.name == name and dot.series == "simulated, per patch"]
        assert front == sorted(front, reverse=True)
        times = [dot.value for dot in latency.dots if dot.name == name and dot.series == "simulated, per patch"]
        assert times == sorted(times)
        assert len({dot.accuracy for dot in sram.dots if dot.name == name}) == 1


@pytest.mark.slow
def test_libraries_that_ran_out_have_no_measured_mark():
    for panel in chart("runtimes").panels:
        measured = [dot for dot in panel.dots if dot.is_published]
        assert len(measured) == 44
        assert {(d.name, d.series) for d in measured if d.ran_out} == {
            ("mcunet-in4", "TF-Lite Micro"),
            ("mcunet-in4", "CMSIS-NN"),
        }
        assert all((dot.value is None) == dot.ran_out for dot in measured)


@pytest.mark.slow
def test_every_library_is_in_the_picture():
    """By name in the legend, a bar for every simulated figure and a diamond for every measured one."""
    shown = chart("runtimes")
    picture = PLOTS["runtimes"](shown, "svg").decode()
    libraries = {row.library for row in published.h743_libraries().rows}
    assert {dot.series for panel in shown.panels for dot in panel.dots} == libraries
    for library in libraries:
        assert f">{library}<" in picture or f"<!-- {library} -->" in picture, library
    dots = [dot for panel in shown.panels for dot in panel.dots if dot.value is not None]
    assert picture.count('<g id="patch_') >= sum(not dot.is_published for dot in dots)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARTS)
def test_the_numbers_behind_a_plot(name):
    lines = list(csv.DictReader(io.StringIO(chart_csv(chart(name)))))
    assert len(lines) == sum(len(panel.dots) for panel in chart(name).panels)
    panels = {panel.key: panel for panel in chart(name).panels}
    for line in lines:
        base = panels[line["panel"]].unit.base
        if line["value"]:
            values = [dot.value for dot in panels[line["panel"]].dots if dot.value is not None]
            assert min(values) - 1 <= float(line["value"]) * base <= max(values) + 1


@pytest.mark.slow
def test_commands():
    code, out, err = run("plot", "table4", "-o", "t.svg", "--data", "t.csv")
    assert (code, err) == (0, "")
    assert out == f"t.svg: {sum(len(panel.dots) for panel in chart('table4').panels)} points in 2 panels\n"
    assert Path("t.svg").read_bytes() == PLOTS["table4"](chart("table4"), "svg")
    assert Path("t.csv").read_text(encoding="utf-8") == chart_csv(chart("table4"))
    code, out, err = run("plot", "table4", "-o", "t.png", "--data", "-")
    assert (code, out, err) == (0, chart_csv(chart("table4")), "")
    code, _, err = run("plot", "table4", "-o", "t.gif")
    assert code == 2
    assert ".svg, .png, .pdf" in err
    code, out, err = run("plot")
    assert (code, err) == (0, "")
    assert "vww" in out

"""The HTML report: every figure the Report's, nothing from outside, nothing that a model's names could do to it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser import visit, why_missing
from commands import run

import mcusim
from mcusim.boards import load_board
from mcusim.render.html import html_page
from mcusim.render.html.summary import alive_rows, gauges
from mcusim.render.layers import executed
from mcusim.render.text import first_name
from mcusim.report import LayerInfo
from mcusim.runtimes import find_runtime
from mcusim.simulation.dossier import Dossier, dossier

SIZE_LIMIT = 700_000
HOSTILE = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>&"\'\x07\u202e{{7*7}}'
CAUSES = ("compute_cycles", "store_cycles", "memory_cycles", "overhead_cycles")

needs_browser = pytest.mark.usefixtures("_browser")


@pytest.fixture(scope="session")
def _browser() -> None:
    if why_missing():
        pytest.skip(why_missing())


def asked(model: Any, board: str = "stm32f746", runtime: str = "tinyengine", **how: Any) -> Dossier:
    graph, its_board, its_runtime = mcusim.load(model), load_board(board), find_runtime(runtime)
    report = mcusim.simulate(graph, profile=its_board, runtime=its_runtime, **how)
    return dossier(report, graph, its_board, its_runtime)


def hostile(name: str = HOSTILE) -> dict[str, Any]:
    layers = [{"op": "conv_2d", "name": f"{name}{i}", "out_channels": 8, "kernel": 3} for i in range(3)]
    return {"name": name, "input": [16, 16, 3], "layers": layers}


class Reader(HTMLParser):
    """Tables by id: rows of (exact value or None, text); every tag and attribute; every <data>."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[tuple[str | None, str]]]] = {}
        self.heads: list[dict[str, str | None]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.values: list[str | None] = []
        self.text: list[str] = []
        self._table = ""
        self._cell: list[str] | None = None
        self._value: str | None = None
        self._in_head = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "table":
            self._table = attributes.get("id") or ""
            self.tables.setdefault(self._table, [])
        elif tag == "thead":
            self._in_head = True
        elif tag == "tr" and not self._in_head:
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            if self._in_head:
                self.heads.append(attributes)
            self._cell, self._value = [], attributes.get("data-value")
        elif tag == "data":
            self.values.append(attributes["value"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "thead":
            self._in_head = False
        if tag in ("td", "th") and self._cell is not None:
            if not self._in_head:
                self.tables[self._table][-1].append((self._value, " ".join("".join(self._cell).split())))
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._cell is not None:
            self._cell.append(data)


def exact(value: float | None) -> str:
    return "" if value is None else str(value)


# ---------------------------------------------------------------------------------------------------------------------
# Figures


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "board", "runtime", "how"),
    [
        ("mcunet-in3", "stm32f746", "tinyengine", {"max_ms": 500.0}),
        ("mbv2-w0.35-r144", "stm32f412", "tinyengine", {"schedule": "patch:3x3@13"}),
        ("mcunet-vww0", "nrf52840", "tflm", {}),
        ("mcunet-vww1", "stm32h743", "x-cube-ai", {"convention": "act"}),
        ("person-det", "stm32h743", "tflm-cmsis-nn", {"sram_budget_bytes": 100_000}),
    ],
)
def test_every_figure_is_the_reports(model, board, runtime, how):
    subject = asked(model, board, runtime, **how)
    report, page = subject.report, Reader(html_page(subject))
    time, energy = report.latency.ms, report.energy
    flash = report.flash
    known = (flash.model_bytes or flash.weight_bytes) + (flash.code_bytes or 0)
    stored = known if flash.total_bytes is None else flash.total_bytes
    assert page.values == [
        str(report.sram.peak_bytes), str(stored), exact(time), exact(None if energy is None else energy.uj)
    ]  # fmt: skip
    rows = page.tables["layer-table"]
    assert len(rows) == len(report.layers)
    for row, layer in zip(rows, report.layers, strict=True):
        assert [value for value, _ in row] == layer_values(layer, report.latency.cycles)
        assert row[1][1].startswith(first_name(layer.name))
        assert row[5][1] == layer.op
        assert row[-1][1].startswith(layer.kernel or "none")
        assert layer.why in row[-1][1]
    banks = [(row[2][0], row[3][0]) for row in page.tables["banks"]]
    assert banks == [(str(bank.used_bytes), str(bank.size_bytes)) for bank in report.sram.banks]
    assert sum(int(row[3][0] or 0) for row in page.tables.get("causes", [])) == (report.latency.cycles or 0)
    known = [row[4][0] for row in page.tables["operators"]]
    assert sum(int(cycles or 0) for cycles in known) == (report.latency.cycles or 0)
    assert all(warning in "".join(page.text) for warning in report.warnings)


def layer_values(layer: LayerInfo, cycles: int | None) -> list[str | None]:
    elements = 1
    for size in layer.output_shape:
        elements *= size
    share = None if layer.cycles is None or not cycles else layer.cycles / cycles
    memory = [str(layer.index), None, str(layer.sram_bytes), exact(layer.cycles), exact(share), None]
    sizes = [str(elements), str(layer.macs), str(layer.weight_bytes)]
    return [*memory, *sizes, *(exact(getattr(layer, cause)) for cause in CAUSES), None]


def test_a_bound_leaves_nothing_free():
    """Of Plumerai's SRAM only a lower bound is known: what it leaves is not."""
    subject = asked("mcunet-in3", "stm32h743", "plumerai")
    assert subject.report.sram.is_bound
    text = Reader(html_page(subject)).text
    assert f"> {subject.report.sram.peak_bytes / 1024:.1f} KiB" in text
    assert text.count("the rest is not known") == 2  # nor is that of its flash
    assert " free" not in "".join(text)


def test_fused_names_are_shortened_and_found_in_full():
    subject = asked(hostile("first;second;third"))
    titles = [a.get("title") for tag, a in Reader(html_page(subject)).tags if tag == "th" and a.get("class") == "name"]
    assert "first;second;third0" in titles
    rows = Reader(html_page(subject)).tables["layer-table"]
    assert {row[1][1].split(" ")[0] for row in rows} == {"first"}


@pytest.mark.slow
def test_tables_of_the_plan_the_flash_and_the_front():
    subject = asked("mcunet-vww1", "stm32f412")
    page = Reader(html_page(subject))
    tenants = sorted((t for t in subject.plan.tenants() if t.size_bytes), key=lambda t: t.first)
    shown = [(row[0][1], *(int(value or 0) for value, _ in row[2:])) for row in page.tables["buffers"]]
    assert shown == [(t.name, t.size_bytes, t.offset_bytes, t.first, t.end - 1) for t in tenants]
    boxes = [tag for tag, attributes in page.tags if tag == "rect" and "box" in (attributes.get("class") or "").split()]
    assert len(boxes) == len(tenants)
    peak = subject.report.sram.peak
    (number,) = [layer.index for layer in subject.report.layers if layer.name == peak.layer]
    assert f"fullest at step {peak.step} (layer {number}): {first_name(peak.layer)}" in "".join(page.text)
    stored = sum(int(row[2][0] or 0) for row in page.tables["flash"])
    assert stored == subject.report.flash.total_bytes
    assert subject.front is not None
    shown = {(row[0][1].split(" ")[0], row[2][0], row[4][0]) for row in page.tables["schedules"]}
    assert {(str(p.schedule), str(p.peak_bytes), exact(p.ms)) for p in subject.front.points} <= shown


@pytest.mark.slow
def test_a_schedule_off_the_front_is_shown_beside_it():
    subject = asked("mbv2-w0.35-r144", "stm32f412", schedule="patch:3x3@13")
    page = Reader(html_page(subject))
    (row,) = [row for row in page.tables["schedules"] if "this report" in row[0][1]]
    assert row[0][1].startswith("patch:3x3@13")
    assert row[2][0] == str(subject.report.sram.peak_bytes)
    assert row[4][0] == str(subject.report.latency.ms)
    assert page.tables["stages"]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tinyengine", "tflm", "tflm-cmsis-nn"])
def test_what_is_alive_adds_up(runtime):
    report = asked("mcunet-in3", "stm32h743", runtime).report
    assert sum(row.bytes for row in alive_rows(report)) == report.sram.peak_bytes


def test_bars_stay_inside():
    for limits in ({}, {"max_ms": 10.0, "sram_budget_bytes": 10_000, "flash_budget_bytes": 10_000}, {"max_ms": 1e6}):
        for gauge in gauges(asked("mcunet-vww0", **limits).report):
            drawn = [place for place in (gauge.fill, gauge.mark, gauge.low, gauge.high) if place is not None]
            assert all(0 <= place <= 100 for place in drawn)


@pytest.mark.slow
def test_published_figures_are_as_printed():
    subject = asked("mcunet-in3")
    rows = Reader(html_page(subject)).tables["published"]
    assert subject.entry is not None
    printed = {(f.source, f"{f.macs} M") for f in subject.entry.published if f.macs}
    assert printed <= {(row[3][1], row[1][1]) for row in rows}


def test_the_document_lies_in_the_page():
    subject = asked("mcunet-vww0")
    page = html_page(subject)
    (text,) = re.findall(r'<script type="application/json" id="report">(.*?)</script>', page, re.DOTALL)
    assert json.loads(text) == subject.report.to_dict()


# ---------------------------------------------------------------------------------------------------------------------
# Nothing from outside, the same every time, whatever a name holds


@pytest.mark.slow
def test_the_page_needs_nothing_and_may_nothing():
    page = html_page(asked("mcunet-in3"))
    read = Reader(page)
    assert len(page) < SIZE_LIMIT
    assert not re.search(r"https?://|@import|url\(|//cdn", page)
    for tag, attributes in read.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
        assert (attributes.get("href") or "#").startswith("#")
    (policy,) = [a["content"] for tag, a in read.tags if tag == "meta" and "http-equiv" in a]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    inside = re.findall(r"<(style|script)>(.*?)</\1>", page, re.DOTALL)
    assert [kind for kind, _ in inside] == ["style", "script"]
    for _, text in inside:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


@pytest.mark.slow
def test_tables_can_be_read_aloud():
    read = Reader(html_page(asked("mcunet-in3", schedule="auto")))
    assert all(head.get("scope") == "col" for head in read.heads)
    assert all(head.get("aria-sort") in (None, "none", "ascending", "descending") for head in read.heads)
    ids = [a["id"] for _, a in read.tags if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = {(a["href"] or "")[1:] for tag, a in read.tags if tag == "a"}
    assert anchors <= set(ids)


def test_names_are_only_names():
    subject = asked(hostile())
    page = html_page(subject)
    read = Reader(page)
    assert [a.get("type") for tag, a in read.tags if tag == "script"] == ["application/json", None]
    assert not [tag for tag, _ in read.tags if tag == "img"]
    shown = HOSTILE.replace("\x07", "?").replace("\u202e", "?")
    assert shown in "".join(read.text)
    assert "49" not in [row[1][1] for row in read.tables["layer-table"]]
    assert "\x07" not in page
    assert "\u202e" not in page


def test_the_same_bytes_again():
    assert html_page(asked("mcunet-vww0", max_ms=100.0)) == html_page(asked("mcunet-vww0", max_ms=100.0))


def test_a_long_network_has_no_front(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mcusim.simulation.dossier.SEARCHED_NODES", 3)
    subject = asked("mcunet-vww0")
    assert subject.front is None
    assert "schedules" not in Reader(html_page(subject)).tables


# ---------------------------------------------------------------------------------------------------------------------
# The command


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_elsewhere")
def test_the_command_writes_a_page():
    code, out, err = run("run", "mcunet-vww0", "--profile", "stm32f412", "--max-ms", "1s", "--html", "a.html")
    assert (code, err) == (0, "")
    assert out.startswith("mcunet-vww0 on stm32f412")
    code, page, err = run("run", "mcunet-vww0", "--profile", "stm32f412", "--max-ms", "1s", "--html", "-")
    assert (code, err) == (0, "")
    assert Path("a.html").read_text(encoding="utf-8") == page
    command = "mcusim run mcunet-vww0 --profile stm32f412 --runtime tinyengine --schedule layer --max-ms 1s"
    assert f"<code>{command}</code>" in page


@pytest.mark.slow
@pytest.mark.usefixtures("_elsewhere")
def test_the_page_names_the_files_it_is_made_of():
    assert run("export", "mcunet-vww0", "net.tflite")[0] == 0
    digest = hashlib.sha256(Path("net.tflite").read_bytes()).hexdigest()
    code, page, _ = run("run", "net.tflite", "--profile", "stm32f412", "--runtime", "tflm", "--html", "-")
    assert code == 0
    assert f"<code>{digest}</code> net.tflite" in page
    before = Path("net.tflite").read_bytes()
    code, out, err = run("run", "net.tflite", "--profile", "stm32f412", "--html", "net.tflite")
    assert (code, out) == (2, "")
    assert "--html" in err
    assert "is what this command reads" in err
    assert Path("net.tflite").read_bytes() == before


@pytest.mark.usefixtures("_elsewhere")
def test_one_page_is_about_one_board():
    code, out, err = run("run", "mcunet-vww0", "--profile", "all", "--html", "a.html")
    assert (code, out) == (2, "")
    assert err == "mcusim: --html: it is about one answer; name one network, one board and one runtime\n"
    assert not Path("a.html").exists()


# ---------------------------------------------------------------------------------------------------------------------
# In a browser

HEADS = "Array.from(document.querySelectorAll('#layer-table thead th'))"
SHOWN = "Array.from(document.querySelectorAll('#layer-table tbody tr')).filter(row => row.offsetParent !== null)"


def numbers(column: int) -> dict[str, Any]:
    script = f"{SHOWN}.map(row => Number(row.cells[{column}].dataset.value))"
    return {"do": "run", "script": script}


def title(column: int) -> str:
    return f"#layer-table thead th:nth-child({column + 1}) button"


def sort_state(column: int) -> dict[str, Any]:
    return {"do": "run", "script": f"{HEADS}[{column}].getAttribute('aria-sort')"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    file.write_text(html_page(asked("mcunet-in3", max_ms=500.0)), encoding="utf-8")
    return file


@pytest.mark.slow
@needs_browser
def test_a_click_sorts_and_a_word_filters(page: Path):
    report = asked("mcunet-in3", max_ms=500.0).report
    rows = executed(report)
    seen = visit(
        page,
        numbers(0),
        {"do": "click", "on": title(3)},
        numbers(3),
        sort_state(3),
        {"do": "click", "on": title(3)},
        numbers(3),
        sort_state(3),
        {"do": "run", "script": f"({HEADS}[2].querySelector('button').focus(), 1)"},
        {"do": "key", "key": "Return"},
        numbers(2),
        sort_state(3),
        {"do": "click", "on": "#find"},
        {"do": "type", "text": "mbconv_3/ EXPAND"},
        {"do": "run", "script": f"{SHOWN}.map(row => row.cells[1].innerText.split(String.fromCharCode(10))[0].trim())"},
        {"do": "run", "script": "document.getElementById('shown').textContent"},
    )
    by_index, _, down, first, _, up, second, _, _, by_memory, third, _, _, names, count = seen.results
    cycles = [layer.cycles or 0 for layer in rows]
    assert by_index == [layer.index for layer in rows]
    assert (down, first) == (sorted(cycles, reverse=True), "descending")
    assert (up, second) == (sorted(cycles), "ascending")
    assert (by_memory, third) == (sorted((layer.sram_bytes for layer in rows), reverse=True), "none")
    expected = [x.name for x in rows if "mbconv_3/" in x.name and "expand" in f"{x.name} {x.kernel} {x.why}".lower()]
    assert [re.split(" (?:peak|slow)", name)[0] for name in names] == expected
    assert count == f"{len(expected)} of {len(report.layers)} nodes"
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.slow
@needs_browser
def test_no_table_hides_a_column_on_a_laptop(page: Path):
    wide = "Array.from(document.querySelectorAll('.scroll')).filter(box => box.scrollWidth > box.clientWidth).length"
    seen = visit(page, {"do": "run", "script": wide}, width=1280, height=800)
    assert seen.results == [0]


@pytest.mark.slow
@needs_browser
def test_filters_of_operators_and_of_what_never_runs(page: Path):
    report = asked("mcunet-in3", max_ms=500.0).report

    def choose(op: str) -> dict[str, Any]:
        script = f"(op.value = '{op}', op.dispatchEvent(new Event('input')), {SHOWN}.length)"
        return {"do": "run", "script": script}

    seen = visit(page, choose("ADD"), choose("PAD"), {"do": "click", "on": "#silent"}, choose("PAD"), choose(""))
    added = sum(layer.op == "ADD" for layer in report.layers)
    padded = sum(layer.op == "PAD" for layer in report.layers)
    assert seen.results == [added, 0, None, padded, len(report.layers)]


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(400, False), (1600, True)], ids=["narrow", "wide-dark"])
def test_it_looks_like_a_page(page: Path, tmp_path: Path, width: int, dark: bool):
    wide = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) <= innerWidth"
    picture, paper = tmp_path / "page.png", tmp_path / "page.pdf"
    paint = "getComputedStyle(document.body).backgroundColor"
    seen = visit(
        page,
        {"do": "run", "script": wide},
        {"do": "run", "script": paint},
        {"do": "run", "script": "document.querySelectorAll('#timeline-plot .box').length"},
        {"do": "shot", "file": str(picture)},
        {"do": "print", "file": str(paper)},
        width=width,
        dark=dark,
    )
    fits, background, boxes, _, _ = seen.results
    assert fits
    assert background == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert boxes > 50
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000  # a blank picture is far smaller
    assert paper.read_bytes().startswith(b"%PDF")
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.slow
@needs_browser
def test_the_browser_takes_names_for_names_and_the_policy_for_law(tmp_path: Path):
    file = tmp_path / "hostile.html"
    file.write_text(html_page(asked(hostile())), encoding="utf-8")
    reach = "(fetch('http://127.0.0.1:9/').catch(() => {}), document.title)"
    seen = visit(file, {"do": "run", "script": "document.title"})
    assert HOSTILE[:20] in seen.results[0]
    assert (seen.console, seen.requests) == ([], [])
    tried = visit(file, {"do": "run", "script": reach}, {"do": "size", "width": 900, "height": 700})
    assert tried.requests == []
    assert any("Content Security Policy" in line for line in tried.console)

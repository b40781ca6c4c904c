"""Reports of published tables as text: golden files of a small document, widths, columns, escapes, and the commands."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import documents
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from mcusim.published import NOTHING, Printed, Unit
from mcusim.published.tables import DOCUMENTS, Claim, Column, Document, Figure, Group, Origin, Row, Table
from mcusim.render.published import SUFFIXES, WRITERS, Format, document_lines
from mcusim.render.published.grid import Layout, best_layout, grid
from mcusim.render.published.wording import amount, difference_text, verdict
from mcusim.render.text import ASCII, UNICODE
from mcusim.report import Basis

GOLDEN = Path(__file__).parent / "golden"
KIB = 1024


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _figure(unit: Unit, printed: str, value: float | None, basis: Basis | None, **more) -> Figure:
    return Figure(unit=unit, printed=Printed(printed), value=value, basis=basis, **more)


def _row(label: str, origin: Origin, sram: str, value: float | None, ms: float | None, **more) -> Row:
    """A row of the small document: MACs, SRAM, latency, accuracy, schedule."""
    counted = {"limit": 256 * KIB, "counted_as": "" if value is None else "zoo-2020"}
    ranges = {} if ms is None else {"low": ms / 2, "high": ms * 2}
    top1 = 48.5 if origin in (Origin.RELEASED, Origin.TWIN) else None
    return Row(
        label=label,
        about="TinyEngine, int8",
        origin=origin,
        board="stm32f412",
        cells=(
            _figure(Unit.MEGA, "24", None if value is None else 23.5e6, None if value is None else Basis.EXACT),
            _figure(Unit.KIB, sram, value, None if value is None else Basis.CALIBRATED, **counted),
            _figure(Unit.MS, "", ms, None if ms is None else Basis.PROVISIONAL, **ranges),
            _figure(Unit.PERCENT, "49.0", top1, None if top1 is None else Basis.PUBLISHED),
            "patch:2x2@5" if value else "",
        ),
        **more,
    )


SMALL = Document(
    name="small",
    title="A small table",
    published=("table4",),
    tables=(
        Table(
            "rows",
            "Networks and boards",
            (
                Column("macs", "MACs", Unit.MEGA),
                Column("sram", "SRAM", Unit.KIB, has_counting=True),
                Column("latency", "latency", Unit.MS, has_interval=True),
                Column("top1", "top-1", Unit.PERCENT),
                Column("schedule", "schedule"),
            ),
            (
                Group(
                    "stm32f412: 256.0 KiB SRAM",
                    (
                        _row("MbV2 0.35x (r=144)", Origin.RELEASED, "308", 307.9 * KIB, 1060.7, network="mbv2"),
                        _row("MCUNet & co_1", Origin.TWIN, "<256", 238.8 * KIB, None, network="twin", is_grey=True),
                        _row("MCUNet-M4", Origin.NOT_RELEASED, "196", None, None),
                    ),
                ),
                Group("another", (_row("MCUNet-H7", Origin.WITNESS, "465", 300 * KIB, 99.5, network="w"),)),
            ),
        ),
        Table(
            "ways",
            "Whole and cut",
            (Column("sram", "SRAM", Unit.KIB), Column("less", "less", Unit.TIMES)),
            (
                Group(
                    "",
                    (
                        Row(
                            label="per patch",
                            cells=(
                                _figure(Unit.KIB, "", 1024.0, Basis.DERIVED),
                                _figure(Unit.TIMES, "", 2.0, Basis.DERIVED),
                            ),
                        ),
                    ),
                ),
            ),
        ),
    ),
    claims=(
        Claim(
            key="a", text="points gained", unit=Unit.POINTS, printed=Printed("4.6"), from_rows=4.6, how="64.9 - 60.3"
        ),
        Claim(
            key="b",
            text="less memory",
            unit=Unit.TIMES,
            printed=Printed("3.7-8.0"),
            simulated=2.0,
            most=3.7,
            simulated_basis=Basis.DERIVED,
            how="one 2.0x, another 3.7x",
        ),
        Claim(key="c", text="nobody knows", unit=Unit.PERCENT, printed=Printed(">90")),
    ),
    notes=("takes: what the runtime itself takes.",),
    sources=("a journal, 50 % of it",),
)


def terminal(document: Document, width: int, glyphs=UNICODE) -> str:
    return "".join(f"{line.plain.rstrip()}\n" for line in document_lines(document, width, glyphs))


FORMS = {
    "small_60.txt": lambda: terminal(SMALL, 60),
    "small_100.txt": lambda: terminal(SMALL, 100),
    "small_160.txt": lambda: terminal(SMALL, 160),
    **{
        f"small{suffix}": lambda form=form: WRITERS[form](SMALL) for suffix, form in SUFFIXES.items() if form in WRITERS
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_as_it_was(name):
    """MCUSIM_REGEN=1 rewrites the golden files; look at the difference."""
    written = FORMS[name]()
    if os.environ.get("MCUSIM_REGEN"):
        (GOLDEN / name).write_text(written, encoding="utf-8")
    assert written == (GOLDEN / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# What holds for every document


def document(name: str) -> Document:
    return documents.document(name) if name in DOCUMENTS else SMALL


EVERY = ["small", *DOCUMENTS]


@pytest.mark.slow
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("name", EVERY)
def test_no_line_is_wider_than_asked(name, glyphs):
    for width in (40, 47, 60, 79, 80, 100, 120, 140, 160):
        lines = document_lines(document(name), width, glyphs)
        assert [line.plain for line in lines if cell_len(line.plain) > width] == []
        if glyphs is ASCII:
            assert all(line.plain.isascii() for line in lines)


def test_a_witness_is_never_taken_for_the_row_itself():
    for width in (40, 60, 80, 100, 120, 160):
        assert "witness, accuracy unknown" in " ".join(terminal(SMALL, width).split())
    for form in WRITERS:
        assert "witness" in WRITERS[form](SMALL)


@pytest.mark.parametrize("name", EVERY)
def test_every_digit_is_shown_at_every_width(name):
    for width in (60, 100, 160):
        shown = terminal(document(name), width)
        for table in document(name).tables:
            for row in table.rows:
                for cell in row.cells:
                    if isinstance(cell, Figure) and cell.printed:
                        assert re.search(rf"(?<![\d.]){re.escape(str(cell.printed))}(?![\d.])", shown)


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("name", EVERY)
def test_a_grid_has_a_piece_for_every_head(name, layout):
    for table in document(name).tables:
        laid_out = grid(table, layout)
        lines = [line for group in laid_out.groups for row in group.rows for line in row]
        assert {len(line) for line in lines} == {len(laid_out.heads)}
        assert all(any(line[at].text for line in lines) for at in range(len(laid_out.heads)))
        printed = sum(bool(figure.printed) for c in table.columns if c.unit for figure in table.figures(c.key))
        assert sum(piece.role == "printed" and bool(piece.text) for line in lines for piece in line) == printed


@pytest.mark.parametrize("name", EVERY)
def test_markdown_tables_are_rectangular(name):
    blocks = re.findall(r"(?:^\|.*\|\n)+", WRITERS[Format.MARKDOWN](document(name)), re.MULTILINE)
    tables = len(document(name).tables) + bool(document(name).claims)
    assert len(blocks) == tables
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("name", EVERY)
def test_latex_is_balanced(name):
    text = WRITERS[Format.LATEX](document(name))
    bare = re.sub(r"\\[\\{}%&$#_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")
    for spec, body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", text, re.DOTALL):
        for line in body.splitlines():
            cells = len(re.findall(r"(?<!\\)&", line)) + 1
            assert not line.endswith(r"\\") or "multicolumn" in line or cells == len(spec)


class _Balance(HTMLParser):
    """Tags that are open; void ones are never closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for key, value in attrs if key in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", EVERY)
def test_html_is_whole_and_alone(name):
    text = WRITERS[Format.HTML](document(name))
    parser = _Balance()
    parser.feed(text)
    assert (parser.open, parser.fetched) == ([], [])
    assert "http" not in text


@pytest.mark.parametrize("name", EVERY)
def test_csv_and_json_say_the_same(name):
    lines = list(csv.DictReader(io.StringIO(WRITERS[Format.CSV](document(name)))))
    json_document = json.loads(WRITERS[Format.JSON](document(name)))
    cells = [
        (table["key"], row["label"], key, cell if isinstance(cell, str) else cell["simulated"])
        for table in json_document["tables"]
        for group in table["groups"]
        for row in group["rows"]
        for key, cell in row["cells"].items()
        if cell
    ]
    csv_cells = [
        (line["table"], line["row"], line["quantity"], line["simulated"]) for line in lines if line["table"] != "claims"
    ]
    assert csv_cells == [(t, r, q, "" if value is None else str(value)) for t, r, q, value in cells]
    assert {c["key"] for c in json_document["claims"]} == {c.key for c in document(name).claims}
    assert all(line["basis"] for line in lines if line["simulated"] and line["unit"])


HOSTILE = "a|b&c_d<e>%$#{x}\\~^*`[l](u)"


def test_what_others_wrote_is_escaped():
    row = Row(label=HOSTILE, cells=(_figure(Unit.KIB, "1", 1024, Basis.EXACT),))
    made = Document(
        name="x",
        title=HOSTILE,
        published=(),
        tables=(Table("t", HOSTILE, (Column("sram", HOSTILE, Unit.KIB),), (Group(HOSTILE, (row,)),)),),
        notes=(HOSTILE,),
    )
    assert "<e>" not in WRITERS[Format.HTML](made)
    latex = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]", "", WRITERS[Format.LATEX](made))
    assert "a|bcdex" in latex
    assert r"a\|b" in WRITERS[Format.MARKDOWN](made)
    assert r"\[l\](u)" in WRITERS[Format.MARKDOWN](made)
    assert json.loads(WRITERS[Format.JSON](made))["title"] == HOSTILE


# ---------------------------------------------------------------------------------------------------------------------
# Words


def test_amounts():
    assert [amount(v, Unit.MS) for v in (0.4217, 27.35, 336.4, 7821.0)] == ["0.42", "27.4", "336", "7821"]
    assert amount(307.86 * KIB, Unit.KIB) == "307.9"
    assert amount(0.87e6, Unit.MEGA, 2) == "0.87"
    assert amount(-0.01, Unit.PERCENT) == "0.0"
    assert amount(75, Unit.PIXELS) == "75"


@given(st.floats(0.01, 1e5), st.floats(0.01, 1e5))
@settings(max_examples=50)
def test_a_difference_has_a_sign_unless_it_is_nothing(printed, value):
    text = difference_text(_figure(Unit.KIB, f"{printed:.2f}", value * KIB, Basis.EXACT))
    assert re.fullmatch(r"[+-]\d+(\.\d)? %|0\.0 %", text)
    assert (text[0] == "-") == (value < float(f"{printed:.2f}")) or text == "0.0 %"


def test_verdicts():
    assert [verdict(claim) for claim in SMALL.claims] == ["as claimed", "not as claimed", "cannot be told"]
    assert best_layout(SMALL.tables[1]) is Layout.SIDE_BY_SIDE
    assert Figure(unit=Unit.KIB, printed=NOTHING).difference is None


# ---------------------------------------------------------------------------------------------------------------------
# Commands


def test_report_in_the_terminal_and_in_files(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, shown, err = run("report", "voc")
    assert (code, err) == (0, "")
    assert shown == terminal(document("voc"), 80)
    for suffix, form in SUFFIXES.items():
        notice = f"voc{suffix}: 4 rows of {document('voc').title}\n"
        assert run("report", "voc", "-o", f"voc{suffix}") == (0, notice, "")
        wanted = shown if form is Format.TERMINAL else WRITERS[form](document("voc"))
        assert Path(f"voc{suffix}").read_text(encoding="utf-8") == wanted
    code, markdown, _ = run("report", "voc", "--format", "Markdown", "-o", "-")
    assert (code, markdown) == (0, WRITERS[Format.MARKDOWN](document("voc")))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_has_a_command(name):
    code, shown, _ = run("report", name, "--help")
    assert code == 0
    assert f"mcusim report {name}" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tabel4",), "did you mean table4?"),
        (("voc", "-o", "voc.docx"), "end it in .md, .csv, .tex"),
        (("voc", "--format", "docx"), "use terminal, markdown, csv"),
        (("voc", "-o", "nowhere/voc.md"), "cannot write"),
    ],
)
def test_wrong_questions(words, sentence):
    code, shown, err = run("report", *words)
    assert (code, shown) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_no_report_named_shows_the_help():
    code, shown, err = run("report")
    assert (code, err) == (0, "")
    assert "table4" in shown


@pytest.mark.parametrize("name", EVERY)
def test_a_caption_is_short(name):
    """What the signs mean, and what stands behind the table, is set below it."""
    for caption in re.findall(r"\\caption\{(.*)\}", WRITERS[Format.LATEX](document(name))):
        assert len(caption.split()) <= 40

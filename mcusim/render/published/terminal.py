"""A document in the terminal: as columns where they fit, else row by row with one line a figure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from mcusim.published.tables import Claim, Document, Figure, Origin, Row, Table
from mcusim.render.published.grid import CellText, Grid, Layout, Role, grid
from mcusim.render.published.wording import (
    WITNESS_TEXT,
    claim_figures,
    difference_text,
    interval_text,
    legend,
    mark,
    origin_text,
    printed_text,
    value_text,
    verdict,
)
from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Cell, Column, table

__all__ = ["document_lines"]

GAP = 2
LEAST_TEXT = 16
"""Of a text that is cut, what is shown at least. Labels are not cut, nor what must be known of a witness."""
NARROW = 60
OVER = "!"
_STYLES = {
    Role.LABEL: "bold",
    Role.ABOUT: "dim",
    Role.ORIGIN: "dim",
    Role.WHICH: "dim",
    Role.PRINTED: "",
    Role.SIMULATED: "cyan",
    Role.DIFFERENCE: "dim",
    Role.INTERVAL: "dim",
    Role.TEXT: "dim",
}


def document_lines(document: Document, width: int, glyphs: Glyphs) -> list[Text]:
    """All of it, as lines of at most `width` cells."""
    lines = paragraph(document.title, width, style="bold")
    for each in document.tables:
        lines += [Text(), *paragraph(each.title, width, style="bold underline"), *_table_lines(each, width, glyphs)]
    if document.claims:
        lines += [Text(), *paragraph("What the text claims", width, style="bold underline")]
        for claim in document.claims:
            lines += _claim_lines(claim, width)
    lines.append(Text())
    is_over = any(_is_over(row) for each in document.tables for row in each.rows)
    letters = "; ".join(
        text for text in (f"{OVER} does not fit the board" if is_over else "", legend(document)) if text
    )
    for note in (letters, *document.notes):
        lines += paragraph(note, width, style="dim", hanging="  ")
    for source in document.sources:
        lines += paragraph(f"source: {source}", width, style="dim", hanging="  ")
    return lines


def _is_over(row: Row) -> bool:
    return any(isinstance(cell, Figure) and (cell.is_over or cell.is_printed_over) for cell in row.cells)


def _table_lines(shown: Table, width: int, glyphs: Glyphs) -> list[Text]:
    for layout in (Layout.SIDE_BY_SIDE, Layout.STACKED):
        laid_out = grid(shown, layout)
        if sum(_least_widths(laid_out)) + GAP * (len(laid_out.heads) - 1) <= width:
            return list(_grid_lines(laid_out, width, glyphs))
    return list(_cards(shown, width, glyphs))


# ---------------------------------------------------------------------------------------------------------------------
# As columns


def _text(piece: CellText, marked: int) -> str:
    """Its digits, then as many cells as the marks of its column take."""
    marks = f" {piece.mark}{OVER if piece.is_over else ''}" if piece.mark or piece.is_over else ""
    return f"{piece.text}{marks.ljust(marked)}" if piece.text else ""


def _marked(laid_out: Grid, at: int) -> int:
    pieces = [line[at] for group in laid_out.groups for row in group.rows for line in row]
    return max((len(f" {p.mark}") + p.is_over for p in pieces if p.mark or p.is_over), default=0)


def _least_widths(laid_out: Grid) -> list[int]:
    """Cells that each column needs: numbers whole, texts cut at LEAST_TEXT."""
    widths = []
    for at, head in enumerate(laid_out.heads):
        marked = _marked(laid_out, at)
        pieces = [line[at] for group in laid_out.groups for row in group.rows for line in row]
        natural = max(cell_len(head.title), *(cell_len(_text(piece, marked)) for piece in pieces))
        whole = [cell_len(piece.text) for piece in pieces if piece.role is Role.LABEL]
        whole += [len(WITNESS_TEXT) for piece in pieces if piece.text.startswith(WITNESS_TEXT)]
        widths.append(natural if head.is_number else max([min(natural, LEAST_TEXT), *whole]))
    return widths


def _grid_lines(laid_out: Grid, width: int, glyphs: Glyphs) -> Iterator[Text]:
    marked = [_marked(laid_out, at) for at in range(len(laid_out.heads))]
    columns = [
        Column(head.title, right=head.is_number, least=0 if head.is_number else least)
        for head, least in zip(laid_out.heads, _least_widths(laid_out), strict=True)
    ]
    rows = [row for group in laid_out.groups for row in group.rows]
    cells = [[Cell(_text(p, marked[at]), _style(p)) for at, p in enumerate(line)] for row in rows for line in row]
    made = table(columns, cells, width, glyphs)
    yield made[0]
    lines = iter(made[1:])
    for group in laid_out.groups:
        if group.title:
            yield from paragraph(group.title, width, style="bold")
        for at, row in enumerate(group.rows):
            if at and len(row) > 1:
                yield Text()
            for _ in row:
                yield next(lines)
        if group is not laid_out.groups[-1] and any(len(row) > 1 for row in group.rows):
            yield Text()


def _style(piece: CellText) -> str:
    style = "red strike" if piece.is_over else _STYLES[piece.role]
    return f"{style} dim".strip() if piece.is_grey else style


# ---------------------------------------------------------------------------------------------------------------------
# Row by row


def _cards(shown: Table, width: int, glyphs: Glyphs) -> Iterator[Text]:
    rows = [(group.title, row) for group in shown.groups for row in group.rows]
    indent = " " * (2 if width < NARROW else 4)
    marked = len(" cw!" if any(row.origin is Origin.WITNESS for _, row in rows) else " c!")
    cards = [list(_card(shown, row, indent, marked)) for _, row in rows]
    lines = iter(table(_CARD, [line for card in cards for line in card], width, glyphs, header=False))
    before = ""
    for (title, row), card in zip(rows, cards, strict=True):
        if title != before:
            yield from paragraph(title, width, style="bold")
            before = title
        heading = " - ".join(text for text in (row.label, row.about, origin_text(row, title)) if text)
        yield from paragraph(heading, width, indent=indent[2:], style="dim" if row.is_grey else "", hanging=indent)
        for _ in card:
            yield next(lines)
        for column, cell in zip(shown.columns, row.cells, strict=True):
            if isinstance(cell, str) and cell:
                yield from paragraph(f"{column.title} {cell}", width, indent=indent, style="dim", hanging="      ")


_CARD = (
    Column("", whole=True),
    Column("", least=10, gap=0),
    Column("", right=True),
    Column("", right=True, gap=1),
    Column("", right=True, drop=1),
    Column("", drop=2, whole=True),
)


def _card(shown: Table, row: Row, indent: str, marked: int) -> Iterator[list[Cell]]:
    """A line a figure: what it is, printed, simulated, the difference, the interval or who counted."""
    for column, cell in zip(shown.columns, row.cells, strict=True):
        if isinstance(cell, str) or (not cell.printed and cell.value is None):
            continue
        symbol = "" if column.unit is None else column.unit.symbol
        printed = CellText(printed_text(cell), Role.PRINTED, "", cell.is_printed_over, row.is_grey)
        simulated = CellText(value_text(cell), Role.SIMULATED, mark(cell, row), cell.is_over, row.is_grey)
        beside = interval_text(cell) if column.has_interval else cell.counted_as if column.has_counting else ""
        yield [
            Cell(indent),
            Cell(f"{column.title} {symbol}".rstrip(), "dim" if row.is_grey else ""),
            Cell(_text(printed, len(OVER) + 1), _style(printed)),
            Cell(_text(simulated, marked), _style(simulated)),
            Cell(difference_text(cell), "dim"),
            Cell(beside, "dim"),
        ]


def _claim_lines(claim: Claim, width: int) -> Iterator[Text]:
    printed, rows, simulated = claim_figures(claim)
    yield from paragraph(f"{printed}  {claim.text}", width, hanging="  ")
    figures = [f"the printed rows give {rows}"] if rows else []
    if simulated:
        figures.append(f"simulated {simulated} ({claim.simulated_basis})")
    sentence = ", ".join([*figures, verdict(claim)])
    yield from paragraph(
        f"{sentence}: {claim.how}" if claim.how else sentence, width, indent="  ", style="cyan", hanging="  "
    )

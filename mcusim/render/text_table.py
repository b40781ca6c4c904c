"""Tables that never wrap: as the terminal narrows, texts shrink and the least important columns go.

A number is shown whole or not at all: half of its digits would be another number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from mcusim.render.text import Glyphs, clean, fraction_bar, shorten

__all__ = ["Bar", "Cell", "Column", "table"]

GAP = 2
STUB = 8
"""A text that is cut shows this much at least."""


class Cell(NamedTuple):
    """Text in a column."""

    text: str
    style: str = ""


class Bar(NamedTuple):
    """A bar, filled to `share` of its column. track: the rest is shown too."""

    share: float
    style: str = ""
    track: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """How a column behaves.

    right: of numbers, which are never cut.   drop: the highest goes first when the terminal is narrow, those of one
    rank together; 0 stays as long as it can.   least: how far a text may shrink; 0 not at all.
    most: how far it may grow; bars grow to it, texts only as wide as they are.   keep_end: cut texts at their start.
    gap: spaces before it.   whole: not cut either, though it begins at the left.
    """

    title: str = ""
    right: bool = False
    drop: int = 0
    least: int = 0
    most: int = 1000
    keep_end: bool = False
    gap: int = GAP
    whole: bool = False


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | Bar]],
    width: int,
    glyphs: Glyphs,
    header: bool = True,
) -> list[Text]:
    """The rows as lines of at most `width` cells, under a header unless it is switched off.

    A column in which no row has anything is left out.
    """
    natural = [_natural(column, [row[i] for row in rows], header) for i, column in enumerate(columns)]
    kept = _kept(columns, natural, width)
    if _needed(columns, natural, kept) > width:
        columns = [replace(column, gap=min(column.gap, 1)) for column in columns]
        columns, kept = _squeezed(columns, natural, kept, width)
    bars = {i for i in kept if any(isinstance(row[i], Bar) for row in rows)}
    widths = _widths(columns, natural, kept, bars, width)
    lines = []
    if header:
        titles = [Cell(column.title, "dim") for column in columns]
        lines.append(_line(columns, titles, kept, widths, glyphs))
    lines += [_line(columns, row, kept, widths, glyphs) for row in rows]
    for line in lines:
        line.truncate(width)
    return lines


def _natural(column: Column, cells: Sequence[Cell | Bar], header: bool) -> int:
    """The width that the column would like."""
    if any(isinstance(cell, Bar) for cell in cells):
        return column.most
    longest = max((cell_len(cell.text) for cell in cells if isinstance(cell, Cell)), default=0)
    if cells and not longest:
        return 0
    return min(max(longest, cell_len(column.title) if header else 0), column.most)


def _least(column: Column, natural: int) -> int:
    return min(column.least, natural) if column.least else natural


def _kept(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    kept = [i for i in range(len(columns)) if natural[i]]
    while _needed(columns, natural, kept) > width:
        rank = max((columns[i].drop for i in kept), default=0)
        if not rank:
            break
        kept = [i for i in kept if columns[i].drop != rank]
    return kept


def _needed(columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int]) -> int:
    return sum(_least(columns[i], natural[i]) for i in kept) + sum(columns[i].gap for i in kept[1:])


def _squeezed(
    columns: Sequence[Column], natural: Sequence[int], kept: list[int], width: int
) -> tuple[Sequence[Column], list[int]]:
    """Where nothing may go any more: texts shrink as far as they can, then the last columns go."""
    while (over := _needed(columns, natural, kept) - width) > 0:
        widths = {i: _least(columns[i], natural[i]) for i in kept if not (columns[i].right or columns[i].whole)}
        widest = max(widths, key=lambda i: widths[i], default=-1)
        if widest >= 0 and widths[widest] > STUB:
            least = max(widths[widest] - over, STUB)
            columns = [replace(column, least=least) if i == widest else column for i, column in enumerate(columns)]
        elif len(kept) > 1:
            kept = kept[:-1]
        else:
            break
    return columns, kept


def _widths(
    columns: Sequence[Column], natural: Sequence[int], kept: Sequence[int], bars: set[int], width: int
) -> dict[int, int]:
    """Shrink to fit, then give what is left, one cell at a time, to the text that lacks most, then to the bars."""
    widths = {i: _least(columns[i], natural[i]) for i in kept}
    spare = width - sum(widths.values()) - sum(columns[i].gap for i in kept[1:])
    while spare > 0:
        wanting = [i for i in kept if widths[i] < natural[i]]
        if not wanting:
            break
        texts = [i for i in wanting if i not in bars] or wanting
        widths[max(texts, key=lambda i: natural[i] - widths[i])] += 1
        spare -= 1
    return widths


def _line(
    columns: Sequence[Column], row: Sequence[Cell | Bar], kept: Sequence[int], widths: dict[int, int], glyphs: Glyphs
) -> Text:
    line = Text(no_wrap=True, end="")
    for position, i in enumerate(kept):
        column, cell = columns[i], row[i]
        if position:
            line.append(" " * column.gap)
        if isinstance(cell, Bar):
            _append_bar(line, cell, widths[i], glyphs)
            continue
        text = shorten(clean(cell.text), widths[i], glyphs, column.keep_end)
        padding = " " * (widths[i] - cell_len(text))
        line.append(padding if column.right else "")
        line.append(text, cell.style)
        line.append("" if column.right else padding)
    line.rstrip()
    return line


def _append_bar(line: Text, cell: Bar, width: int, glyphs: Glyphs) -> None:
    drawn = fraction_bar(cell.share, width, glyphs)
    filled = drawn.rstrip(" ")
    line.append(filled, cell.style)
    line.append((glyphs.track if cell.track else " ") * (width - len(filled)), "dim")

"""A table as a grid of pieces of text, the same for every format: in lines below each other, or side by side.

Stacked: what is printed, what is simulated and the difference are three lines of a row. Side by side: three columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mcusim.published.tables import Column, Figure, Row, Table
from mcusim.render.published.wording import (
    difference_text,
    interval_text,
    mark,
    origin_text,
    printed_text,
    value_text,
)

__all__ = ["CellText", "Grid", "GridGroup", "Head", "Layout", "Role", "best_layout", "grid"]


class Role(StrEnum):
    """What a piece of text is."""

    LABEL = "label"
    ABOUT = "about"
    ORIGIN = "origin"
    WHICH = "which"
    PRINTED = "printed"
    SIMULATED = "simulated"
    DIFFERENCE = "difference"
    INTERVAL = "interval"
    TEXT = "text"


class Layout(StrEnum):
    """How printed and simulated figures stand."""

    STACKED = "stacked"
    SIDE_BY_SIDE = "side by side"


class CellText(NamedTuple):
    """mark: a letter behind the text.   is_over: does not fit the board, and is struck out."""

    text: str = ""
    role: Role = Role.TEXT
    mark: str = ""
    is_over: bool = False
    is_grey: bool = False


class Head(NamedTuple):
    """is_number: set to the right."""

    title: str
    is_number: bool = False


class GridGroup(NamedTuple):
    """rows: each a few lines, which belong together."""

    title: str
    rows: tuple[tuple[tuple[CellText, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    title: str
    heads: tuple[Head, ...]
    groups: tuple[GridGroup, ...]


MOST_SIDE_BY_SIDE = 3
"""Compared columns that still are readable side by side on paper."""

_Lines = tuple[tuple[CellText, ...], ...]


class _Shown(NamedTuple):
    """What a column shows in this table."""

    at: int
    column: Column
    prints: bool
    simulates: bool
    compares: bool


def best_layout(table: Table) -> Layout:
    """The one that fits a page."""
    compared = sum(each.compares for each in _shown(table))
    return Layout.SIDE_BY_SIDE if compared <= MOST_SIDE_BY_SIDE else Layout.STACKED


def grid(table: Table, layout: Layout) -> Grid:
    """`table` laid out. Columns that would be empty in all rows are left out."""
    shown = _shown(table)
    make = _stacked if layout is Layout.STACKED else _side_by_side
    heads, groups = make(table, shown)
    used = [at for at in range(len(heads)) if any(line[at].text for g in groups for row in g.rows for line in row)]
    return Grid(
        table.title,
        tuple(heads[at] for at in used),
        tuple(
            GridGroup(g.title, tuple(tuple(tuple(line[at] for at in used) for line in row) for row in g.rows))
            for g in groups
        ),
    )


def _shown(table: Table) -> list[_Shown]:
    kept = []
    for at, column in enumerate(table.columns):
        figures = [cell for row in table.rows if isinstance(cell := row.cells[at], Figure)]
        prints, simulates = any(f.printed for f in figures), any(f.value is not None for f in figures)
        compares = any(difference_text(f) for f in figures)
        kept.append(_Shown(at, column, prints, simulates, compares))
    return kept


def _title(column: Column) -> str:
    return f"{column.title} {column.unit.symbol}".rstrip() if column.unit is not None else column.title


# ---------------------------------------------------------------------------------------------------------------------
# Pieces


def _printed(figure: Figure, row: Row) -> CellText:
    return CellText(printed_text(figure), Role.PRINTED, "", figure.is_printed_over, row.is_grey)


def _simulated(figure: Figure, row: Row) -> CellText:
    return CellText(value_text(figure), Role.SIMULATED, mark(figure, row), figure.is_over, row.is_grey)


def _difference(figure: Figure, row: Row) -> CellText:
    return CellText(difference_text(figure), Role.DIFFERENCE, is_grey=row.is_grey)


def _text(text: str, row: Row) -> CellText:
    return CellText(text, Role.TEXT, is_grey=row.is_grey)


# ---------------------------------------------------------------------------------------------------------------------
# Stacked


def _stacked(table: Table, shown: Sequence[_Shown]) -> tuple[list[Head], list[GridGroup]]:
    prints = any(each.prints for each in shown)
    heads = [Head(""), Head("")]
    for each in shown:
        heads.append(Head(_title(each.column), each.column.unit is not None))
        heads += [Head("from-to", True)] if each.column.has_interval else []
        heads += [Head("counted as")] if each.column.has_counting else []
    groups = [GridGroup(g.title, tuple(_stack(row, g.title, shown, prints) for row in g.rows)) for g in table.groups]
    return heads, groups


def _stack(row: Row, group: str, shown: Sequence[_Shown], prints: bool) -> _Lines:
    """Up to three lines; one that nothing is in is left out."""
    lines: list[tuple[str, tuple[CellText, ...]]] = []
    for which, role in (("published", Role.PRINTED), ("simulated", Role.SIMULATED), ("difference", Role.DIFFERENCE)):
        pieces = tuple(_line(row, shown, role))
        if any(piece.text for piece in pieces):
            lines.append((which if prints else "", pieces))
    width = sum(1 + each.column.has_interval + each.column.has_counting for each in shown)
    labels = [
        CellText(row.label, Role.LABEL, is_grey=row.is_grey),
        *([CellText(row.about, Role.ABOUT, is_grey=row.is_grey)] if row.about else []),
        *([CellText(origin, Role.ORIGIN, is_grey=row.is_grey)] if (origin := origin_text(row, group)) else []),
    ]
    count = max(len(labels), len(lines))
    labels += [CellText("", Role.ABOUT)] * (count - len(labels))
    lines += [("", (CellText(),) * width)] * (count - len(lines))
    return tuple(
        (label, CellText(which, Role.WHICH, is_grey=row.is_grey), *pieces)
        for label, (which, pieces) in zip(labels, lines, strict=True)
    )


def _line(row: Row, shown: Sequence[_Shown], role: Role) -> Iterator[CellText]:
    makers = {Role.PRINTED: _printed, Role.SIMULATED: _simulated, Role.DIFFERENCE: _difference}
    is_simulated = role is Role.SIMULATED
    for each in shown:
        cell = row.cells[each.at]
        if isinstance(cell, str):
            yield _text(cell if is_simulated else "", row)
            continue
        yield makers[role](cell, row)
        if each.column.has_interval:
            yield CellText(interval_text(cell) if is_simulated else "", Role.INTERVAL, is_grey=row.is_grey)
        if each.column.has_counting:
            yield _text(cell.counted_as if is_simulated else "", row)


# ---------------------------------------------------------------------------------------------------------------------
# Side by side


def _side_by_side(table: Table, shown: Sequence[_Shown]) -> tuple[list[Head], list[GridGroup]]:
    heads = [Head(""), Head(""), Head("network")]
    for each in shown:
        heads += _heads(each)
    groups = [
        GridGroup(g.title, tuple(((*_labels(row, g.title), *_cells(row, shown)),) for row in g.rows))
        for g in table.groups
    ]
    return heads, groups


def _heads(shown: _Shown) -> Iterator[Head]:
    column = shown.column
    is_number = column.unit is not None
    yield Head(_title(column), is_number)
    if shown.prints and shown.simulates:
        yield Head("simulated", is_number)
        yield Head("diff.", is_number)
    if column.has_interval:
        yield Head("from-to", True)
    if column.has_counting:
        yield Head("counted as")


def _labels(row: Row, group: str) -> tuple[CellText, CellText, CellText]:
    return (
        CellText(row.label, Role.LABEL, is_grey=row.is_grey),
        CellText(row.about, Role.ABOUT, is_grey=row.is_grey),
        CellText(origin_text(row, group), Role.ORIGIN, is_grey=row.is_grey),
    )


def _cells(row: Row, shown: Sequence[_Shown]) -> Iterator[CellText]:
    for each in shown:
        cell = row.cells[each.at]
        if isinstance(cell, str):
            yield _text(cell, row)
            continue
        if each.prints or not each.simulates:
            yield _printed(cell, row)
        if each.simulates:
            yield _simulated(cell, row)
        if each.prints and each.simulates:
            yield _difference(cell, row)
        if each.column.has_interval:
            yield CellText(interval_text(cell), Role.INTERVAL, is_grey=row.is_grey)
        if each.column.has_counting:
            yield _text(cell.counted_as, row)

"""Lines and headers of a log: what a serial monitor adds, what separates cells, which column holds what."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mcusim.errors import InputError

__all__ = [
    "DELIMITERS",
    "OPERATOR_COLUMNS",
    "STRAY",
    "Columns",
    "Line",
    "cells_of",
    "columns_of",
    "delimiter_of",
    "lines_of",
    "records",
]

STRAY = "\N{REPLACEMENT CHARACTER}"
"""A byte that is no text: a UART has some at a reset."""
DELIMITERS = (",", ";", "\t")
"""A spreadsheet of a country with decimal commas separates cells with semicolons."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PREFIX = re.compile(
    r"^\s*(?:(?:\[[^\]]*\]|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?|->|>|<\w+>|[VDIWE] \(\d+\))\s*)+(?:[\w.-]+:\s+)?"
)
"""Of a serial monitor, Zephyr (`[00:00:01.234,000] <inf> main: `) or ESP-IDF (`I (1234) main: `)."""

OPERATOR_COLUMNS = ("op", "tag", "unique tag", "event_name", "operator")
_OP_COLUMNS = (*OPERATOR_COLUMNS, "name", "layer")
_LABEL_COLUMNS = ("layer", "event")
_TIME_COLUMNS = (
    (r"^(?:cycles|ticks|total ticks\b.*|avg \(cycles\)|p50 \(cycles\))$", "ticks"),
    (r"^(?:ns|time_ns|p50 \(ns\)|avg \(ns\))$", "ns"),
    (r"^(?:us|time_us|microseconds|p50 \(us\)|avg \(us\))$", "us"),
    (r"^(?:ms|time_ms|latency_ms|p50 \(ms\)|avg \(ms\)|total ms\b.*)$", "ms"),
    (r"^(?:s|time_s|seconds|p50 \(s\)|avg \(s\))$", "s"),
)
_MOST_LINES = 50
"""Of one quoted cell: a quote that does not close by then was never meant as one."""


class Line(NamedTuple):
    """A line of a file, without what a serial monitor adds. number: from 1."""

    number: int
    text: str


class Columns(NamedTuple):
    """Which cell holds what. times: unit -> place.   label: of what the layer is called, None without such a column.

    are_sums: whether each row is the sum of an operator's layers.   is_etdump: whose operators to expect.
    """

    delimiter: str
    op: int
    times: Mapping[str, int]
    label: int | None
    are_sums: bool
    is_etdump: bool


def lines_of(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.split("\n"), 1):
        yield Line(number, _PREFIX.sub("", _COLOUR.sub("", line)))


def records(lines: Iterable[Line], where: str) -> Iterator[Line]:
    """Lines, those of a quoted cell together. Raises InputError for a quote that does not close."""
    opened: list[Line] = []
    is_table = False
    # Only a table quotes. In front of one, a lone quote is text that a board printed.
    for line in lines:
        is_table = is_table or columns_of(line.text) is not None
        opened.append(line)
        if is_table and sum(part.text.count('"') for part in opened) % 2 and len(opened) <= _MOST_LINES:
            continue
        if len(opened) > _MOST_LINES:
            break
        yield Line(opened[0].number, " ".join(part.text for part in opened))
        opened = []
    if opened:
        raise InputError("a quote opens and does not close", where=f"{where}, line {opened[0].number}", fix="close it")


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line, without quotes; none where it is no CSV."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [cell.strip().strip('"') for cell in cells]


def delimiter_of(header: str) -> str:
    """What separates the cells of a table, by its first line."""
    return max(DELIMITERS, key=lambda delimiter: len(cells_of(header, delimiter)))


def columns_of(line: str) -> Columns | None:
    """What a header says; None if the line is none of a log of layers."""
    for delimiter in DELIMITERS:
        columns = _columns(cells_of(line, delimiter), delimiter) if delimiter in line else None
        if columns is not None:
            return columns
    return None


def _columns(cells: Sequence[str], delimiter: str) -> Columns | None:
    names = [cell.lower() for cell in cells]
    op = next((names.index(name) for name in _OP_COLUMNS if name in names), None)
    # A table with a column `model` holds whole networks: `own.py` reads it.
    if op is None or "model" in names:
        return None
    times: dict[str, int] = {}
    for pattern, unit in _TIME_COLUMNS:
        matching = [place for place, name in enumerate(names) if re.match(pattern, name)]
        if matching:
            # Of several columns in one unit the median (p50) is taken, as an average includes the first, cold run.
            times[unit] = min(matching, key=lambda place: not names[place].startswith("p50"))
    if not times:
        return None
    label = next((names.index(name) for name in _LABEL_COLUMNS if name in names and names.index(name) != op), None)
    return Columns(delimiter, op, times, label, "unique tag" in names, "event_name" in names)

"""Rows as CSV, for spreadsheets too: a name that a spreadsheet would take for a formula is made plain text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

__all__ = ["plain_cell", "sheet"]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet; names in a file may begin so, and would run there."""


def sheet(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV text with a header. Numbers stay numbers."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([plain_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def plain_cell(cell: object) -> object:
    """The cell; a text that would be a formula with an apostrophe before it, as spreadsheets mark text."""
    if not isinstance(cell, str) or not cell.startswith(_FORMULA_STARTS) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

"""A document for programs: JSON as it is, and CSV with one line a figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, TypedDict

from mcusim.published.tables import Claim, Column, Document, Figure, Row, Table
from mcusim.render.published.wording import verdict
from mcusim.render.sheets import sheet

__all__ = ["TablesDocument", "csv_text", "json_text"]

SCHEMA_VERSION: Literal[1] = 1
DIGITS = 6
"""Decimals of a value in its unit: more would be noise of the arithmetic."""


class FigureDocument(TypedDict):
    """A cell. published: as printed.   simulated, low, high: in `unit`.   difference: a share, or percentage points."""

    unit: str
    published: str | None
    simulated: float | None
    low: float | None
    high: float | None
    difference: float | None
    basis: str | None
    counted_as: str | None
    published_fits: bool | None
    simulated_fits: bool | None


class RowDocument(TypedDict):
    label: str
    about: str
    network: str | None
    network_origin: str
    board: str | None
    is_grey: bool
    cells: dict[str, FigureDocument | str | None]


class GroupDocument(TypedDict):
    title: str
    rows: list[RowDocument]


class TableDocument(TypedDict):
    key: str
    title: str
    groups: list[GroupDocument]


class ClaimDocument(TypedDict):
    """A figure of the running text, recomputed from the printed rows or from simulated figures."""

    key: str
    text: str
    unit: str
    published: str
    from_rows: float | None
    simulated: float | None
    most: float | None
    basis: str | None
    verdict: str
    how: str


class InputsDocument(TypedDict):
    """Names of the published tables, networks and boards that went into it."""

    published: list[str]
    networks: list[str]
    boards: list[str]


class TablesDocument(TypedDict):
    """What `mcusim report NAME --json` writes."""

    schema_version: Literal[1]
    name: str
    title: str
    tables: list[TableDocument]
    claims: list[ClaimDocument]
    notes: list[str]
    sources: list[str]
    inputs: InputsDocument


_COLUMNS = (
    "table",
    "group",
    "row",
    "about",
    "network",
    "network_origin",
    "board",
    "quantity",
    "unit",
    "published",
    "simulated",
    "low",
    "high",
    "difference",
    "basis",
    "counted_as",
    "published_fits",
    "simulated_fits",
)


def csv_text(document: Document) -> str:
    """One line a figure; then the claims, whose `published` is what the text says.

    difference: a fraction of what is published, percentage points for shares.
    """
    rows = [
        line
        for table in document.tables
        for group in table.groups
        for row in group.rows
        for line in _lines(table, group.title, row)
    ]
    return sheet(_COLUMNS, [*rows, *_claim_lines(document)])


def _lines(table: Table, group: str, row: Row) -> Iterator[list[object]]:
    head = [table.key, group, row.label, row.about, row.network, str(row.origin), row.board]
    for column, cell in zip(table.columns, row.cells, strict=True):
        fields = _fields(column, cell)
        if fields:
            yield [*head, column.key, *(fields[name] for name in _COLUMNS[len(head) + 1 :])]


def _claim_lines(document: Document) -> Iterator[list[object]]:
    for claim in document.claims:
        head = ["claims", "", claim.text, claim.how, "", "", "", claim.key, claim.unit.symbol, str(claim.printed)]
        if claim.from_rows is claim.simulated is None:
            yield [*head, *(None,) * (len(_COLUMNS) - len(head))]
        if claim.from_rows is not None:
            yield [*head, _rounded(claim.from_rows), None, None, None, "published", "", None, None]
        if claim.simulated is not None:
            low, most = _rounded(claim.simulated), _rounded(claim.most)
            yield [
                *head,
                low,
                *((low, most) if most is not None else (None, None)),
                None,
                claim.simulated_basis,
                "",
                None,
                None,
            ]


def _fields(column: Column, cell: Figure | str) -> dict[str, Any]:
    """What a cell says, by name; empty for an empty cell."""
    if isinstance(cell, str):
        return {**dict.fromkeys(_COLUMNS), "unit": "", "simulated": cell} if cell else {}
    return {**(_figure(cell) or {})}


def _figure(cell: Figure) -> FigureDocument | None:
    """None for an empty cell."""
    if not cell.printed and cell.value is None:
        return None
    base = cell.unit.base
    return {
        "unit": cell.unit.symbol,
        "published": str(cell.printed) or None,
        "simulated": _rounded(cell.value, base),
        "low": _rounded(cell.low, base),
        "high": _rounded(cell.high, base),
        "difference": _rounded(cell.difference),
        "basis": None if cell.basis is None else str(cell.basis),
        "counted_as": cell.counted_as or None,
        "published_fits": None if not cell.printed or cell.limit is None else not cell.is_printed_over,
        "simulated_fits": None if cell.value is None or cell.limit is None else not cell.is_over,
    }


def _rounded(value: float | None, base: float = 1) -> float | None:
    return None if value is None else round(value / base, DIGITS)


def json_text(document: Document) -> str:
    """The whole document."""
    inputs = document.inputs
    json_document: TablesDocument = {
        "schema_version": SCHEMA_VERSION,
        "name": document.name,
        "title": document.title,
        "tables": [_table(table) for table in document.tables],
        "claims": [_claim(claim) for claim in document.claims],
        "notes": list(document.notes),
        "sources": list(document.sources),
        "inputs": {
            "published": list(inputs.published),
            "networks": list(inputs.networks),
            "boards": list(inputs.boards),
        },
    }
    return json.dumps(json_document, indent=2, allow_nan=False) + "\n"


def _table(table: Table) -> TableDocument:
    return {
        "key": table.key,
        "title": table.title,
        "groups": [{"title": g.title, "rows": [_row(table, row) for row in g.rows]} for g in table.groups],
    }


def _row(table: Table, row: Row) -> RowDocument:
    cells: dict[str, FigureDocument | str | None] = {}
    for column, cell in zip(table.columns, row.cells, strict=True):
        cells[column.key] = cell if isinstance(cell, str) else _figure(cell)
    return {
        "label": row.label,
        "about": row.about,
        "network": row.network or None,
        "network_origin": str(row.origin),
        "board": row.board or None,
        "is_grey": row.is_grey,
        "cells": cells,
    }


def _claim(claim: Claim) -> ClaimDocument:
    return {
        "key": claim.key,
        "text": claim.text,
        "unit": claim.unit.symbol,
        "published": str(claim.printed),
        "from_rows": _rounded(claim.from_rows),
        "simulated": _rounded(claim.simulated),
        "most": _rounded(claim.most),
        "basis": None if claim.simulated_basis is None else str(claim.simulated_basis),
        "verdict": verdict(claim),
        "how": claim.how,
    }

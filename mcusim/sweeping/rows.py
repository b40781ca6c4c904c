"""A Report as one row: the `run` document flattened, under the dotted names that `pandas.json_normalize` would give.

Lists of records (layers, stages, banks, what is alive) are left out: a sweep is about networks. The types of the
columns are those of the Report's own fields, so that a part without a single latency has the same columns as another.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from mcusim.report import SCHEMA_VERSION, Report

__all__ = ["ROW_VERSION", "Column", "columns", "row_of", "row_of_failure"]

ROW_VERSION = 1
"""Of the columns, beside the document's own `schema_version`."""

Value = str | int | float | bool | list[str] | None


class Column(NamedTuple):
    """kind: str, int, float, bool or list (of texts)."""

    name: str
    kind: type


_ASKED = (
    Column("number", int),
    Column("network", str),
    Column("board", str),
    Column("asked.runtime", str),
    Column("asked.schedule", str),
    Column("asked.clock_hz", int),
    Column("error", str),
    Column("schema_version", int),
)
_LEFT_OUT = frozenset({"layers"})


@cache
def columns() -> tuple[Column, ...]:
    """Every column, in order: what was asked, then the document."""
    return (*_ASKED, *_fields(Report, ""))


def _fields(kind: type, prefix: str) -> Iterator[Column]:
    for name, hint in get_type_hints(kind).items():
        if name in _LEFT_OUT or not _is_field(kind, name):
            continue
        inner = _without_none(hint)
        if hasattr(inner, "_fields"):
            yield from _fields(inner, f"{prefix}{name}.")
        elif get_origin(inner) is tuple:
            if get_args(inner)[0] in (str, int):
                yield Column(f"{prefix}{name}", list)
        else:
            yield Column(f"{prefix}{name}", str if issubclass(inner, StrEnum) else inner)


def _is_field(kind: type, name: str) -> bool:
    return name in getattr(kind, "_fields", getattr(kind, "__slots__", ()))


def _without_none(hint: Any) -> Any:
    """`X | None` -> X."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


def row_of(asked: dict[str, Value], report: Report) -> dict[str, Value]:
    """The row of an answer. asked: the columns that say what the question was."""
    row: dict[str, Value] = {**asked, "error": None, "schema_version": SCHEMA_VERSION}
    for part, names in _parts():
        fields = report if part is None else getattr(report, part)
        if fields is None:
            row.update(dict.fromkeys([name for name, _, _ in names]))
            continue
        for name, field, kind in names:
            value = getattr(fields, field)
            if value is not None and kind in _TEXTS:
                value = str(value) if kind is str else list(map(str, value))
            row[name] = value
    for name, path, kind in _deep():
        row[name] = _value(report, path, kind)
    return {name: row[name] for name in _names()}


_TEXTS = (str, list)
_Named = tuple[str, str, type]


@cache
def _names() -> tuple[str, ...]:
    return tuple([column.name for column in columns()])


@cache
def _parts() -> tuple[tuple[str | None, tuple[_Named, ...]], ...]:
    """Columns by the part of the Report that has them as fields: (column, field, kind). None: the Report itself."""
    columns_of: dict[str | None, list[_Named]] = {}
    for name, kind in columns()[len(_ASKED) :]:
        *path, field = name.split(".")
        if len(path) < 2:
            columns_of.setdefault(path[0] if path else None, []).append((name, field, kind))
    return tuple([(part, tuple(names)) for part, names in columns_of.items()])


@cache
def _deep() -> tuple[tuple[str, list[str], type], ...]:
    """Columns further down: (column, path, kind)."""
    return tuple([(n, n.split("."), kind) for n, kind in columns()[len(_ASKED) :] if n.count(".") > 1])


def row_of_failure(asked: dict[str, Value], sentence: str) -> dict[str, Value]:
    """The row of a question that has no answer, and why."""
    row: dict[str, Value] = dict.fromkeys([column.name for column in columns()])
    return row | asked | {"error": sentence, "schema_version": SCHEMA_VERSION}


def _value(report: Report, path: list[str], kind: type) -> Value:
    value: Any = report
    for name in path:
        value = getattr(value, name, None)
        if value is None:
            return None
    return [str(item) for item in value] if kind is list else str(value) if kind is str else value

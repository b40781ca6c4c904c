"""A Report as one row: the `run` document flattened, under the dotted names that `pandas.json_normalize` would give.

Lists of records (layers, stages, banks, what is alive) are left out: a sweep is about networks. The types of the
columns are those of the Report's own fields, so that a part without a single latency has the same columns as another.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from mcusim.report import SCHEMA_VERSION, Report

__all__ = ["ERROR", "NUMBER", "ROW_VERSION", "Column", "Row", "Value", "columns", "row_of", "row_of_failure"]

ROW_VERSION = 1
"""Of the columns, beside the document's own `schema_version`."""

Value = str | int | float | bool | tuple[str, ...] | None
Row = tuple[Value, ...]
"""A value for each of `columns`."""


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
)
_KNOWN = (*_ASKED, Column("error", str), Column("schema_version", int))
NUMBER, ERROR = 0, len(_ASKED)
"""Places in a row."""
_LEFT_OUT = frozenset({"layers"})


class _Field(NamedTuple):
    """A column of the Report. kind: as the Report has it.   part: the dotted name of what may be None around it."""

    name: str
    kind: Any
    part: str


@cache
def columns() -> tuple[Column, ...]:
    """Every column, in order: what was asked, then the document."""
    return (*_KNOWN, *[Column(field.name, _kept_as(field.kind)) for field in _fields()])


@cache
def _fields() -> tuple[_Field, ...]:
    return tuple(_fields_of(Report, "", ""))


def _fields_of(kind: type, prefix: str, part: str) -> Iterator[_Field]:
    for name, hint in get_type_hints(kind).items():
        if name in _LEFT_OUT or not _is_field(kind, name):
            continue
        inner, path = _without_none(hint), f"{prefix}{name}"
        if hasattr(inner, "_fields"):
            yield from _fields_of(inner, f"{path}.", part if inner is hint else path)
        elif get_origin(inner) is not tuple or get_args(inner)[0] in (str, int):
            yield _Field(path, inner, part)


def _kept_as(kind: Any) -> type:
    if get_origin(kind) is tuple:
        return list
    return str if issubclass(kind, StrEnum) else kind


def _is_field(kind: type, name: str) -> bool:
    return name in getattr(kind, "_fields", getattr(kind, "__slots__", ()))


def _without_none(hint: Any) -> Any:
    """`X | None` -> X."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


def row_of(asked: Row, report: Report) -> Row:
    """The row of an answer. asked: the columns that say what the question was."""
    taken = _taken(tuple([part for part, ask in _optional_parts() if ask(report) is None]))
    values = [*asked, None, SCHEMA_VERSION, *taken.ask(report)]
    for place in taken.absent:
        values.insert(place, None)
    for place in _texts():
        if values[place] is not None:
            values[place] = str(values[place])
    for place in _numbers():
        values[place] = tuple(map(str, values[place] or ()))
    return tuple(values)


def row_of_failure(asked: Row, sentence: str) -> Row:
    """The row of a question that has no answer, and why."""
    return (*asked, sentence, SCHEMA_VERSION, *[None] * len(_fields()))


class _Taken(NamedTuple):
    """ask: the fields of a Report, in C.   absent: places in a row of those that it does not have, in order."""

    ask: Callable[[Report], tuple[Any, ...]]
    absent: tuple[int, ...]


@cache
def _taken(without: tuple[str, ...]) -> _Taken:
    """Of a Report without these parts."""
    there = [field.name for field in _fields() if field.part not in without]
    absent = [place for place, field in enumerate(_fields(), len(_KNOWN)) if field.part in without]
    return _Taken(attrgetter(*there), tuple(absent))


@cache
def _optional_parts() -> tuple[tuple[str, Callable[[Report], Any]], ...]:
    """Parts that a Report may lack."""
    return tuple([(part, attrgetter(part)) for part in sorted({field.part for field in _fields()} - {""})])


@cache
def _texts() -> tuple[int, ...]:
    """Places of what is one of several words: it is kept as text."""
    places = enumerate(_fields(), len(_KNOWN))
    return tuple([place for place, (_, kind, _) in places if isinstance(kind, type) and issubclass(kind, StrEnum)])


@cache
def _numbers() -> tuple[int, ...]:
    """Places of lists of numbers: they are kept as texts."""
    places = enumerate(_fields(), len(_KNOWN))
    return tuple([place for place, (_, kind, _) in places if get_origin(kind) is tuple and get_args(kind)[0] is int])

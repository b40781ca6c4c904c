"""Columns of entries: many named tuples at once, and some entries of many, in C where a loop would be in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeVar

__all__ = ["picker", "rows_of"]

Record = TypeVar("Record", bound=tuple[Any, ...])


def rows_of(kind: type[Record], *columns: Iterable[Any]) -> Iterator[Record]:
    """One `kind` an entry of the columns, which are all its fields in order; as many as the shortest column has."""
    return map(tuple.__new__, repeat(kind), zip(*columns, strict=False))


def picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Takes the entries at `places` out of a column."""
    if len(places) < 2:
        return lambda column: [column[place] for place in places]
    return itemgetter(*places)

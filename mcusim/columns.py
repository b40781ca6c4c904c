"""Many named tuples at once, from columns of their fields: made in C where a loop would make them in Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, TypeVar

__all__ = ["rows_of"]

Record = TypeVar("Record", bound=tuple[Any, ...])


def rows_of(kind: type[Record], *columns: Iterable[Any]) -> Iterator[Record]:
    """One `kind` an entry of the columns, which are all its fields in order; as many as the shortest column has."""
    return map(tuple.__new__, repeat(kind), zip(*columns, strict=False))

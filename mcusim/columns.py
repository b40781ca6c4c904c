"""Many values at once, in C where a loop would be in Python.

Named tuples from columns, some entries of many, and values that were found out once for each of many keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, TypeVar

__all__ = ["Kept", "picker", "rows_of"]

Record = TypeVar("Record", bound=tuple[Any, ...])
Key = TypeVar("Key")
Found = TypeVar("Found")

_MOST = 1 << 16
"""Keys that a `Kept` holds."""


def rows_of(kind: type[Record], *columns: Iterable[Any]) -> Iterator[Record]:
    """One `kind` an entry of the columns, which are all its fields in order; as many as the shortest column has."""
    return map(tuple.__new__, repeat(kind), zip(*columns, strict=False))


def picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Takes the entries at `places` out of a column."""
    if len(places) < 2:
        return lambda column: [column[place] for place in places]
    return itemgetter(*places)


class Kept(dict[Key, Found]):
    """A dictionary that finds out what it lacks: `map(kept.__getitem__, keys)`. Full, it starts anew.

    `lru_cache` makes a tuple of its arguments and moves what it finds to the front: three times the time of a look-up.
    """

    def __init__(self, find: Callable[[Key], Found], most: int = _MOST) -> None:
        super().__init__()
        self._find, self._most = find, most

    def __missing__(self, key: Key) -> Found:
        value = self._find(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value

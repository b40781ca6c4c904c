"""Seeded picks: the same seed finds the same network, whoever picks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

__all__ = ["Draw"]

T = TypeVar("T")


class Draw:
    """Random picks that stay the same from one release of Python to the next: only `Random.random` promises that."""

    def __init__(self, seed: int) -> None:
        self._next = Random(seed).random

    def index(self, count: int) -> int:
        """A number in [0, count)."""
        return int(self._next() * count)

    def one(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.index(len(items))]

    def another(self, items: Sequence[T], than: T) -> T:
        """One of `items` that is not `than`; `than` where there is no other."""
        others = [item for item in items if item != than]
        return self.one(others) if others else than

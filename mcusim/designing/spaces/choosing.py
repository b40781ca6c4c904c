"""What a space asks while it makes a network: picks among options, each with a name.

A space is a function of `Choices`. Who picks is somebody else's business: a seeded draw (a sweep), an optimiser (a
search), or a record that is played again (a network that was found). So one function serves all three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from mcusim.errors import InputError

__all__ = ["FRACTIONS", "Choices", "Pick", "Picks", "drawn", "replayed"]

T = TypeVar("T")

Pick = Callable[[str, int], int]
"""(name, count) -> the index of the option taken, in [0, count)."""

Picks = Mapping[str, int]
"""Name of a choice -> the index that was taken."""

FRACTIONS = 2**53
"""Options of a fraction in [0, 1): `random()` is a choice like another."""


class Choices(Random):
    """A `random.Random` whose answers somebody else gives, and that remembers them.

    `choice(options, name)` is what a space should use: a name makes a choice the same one in every network, so that an
    optimiser can learn about it. Without a name it is called after its place. All other methods of `random.Random`
    come down to choices without names.
    """

    def __init__(self, pick: Pick, fixed: Mapping[str, Any] | None = None) -> None:
        super().__init__(0)
        self._pick, self._fixed = pick, dict(fixed or {})
        self.picks: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.values: dict[str, Any] = {}
        self.options: dict[str, Sequence[Any]] = {}

    def choice(self, options: Sequence[T], name: str | None = None) -> T:  # type: ignore[override]
        """One of `options`. Raises InputError where there are none, or a value held fixed is not among them."""
        if not len(options):
            raise InputError("there is nothing to choose from", where=self._name(name), fix="give it options")
        called = self._name(name)
        if called in self._fixed:
            taken = self._fixed[called]
            if taken not in options:
                fix = f"use one of {', '.join(map(str, options))}"
                raise InputError(f"{taken!r:.60} is not in the space", where=f"choice '{called}'", fix=fix)
            index = list(options).index(taken)
        else:
            index = self._taken(called, len(options))
        self.values[called], self.options[called] = options[index], options
        return options[index]

    def holds(self, name: str) -> bool:
        """Whether the choice of this name is held at a value."""
        return name in self._fixed

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return self.choice(range(start) if stop is None else range(start, stop, step))

    def randint(self, a: int, b: int) -> int:
        return self.choice(range(a, b + 1))

    def random(self) -> float:
        called = self._name(None)
        self.values[called] = fraction = self._taken(called, FRACTIONS) / FRACTIONS
        return fraction

    def _taken(self, name: str, count: int) -> int:
        index = self._pick(name, count)
        self.picks[name], self.counts[name] = index, count
        return index

    def _name(self, name: str | None) -> str:
        """One that no choice has yet."""
        called = wanted = f"choice {len(self.values) + 1}" if name is None else name
        number = 1
        while called in self.values:
            number += 1
            called = f"{wanted} ({number})"
        return called


def drawn(seed: int) -> Pick:
    """Every option with the same chance; the same from one release of Python to the next, as `Random.random` is."""
    draw = Random(seed).random
    return lambda name, count: int(draw() * count)


def replayed(picks: Picks, otherwise: Pick) -> Pick:
    """As recorded; `otherwise` for a choice that was not made there, or had fewer options."""

    def pick(name: str, count: int) -> int:
        index = picks.get(name)
        return otherwise(name, count) if index is None or index >= count else index

    return pick

"""A search space: a function that makes a network out of choices, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcusim.designing.spaces.choosing import Choices, Pick, drawn
from mcusim.designing.spaces.functions import USERS_ERRORS, called, told_by
from mcusim.errors import InputError, McusimError, did_you_mean
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.source import Source

__all__ = ["GRIDS", "Made", "Space"]

GRIDS = (1, 2, 3, 4)
"""Patches along an axis that a space which says nothing about them allows; 1 runs layer by layer."""


@dataclass(frozen=True, slots=True)
class Made:
    """One network of a space. description: as `load` takes it, or a Graph.   values: of its choices, by name.

    picks, counts: of its free choices, by name: the index taken, and the number of options.   options: of all choices.
    """

    description: Mapping[str, Any] | Graph
    values: dict[str, Any]
    picks: dict[str, int]
    counts: dict[str, int]
    options: dict[str, Sequence[Any]]

    def graph(self, name: str, source: Source | None = None) -> Graph:
        """The network, built. Raises ModelError where the description is wrong."""
        if isinstance(self.description, Graph):
            return self.description
        return graph_from_dict({"name": name, **self.description}, source=source)


@dataclass(frozen=True, slots=True)
class Space:
    """make: choices -> a description as `load` takes it, or a Graph.

    size: how many ways there are to choose; None where nobody has counted.   names: of the choices of the whole
    network, with their options.   grids: of patches along an axis, that belong to the space.   fixed: choices that are
    held at a value.   task, dataset, source, note: "" where they are not known.
    """

    name: str
    make: Callable[[Choices], Any]
    size: int | None = None
    names: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    grids: tuple[int, ...] = GRIDS
    fixed: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    task: str = "classification"
    dataset: str = ""
    source: str = ""
    note: str = ""

    def made(self, pick: Pick) -> Made:
        """The network that `pick` chooses. Raises InputError where the space's function fails."""
        choices = Choices(pick, self.fixed)
        try:
            network = called(self.make, choices)
        except McusimError:
            raise
        except USERS_ERRORS as error:
            raise InputError(f"it raised {told_by(error)}", where=self._where, fix="mend the function") from None
        if not isinstance(network, Graph | Mapping):
            what = f"it returned a {type(network).__name__}"
            raise InputError(what, where=self._where, fix="return a Graph, or a description as a dict")
        self._check_fixed(choices)
        return Made(network, choices.values, choices.picks, choices.counts, choices.options)

    def drawn(self, seed: int) -> Made:
        """Network number `seed`: every option of every choice with the same chance."""
        return self.made(drawn(seed))

    def held(self, **fixed: Any) -> Space:
        """The part of the space in which these choices have these values.

        Raises InputError for a name or value that the space lacks, as far as that can be told before drawing.
        """
        for name, value in fixed.items():
            if self.names and name in self.names and value not in self.names[name]:
                fix = f"use one of {', '.join(map(str, self.names[name]))}"
                raise InputError(f"{name} {value!r:.60} is not in it", where=self._where, fix=fix)
        size = self.size
        for name in fixed:
            if size is not None and name in self.names and name not in self.fixed:
                size //= len(self.names[name])
        return replace(self, fixed={**self.fixed, **fixed}, size=size)

    @property
    def _where(self) -> str:
        return f"space '{self.name}'"

    def _check_fixed(self, choices: Choices) -> None:
        for name in self.fixed:
            if name not in choices.values:
                listed_by = f"mcusim search {self.name} --profile BOARD --json"
                fix = did_you_mean(name, choices.values, listed_by=listed_by)
                raise InputError(f"it has no choice '{name}'", where=self._where, fix=fix)

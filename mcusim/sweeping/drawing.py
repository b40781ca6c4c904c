"""Networks drawn from a search space: the same space, seed and number give the same network, on every machine.

A space is one that mcusim knows (`mcunetv2:imagenet`, `mcunetv2:vww`, `mcunetv2:voc`), or a function of the user's,
named `module:function`, which is given a `random.Random` and returns a Graph or a description for `mcusim.load`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from random import Random
from typing import Any

from mcusim.designing.moves import Draw, Space, any_choice
from mcusim.designing.space import Task
from mcusim.errors import InputError, McusimError
from mcusim.graph import Graph
from mcusim.networks.loading import load

__all__ = ["DrawnNetwork", "SpaceFunction", "find_space"]

SpaceFunction = Callable[[int], Graph | Mapping[str, Any]]
"""Seed of one network -> the network."""

KNOWN = "mcunetv2"
_NUMBERS_A_SEED = 2**32


@dataclass(frozen=True, slots=True)
class DrawnNetwork:
    """Network `number` of a sample. folder: where a user's module may lie."""

    space: str
    seed: int
    number: int
    folder: str

    @property
    def name(self) -> str:
        """The row's name of it."""
        return f"{self.space}#{self.seed}/{self.number}"

    def graph(self) -> Graph:
        """Drawn anew. Raises McusimError where the space's function fails."""
        network = find_space(self.space, self.folder)(self.seed * _NUMBERS_A_SEED + self.number)
        if isinstance(network, Graph):
            return network
        return load({"name": self.name, **network})


def find_space(name: str, folder: str) -> SpaceFunction:
    """The space called `name`. Raises InputError."""
    family, _, part = name.partition(":")
    if family == KNOWN:
        try:
            space = Space(Task(part or Task.IMAGENET))
        except ValueError:
            fix = f"use {' or '.join(f'{KNOWN}:{task}' for task in Task)}"
            raise InputError(f"'{part}' is no task of {KNOWN}", where=f"space '{name}'", fix=fix) from None
        return lambda seed: any_choice(space, Draw(seed)).network()
    if not part:
        fix = f"use {KNOWN}, or module:function of your own"
        raise InputError("there is no such space", where=f"space '{name}'", fix=fix)
    function = user_function(name, folder)
    return lambda seed: _asked(function, seed, name)


def user_function(name: str, folder: str) -> Callable[..., Any]:
    """`module:function`, looked for beside the spec too. Raises InputError."""
    module_name, _, attribute = name.partition(":")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Callable[..., Any] = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        fix = "name a function that can be imported, as module:function"
        raise InputError(" ".join(str(error).split()), where=f"'{name}'", fix=fix) from None
    if not callable(found):
        raise InputError("it is no function", where=f"'{name}'", fix="name a function, as module:function")
    return found


def _asked(function: Callable[..., Any], seed: int, name: str) -> Graph | Mapping[str, Any]:
    try:
        made = function(Random(seed))
    except McusimError:
        raise
    except Exception as error:  # a user's code may raise anything
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"it raised {what}", where=f"space '{name}'", fix="mend the function") from None
    if not isinstance(made, Graph | Mapping):
        what = f"it returned a {type(made).__name__}"
        raise InputError(what, where=f"space '{name}'", fix="return a Graph, or a description as a dict")
    return made

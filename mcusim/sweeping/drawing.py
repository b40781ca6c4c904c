"""Networks drawn from a search space: the same space, seed and number give the same network, on every machine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcusim.designing.spaces import Made, find_space
from mcusim.graph import Graph

__all__ = ["DrawnNetwork", "drawn_by_name"]

_NUMBERS_A_SEED = 2**32
_NAME = re.compile(r"(.+)#(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class DrawnNetwork:
    """Network `number` of a sample. folder: where a user's file or module may lie."""

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
        return self.made().graph(self.name)

    def made(self) -> Made:
        """Its choices and its description. Raises McusimError where the space's function fails."""
        return find_space(self.space, self.folder).drawn(self.seed * _NUMBERS_A_SEED + self.number)


def drawn_by_name(name: str, folder: str) -> DrawnNetwork | None:
    """The network that a row calls so; None where it was not drawn.   folder: where a user's space may lie."""
    match = _NAME.fullmatch(name)
    return DrawnNetwork(match[1], int(match[2]), int(match[3]), folder) if match else None

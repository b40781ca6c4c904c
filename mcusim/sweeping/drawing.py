"""Networks drawn from a search space: the same space, seed and number give the same network, on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Graph
from mcusim.spaces import find_space

__all__ = ["DrawnNetwork"]

_NUMBERS_A_SEED = 2**32


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
        space = find_space(self.space, self.folder)
        return space.drawn(self.seed * _NUMBERS_A_SEED + self.number).graph(self.name)

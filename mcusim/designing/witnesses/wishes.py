"""What is asked of a network: figures to meet, budgets to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mcusim.designing.witnesses.counting import Figures

__all__ = ["Wish", "budget", "excess", "target"]


class Wish(NamedTuple):
    """One figure in a range, both ends included. of: a field of `Figures`.   aim: what distances are measured in."""

    of: str
    low: float
    high: float
    aim: float
    is_target: bool

    def excess(self, value: float) -> float:
        """How far `value` is out of the range, in parts of `aim`; 0 inside."""
        return max(self.low - value, value - self.high, 0) / self.aim

    def off(self, value: float) -> float:
        """`value` against the aim: 0.01 is one percent above."""
        return value / self.aim - 1.0


def target(of: str, aim: float, tolerance: float, limit: int | None = None) -> Wish:
    """A figure to meet within `tolerance`, a ratio, and never above `limit`."""
    high = math.floor(aim * (1 + tolerance))
    return Wish(of, math.ceil(aim * (1 - tolerance)), high if limit is None else min(high, limit), aim, True)


def budget(of: str, limit: float, aim: float | None = None) -> Wish:
    """A figure that must not be above `limit`.   aim: what distances are measured in; the limit if None."""
    return Wish(of, 0, limit, limit if aim is None else aim, False)


def excess(wishes: Sequence[Wish], figures: Figures) -> float:
    """How far a network is from all that is asked; 0 where it meets everything."""
    return sum([wish.excess(getattr(figures, wish.of)) for wish in wishes])

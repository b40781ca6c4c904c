"""A figure as its source prints it: the digits are kept, so that rounding can be judged by them."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum
from typing import Self

__all__ = ["NOTHING", "Printed", "Unit"]


class Unit(Enum):
    """What a column is in: its symbol, and how many base units (bytes, MACs, ms) one of it is."""

    MEGA = ("M", 1_000_000)
    KIB = ("KiB", 1024)  # printed as kB (assumption A40)
    MS = ("ms", 1)
    PERCENT = ("%", 1)
    POINTS = ("points", 1)
    TIMES = ("x", 1)
    PIXELS = ("px", 1)
    COUNT = ("", 1)

    def __init__(self, symbol: str, base: int) -> None:
        self.symbol, self.base = symbol, base

    @property
    def is_share(self) -> bool:
        """Whether two such figures are compared by subtracting, not by dividing."""
        return self in (Unit.PERCENT, Unit.POINTS)


_FORM = re.compile(r"(?P<bound>[<>]?)(?P<low>\d+(?:\.\d+)?)(?:-(?P<high>\d+(?:\.\d+)?))?")
_RAN_OUT = "OOM"


class Printed(str):
    """`49.0`, `<256`, `3.7-8.0`, `OOM`; empty where nothing is printed. Raises ValueError for another form."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if text not in ("", _RAN_OUT) and not _FORM.fullmatch(text):
            raise ValueError(f"{text!r} is no figure: write 49.0, <256, >90, 3.7-8.0 or OOM")
        return super().__new__(cls, text)

    @property
    def ran_out(self) -> bool:
        """Whether it ran out of memory."""
        return self == _RAN_OUT

    @property
    def is_bound(self) -> bool:
        """Whether only a limit or a range is printed."""
        return bool(self) and not self.ran_out and (self[0] in "<>" or "-" in self)

    @property
    def number(self) -> Decimal | None:
        """The figure, or the limit of a bound; None for a range and where there is none."""
        parts = _FORM.fullmatch(self)
        return None if parts is None or parts["high"] else Decimal(parts["low"])

    @property
    def value(self) -> float | None:
        """The figure where it is more than a bound."""
        return None if self.is_bound or self.number is None else float(self.number)

    def is_met_by(self, value: float) -> bool | None:
        """Whether `value`, rounded as printed, is what is printed, or keeps the bound; None for no figure."""
        parts = _FORM.fullmatch(self)
        if parts is None:
            return None
        low = Decimal(parts["low"])
        rounded = Decimal(repr(float(value))).quantize(low, ROUND_HALF_UP)
        if parts["high"]:
            return low <= rounded <= Decimal(parts["high"])
        if parts["bound"]:
            return value < low if parts["bound"] == "<" else value > low
        return rounded == low


NOTHING = Printed("")

"""How much a figure may grow: `sram>+1%`, `time>+3ms`, and the figures of a report that such a limit is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from mcusim.errors import InputError

__all__ = ["FIGURES", "Figure", "Limit", "Metric", "parse_limit"]


class Metric(StrEnum):
    """What a gate may be about."""

    SRAM = "sram"
    FLASH = "flash"
    TIME = "time"
    ENERGY = "energy"


class Figure(NamedTuple):
    """Where a report has a metric. layer: the field of its layers that says which of them grew, or "".

    units: what a limit may be written in -> how much of the report's own unit that is.
    """

    path: tuple[str, str]
    layer: str
    units: Mapping[str, float]


_BYTES = {"B": 1.0, "KiB": 1024.0}
FIGURES = {
    Metric.SRAM: Figure(("sram", "peak_bytes"), "sram_bytes", _BYTES),
    Metric.FLASH: Figure(("flash", "total_bytes"), "weight_bytes", _BYTES),
    Metric.TIME: Figure(("latency", "ms"), "cycles", {"ms": 1.0}),
    Metric.ENERGY: Figure(("energy", "uj"), "cycles", {"uJ": 1.0}),
}
"""Every metric, as a report of `mcusim run --json` has it."""

_LIMIT = re.compile(r"\s*(\w+)\s*>\s*\+?\s*(\d{1,15}(?:\.\d{1,15})?)\s*(%|[A-Za-z]+)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """A metric may grow by `amount`: a share of what it was, or of the report's own unit. text: as it was written."""

    metric: Metric
    amount: float
    is_share: bool
    text: str

    def is_kept(self, before: float, after: float) -> bool:
        """Whether the growth is no more than that."""
        allowed = before * self.amount if self.is_share else self.amount
        return after - before <= allowed


def parse_limit(text: str) -> Limit:
    """`METRIC>+AMOUNT UNIT`: sram, flash, time or energy, and %, B, KiB, ms or uJ. Raises InputError."""
    matched = _LIMIT.fullmatch(text)
    if matched is None or matched[1].lower() not in set(Metric):
        fix = "write it as in sram>+1%, flash>+2KiB, time>+3ms or energy>+50uJ"
        raise InputError(f"'{text:.60}' is no limit", where="--fail-on", fix=fix)
    metric, unit = Metric(matched[1].lower()), matched[3]
    if unit == "%":
        return Limit(metric, float(matched[2]) / 100, True, text.strip())
    units: dict[str, Any] = {name.lower(): size for name, size in FIGURES[metric].units.items()}
    if unit.lower() not in units:
        fix = f"use % or {' or '.join(FIGURES[metric].units)}"
        raise InputError(f"'{text:.60}': {metric} is not counted in {unit}", where="--fail-on", fix=fix)
    return Limit(metric, float(matched[2]) * units[unit.lower()], False, text.strip())

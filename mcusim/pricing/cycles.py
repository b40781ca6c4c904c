"""Cycles by cause: what they are spent on, as prices give them, and as whole numbers that still add up."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

__all__ = ["NO_CYCLES", "Cause", "Cycles", "added", "whole_cycles"]

Number = TypeVar("Number", bound=float)


class Cause(StrEnum):
    """What cycles are spent on."""

    COMPUTE = "compute"
    """Multiply-accumulates."""
    STORE = "store"
    """Requantising and storing outputs; element-wise arithmetic."""
    MEMORY = "memory"
    """Gathering and moving bytes, and waiting for memory."""
    OVERHEAD = "overhead"
    """Entering kernels."""


class Cycles(NamedTuple, Generic[Number]):
    """Cycles in all, and what they are spent on: a field for each `Cause`.

    Assumption A1: none of them overlaps another; together they are the total.
    """

    total: Number
    compute: Number
    store: Number
    memory: Number
    overhead: Number

    @property
    def causes(self) -> tuple[Number, Number, Number, Number]:
        """All but the total."""
        return self.compute, self.store, self.memory, self.overhead


NO_CYCLES = Cycles(0, 0, 0, 0, 0)


def added(one: Cycles[int], other: Cycles[int]) -> Cycles[int]:
    """Both together, cause by cause."""
    return Cycles(*[mine + theirs for mine, theirs in zip(one, other, strict=True)])


def whole_cycles(cycles: Cycles[float]) -> Cycles[int]:
    """Rounded so that the causes still add up to the total: the sums up to each cause are rounded, not the causes."""
    # Rounded one by one, three causes of 0.5 cycles would add up to 0 or 3 of a total of 2.
    computed = round(cycles.compute)
    stored = round(cycles.compute + cycles.store)
    total = round(cycles.total)
    moved = min(round(cycles.compute + cycles.store + cycles.memory), total)
    return Cycles(total, computed, stored - computed, moved - stored, total - moved)

"""GREATER_EQUAL: whether a >= b, broadcasting."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.comparing import Relation, comparison

__all__ = ["GREATER_EQUAL"]

GREATER_EQUAL = register(
    comparison("GREATER_EQUAL", "whether a >= b, broadcasting", Relation.GREATER_EQUAL, "GreaterEqualOptions")
)

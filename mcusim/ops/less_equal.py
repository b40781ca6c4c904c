"""LESS_EQUAL: whether a <= b, broadcasting."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.comparing import Relation, comparison

__all__ = ["LESS_EQUAL"]

LESS_EQUAL = register(comparison("LESS_EQUAL", "whether a <= b, broadcasting", Relation.LESS_EQUAL, "LessEqualOptions"))

"""LESS: whether a < b, broadcasting."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.comparing import Relation, comparison

__all__ = ["LESS"]

LESS = register(comparison("LESS", "whether a < b, broadcasting", Relation.LESS, "LessOptions"))

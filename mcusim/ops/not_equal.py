"""NOT_EQUAL: whether a is not b, broadcasting."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.comparing import Relation, comparison

__all__ = ["NOT_EQUAL"]

NOT_EQUAL = register(comparison("NOT_EQUAL", "whether a is not b, broadcasting", Relation.NOT_EQUAL, "NotEqualOptions"))

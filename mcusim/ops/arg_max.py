"""ARG_MAX: index of the largest element along an axis."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.ranking import ranking

__all__ = ["ARG_MAX"]

ARG_MAX = register(ranking("ARG_MAX", "index of the largest element along an axis", "ArgMaxOptions", is_largest=True))

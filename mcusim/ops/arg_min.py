"""ARG_MIN: index of the smallest element along an axis."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.ranking import ranking

__all__ = ["ARG_MIN"]

ARG_MIN = register(ranking("ARG_MIN", "index of the smallest element along an axis", "ArgMinOptions", is_largest=False))

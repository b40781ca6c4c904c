"""ARG_MAX: index of the largest element along an axis."""

from __future__ import annotations

from dataclasses import replace

from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.ranking import ranking
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import INT8, by_type

__all__ = ["ARG_MAX"]

ARG_MAX = register(
    replace(
        ranking("ARG_MAX", "index of the largest element along an axis", "ArgMaxOptions", is_largest=True),
        version=by_type(INT8),
        drawing=Drawing(spread=same),
    )
)

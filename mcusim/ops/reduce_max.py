"""REDUCE_MAX: maximum over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Node
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.reduction import Reduction, reducer
from mcusim.ops.shared.spreads import Spread, maximum_of, taken_together
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["REDUCE_MAX"]


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    return maximum_of(taken_together(node), inputs[0])


REDUCE_MAX = register(
    replace(
        reducer("REDUCE_MAX", "maximum over axes", Reduction.MAX),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread, alike=slice(0, 1)),
    )
)

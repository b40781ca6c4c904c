"""SUM: sum over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Activation, Node
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.reduction import Reduction, reducer
from mcusim.ops.shared.spreads import Spread, after, averaged, taken_together
from mcusim.ops.shared.versions import INT8, by_type

__all__ = ["SUM"]


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    x, count = inputs[0], taken_together(node)
    return after(Activation.NONE, x.mean * count, averaged(x.std, count) * count, x.low * count, x.high * count)


SUM = register(
    replace(reducer("SUM", "sum over axes", Reduction.SUM), version=by_type(INT8), drawing=Drawing(spread=_spread))
)

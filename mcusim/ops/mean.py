"""MEAN: mean over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Activation, Node
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.reduction import Reduction, reducer
from mcusim.ops.shared.spreads import Spread, after, averaged, taken_together
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["MEAN"]


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    x = inputs[0]
    return after(Activation.NONE, x.mean, averaged(x.std, taken_together(node)), x.low, x.high)


MEAN = register(
    replace(
        reducer("MEAN", "mean over axes", Reduction.MEAN),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread),
    )
)

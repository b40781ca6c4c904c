"""AVERAGE_POOL_2D: mean of each window; the border is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Node
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.pooling import pool
from mcusim.ops.shared.spreads import Spread, averaged, window_taps
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["AVERAGE_POOL_2D"]


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    return inputs[0]._replace(std=averaged(inputs[0].std, window_taps(node)), fixed=False)


AVERAGE_POOL_2D = register(
    replace(
        pool("AVERAGE_POOL_2D", "mean of each window; the border is left out", is_average=True),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread, alike=slice(0, 1)),
    )
)

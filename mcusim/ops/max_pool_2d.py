"""MAX_POOL_2D: maximum of each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Node
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.pooling import pool
from mcusim.ops.shared.spreads import Spread, maximum_of, window_taps
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["MAX_POOL_2D"]


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    return maximum_of(window_taps(node), inputs[0])


MAX_POOL_2D = register(
    replace(
        pool("MAX_POOL_2D", "maximum of each window", is_average=False),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread, alike=slice(0, 1)),
    )
)

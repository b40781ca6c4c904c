"""AVERAGE_POOL_2D: mean of each window; the border is left out."""

from mcusim.ops.registry import register
from mcusim.ops.shared.pooling import pool

__all__ = ["AVERAGE_POOL_2D"]

AVERAGE_POOL_2D = register(pool("AVERAGE_POOL_2D", "mean of each window; the border is left out", is_average=True))

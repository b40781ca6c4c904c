"""MAX_POOL_2D: maximum of each window."""

from mcusim.ops.registry import register
from mcusim.ops.shared.pooling import pool

__all__ = ["MAX_POOL_2D"]

MAX_POOL_2D = register(pool("MAX_POOL_2D", "maximum of each window", is_average=False))

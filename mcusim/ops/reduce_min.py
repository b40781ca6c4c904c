"""REDUCE_MIN: minimum over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["REDUCE_MIN"]

REDUCE_MIN = register(reducer("REDUCE_MIN", "minimum over axes", Reduction.MIN))

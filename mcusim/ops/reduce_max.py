"""REDUCE_MAX: maximum over axes."""

from mcusim.ops.reduction import Reduction, reducer
from mcusim.ops.registry import register

__all__ = ["REDUCE_MAX"]

REDUCE_MAX = register(reducer("REDUCE_MAX", "maximum over axes", Reduction.MAX))

"""SUM: sum over axes."""

from mcusim.ops.reduction import Reduction, reducer
from mcusim.ops.registry import register

__all__ = ["SUM"]

SUM = register(reducer("SUM", "sum over axes", Reduction.SUM))

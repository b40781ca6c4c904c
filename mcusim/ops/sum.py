"""SUM: sum over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["SUM"]

SUM = register(reducer("SUM", "sum over axes", Reduction.SUM))

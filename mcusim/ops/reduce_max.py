"""REDUCE_MAX: maximum over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["REDUCE_MAX"]

REDUCE_MAX = register(reducer("REDUCE_MAX", "maximum over axes", Reduction.MAX))

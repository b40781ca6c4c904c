"""REDUCE_ALL: whether all are true, over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["REDUCE_ALL"]

REDUCE_ALL = register(reducer("REDUCE_ALL", "whether all are true, over axes", Reduction.ALL))

"""REDUCE_ANY: whether any is true, over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["REDUCE_ANY"]

REDUCE_ANY = register(reducer("REDUCE_ANY", "whether any is true, over axes", Reduction.ANY))

"""MEAN: mean over axes."""

from mcusim.ops.registry import register
from mcusim.ops.shared.reduction import Reduction, reducer

__all__ = ["MEAN"]

MEAN = register(reducer("MEAN", "mean over axes", Reduction.MEAN))

"""MEAN: mean over axes."""

from mcusim.ops.reduction import Reduction, reducer
from mcusim.ops.registry import register

__all__ = ["MEAN"]

MEAN = register(reducer("MEAN", "mean over axes", Reduction.MEAN))

"""LOG: natural logarithm."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["LOG"]

LOG = register(float_function("LOG", "natural logarithm", FloatFunction.LOG))

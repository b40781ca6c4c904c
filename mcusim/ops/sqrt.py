"""SQRT: square root."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["SQRT"]

SQRT = register(float_function("SQRT", "square root", FloatFunction.SQRT))

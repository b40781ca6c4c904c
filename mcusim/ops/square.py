"""SQUARE: x * x."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["SQUARE"]

SQUARE = register(float_function("SQUARE", "x * x", FloatFunction.SQUARE, "SquareOptions"))

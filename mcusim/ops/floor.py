"""FLOOR: the largest whole number that is not above x."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["FLOOR"]

FLOOR = register(float_function("FLOOR", "the largest whole number that is not above x", FloatFunction.FLOOR))

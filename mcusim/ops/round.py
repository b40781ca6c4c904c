"""ROUND: the nearest whole number, the even one of two."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["ROUND"]

ROUND = register(float_function("ROUND", "the nearest whole number, the even one of two", FloatFunction.ROUND))

"""CEIL: the smallest whole number that is not below x."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["CEIL"]

CEIL = register(float_function("CEIL", "the smallest whole number that is not below x", FloatFunction.CEIL))

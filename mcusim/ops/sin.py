"""SIN: sine."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["SIN"]

SIN = register(float_function("SIN", "sine", FloatFunction.SIN))

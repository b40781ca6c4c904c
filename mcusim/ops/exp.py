"""EXP: e to the power of x."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["EXP"]

EXP = register(float_function("EXP", "e to the power of x", FloatFunction.EXP, "ExpOptions"))

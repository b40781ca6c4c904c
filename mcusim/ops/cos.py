"""COS: cosine."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["COS"]

COS = register(float_function("COS", "cosine", FloatFunction.COS, "CosOptions"))

"""NEG: -x."""

from __future__ import annotations

from mcusim.ops.registry import register
from mcusim.ops.shared.lookups import FloatFunction, float_function

__all__ = ["NEG"]

NEG = register(float_function("NEG", "-x", FloatFunction.NEG, "NegOptions"))

"""TANH: hyperbolic tangent."""

from mcusim.ops.elementwise import unary
from mcusim.ops.registry import WorkKind, register

__all__ = ["TANH"]

TANH = register(unary("TANH", "hyperbolic tangent", kind=WorkKind.LOOKUP))

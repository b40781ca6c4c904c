"""RELU: max(x, 0)."""

from mcusim.ops.elementwise import unary
from mcusim.ops.registry import register

__all__ = ["RELU"]

RELU = register(unary("RELU", "max(x, 0)"))

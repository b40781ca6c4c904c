"""RELU6: x clamped to [0, 6]."""

from mcusim.ops.elementwise import unary
from mcusim.ops.registry import register

__all__ = ["RELU6"]

RELU6 = register(unary("RELU6", "x clamped to [0, 6]"))

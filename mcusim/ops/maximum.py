"""MAXIMUM: the larger of a and b, broadcasting."""

from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["MAXIMUM"]

MAXIMUM = register(binary("MAXIMUM", "the larger of a and b, broadcasting", options="MaximumMinimumOptions"))

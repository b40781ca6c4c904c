"""MINIMUM: the smaller of a and b, broadcasting."""

from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["MINIMUM"]

MINIMUM = register(binary("MINIMUM", "the smaller of a and b, broadcasting", options="MaximumMinimumOptions"))

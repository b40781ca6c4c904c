"""HARD_SWISH: x * relu6(x + 3) / 6."""

from mcusim.ops.elementwise import unary
from mcusim.ops.registry import register

__all__ = ["HARD_SWISH"]

HARD_SWISH = register(unary("HARD_SWISH", "x * relu6(x + 3) / 6", options="HardSwishOptions"))

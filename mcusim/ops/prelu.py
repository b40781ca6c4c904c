"""PRELU: x where it is positive, alpha * x elsewhere; alpha is learned, and broadcasts."""

from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["PRELU"]

PRELU = register(
    binary("PRELU", "x where it is positive, learned alpha * x elsewhere", options="", overwrites=(0,), parameters=(1,))
)

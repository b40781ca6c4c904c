"""LOGISTIC: 1 / (1 + exp(-x))."""

from mcusim.ops.elementwise import unary
from mcusim.ops.registry import WorkKind, register

__all__ = ["LOGISTIC"]

LOGISTIC = register(unary("LOGISTIC", "1 / (1 + exp(-x))", kind=WorkKind.LOOKUP))

"""MUL: a * b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Activation, Attributes
from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["MUL", "MulAttributes"]


@dataclass(frozen=True, slots=True)
class MulAttributes(Attributes):
    """Attributes of MUL, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


MUL = register(binary("MUL", "a * b, broadcasting", attributes=MulAttributes, options="MulOptions"))

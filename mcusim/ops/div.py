"""DIV: a / b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Activation, Attributes
from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["DIV", "DivAttributes"]


@dataclass(frozen=True, slots=True)
class DivAttributes(Attributes):
    """Attributes of DIV, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE


DIV = register(binary("DIV", "a / b, broadcasting", attributes=DivAttributes, options="DivOptions"))

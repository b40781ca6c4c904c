"""SUB: a - b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Activation, Attributes
from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["SUB", "SubAttributes"]


@dataclass(frozen=True, slots=True)
class SubAttributes(Attributes):
    """Attributes of SUB, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE
    pot_scale_int16: bool = True


SUB = register(binary("SUB", "a - b, broadcasting", attributes=SubAttributes, options="SubOptions"))

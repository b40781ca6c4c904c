"""ADD: a + b, broadcasting."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Activation, Attributes
from mcusim.ops.elementwise import binary
from mcusim.ops.registry import register

__all__ = ["ADD", "AddAttributes"]


@dataclass(frozen=True, slots=True)
class AddAttributes(Attributes):
    """Attributes of ADD, under TFLite's names."""

    fused_activation_function: Activation = Activation.NONE
    pot_scale_int16: bool = True


ADD = register(binary("ADD", "a + b, broadcasting", attributes=AddAttributes, options="AddOptions"))

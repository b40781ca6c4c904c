"""LEAKY_RELU: x where it is positive, alpha * x elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Attributes
from mcusim.ops.elementwise import unary
from mcusim.ops.registry import register

__all__ = ["LEAKY_RELU", "LeakyReluAttributes"]


@dataclass(frozen=True, slots=True)
class LeakyReluAttributes(Attributes):
    """Attributes of LEAKY_RELU, under TFLite's names."""

    alpha: float = 0.0


LEAKY_RELU = register(
    unary(
        "LEAKY_RELU",
        "x where it is positive, alpha * x elsewhere",
        attributes=LeakyReluAttributes,
        options="LeakyReluOptions",
    )
)

"""SOFTMAX: exp(beta * x) over the last axis, scaled to a sum of 1."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Attributes
from mcusim.ops.reduction import over_channels
from mcusim.ops.registry import register

__all__ = ["SOFTMAX", "SoftmaxAttributes"]


@dataclass(frozen=True, slots=True)
class SoftmaxAttributes(Attributes):
    """Attributes of SOFTMAX, under TFLite's names. A file without `beta` means 0; networks want 1."""

    beta: float = 0.0


SOFTMAX = register(
    over_channels(
        "SOFTMAX",
        "exp(beta * x) over the last axis, scaled to a sum of 1",
        attributes=SoftmaxAttributes,
        options="SoftmaxOptions",
    )
)

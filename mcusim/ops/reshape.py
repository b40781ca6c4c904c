"""RESHAPE: the same elements under another shape; one dimension may be -1, what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Drawing, register
from mcusim.ops.shared.movement import relabels
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.spreads import same

__all__ = ["RESHAPE", "ReshapeAttributes"]


@dataclass(frozen=True, slots=True)
class ReshapeAttributes(Attributes):
    """Attributes of RESHAPE, under TFLite's names. new_shape: counts only where no constant input 1 says it."""

    new_shape: tuple[int, ...] = ()


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, ReshapeAttributes)
    elements = prod(operand("RESHAPE", inputs, 0).shape)
    asked = inputs[1] if len(inputs) > 1 else None
    target = attributes.new_shape
    if asked is not None and (asked.values is not None or not target):
        target = constant_ints("RESHAPE", inputs, 1, "new shape")
    known = prod(size for size in target if size != -1)
    shape = tuple(elements // (known or 1) if size == -1 else size for size in target)
    if target.count(-1) > 1 or min(shape, default=1) < 0 or prod(shape) != elements:
        raise refusal(
            "RESHAPE",
            f"{elements} elements do not fill shape {target}",
            "use a shape with as many elements, and at most one -1",
        )
    return (shape,)


RESHAPE = register(
    replace(
        relabels(
            "RESHAPE",
            "the same elements under another shape",
            _infer,
            attributes=ReshapeAttributes,
            options="ReshapeOptions",
            shape_inputs=(1,),
        ),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

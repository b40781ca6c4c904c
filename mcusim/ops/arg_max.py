"""ARG_MAX: index of the largest element along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.operands import axis_of, constant_int, operand
from mcusim.ops.reduction import reduce_work
from mcusim.ops.registry import OpDef, register
from mcusim.ops.tiles import no_needs

__all__ = ["ARG_MAX", "ArgMaxAttributes"]


@dataclass(frozen=True, slots=True)
class ArgMaxAttributes(Attributes):
    """Attributes of ARG_MAX, under TFLite's names."""

    output_type: DType = DType.FLOAT32


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand("ARG_MAX", inputs, 0).shape
    axis = axis_of("ARG_MAX", constant_int("ARG_MAX", inputs, 1, "axis"), shape)
    return (shape[:axis] + shape[axis + 1 :],)


ARG_MAX = register(
    OpDef(
        name="ARG_MAX",
        summary="index of the largest element along an axis",
        attributes=ArgMaxAttributes,
        options="ArgMaxOptions",
        infer=_infer,
        needs=no_needs,
        work=reduce_work,
    )
)

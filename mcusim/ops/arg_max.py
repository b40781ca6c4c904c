"""ARG_MAX: index of the largest element along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, OpDef, register
from mcusim.ops.shared.operands import axis_of, constant_int, operand
from mcusim.ops.shared.reduction import reduce_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["ARG_MAX", "ArgMaxAttributes"]


@dataclass(frozen=True, slots=True)
class ArgMaxAttributes(Attributes):
    """Attributes of ARG_MAX, under TFLite's names."""

    output_type: DType = DType.FLOAT32


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand("ARG_MAX", inputs, 0).shape
    axis = axis_of("ARG_MAX", constant_int("ARG_MAX", inputs, 1, "axis"), shape)
    return (shape[:axis] + shape[axis + 1 :],)


def _prepare(call: Call) -> int:
    """The axis."""
    if not call.outputs[0].dtype.is_integer or call.input(0).dtype.bits < 8:
        what = f"it cannot find the largest of {call.input(0).dtype} as {call.outputs[0].dtype}"
        raise ModelError(what, where=call.where, fix="let output_type be int32 or int64")
    return axis_of("ARG_MAX", constant_int("ARG_MAX", call.signature.inputs, 1, "axis"), call.input(0).shape)


ARG_MAX = register(
    OpDef(
        name="ARG_MAX",
        summary="index of the largest element along an axis",
        attributes=ArgMaxAttributes,
        options="ArgMaxOptions",
        infer=_infer,
        needs=no_needs,
        work=reduce_work,
        prepare=_prepare,
        kernel="ranking",
    )
)

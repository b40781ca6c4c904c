"""ONE_HOT: for each position a vector that is `on` there and `off` elsewhere. Inputs: positions, depth, on, off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Call, attributes_of, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import axis_of, constant_int, operand, refusal

__all__ = ["ONE_HOT", "OneHotAttributes"]


@dataclass(frozen=True, slots=True)
class OneHotAttributes(Attributes):
    """Attributes of ONE_HOT, under TFLite's names. axis: where the vectors lie in the output."""

    axis: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, OneHotAttributes)
    shape, depth = operand("ONE_HOT", inputs, 0).shape, constant_int("ONE_HOT", inputs, 1, "depth")
    axis = axis_of("ONE_HOT", attributes.axis, (*shape, 1))
    if depth < 0 or any(operand("ONE_HOT", inputs, index).elements != 1 for index in (2, 3)):
        raise refusal("ONE_HOT", f"depth {depth}, or its values, are not one number", "give a depth and two scalars")
    return ((*shape[:axis], depth, *shape[axis:]),)


def _prepare(call: Call) -> int:
    """The axis.   Source: TFLite one_hot.cc; TFLM has no kernel."""
    check_movable(call, 2, 3)
    constant_int("ONE_HOT", call.signature.inputs, 1, "depth")
    axis = attributes_of(call.signature, OneHotAttributes).axis
    return axis_of("ONE_HOT", axis, call.outputs[0].shape)


ONE_HOT = register(
    moves(
        "ONE_HOT",
        "for each position a vector that is on there and off elsewhere",
        _infer,
        attributes=OneHotAttributes,
        options="OneHotOptions",
        most_inputs=4,
        shape_inputs=(1,),
        prepare=_prepare,
        kernel="one_hot",
    )
)

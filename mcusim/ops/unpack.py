"""UNPACK: a tensor taken apart along an axis, which goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import axis_of, operand, refusal
from mcusim.ops.shared.slicing import Cut, whole_walks
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import by_type

__all__ = ["UNPACK", "UnpackAttributes"]


@dataclass(frozen=True, slots=True)
class UnpackAttributes(Attributes):
    """Attributes of UNPACK, under TFLite's names."""

    num: int = 0
    axis: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, UnpackAttributes)
    shape = operand("UNPACK", inputs, 0).shape
    axis = axis_of("UNPACK", attributes.axis, shape)
    if attributes.num != shape[axis]:
        raise refusal("UNPACK", f"axis {axis} of {shape} is not {attributes.num}", "set num to the axis's size")
    return (shape[:axis] + shape[axis + 1 :],) * attributes.num


def _prepare(call: Call) -> Cut:
    check_movable(call, 0)
    shape = call.signature.input(0).shape
    axis = axis_of("UNPACK", attributes_of(call.signature, UnpackAttributes).axis, shape)
    cuts = []
    for place in range(shape[axis]):
        walks = whole_walks(shape)
        walks[axis] = walks[axis]._replace(start=place, length=1, is_dropped=True)
        cuts.append(tuple(walks))
    return Cut(0, tuple(cuts))


UNPACK = register(
    replace(
        moves(
            "UNPACK",
            "a tensor taken apart along an axis",
            _infer,
            attributes=UnpackAttributes,
            options="UnpackOptions",
            prepare=_prepare,
            kernel="slicing",
        ),
        version=by_type({DType.INT8: 2, DType.UINT8: 2, DType.BOOL: 3, DType.INT16: 4}),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

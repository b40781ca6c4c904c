"""PACK: tensors of one shape stacked along a new axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.joining import Join, prepare_join
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import axis_of, operand, refusal
from mcusim.ops.shared.spreads import union
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["PACK", "PackAttributes"]


@dataclass(frozen=True, slots=True)
class PackAttributes(Attributes):
    """Attributes of PACK, under TFLite's names."""

    values_count: int = 0
    axis: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, PackAttributes)
    shapes = {operand("PACK", inputs, index).shape for index in range(max(len(inputs), 1))}
    if len(shapes) > 1 or attributes.values_count != len(inputs):
        raise refusal(
            "PACK",
            f"{len(inputs)} inputs of shapes {sorted(shapes)} are not {attributes.values_count} of one shape",
            "give it values_count tensors of one shape",
        )
    (shape,) = shapes
    axis = axis_of("PACK", attributes.axis, (*shape, 1))
    return ((*shape[:axis], len(inputs), *shape[axis:]),)


def _prepare(call: Call) -> Join:
    axis = attributes_of(call.signature, PackAttributes).axis
    return prepare_join(call, axis_of("PACK", axis, call.outputs[0].shape), stacks=True)


PACK = register(
    replace(
        moves(
            "PACK",
            "tensors of one shape stacked along a new axis",
            _infer,
            attributes=PackAttributes,
            options="PackOptions",
            most_inputs=None,
            prepare=_prepare,
            kernel="joining",
        ),
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=union, alike=slice(None)),
    )
)

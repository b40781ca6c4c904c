"""SELECT_V2: elements of a where a condition holds, of b elsewhere; all three broadcast. Inputs: condition, a, b."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, OpDef, WorkKind, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.elementwise import broadcast, broadcast_needs, element_work
from mcusim.ops.shared.movement import check_movable
from mcusim.ops.shared.operands import operand

__all__ = ["SELECT_V2"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    condition, a, b = (operand("SELECT_V2", inputs, index).shape for index in range(3))
    return (broadcast("SELECT_V2", condition, broadcast("SELECT_V2", a, b)),)


def _prepare(call: Call) -> int:
    """The rank of the output. Stored integers are taken as they are.   Source: TFLM select.cc."""
    if call.input(0).dtype is not DType.BOOL:
        raise unsupported(call, f"a condition of {call.input(0).dtype}")
    check_movable(call, 1, 2)
    return len(call.outputs[0].shape)


SELECT_V2 = register(
    OpDef(
        name="SELECT_V2",
        summary="elements of a where a condition holds, of b elsewhere",
        options="SelectV2Options",
        infer=_infer,
        needs=broadcast_needs,
        work=partial(element_work, WorkKind.ELEMENTWISE),
        most_inputs=3,
        prepare=_prepare,
        kernel="selecting",
    )
)

"""DYNAMIC_UPDATE_SLICE: a tensor with a box of it replaced, from a place that is known at run time.

Inputs: tensor, box, start. The start is brought inside, so that the box fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import operand, refusal

__all__ = ["DYNAMIC_UPDATE_SLICE"]

OP = "DYNAMIC_UPDATE_SLICE"


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, box, start = (operand(OP, inputs, index).shape for index in range(3))
    if len(box) != len(shape) or start != (len(shape),) or any(b > s for b, s in zip(box, shape, strict=True)):
        what = f"a box of {box} from a start of {start} does not go into {shape}"
        raise refusal(OP, what, "give a box of the tensor's rank and not larger, and a number for each axis")
    return (shape,)


def _prepare(call: Call) -> None:
    """Source: TFLM dynamic_update_slice.cc."""
    check_movable(call, 0, 1)
    if call.input(2).dtype not in (DType.INT32, DType.INT64):
        raise unsupported(call, f"a start of {call.input(2).dtype}")


DYNAMIC_UPDATE_SLICE = register(
    moves(
        OP, "a tensor with a box of it replaced", _infer, most_inputs=3, prepare=_prepare, kernel="dynamic_update_slice"
    )
)

"""BROADCAST_ARGS: the shape that two shapes stretch to, worked out while the network runs."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import operand, refusal

__all__ = ["BROADCAST_ARGS"]

OP = "BROADCAST_ARGS"


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    a, b = operand(OP, inputs, 0).shape, operand(OP, inputs, 1).shape
    if not len(a) == len(b) == 1:
        raise refusal(OP, f"{a} and {b} are not shapes of two shapes", "give it two vectors")
    return ((max(a[0], b[0]),),)


def _prepare(call: Call) -> str:
    """Names the node, for shapes that do not go together.   Source: TFLM broadcast_args.cc."""
    check_movable(call, 0, 1)
    if call.input(0).dtype not in (DType.INT32, DType.INT64):
        raise unsupported(call, call.input(0).dtype)
    return call.where


BROADCAST_ARGS = register(
    moves(OP, "the shape that two shapes stretch to", _infer, most_inputs=2, prepare=_prepare, kernel="broadcast_args")
)

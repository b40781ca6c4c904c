"""BROADCAST_TO: a tensor stretched to a shape: axes of 1 repeated, further ones put in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.elementwise import broadcast, broadcast_needs
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.versions import by_type
from mcusim.region import Region, Span

__all__ = ["BROADCAST_TO"]

OP = "BROADCAST_TO"


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, asked = operand(OP, inputs, 0).shape, constant_ints(OP, inputs, 1, "shape")
    if min(asked, default=1) < 1 or broadcast(OP, shape, asked) != asked:
        raise refusal(OP, f"{shape} does not stretch to {asked}", "ask for a shape that only repeats axes of 1")
    return (asked,)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return broadcast_needs(signature, index, rows, cols) if index == 0 else None


def _prepare(call: Call) -> int:
    """The rank of the output.   Source: TFLM broadcast_to.cc."""
    check_movable(call, 0)
    source, output = call.signature.input(0).shape, call.outputs[0].shape
    if broadcast(OP, source, output) != output:  # where the shape is computed at run time, what is stored counts
        raise refusal(OP, f"{source} does not stretch to {output}", "store the shape that it is to have")
    return len(call.outputs[0].shape)


_MOVED = moves(
    OP,
    "a tensor stretched to a shape",
    _infer,
    _needs,
    options="BroadcastToOptions",
    most_inputs=2,
    shape_inputs=(1,),
    prepare=_prepare,
    kernel="broadcasting",
)

# Version 1 had another operator code: no runtime reads it.
BROADCAST_TO = register(replace(_MOVED, version=by_type({DType.INT8: 3, DType.INT16: 3}, 2)))

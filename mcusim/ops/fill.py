"""FILL: a tensor of one value. Inputs: shape, value."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.tiles import entire
from mcusim.region import Region, Span

__all__ = ["FILL"]

VALUE = 1
"""Index of the value among the inputs."""


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = constant_ints("FILL", inputs, 0, "shape")
    if operand("FILL", inputs, VALUE, "value").elements != 1 or min(shape, default=0) < 0:
        raise refusal("FILL", f"shape {shape} is not filled by one value", "give it a shape and a scalar")
    return (shape,)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return Region(entire(rows, 1), entire(cols, 1)) if index == VALUE else None


def _prepare(call: Call) -> int:
    """Which input is the value.   Source: TFLM fill.cc."""
    check_movable(call, VALUE)
    return VALUE


FILL = register(
    moves(
        "FILL",
        "a tensor of one value",
        _infer,
        _needs,
        options="FillOptions",
        most_inputs=2,
        prepare=_prepare,
        kernel="filling",
    )
)

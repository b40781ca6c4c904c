"""REVERSE_V2: a tensor turned around along axes."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import axis_of, constant_ints, operand
from mcusim.ops.shared.picking import Picks, prepare_picks

__all__ = ["REVERSE_V2"]

OP = "REVERSE_V2"


def _axes(inputs: Sequence[TensorType | None]) -> frozenset[int]:
    shape = operand(OP, inputs, 0).shape
    return frozenset(axis_of(OP, axis, shape) for axis in constant_ints(OP, inputs, 1, "axes"))


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    _axes(inputs)
    return (operand(OP, inputs, 0).shape,)


def _prepare(call: Call) -> Picks:
    """Source: TFLM reverse.cc."""
    turned = _axes(call.signature.inputs)
    return prepare_picks(
        call,
        [
            range(size - 1, -1, -1) if axis in turned else range(size)
            for axis, size in enumerate(call.signature.input(0).shape)
        ],
    )


REVERSE_V2 = register(
    moves(
        OP,
        "a tensor turned around along axes",
        _infer,
        options="ReverseV2Options",
        most_inputs=2,
        prepare=_prepare,
        kernel="picking",
    )
)

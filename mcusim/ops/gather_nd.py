"""GATHER_ND: slices of a tensor picked by several axes at once. Inputs: tensor, positions (..., axes)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import operand, refusal

__all__ = ["GATHER_ND", "Places"]


class Places(NamedTuple):
    """What the kernel trusts.   sizes: of the axes that are picked by.   where: names the node."""

    sizes: tuple[int, ...]
    where: str


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, positions = operand("GATHER_ND", inputs, 0).shape, operand("GATHER_ND", inputs, 1, "positions").shape
    if not positions or positions[-1] > len(shape):
        what = f"positions {positions} do not go with a tensor of {shape}"
        raise refusal("GATHER_ND", what, "let their last dimension be at most its rank")
    return (positions[:-1] + shape[positions[-1] :],)


def _prepare(call: Call) -> Places:
    """Source: TFLM gather_nd.cc."""
    check_movable(call, 0)
    positions = call.input(1)
    if positions.dtype not in (DType.INT32, DType.INT64):
        raise unsupported(call, f"positions of {positions.dtype}")
    sizes = call.signature.input(0).shape[: positions.shape[-1]]
    known = positions.constant
    if known is not None and ((known < 0) | (known >= sizes)).any():
        raise ModelError(f"a position is outside {sizes}", where=call.where, fix="export the model again")
    return Places(sizes, call.where)


GATHER_ND = register(
    moves(
        "GATHER_ND",
        "slices of a tensor picked by several axes at once",
        _infer,
        options="GatherNdOptions",
        most_inputs=2,
        prepare=_prepare,
        kernel="gather_nd",
    )
)

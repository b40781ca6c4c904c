"""COPY: bytes moved to another place. In no file: lowering makes one where a runtime copies a patch of its input."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import operand
from mcusim.ops.shared.tiles import same_region

__all__ = ["COPY"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return (operand("COPY", inputs, 0).shape,)


def _prepare(call: Call) -> None:
    check_movable(call, 0)


COPY = register(
    moves(
        "COPY",
        "bytes moved to another place; made by lowering, in no file",
        _infer,
        same_region,
        prepare=_prepare,
        kernel="copying",
    )
)

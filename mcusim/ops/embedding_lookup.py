"""EMBEDDING_LOOKUP: rows of a table. Inputs: positions, table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import per_tensor_to_divide_by, unsupported
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import operand, refusal

__all__ = ["EMBEDDING_LOOKUP", "Rows"]

OP = "EMBEDDING_LOOKUP"
TABLE = 1
"""Index of the table among the inputs."""


class Rows(NamedTuple):
    """What the kernel trusts.   scale: of int8 rows that become floats, else 0.   where: names the node."""

    size: int
    scale: float
    where: str


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    positions, table = operand(OP, inputs, 0, "positions").shape, operand(OP, inputs, TABLE, "table").shape
    if len(positions) != 1 or len(table) < 2:
        raise refusal(OP, f"positions {positions} do not go with a table of {table}", "give a vector, and rows")
    return ((positions[0], *table[1:]),)


def _prepare(call: Call) -> Rows:
    """Rows of int8 are copied, or made real numbers without a zero point.   Source: TFLM embedding_lookup.cc."""
    positions, table, output = call.input(0), call.input(TABLE), call.outputs[0]
    copied = table.dtype is output.dtype and table.dtype in (DType.FLOAT32, DType.INT8)
    if positions.dtype is not DType.INT32 or not (copied or (table.dtype, output.dtype) == (DType.INT8, DType.FLOAT32)):
        raise unsupported(call, f"{table.dtype} at {positions.dtype} to {output.dtype}")
    scale, zero_point = (0.0, 0) if copied else per_tensor_to_divide_by(call, table)
    if zero_point:
        raise ModelError("the table has a zero point other than 0", where=call.where, fix="quantise it again")
    return Rows(call.signature.input(TABLE).shape[0], scale, call.where)


EMBEDDING_LOOKUP = register(
    moves(OP, "rows of a table", _infer, most_inputs=2, prepare=_prepare, kernel="embedding_lookup")
)

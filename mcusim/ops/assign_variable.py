"""ASSIGN_VARIABLE: a variable's new value. Inputs: handle, value; no output."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Movement, OpDef, StateRole, Work, WorkKind, register
from mcusim.ops.shared.operands import operand
from mcusim.ops.shared.tiles import no_needs

__all__ = ["ASSIGN_VARIABLE"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    operand("ASSIGN_VARIABLE", inputs, 0, "variable")
    operand("ASSIGN_VARIABLE", inputs, 1, "value")
    return ()


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    value = signature.input(1)
    constant_bytes = value.size_bytes if value.is_constant else 0
    return Work(
        WorkKind.COPY,
        outputs=value.elements,
        inputs=value.elements,
        read_bytes=value.size_bytes - constant_bytes,
        written_bytes=value.size_bytes,
        weight_bytes=calls * constant_bytes,
        channels_in=value.channels,
        channels_out=value.channels,
        calls=calls,
    )


ASSIGN_VARIABLE = register(
    OpDef(
        name="ASSIGN_VARIABLE",
        summary="a variable's new value",
        options="AssignVariableOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        movement=Movement.MOVES,
        most_inputs=2,
        state=StateRole.ASSIGN,
    )
)

"""READ_VARIABLE: a copy of a variable's value."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Movement, OpDef, StateRole, Work, WorkKind, register
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import no_needs

__all__ = ["READ_VARIABLE"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """A handle does not say what it holds: only the file knows."""
    operand("READ_VARIABLE", inputs, 0, "variable")
    raise refusal(
        "READ_VARIABLE", "the shape of a variable does not follow from its handle", "state the output's shape"
    )


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    value = signature.output
    return Work(
        WorkKind.COPY,
        outputs=value.elements,
        inputs=value.elements,
        read_bytes=value.size_bytes,
        written_bytes=value.size_bytes,
        channels_in=value.channels,
        channels_out=value.channels,
        calls=calls,
    )


READ_VARIABLE = register(
    OpDef(
        name="READ_VARIABLE",
        summary="a copy of a variable's value",
        options="ReadVariableOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        movement=Movement.MOVES,
        most_inputs=1,
        shape_inputs=(0,),
        state=StateRole.READ,
    )
)

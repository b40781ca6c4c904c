"""SHAPE: the dimensions of a tensor, as a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, Movement, OpDef, Work, WorkKind, register
from mcusim.ops.shared.accumulators import unsupported
from mcusim.ops.shared.operands import operand
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.tiles import no_needs

__all__ = ["SHAPE", "ShapeAttributes"]


@dataclass(frozen=True, slots=True)
class ShapeAttributes(Attributes):
    """Attributes of SHAPE, under TFLite's names."""

    out_type: DType = DType.FLOAT32


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    return ((len(operand("SHAPE", inputs, 0).shape),),)


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """It reads no element of its input."""
    output = signature.output
    return Work(WorkKind.CONTROL, outputs=output.elements, written_bytes=output.size_bytes, calls=calls)


def _prepare(call: Call) -> Shape:
    if call.outputs[0].dtype not in (DType.INT32, DType.INT64):
        raise unsupported(call, f"a shape as {call.outputs[0].dtype}")
    return call.signature.input(0).shape


SHAPE = register(
    OpDef(
        name="SHAPE",
        summary="the dimensions of a tensor, as a tensor",
        attributes=ShapeAttributes,
        options="ShapeOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        movement=Movement.MOVES,
        most_inputs=1,
        prepare=_prepare,
        kernel="shaping",
        drawing=Drawing(spread=same),
    )
)

"""BATCH_MATMUL: matrix products over the last two dimensions; the leading ones broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.elementwise import broadcast
from mcusim.ops.operands import operand, refusal
from mcusim.ops.registry import OpDef, Work, WorkKind, attributes_of, register
from mcusim.ops.tiles import bytes_of, constant_bytes, no_needs, share

__all__ = ["BATCH_MATMUL", "BatchMatMulAttributes"]


@dataclass(frozen=True, slots=True)
class BatchMatMulAttributes(Attributes):
    """Attributes of BATCH_MATMUL, under TFLite's names. adj_x, adj_y: that operand is transposed first."""

    adj_x: bool = False
    adj_y: bool = False
    asymmetric_quantize_inputs: bool = False


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, BatchMatMulAttributes)
    op = "BATCH_MATMUL"
    x, y = operand(op, inputs, 0).shape, operand(op, inputs, 1).shape
    if min(len(x), len(y)) < 2:
        raise refusal(op, f"{x} and {y} are not both matrices", "give it tensors of rank 2 or more")
    rows, depth = x[-2:][::-1] if attributes.adj_x else x[-2:]
    depth_y, cols = y[-2:][::-1] if attributes.adj_y else y[-2:]
    if depth != depth_y:
        raise refusal(op, f"depths {depth} and {depth_y} differ", "make the dimensions that are summed over equal")
    return ((*broadcast(op, x[:-2], y[:-2]), rows, cols),)


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    x, output = signature.input(0), signature.output
    depth = x.shape[-2] if attributes_of(signature, BatchMatMulAttributes).adj_x else x.shape[-1]
    outputs = share(signature, output.elements, rows, cols)
    sources = [t for t in signature.inputs if t is not None and not t.is_constant]
    return Work(
        WorkKind.FULLY_CONNECTED,
        macs=outputs * depth,
        outputs=outputs,
        inputs=share(signature, sum(t.elements for t in sources), rows, cols),
        read_bytes=sum(bytes_of(outputs * depth, t) for t in sources),
        written_bytes=bytes_of(outputs, output),
        weight_bytes=calls * constant_bytes(signature),
        channels_in=depth,
        channels_out=output.channels,
        calls=calls,
    )


BATCH_MATMUL = register(
    OpDef(
        name="BATCH_MATMUL",
        summary="matrix products over the last two dimensions",
        attributes=BatchMatMulAttributes,
        options="BatchMatMulOptions",
        infer=_infer,
        needs=no_needs,
        work=_work,
        parameters=(0, 1),
    )
)

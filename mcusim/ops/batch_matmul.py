"""BATCH_MATMUL: matrix products over the last two dimensions; the leading ones broadcast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Rounding
from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, DType, Node, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, OpDef, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import (
    OutputStage,
    check_dtypes,
    constant_of,
    output_stage,
    per_tensor,
    product_scale,
    rounding_of,
)
from mcusim.ops.shared.elementwise import broadcast
from mcusim.ops.shared.float_sums import are_floats, refuse_other_orders
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.spreads import Spread, after, product_moments
from mcusim.ops.shared.tiles import bytes_of, constant_bytes, no_needs, share
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["BATCH_MATMUL", "BatchMatMulAttributes", "PreparedBatchMatMul"]


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


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBatchMatMul:
    """What the kernel trusts.

    constants: which operands are, and their elements.   transposes: whether an operand is transposed first.
    is_wide: sums are 64 bits wide; else they wrap at 32.   stage: None where floats are summed.
    """

    constants: tuple[NDArray[Any] | None, NDArray[Any] | None]
    zero_points: tuple[int, int]
    transposes: tuple[bool, bool]
    is_wide: bool
    stage: OutputStage | None


def _prepare(call: Call) -> PreparedBatchMatMul:
    """Source: TFLM batch_matmul.cc, batch_matmul_common.cc."""
    a, b = call.input(0), call.input(1)
    attributes = attributes_of(call.signature, BatchMatMulAttributes)
    transposes = (attributes.adj_x, attributes.adj_y)
    constants = (
        constant_of(call, 0) if a.is_constant else None,
        constant_of(call, 1) if b.is_constant else None,
    )
    if are_floats(call, 0, 1):
        refuse_other_orders(call)
        return PreparedBatchMatMul(constants, (0, 0), transposes, False, None)
    dtype = check_dtypes(call, (DType.INT8,) * 3, (DType.INT16,) * 3)[0]
    is_wide = dtype is DType.INT16
    zero_points = (per_tensor(call, a)[1], per_tensor(call, b)[1])
    if is_wide and (*zero_points, per_tensor(call, call.outputs[0])[1]) != (0, 0, 0):
        raise ModelError("int16 tensors have a zero point other than 0", where=call.where, fix="quantise it again")
    rounding = Rounding.REDUCED if is_wide else rounding_of(call)
    stage = output_stage(call, np.float64(product_scale(call, a, b)), rounding, Activation.NONE)
    return PreparedBatchMatMul(constants, zero_points, transposes, is_wide, stage)


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    first = node.signature.input(0)
    depth = first.shape[-2 if getattr(node.attributes, "adj_x", False) else -1]
    mean, std = product_moments(inputs[0], inputs[-1])
    return after(Activation.NONE, mean * depth, std * math.sqrt(depth))


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
        most_inputs=2,
        prepare=_prepare,
        kernel="batch_matmul",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread),
    )
)

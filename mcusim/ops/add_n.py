"""ADD_N: the sum of two or more tensors of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import NDArray

from mcusim.arithmetic.quant import Scaling, scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef, WorkKind, register
from mcusim.ops.shared.accumulators import (
    OutputStage,
    constant_of,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.arithmetic import below_one
from mcusim.ops.shared.elementwise import element_work
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.region import Region, Span

__all__ = ["ADD_N", "PreparedAddN"]

HEADROOM_BITS = 20
"""By so many bits stored integers are shifted left before they are summed."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedAddN:
    """What the kernel trusts.   constants: those among the inputs.   input_scaling, stage: None for floats."""

    constants: tuple[NDArray[Any] | None, ...]
    zero_point: int = 0
    input_scaling: Scaling | None = None
    stage: OutputStage | None = None


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shapes = {operand("ADD_N", inputs, index).shape for index in range(max(len(inputs), 1))}
    if len(shapes) > 1 or len(inputs) < 2:
        what = f"{len(inputs)} inputs of shapes {sorted(shapes)} are not two or more of one shape"
        raise refusal("ADD_N", what, "give it tensors of one shape")
    return (shapes.pop(),)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    is_cut = is_feature_map(signature.output) and not signature.input(index).is_constant
    return Region(rows, cols) if is_cut else None


def _prepare(call: Call) -> PreparedAddN:
    """Stored integers have one scale among the inputs.   Source: TFLM add_n.cc."""
    tensors = [call.input(index) for index in range(len(call.inputs))]
    output = call.outputs[0]
    dtypes = {tensor.dtype for tensor in (*tensors, output)}
    if dtypes not in ({DType.FLOAT32}, {DType.INT8}):
        raise unsupported(call, " and ".join(sorted(dtypes)))
    constants = tuple(constant_of(call, i) if tensor.is_constant else None for i, tensor in enumerate(tensors))
    if output.dtype is DType.FLOAT32:
        return PreparedAddN(constants)
    quantizations = {per_tensor(call, tensor) for tensor in tensors}
    if len(quantizations) > 1:
        raise ModelError("its inputs have different scales", where=call.where, fix="quantise the network again")
    scale, zero_point = per_tensor_to_divide_by(call, tensors[0])
    rounding = rounding_of(call)
    factor = below_one(call, 2 * scale / ((1 << HEADROOM_BITS) * per_tensor_to_divide_by(call, output)[0]))
    stage = output_stage(call, factor, rounding, Activation.NONE)
    return PreparedAddN(constants, zero_point, scaling(scale / (2 * scale), rounding), stage)


ADD_N = register(
    OpDef(
        name="ADD_N",
        summary="the sum of two or more tensors of one shape",
        options="AddNOptions",
        infer=_infer,
        needs=_needs,
        work=partial(element_work, WorkKind.ELEMENTWISE),
        prepare=_prepare,
        kernel="add_n",
    )
)

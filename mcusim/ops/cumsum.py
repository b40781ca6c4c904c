"""CUMSUM: along an axis, the sum of everything up to a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.arithmetic.quant import Scaling, scaling
from mcusim.graph import Activation, Attributes, DType, Shape, TensorType
from mcusim.ops.registry import Call, OpDef, attributes_of, register
from mcusim.ops.shared.accumulators import (
    OutputStage,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.arithmetic import below_one
from mcusim.ops.shared.operands import axis_of, constant_int, operand
from mcusim.ops.shared.reduction import reduce_work
from mcusim.ops.shared.tiles import no_needs

__all__ = ["CUMSUM", "CumsumAttributes", "PreparedCumsum"]

HEADROOM_BITS = 20
"""By so many bits stored integers are shifted left before they are summed."""


@dataclass(frozen=True, slots=True)
class CumsumAttributes(Attributes):
    """Attributes of CUMSUM, under TFLite's names.

    exclusive: the place itself does not count.   reverse: from the end of the axis.
    """

    exclusive: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCumsum:
    """What the kernel trusts.   input_scaling, stage: of stored integers; None for floats."""

    axis: int
    exclusive: bool
    reverse: bool
    zero_point: int = 0
    input_scaling: Scaling | None = None
    stage: OutputStage | None = None


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand("CUMSUM", inputs, 0).shape
    axis_of("CUMSUM", constant_int("CUMSUM", inputs, 1, "axis"), shape)
    return (shape,)


def _prepare(call: Call) -> PreparedCumsum:
    """Source: TFLM cumsum.cc."""
    source, output = call.input(0), call.outputs[0]
    attributes = attributes_of(call.signature, CumsumAttributes)
    axis = axis_of("CUMSUM", constant_int("CUMSUM", call.signature.inputs, 1, "axis"), source.shape)
    if source.dtype is not output.dtype or source.dtype not in (DType.FLOAT32, DType.INT8):
        raise unsupported(call, f"{source.dtype} to {output.dtype}")
    if source.dtype is DType.FLOAT32:
        return PreparedCumsum(axis, attributes.exclusive, attributes.reverse)
    (scale, zero_point), (out_scale, _) = per_tensor(call, source), per_tensor_to_divide_by(call, output)
    rounding = rounding_of(call)
    factor = below_one(call, 2 * scale / ((1 << HEADROOM_BITS) * out_scale))
    stage = output_stage(call, factor, rounding, Activation.NONE)
    return PreparedCumsum(
        axis, attributes.exclusive, attributes.reverse, zero_point, scaling(scale / (2 * scale), rounding), stage
    )


CUMSUM = register(
    OpDef(
        name="CUMSUM",
        summary="along an axis, the sum of everything up to a place",
        attributes=CumsumAttributes,
        options="CumsumOptions",
        infer=_infer,
        needs=no_needs,
        work=reduce_work,
        most_inputs=2,
        prepare=_prepare,
        kernel="cumsum",
    )
)

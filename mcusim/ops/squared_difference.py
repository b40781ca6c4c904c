"""SQUARED_DIFFERENCE: (a - b) squared, broadcasting."""

from __future__ import annotations

from dataclasses import replace

from mcusim.arithmetic.quant import scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import (
    greatest_scale,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.arithmetic import (
    Operation,
    PreparedPlain,
    PreparedSquares,
    below_one,
    operands,
    plain,
    same_dtypes,
)
from mcusim.ops.shared.elementwise import binary

__all__ = ["SQUARED_DIFFERENCE"]

HEADROOM_BITS = {DType.INT8: 7, DType.INT16: 0}
"""By so many bits the inputs are shifted left, so that the square still fits 32 bits."""


def _prepare(call: Call) -> PreparedSquares | PreparedPlain:
    """Source: TFLM squared_difference.cc."""
    dtype = same_dtypes(call)
    if dtype in (DType.FLOAT32, DType.INT32):
        return plain(call, Operation.SQUARED_DIFFERENCE, Activation.NONE, (DType.FLOAT32, DType.INT32))
    if dtype not in HEADROOM_BITS:
        raise unsupported(call, dtype)
    (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, call.input(0)), per_tensor(call, call.input(1))
    scale_out, zero_out = per_tensor_to_divide_by(call, call.outputs[0])
    if dtype is DType.INT16 and (zero_a, zero_b, zero_out) != (0, 0, 0):
        what = "int16 tensors have a zero point other than 0"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    left_shift, rounding = HEADROOM_BITS[dtype], rounding_of(call)
    twice_max = 2 * greatest_scale(call, (call.input(0), call.input(1)))
    reals = [below_one(call, scale / twice_max) for scale in (scale_a, scale_b)]
    stage = output_stage(call, twice_max * twice_max / ((1 << 2 * left_shift) * scale_out), rounding, Activation.NONE)
    scalings = (scaling(reals[0], rounding), scaling(reals[1], rounding))
    return PreparedSquares(operands(call), left_shift, (zero_a, zero_b), scalings, stage)


SQUARED_DIFFERENCE = register(
    replace(
        binary("SQUARED_DIFFERENCE", "(a - b) squared, broadcasting", options="SquaredDifferenceOptions"),
        prepare=_prepare,
        kernel="arithmetic",
    )
)

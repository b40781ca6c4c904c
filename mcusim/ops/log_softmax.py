"""LOG_SOFTMAX: logarithm of the softmax over the last axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcusim.arithmetic.fixed_point import exp_on_negative_values
from mcusim.arithmetic.quant import Integers, dtype_range, quantize_multiplier, requantize
from mcusim.errors import ModelError
from mcusim.graph import DType, Node
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.accumulators import check_dtypes, per_tensor
from mcusim.ops.shared.reduction import over_channels
from mcusim.ops.shared.spreads import Spread, snapped
from mcusim.ops.shared.versions import INT8, by_type
from mcusim.ops.softmax import SCALED_BITS, scaled_differences

__all__ = ["LOG_SOFTMAX", "PreparedFloatLogSoftmax", "PreparedLogSoftmax"]


MOST_SUMMED = 1 << 12
"""Of equal values, each exponential is 1."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFloatLogSoftmax:
    """LOG_SOFTMAX of floats: nothing to prepare."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedLogSoftmax:
    """What the kernel trusts.

    scaled, exponentials: of each difference 0..255 below the row's maximum, Q5.26 (negative) and Q0.31; 0 where it is
    negligible.   radius: the largest difference that is not.
    multiplier, shift: from Q5.26 back to differences.   lowest, highest: of the output type.
    """

    scaled: Integers
    exponentials: Integers
    radius: int
    multiplier: int
    shift: int
    lowest: int
    highest: int


def _prepare(call: Call) -> PreparedLogSoftmax | PreparedFloatLogSoftmax:
    """Source: TFLM log_softmax.cc; TFLite PreprocessLogSoftmaxScalingExp."""
    dtype, _ = check_dtypes(call, *((dtype, dtype) for dtype in (DType.FLOAT32, DType.INT8, DType.UINT8)))
    if dtype is DType.FLOAT32:
        return PreparedFloatLogSoftmax()
    terms = call.input(0).shape[-1] if call.input(0).shape else 1
    if terms >= MOST_SUMMED:
        what = f"it sums {terms:,} exponentials, which may overflow: TFLM's sums have 12 bits before the point"
        raise ModelError(
            what, where=call.where, fix=f"use fewer than {MOST_SUMMED:,} values, or leave the operator out"
        )
    lowest, highest = dtype_range(dtype)
    if per_tensor(call, call.outputs[0]) != (16.0 / 256, highest):
        what = f"the output's scale is not 1/16, or its zero point not {highest}"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    multiplier, shift, radius = scaled_differences(1.0, per_tensor(call, call.input(0))[0], call.where)
    back = quantize_multiplier((1 << (31 - shift)) / multiplier)
    differences = np.arange(256)
    kept = differences <= radius
    # Differences beyond the radius may still be scaled: the logarithm of the sum moves the limit.
    scaled = requantize(-differences, multiplier, shift)
    exponentials = np.where(kept, exp_on_negative_values(np.where(kept, scaled, 0), SCALED_BITS), 0)
    return PreparedLogSoftmax(scaled, exponentials, radius, *back, lowest, highest)


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    mean = -math.log(node.signature.output.channels)
    return Spread(snapped(mean), inputs[0].std, -255 / 16, 0.0, fixed=True)


LOG_SOFTMAX = register(
    replace(
        over_channels("LOG_SOFTMAX", "logarithm of the softmax over the last axis", options="LogSoftmaxOptions"),
        prepare=_prepare,
        kernel="softmax",
        version=by_type(INT8),
        drawing=Drawing(spread=_spread),
    )
)

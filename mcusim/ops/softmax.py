"""SOFTMAX: exp(beta * x) over the last axis, scaled to a sum of 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import exp_on_negative_values, interpolation_table
from mcusim.arithmetic.libm import exp_float32
from mcusim.arithmetic.quant import MOST_SHIFT, Integers, Multiplier, dtype_range, quantize_multiplier, requantize
from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Node
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.accumulators import per_tensor, unsupported
from mcusim.ops.shared.reduction import over_channels
from mcusim.ops.shared.sigmoids import input_radius
from mcusim.ops.shared.spreads import Spread, snapped
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = [
    "SOFTMAX",
    "PreparedFloatSoftmax",
    "PreparedSoftmax",
    "PreparedSoftmax16",
    "SoftmaxAttributes",
    "scaled_differences",
]

SCALED_BITS = 5
"""Integer bits of the scaled differences: exp(-16) is negligible."""


@dataclass(frozen=True, slots=True)
class SoftmaxAttributes(Attributes):
    """Attributes of SOFTMAX, under TFLite's names. A file without `beta` means 0; networks want 1."""

    beta: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFloatSoftmax:
    """SOFTMAX of floats."""

    beta: float


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSoftmax:
    """SOFTMAX of 8-bit inputs.

    exponentials: of each difference 0..255 below the row's maximum, Q0.31; 0 where it is negligible.
    bits: of the output type.   lowest, highest: of that type.
    """

    exponentials: Integers
    bits: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSoftmax16:
    """SOFTMAX of int16 inputs.

    multiplier, shift: bring differences to 10/65535.   exponentials, reciprocals: tables of exp(x) on [-10, 0] and of
    1 / (1 + x) on [0, 1].
    """

    multiplier: int
    shift: int
    exponentials: NDArray[np.int16]
    reciprocals: NDArray[np.int16]


def scaled_differences(beta: float, scale: float, where: str) -> tuple[int, int, int]:
    """Multiplier and left shift that bring differences of inputs to Q5.26, and the largest that is not negligible.

    Source: TFLite PreprocessSoftmaxScaling and CalculateInputRadius.
    """
    real = min(beta * scale * (1 << (31 - SCALED_BITS)), (1 << 31) - 1.0)
    if not real > 1:
        raise ModelError(f"beta {beta} times the scale {scale} is too small", where=where, fix="quantise it again")
    multiplier, shift = quantize_multiplier(real)
    return multiplier, shift, input_radius(SCALED_BITS, shift)


def _refuse(call: Call) -> ModelError:
    scale, zero_point = per_tensor(call, call.outputs[0])
    what = f"the output has scale {scale:g} and zero point {zero_point}, which SOFTMAX cannot give"
    return ModelError(what, where=call.where, fix="quantise the network again")


def _check_output(call: Call, scale: float, zero_point: int) -> None:
    """Outputs are probabilities in a fixed scale, whatever the file says.   Source: TFLM softmax_common.cc."""
    out_scale, out_zero_point = per_tensor(call, call.outputs[0])
    if out_zero_point != zero_point or abs(out_scale - scale) > 0.001 * scale:
        raise _refuse(call)


def _prepare(call: Call) -> PreparedSoftmax | PreparedSoftmax16 | PreparedFloatSoftmax:
    """Source: TFLM softmax_common.cc, CalculateSoftmaxParams."""
    source, output = call.input(0), call.outputs[0]
    beta = attributes_of(call.signature, SoftmaxAttributes).beta
    types = (source.dtype, output.dtype)
    if types == (DType.FLOAT32, DType.FLOAT32):
        return PreparedFloatSoftmax(beta)
    if types == (DType.INT16, DType.INT16):
        _check_output(call, 1 / 32768, 0)
        factor = _factor16(call, beta)
        reciprocals = interpolation_table(lambda x: np.float32(1) / (np.float32(1) + x), 0.0, 1.0)
        return PreparedSoftmax16(*factor, interpolation_table(exp_float32, -10.0, 0.0), reciprocals)
    if types not in ((DType.INT8, DType.INT8), (DType.INT8, DType.INT16), (DType.UINT8, DType.UINT8)):
        raise unsupported(call, f"{types[0]} to {types[1]}")
    lowest, highest = dtype_range(output.dtype)
    bits = output.dtype.bits
    _check_output(call, 2.0**-bits, lowest)
    return PreparedSoftmax(_exponentials(call, beta), bits, lowest, highest)


def _factor16(call: Call, beta: float) -> Multiplier:
    """What brings differences of int16 to the table of exponentials.   Source: TFLM softmax_common.cc."""
    real = per_tensor(call, call.input(0))[0] * beta / (10.0 / 65535.0)
    if not abs(real) < 2.0**MOST_SHIFT:  # NaN too
        raise ModelError(f"beta {beta:g} gives a factor of {real:g}", where=call.where, fix="quantise it again")
    return quantize_multiplier(real)


def _exponentials(call: Call, beta: float) -> NDArray[Any]:
    multiplier, shift, radius = scaled_differences(beta, per_tensor(call, call.input(0))[0], call.where)
    differences = np.arange(256)
    kept = differences <= radius
    scaled = requantize(-np.where(kept, differences, 0), multiplier, shift)
    return np.where(kept, exp_on_negative_values(scaled, SCALED_BITS), 0)


def _spread(node: Node, inputs: Sequence[Spread]) -> Spread:
    share = 1 / node.signature.output.channels
    return Spread(snapped(share), snapped(share), 0.0, 255 / 256, fixed=True)


SOFTMAX = register(
    replace(
        over_channels(
            "SOFTMAX",
            "exp(beta * x) over the last axis, scaled to a sum of 1",
            attributes=SoftmaxAttributes,
            options="SoftmaxOptions",
        ),
        prepare=_prepare,
        kernel="softmax",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=_spread),
    )
)

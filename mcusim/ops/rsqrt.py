"""RSQRT: one over the square root."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import inverse_square_root
from mcusim.arithmetic.quant import LEAST_SHIFT, Integers, Scaling, dtype_range, requantize, rescale, scaling
from mcusim.errors import ModelError
from mcusim.graph import DType
from mcusim.ops.registry import Call, WorkKind, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by, rounding_of
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary

__all__ = ["HEADROOM_BITS", "RSQRT", "PreparedRsqrt", "root_scaling"]

HEADROOM_BITS = 20
"""By so many bits the inverse root is kept larger between the two factors."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedRsqrt:
    """What the kernel trusts.   lowest: stored integer of 0, below which TFLM stops; of floats there is none.

    where: names the node.
    """

    results: PreparedUnary
    lowest: int | None
    where: str


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Of 0 it is the largest stored value.   Source: TFLM elementwise.cc, RsqrtEvalQuantized."""
    output = call.outputs[0]
    by, zero_point, out_zero_point = root_scaling(call)
    x = np.maximum(values - zero_point, 0)
    multiplier, shift = inverse_square_root(x)
    root = requantize(np.ones_like(x), multiplier, shift + HEADROOM_BITS)
    result = rescale(root, by) + out_zero_point
    return clamped_table(np.where(x == 0, dtype_range(output.dtype)[1], result), output.dtype)


def root_scaling(call: Call) -> tuple[Scaling, int, int]:
    """What a root with its headroom is multiplied by, and the zero points of input and output."""
    (scale, zero_point), (out_scale, out_zero_point) = (
        per_tensor_to_divide_by(call, t) for t in (call.input(0), call.outputs[0])
    )
    by = scaling(1.0 / (sqrt(scale) * out_scale), rounding_of(call))
    shifted = np.asarray(by.shift - HEADROOM_BITS, np.int32)
    if shifted.min() < LEAST_SHIFT:
        what = f"its output's scale {out_scale:g} is too large: the kernel shifts by {-shifted.min()} bits"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    return replace(by, shift=shifted), zero_point, out_zero_point


def _prepare(call: Call) -> PreparedRsqrt:
    plain_unary = prepare_unary(call, _results, (DType.INT8, DType.INT16), FloatFunction.RSQRT)
    lowest = None if plain_unary.table is None else per_tensor(call, call.input(0))[1]
    return PreparedRsqrt(plain_unary, lowest, call.where)


RSQRT = register(
    replace(unary("RSQRT", "one over the square root", kind=WorkKind.LOOKUP), prepare=_prepare, kernel="rsqrt")
)

"""ELU: x, or e to the power of x less 1 below 0."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.libm import exp_float32
from mcusim.arithmetic.quant import Integers, check_int32, round_half_away
from mcusim.graph import DType
from mcusim.ops.registry import Call, WorkKind, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary

__all__ = ["ELU"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """A table worked out in float32, by expf less 1.   Source: TFLM elu.cc, PopulateLookupTable."""
    single = np.float32
    scale, zero_point = per_tensor(call, call.input(0))
    out_scale, out_zero_point = per_tensor_to_divide_by(call, call.outputs[0])
    with np.errstate(over="ignore", invalid="ignore"):
        x = single(scale) * (values - zero_point).astype(single)
        y = np.where(x < 0, exp_float32(x) - single(1), x)
        scaled = round_half_away(y * (single(1) / single(out_scale))) + out_zero_point
    check_int32(scaled, y, out_scale, call.where)
    return clamped_table(scaled.astype(np.int64), call.outputs[0].dtype)


def _prepare(call: Call) -> PreparedUnary:
    return prepare_unary(call, _results, (DType.INT8,), FloatFunction.ELU)


ELU = register(
    replace(unary("ELU", "x, or exp(x) - 1 below 0", kind=WorkKind.LOOKUP), prepare=_prepare, kernel="unary")
)

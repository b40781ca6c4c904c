"""ABS: the magnitude of x."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, rescale, scaling
from mcusim.errors import ModelError
from mcusim.graph import DType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by, quotient_scale, rounding_of, unsupported
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary, stored_values

__all__ = ["ABS"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Equal scales need no factor. The bound of the output's type is all that clamps.   Source: TFLM elementwise.cc."""
    source, output = call.input(0), call.outputs[0]
    scale, zero_point = per_tensor(call, source)
    out_scale, out_zero_point = per_tensor_to_divide_by(call, output)
    if source.dtype is DType.INT16 and (zero_point or out_zero_point):
        what = "int16 tensors have a zero point other than 0"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    size = np.abs(values - zero_point)
    if scale != out_scale:
        size = rescale(size, scaling(quotient_scale(call, source), rounding_of(call)))
    return clamped_table(size + out_zero_point, output.dtype)


def _prepare(call: Call) -> PreparedUnary:
    source, output = call.input(0), call.outputs[0]
    if source.dtype is output.dtype is DType.INT16 and source.quantization is None:
        # As C: the magnitude of the lowest integer is itself.
        return PreparedUnary(np.abs(stored_values(DType.INT16)).astype(np.uint16).view(np.int16))
    if source.dtype is not output.dtype:
        raise unsupported(call, f"{source.dtype} to {output.dtype}")
    return prepare_unary(call, _results, (DType.INT8, DType.INT16), FloatFunction.ABS)


ABS = register(replace(unary("ABS", "the magnitude of x", options="AbsOptions"), prepare=_prepare, kernel="unary"))

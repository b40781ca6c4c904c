"""Shared by the operators that map each element by itself: every stored value's result, worked out once.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, activation_range, dtype_range, rescale, scaling
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, OpDef
from mcusim.ops.shared.accumulators import per_tensor, quotient_scale, rounding_of, unsupported
from mcusim.ops.shared.elementwise import unary

__all__ = [
    "FloatFunction",
    "PreparedUnary",
    "clamped_table",
    "float_function",
    "prepare_unary",
    "rescaled",
    "stored_values",
]

EIGHT_BITS = (DType.INT8, DType.UINT8)


class FloatFunction(StrEnum):
    """A function of float32 elements."""

    RELU = "relu"
    RELU6 = "relu6"
    LEAKY_RELU = "leaky_relu"
    HARD_SWISH = "hard_swish"
    LOGISTIC = "logistic"
    TANH = "tanh"
    ABS = "abs"
    NEG = "neg"
    SQRT = "sqrt"
    RSQRT = "rsqrt"
    SQUARE = "square"
    EXP = "exp"
    LOG = "log"
    SIN = "sin"
    COS = "cos"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    ELU = "elu"


@dataclass(frozen=True, slots=True, eq=False)
class PreparedUnary:
    """What the kernel trusts: a table, or a function of floats.

    table: results in the output's type, at the index that is the input's bit pattern read as unsigned.
    alpha: slope of LEAKY_RELU below 0.
    """

    table: NDArray[Any] | None
    function: FloatFunction | None = None
    alpha: float = 0.0


def stored_values(dtype: DType) -> Integers:
    """All values of an 8- or 16-bit type, at the index that is their bit pattern."""
    lowest, highest = dtype_range(dtype)
    values = np.arange(lowest, highest + 1, dtype=np.int64)
    return np.roll(values, lowest)


def clamped_table(
    values: Integers, dtype: DType, lowest: int | None = None, highest: int | None = None
) -> NDArray[Any]:
    """Results clamped to the output's type, or to less."""
    type_lowest, type_highest = dtype_range(dtype)
    low = type_lowest if lowest is None else lowest
    high = type_highest if highest is None else highest
    return np.clip(values, low, high).astype(dtype.value)


def rescaled(call: Call, values: Integers, activation: Activation) -> NDArray[Any]:
    """Stored values at the output's scale, clamped by the activation.

    Source: TFLite activations.cc, QuantizedReluX.
    """
    source, output = call.input(0), call.outputs[0]
    zero_point, out_zero_point = per_tensor(call, source)[1], per_tensor(call, output)[1]
    stored = rescale(values - zero_point, scaling(quotient_scale(call, source), rounding_of(call))) + out_zero_point
    limits = activation_range(activation, output.quantization, output.dtype, call.where)
    return clamped_table(stored, output.dtype, *limits)


def prepare_unary(
    call: Call,
    results: Callable[[Call, Integers], NDArray[Any]],
    dtypes: tuple[DType, ...],
    function: FloatFunction | None = None,
    alpha: float = 0.0,
) -> PreparedUnary:
    """Prepare an operator whose input and output have one element type.

    results: the table for all stored values of an integer type.   dtypes: the integer types that it knows.
    """
    source, output = call.input(0), call.outputs[0]
    if source.dtype is output.dtype is DType.FLOAT32 and function is not None:
        return PreparedUnary(None, function, alpha)
    if source.dtype is not output.dtype or source.dtype not in dtypes:
        raise unsupported(call, f"{source.dtype} to {output.dtype}")
    per_tensor(call, source), per_tensor(call, output)
    return PreparedUnary(results(call, stored_values(source.dtype)))


def float_function(name: str, summary: str, function: FloatFunction, options: str = "") -> OpDef:
    """An operator that TFLM knows of float32 only.   Source: TFLM elementwise.cc, neg.cc, exp.cc, floor.cc, ..."""

    def prepare(call: Call) -> PreparedUnary:
        if not call.input(0).dtype is call.outputs[0].dtype is DType.FLOAT32:
            raise unsupported(call, f"{call.input(0).dtype} to {call.outputs[0].dtype}")
        return PreparedUnary(None, function)

    return replace(unary(name, summary, options=options), prepare=prepare, kernel="unary")

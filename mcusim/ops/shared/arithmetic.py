"""Shared by the operators of two inputs: what each needs to know to compute, for integers and for floats.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Rounding, Scaling, quantize_multiplier, scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Numerics
from mcusim.ops.shared.accumulators import (
    OutputStage,
    constant_of,
    greatest_scale,
    output_stage,
    per_tensor,
    per_tensor_to_divide_by,
    rounding_of,
    unsupported,
)
from mcusim.ops.shared.delegation import is_delegated, ratio

__all__ = [
    "Operands",
    "Operation",
    "PreparedFloatSum",
    "PreparedPlain",
    "PreparedPrelu",
    "PreparedProduct",
    "PreparedQuotient",
    "PreparedSquares",
    "PreparedSum",
    "PreparedWeightedSum",
    "below_one",
    "float_limits",
    "operands",
    "plain",
    "prepare_sum",
    "same_dtypes",
]

QUANTISED = (DType.INT8, DType.INT16, DType.UINT8)
FLOAT32_MAX = float(np.finfo(np.float32).max)
_CLAMPS: dict[Activation, tuple[float, float]] = {
    Activation.RELU: (0.0, FLOAT32_MAX),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


def float_limits(activation: Activation) -> tuple[float, float]:
    """What a fused activation clamps floats to.   Source: TFLite kernel_util.h, CalculateActivationRange."""
    return _CLAMPS.get(activation, (-FLOAT32_MAX, FLOAT32_MAX))


class Operation(StrEnum):
    """What is done with two elements."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    PRELU = "prelu"
    SQUARED_DIFFERENCE = "squared difference"
    FLOOR_DIVIDE = "floor divide"
    FLOOR_MODULO = "floor modulo"
    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """The constants among the two inputs, and the rank of the output, to which both stretch."""

    constants: tuple[NDArray[Any] | None, NDArray[Any] | None]
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSum:
    """ADD and SUB of stored integers: both inputs brought to one scale, summed, brought to the output's.

    sign: of the second input.   left_shift: headroom against rounding.
    """

    operands: Operands
    sign: int
    left_shift: int
    zero_points: tuple[int, int]
    scalings: tuple[Scaling, Scaling]
    stage: OutputStage


@dataclass(frozen=True, slots=True, eq=False)
class PreparedWeightedSum:
    """ADD and SUB as XNNPACK computes them: inputs times integers, summed, shifted right once, halves upwards.

    weights: of both inputs; that of a subtrahend is negative.
    """

    operands: Operands
    zero_points: tuple[int, int]
    weights: tuple[int, int]
    shift: int
    zero_point: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFloatSum:
    """ADD as TinyEngine computes it: in float32."""

    operands: Operands
    scales: tuple[float, float, float]
    zero_points: tuple[int, int, int]
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedProduct:
    """MUL of stored integers."""

    operands: Operands
    zero_points: tuple[int, int]
    stage: OutputStage


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPrelu:
    """PRELU of stored integers.   identity: factor where x >= 0.   slope: factor of x * alpha elsewhere."""

    operands: Operands
    zero_points: tuple[int, int]
    identity: Scaling
    slope: Scaling
    zero_point: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSquares:
    """SQUARED_DIFFERENCE of stored integers: both inputs at one scale, their difference squared.   See PreparedSum."""

    operands: Operands
    left_shift: int
    zero_points: tuple[int, int]
    scalings: tuple[Scaling, Scaling]
    stage: OutputStage


@dataclass(frozen=True, slots=True, eq=False)
class PreparedQuotient:
    """DIV of stored integers.   where: names the node, for divisors that only the run knows."""

    operands: Operands
    zero_points: tuple[int, int]
    stage: OutputStage
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPlain:
    """Elements as they are: floats, 32-bit integers, and the comparisons of any type.   limits: of a fused clamp.

    divisor_of: names the node where a divisor of 0 stops TFLM; "" where it does not.
    """

    operands: Operands
    operation: Operation
    limits: tuple[float, float] | None
    divisor_of: str = ""


def operands(call: Call) -> Operands:
    """The two inputs of a node. Raises ModelError for constants whose elements are not known."""
    constants = tuple(constant_of(call, index) if call.input(index).is_constant else None for index in (0, 1))
    return Operands((constants[0], constants[1]), len(call.outputs[0].shape))


def same_dtypes(call: Call) -> DType:
    """The element type that both inputs and the output have. Raises ModelError where they differ.

    int4 and int2 count as int8, which holds them.
    """
    dtypes = {tensor.dtype.unpacked for tensor in (call.input(0), call.input(1), call.outputs[0])}
    if len(dtypes) != 1:
        what = f"{call.input(0).dtype} and {call.input(1).dtype} to {call.outputs[0].dtype}"
        raise unsupported(call, what)
    return dtypes.pop()


def plain(call: Call, operation: Operation, activation: Activation, dtypes: tuple[DType, ...]) -> PreparedPlain:
    """Prepare for elements of one of these types, which are taken as they are."""
    dtype = same_dtypes(call)
    if dtype not in dtypes:
        raise unsupported(call, dtype)
    # int32 of ADD ignores its activation.   Source: TFLM add.cc
    is_clamped = activation in _CLAMPS and not (dtype is DType.INT32 and operation is Operation.ADD)
    limits = float_limits(activation) if is_clamped else None
    return PreparedPlain(operands(call), operation, limits)


def below_one(call: Call, real: float) -> float:
    """A factor in (0, 1), as the kernels expect.   Source: TFLite QuantizeMultiplierSmallerThanOneExp."""
    if not 0 < real < 1 or quantize_multiplier(real).shift > 0:
        what = f"a scale is too far from the others: a factor is {real:g}"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    return real


WEIGHT_BITS = 20
"""Of the larger weight of a `PreparedWeightedSum`, behind its first."""


def _weighted_sum(call: Call, sign: int, activation: Activation) -> PreparedWeightedSum:
    """Source: XNNPACK microparams-init.c, xnn_init_qs8_add_minmax_scalar_params; qs8-vadd."""
    (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, call.input(0)), per_tensor(call, call.input(1))
    scale_out = per_tensor(call, call.outputs[0])[0]
    ratios = ratio(scale_a, scale_out), ratio(scale_b, scale_out)
    shift = WEIGHT_BITS - math.frexp(max(ratios))[1] + 1
    first, second = (round(math.ldexp(real, shift)) for real in ratios)
    stage = output_stage(call, 1.0, Rounding.NEAREST, activation)
    return PreparedWeightedSum(
        operands(call), (zero_a, zero_b), (first, sign * second), shift, stage.zero_point, stage.lowest, stage.highest
    )


def prepare_sum(call: Call, sign: int, activation: Activation) -> PreparedSum | PreparedWeightedSum | PreparedFloatSum:
    """ADD and SUB of stored integers.   sign: of the second input.

    Factors are formed in double; those of SUB in float32 before 2026.   Source: TFLM add_common.cc, sub_common.cc.
    """
    dtype = same_dtypes(call)
    if dtype not in QUANTISED:
        raise unsupported(call, dtype)
    if is_delegated(call):
        return _weighted_sum(call, sign, activation)
    (scale_a, zero_a), (scale_b, zero_b) = per_tensor(call, call.input(0)), per_tensor(call, call.input(1))
    scale_out, zero_out = per_tensor_to_divide_by(call, call.outputs[0])
    left_shift = 15 if dtype is DType.INT16 else 20
    twice_max = 2 * greatest_scale(call, (call.input(0), call.input(1)))
    factors = (scale_a / twice_max, scale_b / twice_max, twice_max / ((1 << left_shift) * scale_out))
    reals = [below_one(call, real) for real in factors]
    rounding = rounding_of(call)
    stage = output_stage(call, reals[2], rounding, activation)
    if call.numerics is Numerics.TINYENGINE_FLOAT and dtype is DType.INT8 and sign > 0:
        return PreparedFloatSum(
            operands(call), (scale_a, scale_b, scale_out), (zero_a, zero_b, zero_out), stage.lowest, stage.highest
        )
    scalings = (scaling(reals[0], rounding), scaling(reals[1], rounding))
    return PreparedSum(operands(call), sign, left_shift, (zero_a, zero_b), scalings, stage)

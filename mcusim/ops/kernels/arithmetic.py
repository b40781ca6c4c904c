"""Operators of two inputs that broadcast: sums, products, comparisons, PRELU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import count_leading_zeros, reciprocal
from mcusim.arithmetic.quant import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    narrow,
    rescale,
    round_half_away,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from mcusim.errors import InputError
from mcusim.ops.registry import Piece
from mcusim.ops.shared.arithmetic import (
    Operands,
    Operation,
    PreparedFloatSum,
    PreparedPlain,
    PreparedPrelu,
    PreparedProduct,
    PreparedQuotient,
    PreparedSquares,
    PreparedSum,
    PreparedWeightedSum,
)
from mcusim.region import Span

__all__ = ["Array", "broadcast_operands", "run", "stretched"]

Array = NDArray[Any]


def _part(array: Array, axis: int, span: Span) -> Array:
    """The part of an axis that a piece takes. Arrays that came cut have its size already; axes of 1 stretch."""
    size = array.shape[axis]
    if size in (1, span.length):
        return array
    return array[(slice(None),) * axis + (slice(span.start, span.stop),)]


def broadcast_operands(operands: Operands, inputs: Sequence[Array], piece: Piece) -> tuple[Array, Array]:
    """Both operands, cut to the piece and stretching to it."""
    arrays = []
    for constant, array in zip(operands.constants, inputs, strict=False):
        arrays.append(stretched(array if constant is None else constant, operands.rank, piece))
    return arrays[0], arrays[1]


def stretched(operand: Array, rank: int, piece: Piece) -> Array:
    """An operand that stretches to an output of this rank, cut to the piece."""
    if rank != 4:
        return operand
    operand = operand.reshape((1,) * (4 - operand.ndim) + operand.shape)
    return _part(_part(operand, 1, piece.rows), 2, piece.cols)


def _offsets(a: Array, b: Array, zero_points: tuple[int, int]) -> tuple[Integers, Integers]:
    return a.astype(np.int64) - zero_points[0], b.astype(np.int64) - zero_points[1]


def _sum(prepared: PreparedSum, a: Array, b: Array, out: Array) -> None:
    x, y = _offsets(a, b, prepared.zero_points)
    left = rescale(x << prepared.left_shift, prepared.scalings[0])
    right = rescale(y << prepared.left_shift, prepared.scalings[1])
    stage = prepared.stage
    narrow(rescale(left + prepared.sign * right, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, out)


def _weighted_sum(prepared: PreparedWeightedSum, a: Array, b: Array, out: Array) -> None:
    x, y = _offsets(a, b, prepared.zero_points)
    total = x * prepared.weights[0] + y * prepared.weights[1] + (1 << (prepared.shift - 1))
    narrow((total >> prepared.shift) + prepared.zero_point, prepared.lowest, prepared.highest, out)


def _squares(prepared: PreparedSquares, a: Array, b: Array, out: Array) -> None:
    x, y = _offsets(a, b, prepared.zero_points)
    left = rescale(x << prepared.left_shift, prepared.scalings[0])
    right = rescale(y << prepared.left_shift, prepared.scalings[1])
    stage, difference = prepared.stage, left - right
    squares = wrap_int32(difference * difference)
    narrow(rescale(squares, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, out)


def _quotient(prepared: PreparedQuotient, a: Array, b: Array, out: Array) -> None:
    """Both in 32-bit fixed point: a, shifted left until it fills its bits, times the reciprocal of b.

    A shift by more than 31 bits at the end takes 32 from it, and rounds every number that is not negative up by one:
    so do x86 and the wheel, whose shifts count modulo 32; a Cortex-M has 0 there for what is shifted.
    """
    x, y = np.broadcast_arrays(*_offsets(a, b, prepared.zero_points))
    _refuse_zero(y, prepared.where)
    x, y = np.where(y < 0, -x, x), np.abs(y)
    inverse, bits = reciprocal(y, 31)
    headroom = np.where(x == 0, 31, count_leading_zeros(np.where(x < 0, ~x, x)) - 1)
    quotient = saturating_rounding_doubling_high_mul(wrap_int32(x << headroom), inverse)
    stage = prepared.stage
    shift = stage.scaling.shift.astype(np.int64) - bits - headroom
    high = saturating_rounding_doubling_high_mul(quotient, stage.scaling.multiplier)
    beyond = (high >> (-shift & 31)) + (high >= 0)
    result = np.where(shift < -31, beyond, rounding_divide_by_pot(high, np.clip(-shift, 0, 31)))
    narrow(result + stage.zero_point, stage.lowest, stage.highest, out)


def _refuse_zero(divisors: Array, where: str) -> None:
    if divisors.size and not divisors.all():
        raise InputError(
            "it divides by 0", where=where, fix="TFLM stops there, or gives what means nothing: give other inputs"
        )


def _float_sum(prepared: PreparedFloatSum, a: Array, b: Array, out: Array) -> None:
    """Source: TinyEngine fp_requantize_op/add_fpreq.c."""
    single = np.float32
    scale_a, scale_b, scale_out = (single(scale) for scale in prepared.scales)
    zero_a, zero_b, zero_out = (single(zero) for zero in prepared.zero_points)
    total = (a.astype(single) - zero_a) * scale_a + (b.astype(single) - zero_b) * scale_b
    result = round_half_away(total / scale_out + zero_out).astype(np.int64)
    narrow(result, prepared.lowest, prepared.highest, out)


def _product(prepared: PreparedProduct, a: Array, b: Array, out: Array) -> None:
    x, y = _offsets(a, b, prepared.zero_points)
    stage = prepared.stage
    narrow(rescale(x * y, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, out)


def _prelu(prepared: PreparedPrelu, a: Array, b: Array, out: Array) -> None:
    x, alpha = _offsets(a, b, prepared.zero_points)
    result = np.where(x >= 0, rescale(x, prepared.identity), rescale(x * alpha, prepared.slope))
    narrow(result + prepared.zero_point, prepared.lowest, prepared.highest, out)


def _divide(a: Array, b: Array) -> Array:
    """C's division: towards zero for integers. Integers by 0, on which a microcontroller traps, give 0."""
    if a.dtype.kind == "f":
        with np.errstate(divide="ignore", invalid="ignore"):
            return a / b
    x, y = np.broadcast_arrays(a.astype(np.int64), b.astype(np.int64))
    quotient = np.abs(x) // np.where(y == 0, 1, np.abs(y))
    return np.where(y == 0, 0, np.where((x < 0) != (y < 0), -quotient, quotient))


def _floor_modulo(a: Array, b: Array) -> Array:
    """Has the sign of b.   Source: TFLite kernels/internal/reference/floor_mod.h."""
    rest = np.fmod(a, b)
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)


_PLAIN: Mapping[Operation, Callable[[Array, Array], Array]] = MappingProxyType(
    {
        Operation.ADD: lambda a, b: a + b,
        Operation.SUBTRACT: lambda a, b: a - b,
        Operation.MULTIPLY: lambda a, b: a * b,
        Operation.DIVIDE: _divide,
        # Not np.maximum, which spreads NaN: C compares.
        Operation.MAXIMUM: lambda a, b: np.where(a > b, a, b),
        Operation.MINIMUM: lambda a, b: np.where(a < b, a, b),
        Operation.PRELU: lambda a, b: np.where(a >= 0, a, a * b),
        Operation.SQUARED_DIFFERENCE: lambda a, b: (a - b) * (a - b),
        # In double, as C++ has it here.
        Operation.FLOOR_DIVIDE: lambda a, b: np.floor(a.astype(np.float64) / b.astype(np.float64)),
        Operation.FLOOR_MODULO: _floor_modulo,
        Operation.AND: lambda a, b: a & b,
        Operation.OR: lambda a, b: a | b,
    }
)


_WITHIN_FLOATS = frozenset({Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY, Operation.DIVIDE})
"""Operations that may have an activation: without one TFLM clamps to the range of float, so nothing is infinite."""
_LARGEST = np.finfo(np.float32).max


def _plain(prepared: PreparedPlain, a: Array, b: Array, out: Array) -> None:
    """32-bit integers wrap, as registers do."""
    if prepared.divisor_of:
        _refuse_zero(b, prepared.divisor_of)
    if a.dtype.kind == "f":
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            result = _PLAIN[prepared.operation](a, b)
            if prepared.limits is not None:
                low, high = (np.float32(limit) for limit in prepared.limits)
                result = np.minimum(np.maximum(result, low), high)
            elif prepared.operation in _WITHIN_FLOATS:
                result = np.minimum(np.maximum(result, -_LARGEST), _LARGEST)
    else:
        result = _PLAIN[prepared.operation](a.astype(np.int64), b.astype(np.int64))
        if out.dtype == np.int32:
            result = wrap_int32(result)
        if prepared.limits is not None:
            lowest, highest = (int(min(max(limit, INT32_MIN), INT32_MAX)) for limit in prepared.limits)
            result = np.clip(result, lowest, highest)
    out[...] = result.astype(out.dtype)


_COMPUTE: Mapping[type, Callable[[Any, Array, Array, Array], None]] = MappingProxyType(
    {
        PreparedSum: _sum,
        PreparedWeightedSum: _weighted_sum,
        PreparedFloatSum: _float_sum,
        PreparedSquares: _squares,
        PreparedProduct: _product,
        PreparedQuotient: _quotient,
        PreparedPrelu: _prelu,
        PreparedPlain: _plain,
    }
)

Prepared = (
    PreparedSum
    | PreparedWeightedSum
    | PreparedFloatSum
    | PreparedSquares
    | PreparedProduct
    | PreparedQuotient
    | PreparedPrelu
    | PreparedPlain
)


def run(prepared: Prepared, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], inputs[1]: broadcast to outputs[0], the piece. Everything is read before anything is written."""
    if outputs[0].size:
        _COMPUTE[type(prepared)](prepared, *broadcast_operands(prepared.operands, inputs, piece), outputs[0])

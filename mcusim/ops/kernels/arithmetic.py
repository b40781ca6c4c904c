"""Operators of two inputs that broadcast: sums, products, comparisons, PRELU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    narrow,
    rescale,
    round_half_away,
    wrap_int32,
)
from mcusim.ops.registry import Piece
from mcusim.ops.shared.arithmetic import (
    Operands,
    Operation,
    PreparedFloatSum,
    PreparedPlain,
    PreparedPrelu,
    PreparedProduct,
    PreparedSum,
)
from mcusim.region import Span

__all__ = ["run"]

Array = NDArray[Any]


def _part(array: Array, axis: int, span: Span) -> Array:
    """The part of an axis that a piece takes. Arrays that came cut have its size already; axes of 1 stretch."""
    size = array.shape[axis]
    if size in (1, span.length):
        return array
    return array[(slice(None),) * axis + (slice(span.start, span.stop),)]


def _arrays(operands: Operands, inputs: Sequence[Array], piece: Piece) -> tuple[Array, Array]:
    """Both operands, cut to the piece and stretching to it."""
    found = []
    for constant, array in zip(operands.constants, inputs, strict=False):
        operand = array if constant is None else constant
        if operands.rank == 4:
            operand = operand.reshape((1,) * (4 - operand.ndim) + operand.shape)
            operand = _part(_part(operand, 1, piece.rows), 2, piece.cols)
        found.append(operand)
    return found[0], found[1]


def _offsets(a: Array, b: Array, zero_points: tuple[int, int]) -> tuple[Integers, Integers]:
    return a.astype(np.int64) - zero_points[0], b.astype(np.int64) - zero_points[1]


def _sum(prepared: PreparedSum, a: Array, b: Array, out: Array) -> None:
    x, y = _offsets(a, b, prepared.zero_points)
    left = rescale(x << prepared.left_shift, prepared.scalings[0])
    right = rescale(y << prepared.left_shift, prepared.scalings[1])
    stage = prepared.stage
    narrow(rescale(left + prepared.sign * right, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, out)


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
    }
)


def _plain(prepared: PreparedPlain, a: Array, b: Array, out: Array) -> None:
    """32-bit integers wrap, as registers do."""
    if a.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            result = _PLAIN[prepared.operation](a, b)
            if prepared.limits is not None:
                low, high = (np.float32(limit) for limit in prepared.limits)
                result = np.minimum(np.maximum(result, low), high)
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
        PreparedFloatSum: _float_sum,
        PreparedProduct: _product,
        PreparedPrelu: _prelu,
        PreparedPlain: _plain,
    }
)

Prepared = PreparedSum | PreparedFloatSum | PreparedProduct | PreparedPrelu | PreparedPlain


def run(prepared: Prepared, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], inputs[1]: broadcast to outputs[0], the piece. Everything is read before anything is written."""
    if outputs[0].size:
        _COMPUTE[type(prepared)](prepared, *_arrays(prepared.operands, inputs, piece), outputs[0])

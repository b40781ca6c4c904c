"""int8 SOFTMAX: exponentials out of the node's table, sums, reciprocals and products at run time.

    e[k] = exp(scale (x[k] - max x))     a difference of int8 has 256 values: a table, filled when the node is prepared
    y[k] = e[k] / sum of e               one reciprocal a row, then a product an element

All of it is fixed point, as gemmlowp has it: table entries have 0 integer bits, sums SUM_BITS of them, and the
reciprocal comes from three steps of Newton and Raphson. Only the two loops over a row and the reciprocal run here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.arithmetic.quant import rounding_divide_by_pot
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    Shared,
    address_of,
    command,
    constant,
    flat,
    overlap,
)
from mcusim.ops.kernels.fast.memory import field, ld8, ld32, st8
from mcusim.ops.kernels.jit import inner, native
from mcusim.ops.registry import Piece
from mcusim.ops.softmax import PreparedSoftmax

__all__ = ["encode"]

(IN, OUT, ROWS, DEPTH, TABLE) = range(5)
SUM_BITS = 12
"""Integer bits of sums of exponentials."""
MOST_ELEMENTS = 1 << 12
"""Sums of fewer, of at most 2**19 each, stay below 2**31."""


@inner
def _high_mul(a: int, b: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul; `quant` has the same for arrays."""
    if a == -(1 << 31) and b == a:
        return (1 << 31) - 1
    return (a * b + (1 << 30)) >> 31


@inner
def _saturated(x: int) -> int:
    return min(max(x, -(1 << 31)), (1 << 31) - 1)


@inner
def _reciprocal(headroom: int, total: int) -> int:
    """1 / total shifted up by its headroom, Q0.31: Newton-Raphson steps.   Source: TFLite common.h, GetReciprocal."""
    raised = (total << headroom) - (1 << 31)
    doubled = raised + (1 << 31) - 1
    half = (doubled + 1) >> 1 if doubled >= 0 else doubled >> 1
    x = 1515870810 + _high_mul(half, -1010580540)
    for _ in range(3):
        x += _saturated(_high_mul(x, (1 << 29) - _high_mul(half, x)) << 2)
    return _saturated(x << 1)


@native
def softmax(command: int, workspace: int) -> None:
    depth, table = field(command, DEPTH), field(command, TABLE)
    for row in range(field(command, ROWS)):
        source, out = field(command, IN) + row * depth, field(command, OUT) + row * depth
        top = -128
        for k in range(depth):
            top = max(top, ld8(source + k))
        total = 0
        for k in range(depth):
            total += ld32(table + 1024 + 4 * (top - ld8(source + k)))
        headroom = 0
        while (total >> (31 - headroom)) & 1 == 0:
            headroom += 1
        scale = _reciprocal(headroom, total)
        shift = SUM_BITS - headroom + 31 - 8
        half = 1 << (shift - 1)
        for k in range(depth):
            product = _high_mul(scale, ld32(table + 4 * (top - ld8(source + k))))
            st8(out + k, min(((product + half) >> shift) - 128, 127))


def encode(
    prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """The products are not negative, and at least the largest element gives the sum a bit: its exponential is 1."""
    source, output = inputs[0], outputs[0]
    if not isinstance(prepared, PreparedSoftmax) or source.dtype != np.int8 or output.dtype != np.int8:
        raise Declined("it is not int8")
    depth = source.shape[-1]
    if depth >= MOST_ELEMENTS or (overlap(source, output) and flat(source) != flat(output)):
        raise Declined("its rows are too long, or overwrite one another")
    table = shared("table", lambda: constant(_table(prepared)))
    fields = {
        **{IN: flat(source), OUT: flat(output), ROWS: source.size // depth, DEPTH: depth},
        **{TABLE: address_of(table)},
    }
    return [command(softmax, fields, keeps=(source, output, table))]


def _table(prepared: PreparedSoftmax) -> Array:
    """Exponentials in Q0.31 by difference from the row's maximum, and the same in Q12.19."""
    exponentials = prepared.exponentials
    return np.stack([exponentials, rounding_divide_by_pot(exponentials, SUM_BITS)]).astype(np.int32)

"""int8 ADD and MUL, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcusim.arithmetic.quant import Scaling
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    Shared,
    address_of,
    command,
    constant,
    overlap,
    rows_of,
)
from mcusim.ops.kernels.fast.memory import field
from mcusim.ops.kernels.fast.packing import factors, pack_parameters, post_word, requant
from mcusim.ops.kernels.fast.vector import I32, NARROW, VI32, Emit, L, Value, const, procedure
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.accumulators import OutputStage
from mcusim.ops.shared.arithmetic import Operands, PreparedProduct, PreparedSum
from mcusim.region import Span

__all__ = ["encode"]

(OUT, OUT_PITCH, A, A_PITCH, B, B_PITCH, ROWS, LENGTH, COEFFICIENTS, PARAMETERS, POST) = range(11)

LEFT_SHIFT = 20
"""Of int8 sums."""


@procedure
def _add_run(e: Emit, a: Value, c: Value, out: Value, count: Value, coefficients: Value, p: Value, post: Value) -> None:
    """coefficients: for each input slope, fraction, offset, extra, sign, half and right; see `_affine`."""
    b = e.b
    inputs = [[e.splat(e.load(I32, coefficients, 28 * j + 4 * k), L) for k in range(7)] for j in range(2)]
    parameters, limits = e.parameters(p, full=True), e.post(post, wide=False)

    def scaled(address: Value, k: Sequence[Value]) -> Value:
        x = b.sext(e.load(NARROW, address), VI32)
        high = b.add(b.add(b.mul(x, k[0]), k[3]), b.ashr(b.add(b.mul(x, k[1]), k[2]), const(VI32, 16)))
        sign = b.and_(b.ashr(high, const(VI32, 31)), k[4])
        return b.ashr(b.add(b.add(high, k[5]), sign), k[6])

    def piece(at: Value) -> Value:
        total = b.add(scaled(e.add(a, at), inputs[0]), scaled(e.add(c, at), inputs[1]))
        return e.narrow(e.requantize(total, parameters), limits)

    e.each(out, count, piece)


@procedure
def _multiply_run(
    e: Emit, a: Value, c: Value, out: Value, count: Value, coefficients: Value, p: Value, post: Value
) -> None:
    """coefficients: the zero points of both inputs."""
    b = e.b
    zeros = [e.splat(e.load(I32, coefficients, 4 * k), L) for k in range(2)]
    parameters, limits = e.parameters(p, full=True), e.post(post, wide=False)

    def piece(at: Value) -> Value:
        x, y = (b.sub(b.sext(e.load(NARROW, e.add(s, at)), VI32), z) for s, z in zip((a, c), zeros, strict=True))
        return e.narrow(e.requantize(b.mul(x, y), parameters), limits)

    e.each(out, count, piece)


@native
def add(command: int, workspace: int) -> None:
    for y in range(field(command, ROWS)):
        _add_run(
            field(command, A) + y * field(command, A_PITCH),
            field(command, B) + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            field(command, LENGTH),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


@native
def multiply(command: int, workspace: int) -> None:
    for y in range(field(command, ROWS)):
        _multiply_run(
            field(command, A) + y * field(command, A_PITCH),
            field(command, B) + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            field(command, LENGTH),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


# ---------------------------------------------------------------------------------------------------------------------
# The encoder


def encode(
    prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """Sums with a plus sign, and products. Where an input lies under the output, they lie alike."""
    output = outputs[0]
    if not isinstance(prepared, PreparedSum | PreparedProduct) or output.dtype != np.int8:
        raise Declined("it is no sum or product of int8")
    node = shared("node", lambda: _sum(prepared) if isinstance(prepared, PreparedSum) else _product(prepared))
    a, b = (_operand(prepared.operands, k, inputs[k], output, piece, shared) for k in range(2))
    kernel = add if isinstance(prepared, PreparedSum) else multiply
    found = []
    for runs in rows_of(output, a, b):
        for k, array in ((1, a), (2, b)):
            if overlap(array, output) and (runs.bases[k], runs.pitches[k]) != (runs.bases[0], runs.pitches[0]):
                raise Declined("it overwrites what it has still to read")
        fields = {
            **dict(zip((OUT, A, B), runs.bases, strict=True)),
            **dict(zip((OUT_PITCH, A_PITCH, B_PITCH), runs.pitches, strict=True)),
            **{ROWS: runs.rows, LENGTH: runs.length, COEFFICIENTS: address_of(node.coefficients)},
            **{PARAMETERS: address_of(node.parameters), POST: node.post},
        }
        keeps = (output, a, b, node.coefficients, node.parameters)
        found.append(command(kernel, fields, keeps=keeps))
    return found


class _Node(NamedTuple):
    """The numbers of a node as its kernel reads them."""

    coefficients: Array
    parameters: Array
    post: int


def _operand(operands: Operands, index: int, array: Array, output: Array, piece: Piece, shared: Shared) -> Array:
    """An input as large as the output; its strides are 0 where it repeats, and its rows are never cut short by that.

    Constants are stretched once; what is computed must not repeat within a row.
    """
    constant_values = operands.constants[index]
    found = array if constant_values is None else constant_values
    if operands.rank == 4:
        found = found.reshape((1,) * (4 - found.ndim) + found.shape)
        found = _cut(_cut(found, 1, piece.rows), 2, piece.cols)
    if constant_values is not None:
        return shared(("operand", index, output.shape, piece), lambda: _stretched(found, output))
    return np.broadcast_to(found, output.shape)


def _cut(array: Array, axis: int, span: Span) -> Array:
    """The part that a piece takes of a constant; what is computed comes cut, and axes of 1 stretch."""
    if array.shape[axis] in (1, span.length):
        return array
    return array[(slice(None),) * axis + (slice(*span),)]


def _stretched(found: Array, output: Array) -> Array:
    """A constant with slack, stretched to one row of the output, or to all of it where its rows differ."""
    rank = output.ndim
    found = found.reshape((1,) * (rank - found.ndim) + found.shape)
    keep = next((axis for axis, size in enumerate(found.shape) if size != 1), rank)
    first = min(keep, max(rank - 2, 0))  # axes before it repeat at no cost
    shape = (1,) * first + output.shape[first:]
    whole = np.broadcast_to(found, shape)
    return np.broadcast_to(constant(whole).view(found.dtype).reshape(shape), output.shape)


def _sum(prepared: PreparedSum) -> _Node:
    if prepared.sign != 1 or prepared.left_shift != LEFT_SHIFT:
        raise Declined("it subtracts")
    rows = [_affine(zero, by) for zero, by in zip(prepared.zero_points, prepared.scalings, strict=True)]
    coefficients = np.array([row[:-1] for row in rows], np.int32)
    return _Node(constant(coefficients), *_parameters(prepared.stage, sum(row[-1] for row in rows)))


def _product(prepared: PreparedProduct) -> _Node:
    largest = max(abs(x - zero) for x in (-128, 127) for zero in prepared.zero_points) ** 2
    return _Node(constant(np.array(prepared.zero_points, np.int32)), *_parameters(prepared.stage, largest))


def _parameters(stage: OutputStage, largest: int) -> tuple[Array, int]:
    """Of sums in [-largest, largest], the same in every lane."""
    lanes = np.zeros(L, np.int64)
    found = requant(lanes, *factors(stage.scaling, L), lanes - largest, lanes + largest)
    if found.dead.any():
        raise Declined("its result is always the same")
    return constant(pack_parameters(found, np.arange(L).reshape(1, L))), post_word(stage)


def _affine(zero: int, by: Scaling) -> tuple[int, ...]:
    """An input brought to the common scale in 32-bit arithmetic; last, the largest magnitude that comes out.

    The first rounding is ((x - z) << 20) m + 2**30 >> 31 = (x - z) m + 2**10 >> 11. With m 2**5 = A 2**16 + F that is
    x A + ((x F + offset) >> 16) + extra: exact, as m 2**5 / 2**16 has no more fraction bits than 16. It is compared
    with the definition for all 256 x. Then it is shifted right, ties away from zero.
    """
    [m], [shift] = factors(by, 1)
    x = np.arange(-128, 128, dtype=np.int64)
    exact = ((x - zero) * m + (1 << 10)) >> 11
    slope, fraction = (int(m) << 5) >> 16, (int(m) << 5) & 0xFFFF
    offset, extra, right = (1 << 15) - zero * fraction, -zero * slope, -int(shift)
    found = x * slope + ((x * fraction + offset) >> 16) + extra
    largest = int(np.abs(exact).max())
    if (found != exact).any() or abs(offset) + 128 * fraction >= 1 << 31 or largest >= 1 << 30 or right < 0:
        raise Declined("its factors are out of range")
    half = (1 << right) >> 1
    if right > 30 or largest + half >= 1 << 31:
        raise Declined("its factors are out of range")
    return slope, fraction, offset, extra, -1 if right else 0, half, right, ((largest + half) >> right) + 1

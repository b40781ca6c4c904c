"""int8 ADD, SUB, MUL and PRELU, with broadcasting.

A sum of two int8 tensors with scales of their own takes three requantisations: each input is brought to a common scale,
and the sum from there to the output's scale.

    a --(a - za) << 20, times ma, rounded--+
                                           +--> sum --times m, rounded twice, + z, clamped--> out
    b --(b - zb) << 20, times mb, rounded--+

The first two need 52 bits as they are written. `_affine` finds 32-bit numbers that give the same result for each of the
256 values of an input, and checks all of them; where there are none, the step is declined.

Broadcasting is a matter of pitches. Of ADD(map of 7 x 7 x 64, vector of 64), 49 rows of 64 elements are added, and the
pitch of the vector is 0:

    OUT, A   |row 0 ....|row 1 ....|row 2 ....| ...  pitch 64
    B        |vector ...|                            pitch 0

Rows as short as these would leave the vector units waiting. So the vector is first repeated in the workspace until it
is about ROW_BYTES long, and many rows are added at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mcusim.arithmetic.quant import Scaling
from mcusim.ops.kernels.arithmetic import run
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    Kernel,
    Runs,
    Shared,
    address_of,
    command,
    constant,
    overlap,
    rows_of,
)
from mcusim.ops.kernels.fast.lookup import encode_table
from mcusim.ops.kernels.fast.memory import copy_exact, field
from mcusim.ops.kernels.fast.packing import factors, pack_parameters, post_word, requant
from mcusim.ops.kernels.fast.vector import (
    BLOCK,
    I16,
    I32,
    NARROW,
    PARAM_BYTES,
    VI8,
    VI16,
    VI32,
    Emit,
    L,
    Value,
    const,
    procedure,
)
from mcusim.ops.kernels.jit import inner, native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.accumulators import OutputStage
from mcusim.ops.shared.arithmetic import Operands, PreparedPrelu, PreparedProduct, PreparedSum
from mcusim.region import Span

__all__ = ["encode", "encode_function"]

# LENGTH, LAST: elements of a row, and of the last one.   REPEATED: the input, 1 or 2, that all rows share and that is
# shorter, with its bytes; or 0.
(OUT, OUT_PITCH, A, A_PITCH, B, B_PITCH, ROWS, LENGTH, LAST, REPEATED, REPEATED_BYTES) = range(11)
(COEFFICIENTS, PARAMETERS, POST) = range(11, 14)

ROW_BYTES = 1 << 11
"""Rows that are shorter are made so long, where one input is the same in all of them."""
LEFT_SHIFT = 20
"""Of int8 sums."""


def _sum_run(sign: int) -> Callable[..., None]:
    def run(e: Emit, a: Value, c: Value, out: Value, count: Value, coefficients: Value, p: Value, post: Value) -> None:
        """coefficients: for each input slope, fraction, offset, extra, sign, half and right; see `_affine`."""
        b = e.b
        inputs = [[e.splat(e.load(I32, coefficients, 28 * j + 4 * k), L) for k in range(7)] for j in range(2)]
        parameters, limits = e.parameters(p, full=True), e.post(post, wide=False)

        def scaled(address: Value, k: Sequence[Value]) -> Value:
            x = b.sext(e.load(NARROW, address), VI32)
            # k: slope, fraction, offset, extra, sign mask, half, right shift
            # x * m / 2**11, put together from an integer and a fraction: exact in 32 bits, see `_affine`.
            high = b.add(b.add(b.mul(x, k[0]), k[3]), b.ashr(b.add(b.mul(x, k[1]), k[2]), const(VI32, 16)))
            sign = b.and_(b.ashr(high, const(VI32, 31)), k[4])
            return b.ashr(b.add(b.add(high, k[5]), sign), k[6])

        def piece(at: Value) -> Value:
            left, right = scaled(e.add(a, at), inputs[0]), scaled(e.add(c, at), inputs[1])
            total = b.add(left, right) if sign > 0 else b.sub(left, right)
            return e.narrow(e.requantize(total, parameters), limits)

        e.each(out, count, piece)

    return procedure(run)


_add_run, _subtract_run = _sum_run(1), _sum_run(-1)


def _offset_words(e: Emit, address: Value, zero: Value) -> list[Value]:
    """A vector of int8, less its zero point."""
    return [e.b.sub(half, zero) for half in e.words(e.load(VI8, address))]


@procedure
def _multiply_run(
    e: Emit, a: Value, c: Value, out: Value, count: Value, coefficients: Value, p: Value, post: Value
) -> None:
    """coefficients: the zero points of both inputs."""
    zeros = [e.splat(e.b.trunc(e.load(I32, coefficients, 4 * k), I16), 2 * L) for k in range(2)]
    parameters, limits = e.parameters(p, full=True), e.post(post, wide=True)

    def piece(at: Value) -> Value:
        x, y = (_offset_words(e, e.add(s, at), z) for s, z in zip((a, c), zeros, strict=True))
        return e.pack([e.requantize(product, parameters) for product in e.products(x, y)], limits, natural=False)

    e.each(out, count, piece, BLOCK)


@procedure
def _prelu_run(
    e: Emit, a: Value, c: Value, out: Value, count: Value, coefficients: Value, p: Value, post: Value
) -> None:
    """coefficients: the zero points of both inputs.   p: parameters where x is positive, and where it is not."""
    b = e.b
    zeros = [e.splat(b.trunc(e.load(I32, coefficients, 4 * k), I16), 2 * L) for k in range(2)]
    positive, negative = (e.parameters(p, k * PARAM_BYTES, full=True) for k in range(2))
    limits, ones = e.post(post, wide=True), [const(VI16, 1)] * 2

    def piece(at: Value) -> Value:
        x, y = (_offset_words(e, e.add(s, at), z) for s, z in zip((a, c), zeros, strict=True))
        results = []
        for source, product in zip(e.products(x, ones), e.products(x, y), strict=True):
            kept, bent = e.requantize(source, positive), e.requantize(product, negative)
            results.append(b.select(b.icmp_signed("<", source, const(VI32, 0)), bent, kept))
        return e.pack(results, limits, natural=False)

    e.each(out, count, piece, BLOCK)


@inner
def _start(command: int, workspace: int, which: int) -> int:
    """Where an input begins. One that rows share is written to the workspace, until it is as long as a row."""
    if field(command, REPEATED) != which:
        return field(command, A if which == 1 else B)
    source, size, length = (
        field(command, A if which == 1 else B),
        field(command, REPEATED_BYTES),
        field(command, LENGTH),
    )
    for at in range(0, length, size):
        copy_exact(workspace + at, source, size)
    return workspace


@inner
def _length(command: int, y: int) -> int:
    return field(command, LENGTH) if y + 1 < field(command, ROWS) else field(command, LAST)


@native
def add(command: int, workspace: int) -> None:
    a, b = _start(command, workspace, 1), _start(command, workspace, 2)
    for y in range(field(command, ROWS)):
        _add_run(
            a + y * field(command, A_PITCH),
            b + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            _length(command, y),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


@native
def subtract(command: int, workspace: int) -> None:
    a, b = _start(command, workspace, 1), _start(command, workspace, 2)
    for y in range(field(command, ROWS)):
        _subtract_run(
            a + y * field(command, A_PITCH),
            b + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            _length(command, y),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


@native
def multiply(command: int, workspace: int) -> None:
    a, b = _start(command, workspace, 1), _start(command, workspace, 2)
    for y in range(field(command, ROWS)):
        _multiply_run(
            a + y * field(command, A_PITCH),
            b + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            _length(command, y),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


@native
def prelu(command: int, workspace: int) -> None:
    a, b = _start(command, workspace, 1), _start(command, workspace, 2)
    for y in range(field(command, ROWS)):
        _prelu_run(
            a + y * field(command, A_PITCH),
            b + y * field(command, B_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            _length(command, y),
            field(command, COEFFICIENTS),
            field(command, PARAMETERS),
            field(command, POST),
        )


# ---------------------------------------------------------------------------------------------------------------------
# The encoder


def encode(
    prepared: object, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """Sums, products and PRELU. Where an input lies under the output, they lie alike."""
    output = outputs[0]
    if not isinstance(prepared, PreparedSum | PreparedProduct | PreparedPrelu) or output.dtype != np.int8:
        raise Declined("it is no sum or product of int8")
    source = _only_operand(prepared.operands, inputs)
    if source is not None and source.shape == output.shape:  # x + 3, x * 0.5: a table of 256 results
        return encode_table(shared("table", lambda: _table(prepared, None)), source, output)
    node = shared("node", lambda: _node(prepared))
    a, b = (_operand(prepared.operands, k, inputs[k], output, piece, shared) for k in range(2))
    commands = []
    for runs in rows_of(output, a, b):
        # An input under the output is read and written element by element, and that is safe only where both lie alike.
        for k, array in ((1, a), (2, b)):
            if overlap(array, output) and (runs.bases[k], runs.pitches[k]) != (runs.bases[0], runs.pitches[0]):
                raise Declined("it overwrites what it has still to read")
        fields, workspace_bytes = _rows(runs)
        fields |= {COEFFICIENTS: address_of(node.coefficients), PARAMETERS: address_of(node.parameters)}
        keeps = (output, a, b, node.coefficients, node.parameters)
        commands.append(command(node.kernel, {**fields, POST: node.post}, workspace_bytes=workspace_bytes, keeps=keeps))
    return commands


def encode_function(
    prepared: object, table: Array, position: int, source: Array, output: Array, shared: Shared
) -> list[Command]:
    """Both inputs come from one: x, and at `position` its image by a table of 256 bytes. So it is a table itself."""
    if not isinstance(prepared, PreparedSum | PreparedProduct) or source.dtype != np.int8 or output.dtype != np.int8:
        raise Declined("it is no sum or product of int8")
    if source.shape != output.shape:
        raise Declined("it stretches")
    both = shared("function", lambda: _table(prepared, (table, position)))
    return encode_table(both, source, output)


def _only_operand(operands: Operands, inputs: Sequence[Array]) -> Array | None:
    """The input that is not a constant of one element, where the other is."""
    for array, other in zip(inputs, operands.constants[::-1], strict=True):
        if other is not None and other.size == 1 and array.dtype == np.int8:
            return array
    return None


def _table(prepared: PreparedSum | PreparedProduct | PreparedPrelu, image: tuple[Array, int] | None) -> Array:
    """The results of all 256 inputs, by their bits.   image: of the input, and where it stands."""
    every = np.arange(256, dtype=np.uint8).view(np.int8)
    results = np.zeros(256, np.int8)
    operands = [every, every]
    if image is not None:
        operands[image[1]] = image[0].view(np.int8)
    first, second = (None if value is None else value.reshape(1) for value in prepared.operands.constants)
    run(
        replace(prepared, operands=Operands((first, second), 1)),
        operands,
        [results],
        Piece(Span(0, 1), Span(0, 256), ((0, 0), (0, 0))),
    )
    return constant(results)


def _rows(runs: Runs) -> tuple[dict[int, int], int]:
    """The fields of rows, and bytes of workspace. Short rows that share an input are taken many at a time."""
    rows, length, last, repeated = runs.rows, runs.length, runs.length, 0
    pitches = list(runs.pitches)
    shared_by_all = [k for k in (1, 2) if pitches[k] == 0]
    # Three rows of 64 elements with one shared input are one row of 192, if nothing lies between the other rows.
    if rows > 1 and length < ROW_BYTES and len(shared_by_all) == 1 and sorted(pitches) == [0, length, length]:
        [repeated] = shared_by_all
        # As many rows as make ROW_BYTES; the last run has what is left over.
        times = min(rows, -(-ROW_BYTES // length))
        length, last = times * length, ((rows - 1) % times + 1) * length
        rows = -(-rows // times)
        pitches = [0 if k == repeated else length for k in range(3)]
    fields = {
        **dict(zip((OUT, A, B), runs.bases, strict=True)),
        **dict(zip((OUT_PITCH, A_PITCH, B_PITCH), pitches, strict=True)),
        **{ROWS: rows, LENGTH: length, LAST: last, REPEATED: repeated, REPEATED_BYTES: runs.length},
    }
    return fields, length + BLOCK if repeated else 0


class _Node(NamedTuple):
    """The numbers of a node as its kernel reads them."""

    kernel: Kernel
    coefficients: Array
    parameters: Array
    post: int


def _operand(operands: Operands, index: int, array: Array, output: Array, piece: Piece, shared: Shared) -> Array:
    """An input as large as the output; its strides are 0 where it repeats, and its rows are never cut short by that.

    Constants are stretched once; what is computed must not repeat within a row.
    """
    constant_values = operands.constants[index]
    elements = array if constant_values is None else constant_values
    if operands.rank == 4:
        elements = elements.reshape((1,) * (4 - elements.ndim) + elements.shape)
        elements = _cut(_cut(elements, 1, piece.rows), 2, piece.cols)
    if constant_values is not None:
        return shared(("operand", index, output.shape, piece), lambda: _stretched(elements, output))
    return np.broadcast_to(elements, output.shape)


def _cut(array: Array, axis: int, span: Span) -> Array:
    """The part that a piece takes of a constant; what is computed comes cut, and axes of 1 stretch."""
    if array.shape[axis] in (1, span.length):
        return array
    return array[(slice(None),) * axis + (slice(*span),)]


def _stretched(elements: Array, output: Array) -> Array:
    """A constant with slack, stretched to one row of the output, or to all of it where its rows differ."""
    rank = output.ndim
    elements = elements.reshape((1,) * (rank - elements.ndim) + elements.shape)
    keep = next((axis for axis, size in enumerate(elements.shape) if size != 1), rank)
    first = min(keep, max(rank - 2, 0))  # axes before it repeat at no cost
    shape = (1,) * first + output.shape[first:]
    whole = np.broadcast_to(elements, shape)
    return np.broadcast_to(constant(whole).view(elements.dtype).reshape(shape), output.shape)


def _node(prepared: PreparedSum | PreparedProduct | PreparedPrelu) -> _Node:
    if isinstance(prepared, PreparedSum):
        return _sum(prepared)
    return _product(prepared) if isinstance(prepared, PreparedProduct) else _prelu(prepared)


def _sum(prepared: PreparedSum) -> _Node:
    if prepared.left_shift != LEFT_SHIFT:
        raise Declined("its headroom is another one")
    rows = [_affine(zero, by) for zero, by in zip(prepared.zero_points, prepared.scalings, strict=True)]
    coefficients = np.array([row[:-1] for row in rows], np.int32)
    kernel = add if prepared.sign > 0 else subtract
    return _Node(kernel, constant(coefficients), *_parameters(prepared.stage, sum(row[-1] for row in rows)))


def _product(prepared: PreparedProduct) -> _Node:
    # Products of int8 values less their zero points: at most 255 * 255, so no operand needs more than int32.
    largest, other = (_largest(prepared.operands, k, prepared.zero_points[k]) for k in range(2))
    zeros, stage = constant(np.array(prepared.zero_points, np.int32)), prepared.stage
    return _Node(multiply, zeros, *_parameters(stage, largest * other))


def _prelu(prepared: PreparedPrelu) -> _Node:
    """TFLM scales what is positive by itself, and what is not times its slope."""
    largest, slope = (_largest(prepared.operands, k, prepared.zero_points[k]) for k in range(2))
    sums = largest, largest * slope
    stages = [
        OutputStage(scaling, prepared.zero_point, prepared.lowest, prepared.highest)
        for scaling in (prepared.identity, prepared.slope)
    ]
    zeros, post = constant(np.array(prepared.zero_points, np.int32)), post_word(stages[0])
    records = [_parameters(stage, most)[0] for stage, most in zip(stages, sums, strict=True)]
    return _Node(prelu, zeros, constant(np.concatenate(records)), post)


def _largest(operands: Operands, index: int, zero: int) -> int:
    """The largest magnitude of an operand, less its zero point."""
    values = operands.constants[index]
    ends = (-128, 127) if values is None or values.size == 0 else (int(values.min()), int(values.max()))
    return max(abs(end - zero) for end in ends)


def _parameters(stage: OutputStage, largest: int) -> tuple[Array, int]:
    """Of sums in [-largest, largest], the same in every lane."""
    lanes = np.zeros(L, np.int64)
    packed = requant(lanes, *factors(stage.scaling, L), lanes - largest, lanes + largest)
    if packed.dead.any():
        raise Declined("its result is always the same")
    return constant(pack_parameters(packed, np.arange(L).reshape(1, L))), post_word(stage)


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
    computed = x * slope + ((x * fraction + offset) >> 16) + extra
    largest = int(np.abs(exact).max())
    if (computed != exact).any() or abs(offset) + 128 * fraction >= 1 << 31 or largest >= 1 << 30 or right < 0:
        raise Declined("its factors are out of range")
    half = (1 << right) >> 1
    if right > 30 or largest + half >= 1 << 31:
        raise Declined("its factors are out of range")
    return slope, fraction, offset, extra, -1 if right else 0, half, right, ((largest + half) >> right) + 1

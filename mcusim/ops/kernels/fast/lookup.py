"""Operators that map each 8-bit element by itself: a table of all 256 results, filled by the plain kernel.

LOGISTIC, TANH, HARD_SWISH, QUANTIZE from int8, LEAKY_RELU: whatever the formula, an 8-bit input has 256 results. So the
plain kernel runs once on all of them, and the compiled one only looks up:

    x      -128  -127  ...  -1    0    1  ...  127          table, by the bits of x as an unsigned byte:
    f(x)   -128  -128  ...  -1    0    1  ...  127          f(0) ... f(127) f(-128) ... f(-1)

A vector unit has no load of a whole vector of table entries that is worth having. It has shuffles that look up in 16
bytes (x86 with AVX2) or in 128 (VBMI); `_by_sixteens` and `_by_pairs` build a lookup in 256 out of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

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
from mcusim.ops.kernels.fast.memory import field, ld8, ld16, ld32, st8, st16, st32
from mcusim.ops.kernels.fast.vector import HOST, I8, VBYTES, VI8, Emit, L, Value, const, procedure
from mcusim.ops.kernels.jit import inner, native
from mcusim.ops.registry import Piece
from mcusim.region import Span

__all__ = ["encode_lookup", "encode_table"]

(OUT, OUT_PITCH, IN, IN_PITCH, ROWS, LENGTH, TABLE) = range(7)


@procedure
def _lookup_run(e: Emit, source: Value, out: Value, count: Value, table: Value) -> None:
    """out[k] = table[source[k] as an unsigned byte].   table: 256 bytes."""
    look = _by_pairs(e, table) if HOST.permutes else _by_sixteens(e, table)
    e.each(out, count, lambda at: look(e.load(VI8, e.add(source, at))), VBYTES)


def _by_pairs(e: Emit, table: Value) -> Callable[[Value], Value]:
    """One permutation looks up 7 bits in two vectors; the sign chooses between two of them."""
    rows = [e.load(VI8, table, VBYTES * k) for k in range(4)]

    def look(x: Value) -> Value:
        low, high = (e.call("llvm.x86.avx512.vpermi2var.qi.512", VI8, rows[k], x, rows[k + 1]) for k in (0, 2))
        return e.b.select(e.b.icmp_signed("<", x, const(VI8, 0)), high, low)

    return look


def _by_sixteens(e: Emit, table: Value) -> Callable[[Value], Value]:
    """Sixteen shuffles of 16 bytes each. A shuffle gives 0 where the index is negative, so what it gives is summed.

    The index falls by 16 from one shuffle to the next. Of x in [0, 128), row i adds to the sum as long as i <= x >> 4,
    so that rows hold the difference (xor) from the row before. Of x = 128 + k rows 1 to 7 add where i > k >> 4, and
    leave row 7 xor row k >> 4; row 8 puts that right, and those behind it add as before, and put right what the first
    eight leave. From row 9 on the index saturates, so that what is negative stays so.
    """
    lanes = ir.VectorType(I8, 16)
    raw = [e.load(lanes, table, 16 * k) for k in range(16)]
    steps = [raw[0], *(e.b.xor(raw[k], raw[k - 1]) for k in range(1, 16))]
    steps[8] = e.b.xor(steps[8], raw[0])
    for k in range(9, 16):
        steps[k] = e.b.xor(steps[k], e.b.xor(raw[k - 8], raw[k - 9]))
    rows = [e.shuffle(row, row, [*range(16)] * (VBYTES // 16)) for row in steps]
    name = "llvm.x86.avx512.pshuf.b.512" if L == 16 else "llvm.x86.avx2.pshuf.b"

    def look(x: Value) -> Value:
        looked_up = e.call(name, VI8, rows[0], x)
        for k in range(1, 16):
            sixteen = const(VI8, 16)
            x = e.b.sub(x, sixteen) if k < 9 else e.call(f"llvm.ssub.sat.v{VBYTES}i8", VI8, x, sixteen)
            looked_up = e.b.xor(looked_up, e.call(name, VI8, rows[k], x))
        return looked_up

    return look


@inner
def _lookup_each(source: int, out: int, count: int, table: int) -> None:
    for k in range(count):
        st8(out + k, ld8(table + (ld8(source + k) & 255)))


_lookup_bytes = _lookup_run if HOST.x86 else _lookup_each


@native
def lookup_8(command: int, workspace: int) -> None:
    for y in range(field(command, ROWS)):
        _lookup_bytes(
            field(command, IN) + y * field(command, IN_PITCH),
            field(command, OUT) + y * field(command, OUT_PITCH),
            field(command, LENGTH),
            field(command, TABLE),
        )


@native
def lookup_16(command: int, workspace: int) -> None:
    table, length = field(command, TABLE), field(command, LENGTH)
    for y in range(field(command, ROWS)):
        source = field(command, IN) + y * field(command, IN_PITCH)
        out = field(command, OUT) + y * field(command, OUT_PITCH)
        for k in range(length):
            st16(out + 2 * k, ld16(table + 2 * (ld8(source + k) & 255)))


@native
def lookup_32(command: int, workspace: int) -> None:
    table, length = field(command, TABLE), field(command, LENGTH)
    for y in range(field(command, ROWS)):
        source = field(command, IN) + y * field(command, IN_PITCH)
        out = field(command, OUT) + y * field(command, OUT_PITCH)
        for k in range(length):
            st32(out + 4 * k, ld32(table + 4 * (ld8(source + k) & 255)))


_KERNELS = {1: lookup_8, 2: lookup_16, 4: lookup_32}


def encode_lookup(
    run: Callable[..., None], prepared: object, source: Array, output: Array, shared: Shared
) -> list[Command]:
    """`run`, the plain kernel, of arrays of one shape; or Declined. It may work in place."""
    if source.itemsize != 1 or source.shape != output.shape or output.itemsize not in _KERNELS:
        raise Declined("it maps no single bytes")
    table = shared(("lookup", source.dtype.str, output.dtype.str), lambda: _table(run, prepared, source, output))
    return encode_table(table, source, output)


def encode_table(table: Array, source: Array, output: Array) -> list[Command]:
    """table: bytes of 256 results, by the bits of the input.   source, output: of one shape; bytes and results."""
    commands = []
    for runs in rows_of(output, source):
        same = (runs.bases[0], runs.pitches[0]) == (runs.bases[1], runs.pitches[1]) and output.itemsize == 1
        if overlap(source, output) and not same:
            raise Declined("it overwrites what it has still to read")
        fields = {
            **dict(zip((OUT, IN), runs.bases, strict=True)),
            **dict(zip((OUT_PITCH, IN_PITCH), runs.pitches, strict=True)),
            **{ROWS: runs.rows, LENGTH: runs.length, TABLE: address_of(table)},
        }
        commands.append(command(_KERNELS[output.itemsize], fields, keeps=(source, output, table)))
    return commands


def _table(run: Callable[..., None], prepared: object, source: Array, output: Array) -> Array:
    every = np.arange(256, dtype=np.uint8).view(source.dtype)
    results = np.zeros(256, output.dtype)
    run(prepared, [every], [results], Piece(Span(0, 1), Span(0, 256), ((0, 0),)))
    return constant(results)

"""Operators that map each 8-bit element by itself: a table of all 256 results, filled by the plain kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.region import Span

__all__ = ["encode_lookup"]

(OUT, OUT_PITCH, IN, IN_PITCH, ROWS, LENGTH, TABLE) = range(7)


@native
def lookup_8(command: int, workspace: int) -> None:
    table, length = field(command, TABLE), field(command, LENGTH)
    for y in range(field(command, ROWS)):
        source = field(command, IN) + y * field(command, IN_PITCH)
        out = field(command, OUT) + y * field(command, OUT_PITCH)
        for k in range(length):
            st8(out + k, ld8(table + (ld8(source + k) & 255)))


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
    found = []
    for runs in rows_of(output, source):
        same = (runs.bases[0], runs.pitches[0]) == (runs.bases[1], runs.pitches[1]) and output.itemsize == 1
        if overlap(source, output) and not same:
            raise Declined("it overwrites what it has still to read")
        fields = {
            **dict(zip((OUT, IN), runs.bases, strict=True)),
            **dict(zip((OUT_PITCH, IN_PITCH), runs.pitches, strict=True)),
            **{ROWS: runs.rows, LENGTH: runs.length, TABLE: address_of(table)},
        }
        found.append(command(_KERNELS[output.itemsize], fields, keeps=(source, output, table)))
    return found


def _table(run: Callable[..., None], prepared: object, source: Array, output: Array) -> Array:
    every = np.arange(256, dtype=np.uint8).view(source.dtype)
    results = np.zeros(256, output.dtype)
    run(prepared, [every], [results], Piece(Span(0, 1), Span(0, 256), ((0, 0),)))
    return constant(results)

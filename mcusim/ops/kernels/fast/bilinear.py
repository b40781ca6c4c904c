"""int8 RESIZE_BILINEAR: two input rows are mixed, whole; then columns of the result, pixel by pixel.

    input row 3   p p p p      output row between them, a quarter of the way down:
    input row 4   q q q q      mixed = (3 p + q) / 4, in the workspace, as int32 and not divided yet

Then each output pixel mixes two pixels of `mixed` in the same way, and rounds once at the end. Shares are whole numbers
of a power of two, so that the result is exact: 3/4 and 1/4 are 768 and 256 of 1,024 (of 2,048 in XNNPACK).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.kernels.bilinear import held_reads
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    Shared,
    address_of,
    command,
    constant,
    feature_map,
    overlap,
)
from mcusim.ops.kernels.fast.memory import field, ld64
from mcusim.ops.kernels.fast.vector import I32, NARROW, VBYTES, VI32, Emit, L, Value, const, procedure
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.ops.resize_bilinear import Mix

__all__ = ["encode"]

# ROW_MIX, COL_MIX: for each output row and column three int64s: the offsets of what it mixes, and the share of the
# second in units of 1 / one.   ROW_ELEMENTS: of an input row that is held.   SIGN: -1 where halves go away from zero.
# UNIT_BITS: one is 1 << UNIT_BITS; a mixture is in units of its square.
(IN, OUT, OUT_PITCH, ROWS, COLS, CHANNELS, ROW_ELEMENTS, ROW_MIX, COL_MIX, SIGN, UNIT_BITS) = range(11)


@procedure
def _mix_rows(e: Emit, upper: Value, lower: Value, to: Value, count: Value, share: Value, bits: Value) -> None:
    """to (int32) = upper (one - share) + lower share. A vector over, read and written.   one: 1 << bits."""
    b = e.b
    second = e.splat(b.trunc(share, I32), L)
    first = b.sub(e.splat(b.trunc(b.shl(e.i(1), bits), I32), L), second)
    with e.loop(b.lshr(e.add(count, L - 1), e.i(L.bit_length() - 1))) as k:
        at = e.mul(k.index, L)
        above, below = (b.sext(e.load(NARROW, e.add(row, at)), VI32) for row in (upper, lower))
        e.store(b.add(b.mul(above, first), b.mul(below, second)), e.add(to, e.mul(k.index, VBYTES)))


@procedure
def _mix_columns(
    e: Emit, left: Value, right: Value, out: Value, count: Value, share: Value, away: Value, bits: Value
) -> None:
    """out (int8) = left (one - share) + right share, rounded.   away: -1 or 0: whether halves go away from zero."""
    b = e.b
    second, one = (e.splat(b.trunc(x, I32), L) for x in (share, b.shl(e.i(1), bits)))
    first, mask = b.sub(one, second), e.splat(b.trunc(away, I32), L)
    twice = e.splat(b.trunc(b.shl(bits, e.i(1)), I32), L)
    half = b.lshr(b.mul(one, one), const(VI32, 1))

    def piece(at: Value) -> Value:
        place = e.mul(at, 4)
        one, other = (e.load(VI32, e.add(pixel, place)) for pixel in (left, right))
        mixed = b.add(b.mul(one, first), b.mul(other, second))
        sign = b.and_(b.ashr(mixed, const(VI32, 31)), mask)
        magnitude = b.sub(b.xor(mixed, sign), sign)
        rounded = b.ashr(b.add(magnitude, half), twice)
        return b.trunc(b.sub(b.xor(rounded, sign), sign), NARROW)

    e.each(out, count, piece)


@native
def mix(command: int, workspace: int) -> None:
    channels, cols, col_mix = field(command, CHANNELS), field(command, COLS), field(command, COL_MIX)
    bits, elements = field(command, UNIT_BITS), field(command, ROW_ELEMENTS)
    for y in range(field(command, ROWS)):
        row = field(command, ROW_MIX) + 24 * y
        source, out = field(command, IN), field(command, OUT) + y * field(command, OUT_PITCH)
        _mix_rows(source + ld64(row), source + ld64(row + 8), workspace, elements, ld64(row + 16), bits)
        for x in range(cols):
            col = col_mix + 24 * x
            _mix_columns(
                workspace + ld64(col),
                workspace + ld64(col + 8),
                out + x * channels,
                channels,
                ld64(col + 16),
                field(command, SIGN),
                bits,
            )


# ---------------------------------------------------------------------------------------------------------------------
# The encoder


def encode(
    prepared: Mix, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output = inputs[0], outputs[0]
    if prepared.is_float or overlap(source, output):
        raise Declined("it mixes floats, or overwrites what it has still to read")
    if source.dtype != np.int8:
        raise Declined("it mixes no int8")
    commands, one = [], prepared.one
    for image in range(output.shape[0]):
        read, written = feature_map(source, image, (0, 0)), feature_map(output, image, (0, 0))
        channels, (top, left) = read.channels, piece.origins[0]
        row_reads = held_reads(prepared, prepared.row_reads[slice(*piece.rows)], top, source.shape[1])
        col_reads = held_reads(prepared, prepared.col_reads[slice(*piece.cols)], left, source.shape[2])
        rows = _mixtures(row_reads, prepared.row_places[slice(*piece.rows)], one, top, read.pitch)
        cols = _mixtures(col_reads, prepared.col_places[slice(*piece.cols)], one, left, 4 * channels)
        shares = [
            np.abs(table[:, 2]).max(initial=0) + np.abs(one - table[:, 2]).max(initial=0) for table in (rows, cols)
        ]
        if 128 * int(shares[0]) * int(shares[1]) + one * one // 2 >= 1 << 31:
            raise Declined("its mixtures leave 32 bits")
        tables = constant(rows), constant(cols)
        row_elements = source.shape[2] * channels
        fields = {
            **{IN: read.base, OUT: written.base, OUT_PITCH: written.pitch, ROWS: output.shape[1]},
            **{COLS: output.shape[2], CHANNELS: channels, ROW_ELEMENTS: row_elements},
            **{ROW_MIX: address_of(tables[0]), COL_MIX: address_of(tables[1])},
            **{SIGN: 0 if prepared.rounds_once else -1, UNIT_BITS: one.bit_length() - 1},
        }
        workspace_bytes = 4 * row_elements + 2 * VBYTES
        commands.append(command(mix, fields, workspace_bytes=workspace_bytes, keeps=(source, output, *tables)))
    return commands


def _mixtures(reads: NDArray[np.int64], places: Sequence[float], one: int, origin: int, step: int) -> NDArray[np.int64]:
    """Offsets of the two that each output place mixes, and the share of the second."""
    share = np.array(places, np.int64) - reads[:, 0] * one
    return np.column_stack([(reads - origin) * step, share])

"""int8 AVERAGE_POOL_2D and MAX_POOL_2D: pixel by pixel, all channels at once.

The channels of a pixel follow one another, so a window is reduced by whole pixels. For a window of 2 x 2 and 16
channels:

    row y      [pixel x: 16 channels][pixel x+1: 16 channels]       out = max(out, pixel), four times,
    row y+1    [pixel x: 16 channels][pixel x+1: 16 channels]       each time in one vector instruction

Vectors go over the end of a pixel if its channels are no multiple of 16. So a row of outputs is built in the workspace,
from left to right: each pixel overwrites what the one before it has written too far. Then the row is copied exactly.
A window is cut at the borders, and the average counts what is left of it (`among`), as TFLM does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir

from mcusim.ops.kernels.fast.command import Array, Command, Declined, Shared, command, feature_map, overlap
from mcusim.ops.kernels.fast.memory import V16, copy_exact, copy_over, field, fill_exact
from mcusim.ops.kernels.fast.vector import I8, I32, VBYTES, VF32, VI32, Emit, L, Value, const, procedure
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.pooling import PreparedPool

__all__ = ["add_into", "encode"]

(IN, IN_PITCH, HEIGHT, WIDTH, CHANNELS, OUT, OUT_PITCH, ROW, ROW_END, COL, COL_END) = range(11)
(STRIDE_H, STRIDE_W, KERNEL_H, KERNEL_W, TOP, LEFT, LOWEST, HIGHEST) = range(11, 19)


@procedure
def _max_into(e: Emit, to: Value, source: Value, count: Value) -> None:
    """to = max(to, source), in pieces of 16: 15 over."""
    with e.loop(e.b.lshr(e.add(count, 15), e.i(4))) as k:
        at = e.mul(k.index, 16)
        place = e.add(to, at)
        e.store(e.call("llvm.smax.v16i8", V16, e.load(V16, place), e.load(V16, e.add(source, at))), place)


@procedure
def _clamp_into(e: Emit, to: Value, count: Value, lowest: Value, highest: Value) -> None:
    """to = clamp(to), in pieces of 16: 15 over."""
    low, high = (e.splat(e.b.trunc(x, I8), 16) for x in (lowest, highest))
    with e.loop(e.b.lshr(e.add(count, 15), e.i(4))) as k:
        place = e.add(to, e.mul(k.index, 16))
        e.store(e.clamp(e.load(V16, place), low, high), place)


@procedure
def add_into(e: Emit, to: Value, source: Value, count: Value) -> None:
    """to (int32) += source (int8), in pieces of 16: 15 elements over."""
    sums = ir.VectorType(I32, 16)
    with e.loop(e.b.lshr(e.add(count, 15), e.i(4))) as k:
        place = e.add(to, e.mul(k.index, 64))
        value = e.b.sext(e.load(V16, e.add(source, e.mul(k.index, 16))), sums)
        e.store(e.b.add(e.load(sums, place), value), place)


@procedure
def _average_out(e: Emit, to: Value, sums: Value, count: Value, among: Value, lowest: Value, highest: Value) -> None:
    """to (int8) = clamp(sums / among, halves away from zero): a vector over.

    The quotient is a float32, cut. |sum| + among / 2 < 2**24 makes numerator and denominator exact, and keeps it from
    rounding up to an integer n + 1 that the exact quotient does not reach: that lacks at least 1 / among, which is more
    than half a unit in its last place.
    """
    b = e.b
    total = e.splat(b.trunc(among, I32), L)
    half, divisor = b.lshr(total, const(VI32, 1)), b.sitofp(total, VF32)
    low, high = (e.splat(b.trunc(x, I32), L) for x in (lowest, highest))
    with e.loop(b.lshr(e.add(count, L - 1), e.i(L.bit_length() - 1))) as k:
        value = e.load(VI32, e.add(sums, e.mul(k.index, VBYTES)))
        sign = b.ashr(value, const(VI32, 31))
        magnitude = b.sub(b.xor(value, sign), sign)
        quotient = b.fptosi(b.fdiv(b.sitofp(b.add(magnitude, half), VF32), divisor), VI32)
        result = e.clamp(b.sub(b.xor(quotient, sign), sign), low, high)
        e.store(b.trunc(result, ir.VectorType(I8, L)), e.add(to, e.mul(k.index, L)))


@native
def max_pool(command: int, workspace: int) -> None:
    c, pitch, lowest, highest = (
        field(command, CHANNELS),
        field(command, IN_PITCH),
        field(command, LOWEST),
        field(command, HIGHEST),
    )
    first, last = field(command, COL), field(command, COL_END)
    for y in range(field(command, ROW), field(command, ROW_END)):
        top = y * field(command, STRIDE_H) - field(command, TOP)
        y0, y1 = max(top, 0), min(top + field(command, KERNEL_H), field(command, HEIGHT))
        out = workspace
        for x in range(first, last):
            left = x * field(command, STRIDE_W) - field(command, LEFT)
            x0, x1 = max(left, 0), min(left + field(command, KERNEL_W), field(command, WIDTH))
            fill_exact(out, -128, c)  # what a window outside of the image gives
            for yy in range(y0, y1):
                row = field(command, IN) + yy * pitch
                for xx in range(x0, x1):
                    if yy == y0 and xx == x0:
                        copy_over(out, row + xx * c, c)
                    else:
                        _max_into(out, row + xx * c, c)
            if lowest > -128 or highest < 127:
                _clamp_into(out, c, lowest, highest)
            out += c
        to = field(command, OUT) + y * field(command, OUT_PITCH) + first * c
        copy_exact(to, workspace, (last - first) * c)


@native
def average_pool(command: int, workspace: int) -> None:
    c, pitch = field(command, CHANNELS), field(command, IN_PITCH)
    first, last = field(command, COL), field(command, COL_END)
    line = workspace + 4 * c + 128
    for y in range(field(command, ROW), field(command, ROW_END)):
        top = y * field(command, STRIDE_H) - field(command, TOP)
        y0, y1 = max(top, 0), min(top + field(command, KERNEL_H), field(command, HEIGHT))
        out = line
        for x in range(first, last):
            left = x * field(command, STRIDE_W) - field(command, LEFT)
            x0, x1 = max(left, 0), min(left + field(command, KERNEL_W), field(command, WIDTH))
            fill_exact(workspace, 0, 4 * c)
            for yy in range(y0, y1):
                row = field(command, IN) + yy * pitch
                for xx in range(x0, x1):
                    add_into(workspace, row + xx * c, c)
            among = (y1 - y0) * (x1 - x0)
            _average_out(out, workspace, c, among, field(command, LOWEST), field(command, HIGHEST))
            out += c
        to = field(command, OUT) + y * field(command, OUT_PITCH) + first * c
        copy_exact(to, line, (last - first) * c)


def encode(
    prepared: PreparedPool, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """A window of the average must be small enough for its proof."""
    source, output, (rows, cols) = inputs[0], outputs[0], (prepared.rows, prepared.cols)
    if overlap(source, output):
        raise Declined("it overwrites what it has still to read")
    if source.dtype != np.int8 or output.shape[3] != source.shape[3]:
        raise Declined("it is not int8")
    largest = rows.kernel * cols.kernel
    if prepared.is_average and largest * 128 + largest // 2 >= 1 << 24:
        raise Declined("its window is too large")
    origin, commands = piece.origins[0], []
    for image in range(output.shape[0]):
        read = feature_map(source, image, origin)
        written = feature_map(output, image, (piece.rows.start, piece.cols.start))
        c = read.channels
        fields = {
            **{IN: read.base, IN_PITCH: read.pitch, HEIGHT: origin[0] + source.shape[1]},
            **{WIDTH: origin[1] + source.shape[2], CHANNELS: c, OUT: written.base, OUT_PITCH: written.pitch},
            **{ROW: piece.rows.start, ROW_END: piece.rows.stop, COL: piece.cols.start, COL_END: piece.cols.stop},
            **{STRIDE_H: rows.stride, STRIDE_W: cols.stride, KERNEL_H: rows.kernel, KERNEL_W: cols.kernel},
            **{TOP: rows.before, LEFT: cols.before, LOWEST: int(prepared.lowest), HIGHEST: int(prepared.highest)},
        }
        kernel = average_pool if prepared.is_average else max_pool
        workspace_bytes = 4 * c + 128 + output.shape[2] * c + 64
        commands.append(command(kernel, fields, workspace_bytes=workspace_bytes, keeps=(source, output)))
    return commands

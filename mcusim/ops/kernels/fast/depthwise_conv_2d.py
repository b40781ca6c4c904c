"""int8 DEPTHWISE_CONV_2D.

Input rows are interleaved (see `interleaved.py`); then a kernel column is a *tap* at a constant distance, and an output
row is one flat run of elements, whatever the number of channels: weights repeat with period lcm(channels, BLOCK).
Where that is over 16 blocks, each pixel is a run of its own.

Three channels a b c, four rows of a kernel of 4 x 1, four pixels:

    row 0   a0 b0 c0 a0' b0' c0' ...            interleaved   a0 a1 a2 a3  b0 b1 b2 b3  c0 c1 c2 c3  a0' a1' ...
    row 1   a1 b1 c1 a1' b1' c1' ...                          '--lane 0--' '--lane 1--' '--lane 2--'
    row 2   a2 ...
    row 3   a3 ...                              one dot product of four bytes by four weights is a whole kernel column

With a stride along columns they are split by phase when they are fetched, so that taps stay runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.depthwise_conv_2d import PreparedDepthwiseConv2D
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    FeatureMap,
    Shared,
    address_of,
    command,
    constant,
    feature_map,
    overlap,
)
from mcusim.ops.kernels.fast.conv_2d import encode_windows
from mcusim.ops.kernels.fast.interleaved import interleave, run_partial, run_whole
from mcusim.ops.kernels.fast.memory import fetch, field
from mcusim.ops.kernels.fast.packing import group_type, pack_parameters, post_word, weighted
from mcusim.ops.kernels.fast.vector import BLOCK, HOST, PARAM_BYTES, VBYTES, L
from mcusim.ops.kernels.jit import inner, native
from mcusim.ops.registry import Piece
from mcusim.region import Span, Window

__all__ = ["encode"]

# Fields.   IN, OUT: address of row 0, column 0.   FIRST_*: input row and column of the first output's window.
# TIMES: outputs of a channel.   PIXEL: output channels.   PIECE: bytes of one group of interleaved rows.
# BLOCKS: of weights.   ALONE: whether each pixel is a run of its own.
(IN, IN_PITCH, HEIGHT, WIDTH, CHANNELS, OUT, OUT_PITCH, TIMES, PIXEL, ROW, ROWS, COLS) = range(12)
(FIRST_ROW, FIRST_COL, COLUMNS, STRIDE_H, STRIDE_W, KERNEL_H, KERNEL_W, DILATION) = range(12, 20)
(BAND, ROW_BYTES, ELEMENTS, PIECE, GROUPS, BLOCKS, ALONE, TAP_OFF) = range(20, 28)
(WEIGHTS, PARAMETERS, ZERO, POST, SIMPLE) = range(28, 33)

VNNI = HOST.vnni
GROUP = HOST.group
BAND_BYTES = 1 << 15
"""About so many input bytes are fetched at a time."""
MOST_BLOCKS = 16
"""Longest period of weights in an output row."""


@inner
def _output_row(command: int, mixed: int, out: int) -> None:
    """One output row from interleaved input rows."""
    wide, pixel, blocks = field(command, COLS), field(command, PIXEL), field(command, BLOCKS)
    simple, post, tap_off = field(command, SIMPLE), field(command, POST), field(command, TAP_OFF)
    taps = field(command, GROUPS) * field(command, KERNEL_W)
    w, p = field(command, WEIGHTS), field(command, PARAMETERS)
    total = wide * pixel
    for k in range(blocks):
        start = k * BLOCK
        if field(command, ALONE) != 0:
            left = pixel - start
            x = mixed + start * 4
            if left >= BLOCK and simple != 0:
                run_whole(x, tap_off, taps, w, p, out + start, wide, pixel * 4, pixel, post)
            else:
                run_partial(x, tap_off, taps, w, p, out + start, wide, pixel * 4, pixel, post, min(left, BLOCK))
        # Where the weights repeat with a period of `blocks` blocks, block k serves elements k, k + blocks, k + 2
        # blocks, ...
        elif start < total:
            step = blocks * BLOCK
            times = (total - start) // step
            # What is left behind the last whole step may be a whole block, part of one, or nothing.
            left = total - start - times * step
            if left >= BLOCK:
                times += 1
                left = 0
            x = mixed + start * 4
            if simple != 0:
                run_whole(x, tap_off, taps, w, p, out + start, times, step * 4, step, post)
            else:
                run_partial(x, tap_off, taps, w, p, out + start, times, step * 4, step, post, BLOCK)
            if left > 0:
                start += times * step
                run_partial(mixed + start * 4, tap_off, taps, w, p, out + start, 1, 0, 0, post, left)
        w += taps * 4 * VBYTES
        p += 4 * PARAM_BYTES


@native
def depthwise(command: int, workspace: int) -> None:
    groups, piece, row_bytes = field(command, GROUPS), field(command, PIECE), field(command, ROW_BYTES)
    kernel_h, dilation, stride = field(command, KERNEL_H), field(command, DILATION), field(command, STRIDE_H)
    raw = workspace + groups * piece
    out = field(command, OUT) + field(command, ROW) * field(command, OUT_PITCH)
    rows, band = field(command, ROWS), field(command, BAND)
    for y in range(0, rows, band):
        count = min(band, rows - y)
        fetch(
            raw,
            row_bytes,
            field(command, IN),
            field(command, IN_PITCH),
            field(command, HEIGHT),
            field(command, WIDTH),
            field(command, CHANNELS),
            field(command, FIRST_ROW) + y * stride,
            (count - 1) * stride + (kernel_h - 1) * dilation + 1,
            field(command, FIRST_COL),
            field(command, COLUMNS),
            field(command, STRIDE_W),
            field(command, TIMES),
            field(command, ZERO),
        )
        for k in range(count):
            top = raw + k * stride * row_bytes
            for g in range(groups):
                first = top + g * GROUP * dilation * row_bytes
                last = kernel_h - 1 - g * GROUP
                step = dilation * row_bytes
                # Kernel rows beyond the last one are given its own row again: their weights are 0.
                interleave(
                    first,
                    first + min(1, last) * step,
                    first + min(2, last) * step,
                    first + min(3, last) * step,
                    workspace + g * piece,
                    (field(command, ELEMENTS) + BLOCK - 1) // BLOCK,
                )
            _output_row(command, workspace, out + (y + k) * field(command, OUT_PITCH))


# ---------------------------------------------------------------------------------------------------------------------
# The encoder


class _Packed(NamedTuple):
    """Weights and parameters of a node.   alone: whether each pixel is a run of its own."""

    weights: NDArray[np.uint8]
    parameters: NDArray[np.uint8]
    blocks: int
    alone: bool
    simple: bool


class _Geometry(NamedTuple):
    """Where it reads and writes.   size: rows and columns of the input.   piece: of the output."""

    source: FeatureMap
    size: tuple[int, int]
    out: FeatureMap
    piece: tuple[Span, Span]
    windows: tuple[Window, Window]

    @property
    def is_column(self) -> bool:
        """A column of pixels that lie one after the other, each window one column wide."""
        cols = self.windows[1]
        is_narrow = self.size[1] == 1 and cols.kernel == 1 and cols.before == 0 and self.piece[1] == (0, 1)
        return is_narrow and self.source.pitch == self.source.channels and self.out.pitch == self.out.channels

    def transposed(self) -> _Geometry:
        """The same bytes as a row of pixels, which is one run. One row has no pitch."""
        return _Geometry(self.source, self.size[::-1], self.out, self.piece[::-1], self.windows[::-1])


def encode(
    prepared: PreparedDepthwiseConv2D, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """One input channel makes it an ordinary convolution."""
    source, output, accumulator = inputs[0], outputs[0], prepared.accumulator
    if source.shape[-1] == 1:
        weights = accumulator.weights.transpose(3, 1, 2, 0)
        return encode_windows(accumulator, weights, prepared.rows, prepared.cols, source, output, piece, shared)
    origin = piece.origins[0]
    commands = []
    for image in range(output.shape[0]):
        geometry = _Geometry(
            feature_map(source, image, origin),
            (origin[0] + source.shape[1], origin[1] + source.shape[2]),
            feature_map(output, image, (piece.rows.start, piece.cols.start)),
            (piece.rows, piece.cols),
            (prepared.rows, prepared.cols),
        )
        is_column = geometry.is_column
        packed = shared(("packed", is_column), partial(_pack, prepared, is_column))
        in_place = overlap(source, output)
        commands.append(
            _encode(
                prepared, packed, geometry.transposed() if is_column else geometry, in_place, shared, (source, output)
            )
        )
    return commands


def _pack(prepared: PreparedDepthwiseConv2D, turned: bool) -> _Packed:
    """Order of weights: block, group of kernel rows, kernel column, lane, row of the group."""
    weights = prepared.accumulator.weights[0]  # HWO
    kernel_h, kernel_w, channels = weights.shape
    layer = weighted(prepared.accumulator, weights.reshape(-1, channels).T)
    if turned:
        kernel_h, kernel_w = kernel_w, kernel_h
    groups = -(-kernel_h // GROUP)
    # One channel more than there are, of zeros: lanes behind the last channel read it.
    padded = np.zeros((groups * GROUP, kernel_w, channels + 1), group_type())
    padded[:kernel_h, :, :channels] = layer.weights.T.reshape(kernel_h, kernel_w, channels)
    period = channels // math.gcd(channels, BLOCK)
    alone = channels % BLOCK == 0 or period > MOST_BLOCKS
    # 24 channels and blocks of 64: after lcm(24, 64) = 192 elements, three blocks, channel 0 is first again.
    blocks = -(-channels // BLOCK) if alone else period
    lanes = np.arange(blocks * BLOCK).reshape(blocks, BLOCK)
    order = np.where(lanes < channels, lanes, -1) if alone else lanes % channels
    packed = padded.reshape(groups, GROUP, kernel_w, channels + 1)[:, :, :, order]
    return _Packed(
        constant(packed.transpose(3, 0, 2, 4, 1)),
        constant(pack_parameters(layer.requant, order.reshape(-1, L))),
        blocks,
        alone,
        layer.requant.simple,
    )


def _encode(
    prepared: PreparedDepthwiseConv2D,
    packed: _Packed,
    geometry: _Geometry,
    in_place: bool,
    shared: Shared,
    keeps: tuple[Array, ...],
) -> Command:
    """One image."""
    source, out, (out_rows, out_cols), (rows, cols) = geometry.source, geometry.out, geometry.piece, geometry.windows
    pixel, accumulator = out.channels, prepared.accumulator
    columns = cols.needs(out_cols).length
    per_phase = -(-columns // cols.stride)
    elements = per_phase * cols.stride * pixel
    row_bytes = (elements + BLOCK + 63) & ~63
    piece_bytes = (row_bytes // BLOCK + 1) * 4 * VBYTES
    groups = -(-rows.kernel // GROUP)
    band = out_rows.length
    if not in_place:  # else all input is copied before anything is written
        band = min(band, max((BAND_BYTES // row_bytes - rows.reach) // rows.stride + 1, 1))
    # By phase: column q of the kernel lies in phase q % stride, at place q // stride of it.
    distances = [
        g * piece_bytes + ((q % cols.stride) * per_phase + q // cols.stride) * pixel * 4
        for g in range(groups)
        for q in range(0, cols.reach, cols.dilation)
    ]
    taps = shared(("taps", *distances), lambda: constant(np.array(distances, np.int64)))
    fields = {
        **{IN: source.base, IN_PITCH: source.pitch, HEIGHT: geometry.size[0], WIDTH: geometry.size[1]},
        **{CHANNELS: source.channels, OUT: out.base + out_cols.start * pixel, OUT_PITCH: out.pitch},
        **{TIMES: pixel // source.channels, PIXEL: pixel, ROW: out_rows.start, ROWS: out_rows.length},
        **{COLS: out_cols.length, FIRST_ROW: rows.needs(out_rows).start, FIRST_COL: cols.needs(out_cols).start},
        **{COLUMNS: columns, STRIDE_H: rows.stride, STRIDE_W: cols.stride, KERNEL_H: rows.kernel},
        **{KERNEL_W: cols.kernel, DILATION: rows.dilation, BAND: band, ROW_BYTES: row_bytes, ELEMENTS: elements},
        **{PIECE: piece_bytes, GROUPS: groups, BLOCKS: packed.blocks, ALONE: int(packed.alone)},
        **{TAP_OFF: address_of(taps), WEIGHTS: address_of(packed.weights), PARAMETERS: address_of(packed.parameters)},
        **{ZERO: accumulator.input_zero_point, POST: post_word(accumulator.stage), SIMPLE: int(packed.simple)},
    }
    held_rows = (band - 1) * rows.stride + rows.reach
    return command(
        depthwise,
        fields,
        workspace_bytes=groups * piece_bytes + held_rows * row_bytes + 64,
        keeps=(*keeps, packed.weights, packed.parameters, taps),
    )

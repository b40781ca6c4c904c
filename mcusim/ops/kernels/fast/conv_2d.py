"""int8 CONV_2D, and whatever is one: FULLY_CONNECTED, and DEPTHWISE_CONV_2D of one channel.

The rows of a band are copied to the workspace as the multiply wants them (zero point at the borders); tiles then read
them through an offset table. A kernel row is one tap, a run of kw * c bytes; where columns are dilated each kernel
column is a tap of its own. A band of a 3 x 3 convolution with stride 2: two output rows need five input rows.

    input in the arena            workspace, converted               tiles
    row 0 ............            row 0 ............  <- output row 0 reads rows 0 to 2
    row 1 ............   fetch    row 1 ............
    row 2 ............   ---->    row 2 ............  <- output row 1 reads rows 2 to 4     gemm: all pixels of the band
    row 3 ............            row 3 ............
    row 4 ............            row 4 ............

Converted means x + 128 with VNNI, whose dot product takes unsigned bytes, and int16 without. What `x + 128` adds to the
sums is taken off the bias (see `packing`).

Everything that a call's shape decides (offset tables, bands) is worked out by the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.conv_2d import PreparedConv2D
from mcusim.ops.kernels.fast.command import (
    Array,
    Command,
    Declined,
    FeatureMap,
    Shared,
    address_of,
    command,
    constant,
    feature_map,
    overlap,
)
from mcusim.ops.kernels.fast.memory import convert, fetch, field
from mcusim.ops.kernels.fast.packing import channel_order, pack_gemm, pack_parameters, post_word, weighted
from mcusim.ops.kernels.fast.tile import ROW_PAD, gemm
from mcusim.ops.kernels.fast.vector import HOST
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.accumulators import Accumulator
from mcusim.region import Span, Window

__all__ = ["Geometry", "encode", "encode_windows"]

# Fields.   IN, OUT: address of row 0, column 0.   FIRST_*: input row and column of the first output's window.
# COUNT: input rows of a band.   INSIDE: whether no window leaves the image and nothing is overwritten early.
# A_OFF, C_OFF: offset tables of a whole band; A_LAST, C_LAST: of the last one.
(IN, IN_PITCH, HEIGHT, WIDTH, CHANNELS, OUT, OUT_PITCH, OUT_CHANNELS, ROW, ROWS, COLS) = range(11)
(FIRST_ROW, FIRST_COL, COLUMNS, STRIDE, REACH, BAND, INSIDE, ZERO, TAPS, STEPS, TAP_OFF) = range(11, 22)
(A_OFF, C_OFF, A_LAST, C_LAST, WEIGHTS, PARAMETERS, POST, SIMPLE) = range(22, 30)

BAND_BYTES = 1 << 16
"""About so much of the workspace is filled at a time: it stays in the second-level cache."""
BAND_PIXELS = 1024
"""At most so many output pixels of a band, unless one row has more."""
VNNI = HOST.vnni
HELD = 1 if VNNI else 3
"""Bytes of the workspace that a byte of input takes: without VNNI it is copied, then widened to int16."""


@native
def conv(command: int, workspace: int) -> None:
    c, row_bytes = field(command, CHANNELS), field(command, COLUMNS) * field(command, CHANNELS)
    rows, wide, stride, reach = (
        field(command, ROWS),
        field(command, COLS),
        field(command, STRIDE),
        field(command, REACH),
    )
    pitch, size = field(command, IN_PITCH), 1 if VNNI else 2
    source = field(command, IN) + field(command, FIRST_COL) * c
    out = field(command, OUT) + field(command, ROW) * field(command, OUT_PITCH)
    band = field(command, BAND)
    for y in range(0, rows, band):
        count = min(band, rows - y)
        first = field(command, FIRST_ROW) + y * stride
        height = (count - 1) * stride + reach
        base = workspace
        if field(command, INSIDE) != 0:
            # No border to fill: rows are converted from where they lie, all at once if no bytes lie between them.
            if row_bytes == pitch:
                convert(base, source + first * pitch, height * row_bytes)
            else:
                for k in range(height):
                    convert(base + k * row_bytes * size, source + (first + k) * pitch, row_bytes)
        else:
            fetch(
                workspace,
                row_bytes,
                field(command, IN),
                pitch,
                field(command, HEIGHT),
                field(command, WIDTH),
                c,
                first,
                height,
                field(command, FIRST_COL),
                field(command, COLUMNS),
                1,
                1,
                field(command, ZERO),
            )
            if not VNNI:
                # The raw bytes lie first; the widened ones begin at the next cache line behind them.
                base = (workspace + height * row_bytes + 127) & ~63
            convert(base, workspace, height * row_bytes)
        whole = count == band  # the last band may have fewer rows: it has offset tables of its own
        gemm(
            count * wide,
            field(command, OUT_CHANNELS),
            base,
            field(command, A_OFF) if whole else field(command, A_LAST),
            field(command, TAP_OFF),
            field(command, TAPS),
            field(command, STEPS),
            field(command, WEIGHTS),
            field(command, PARAMETERS),
            out + y * field(command, OUT_PITCH),
            field(command, C_OFF) if whole else field(command, C_LAST),
            field(command, POST),
            field(command, SIMPLE),
        )


# ---------------------------------------------------------------------------------------------------------------------
# The encoder


class Geometry(NamedTuple):
    """Where a convolution reads and writes.   size: rows and columns of the input.   piece: of the output."""

    source: FeatureMap
    size: tuple[int, int]
    out: FeatureMap
    piece: tuple[Span, Span]
    windows: tuple[Window, Window]
    in_place: bool


class Product(NamedTuple):
    """Packed weights and parameters of a node."""

    weights: NDArray[np.uint8]
    parameters: NDArray[np.uint8]
    taps: int
    steps: int
    across: int
    simple: bool


def encode(
    prepared: PreparedConv2D, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    """Raises Declined for grouped convolutions and whatever `weighted` declines."""
    source, output = inputs[0], outputs[0]
    weights = prepared.accumulator.weights
    if prepared.groups != 1:
        raise Declined("it is grouped")
    return encode_windows(prepared.accumulator, weights, prepared.rows, prepared.cols, source, output, piece, shared)


def encode_windows(
    accumulator: Accumulator,
    weights: Array,
    rows: Window,
    cols: Window,
    source: Array,
    output: Array,
    piece: Piece,
    shared: Shared,
) -> list[Command]:
    """Windows over an NHWC input.   weights: OHWI."""
    product = shared("product", lambda: pack_product(accumulator, weights, cols.dilation))
    origin = piece.origins[0]
    size = origin[0] + source.shape[1], origin[1] + source.shape[2]
    return [
        encode_product(
            accumulator,
            product,
            Geometry(
                feature_map(source, image, origin),
                size,
                feature_map(output, image, (piece.rows.start, piece.cols.start)),
                (piece.rows, piece.cols),
                (rows, cols),
                overlap(source, output),
            ),
            shared,
            (source, output),
        )
        for image in range(output.shape[0])
    ]


def pack_product(accumulator: Accumulator, weights: Array, dilation: int) -> Product:
    """Weights OHWI.   dilation: along columns; where it is 1 a kernel row is one tap."""
    out_c, kernel_h, kernel_w, _ = weights.shape
    packed = weighted(accumulator, weights.reshape(out_c, -1))
    across = kernel_w if dilation > 1 else 1
    runs = packed.weights.reshape(out_c, kernel_h * across, -1)
    simple = packed.requant.simple
    order = channel_order(out_c, simple)
    return Product(
        constant(pack_gemm(runs, simple)),
        constant(pack_parameters(packed.requant, order)),
        runs.shape[1],
        -(-runs.shape[2] // HOST.group),
        across,
        simple,
    )


def encode_product(
    accumulator: Accumulator, product: Product, geometry: Geometry, shared: Shared, keeps: tuple[Array, ...]
) -> Command:
    """One image."""
    source, out, (out_rows, out_cols), (rows, cols) = (
        geometry.source,
        geometry.out,
        geometry.piece,
        geometry.windows,
    )
    wide, c = out_cols.length, source.channels
    first_row, first_col = rows.needs(out_rows).start, cols.needs(out_cols).start
    columns = cols.needs(out_cols).length
    row_bytes = columns * c
    inside = (
        first_row >= 0
        and first_col >= 0
        and rows.needs(out_rows).stop <= geometry.size[0]
        and first_col + columns <= geometry.size[1]
        and not geometry.in_place
    )
    band = out_rows.length
    if not geometry.in_place:  # else all input is copied before anything is written
        # As many output rows as the fetched input rows fit into BAND_BYTES: (band - 1) * stride + reach rows of input.
        fitting = (BAND_BYTES // (HELD * row_bytes) - rows.reach) // rows.stride + 1
        band = min(band, max(BAND_PIXELS // wide, 1), max(fitting, 1))
    size = 1 if VNNI else 2
    # The last band has 1 to `band` rows, so it is never empty.
    last = (out_rows.length - 1) % band + 1
    tap_off = [
        ((t // product.across) * rows.dilation * row_bytes + (t % product.across) * cols.dilation * c) * size
        for t in range(product.taps)
    ]
    stride = rows.stride * row_bytes * size, cols.stride * c * size
    tables = [
        shared(("offsets", count, wide, *step), partial(offsets, count, wide, *step))
        for count in (band, last)
        for step in (stride, (out.pitch, out.channels))
    ]
    taps = shared(("taps", *tap_off), lambda: constant(np.array(tap_off, np.int64)))
    held_bytes = ((band - 1) * rows.stride + rows.reach) * row_bytes
    fields = {
        **{IN: source.base, IN_PITCH: source.pitch, HEIGHT: geometry.size[0], WIDTH: geometry.size[1], CHANNELS: c},
        **{OUT: out.base + out_cols.start * out.channels, OUT_PITCH: out.pitch, OUT_CHANNELS: out.channels},
        **{ROW: out_rows.start, ROWS: out_rows.length, COLS: wide, FIRST_ROW: first_row, FIRST_COL: first_col},
        **{COLUMNS: columns, STRIDE: rows.stride, REACH: rows.reach, BAND: band, INSIDE: int(inside)},
        **{ZERO: accumulator.input_zero_point, TAPS: product.taps, STEPS: product.steps, TAP_OFF: address_of(taps)},
        **dict(zip((A_OFF, C_OFF, A_LAST, C_LAST), map(address_of, tables), strict=True)),
        **{WEIGHTS: address_of(product.weights), PARAMETERS: address_of(product.parameters)},
        **{POST: post_word(accumulator.stage), SIMPLE: int(product.simple)},
    }
    return command(
        conv,
        fields,
        workspace_bytes=HELD * held_bytes + 4 * 64,
        keeps=(*keeps, product.weights, product.parameters, taps, *tables),
    )


def offsets(rows: int, cols: int, row_step: int, col_step: int) -> NDArray[np.uint8]:
    """Offsets of pixels, row by row; the last one again for tiles that compute it twice."""
    starts = (np.arange(rows)[:, None] * row_step + np.arange(cols) * col_step).reshape(-1)
    return constant(np.concatenate([starts, np.full(ROW_PAD, starts[-1])]).astype(np.int64))

"""RESIZE_NEAREST_NEIGHBOR, TILE, MIRROR_PAD of feature maps: pixels shown again, row by row.

All three say for each output row which input row it shows, and the same for columns. Twice as large by nearest
neighbour: rows 0 0 1 1 2 2, columns 0 0 1 1 2 2. MIRROR_PAD by two on the left: columns 2 1 0 1 2 3. The encoder turns
both lists into byte offsets, and the kernel copies pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

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
)
from mcusim.ops.kernels.fast.memory import copy_exact, field, ld64
from mcusim.ops.kernels.jit import native
from mcusim.ops.registry import Piece
from mcusim.ops.shared.picking import Picks

__all__ = ["encode"]

(OUT, OUT_PITCH, IN, ROWS, COLS, PIXEL, ROW_OFF, COL_OFF) = range(8)


@native
def pick(command: int, workspace: int) -> None:
    pixel, cols, col_off = field(command, PIXEL), field(command, COLS), field(command, COL_OFF)
    for y in range(field(command, ROWS)):
        row = field(command, IN) + ld64(field(command, ROW_OFF) + 8 * y)
        out = field(command, OUT) + y * field(command, OUT_PITCH)
        for x in range(cols):
            copy_exact(out + x * pixel, row + ld64(col_off + 8 * x), pixel)


def encode(
    prepared: Picks, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output = inputs[0], outputs[0]
    if output.ndim != 4 or prepared.places[0] is not None or prepared.places[3] is not None:
        raise Declined("more than rows and columns are picked")
    pixel = output.shape[3] * output.itemsize
    if overlap(source, output) or source.dtype != output.dtype or not _is_packed(source) or not _is_packed(output):
        raise Declined("it overwrites what it has still to read, or its pixels are not packed")
    offsets = []
    for axis, span, origin in zip((1, 2), piece[:2], piece.origins[0], strict=True):
        places = prepared.places[axis]
        shown = np.arange(*span) if places is None else places[slice(*span)]
        offsets.append(constant(((shown - origin) * source.strides[axis]).astype(np.int64)))
    fields = {OUT_PITCH: output.strides[1], ROWS: output.shape[1], COLS: output.shape[2], PIXEL: pixel}
    fields |= {ROW_OFF: address_of(offsets[0]), COL_OFF: address_of(offsets[1])}
    return [
        command(
            pick,
            {**fields, OUT: address_of(output[image]), IN: address_of(source[image])},
            keeps=(source, output, *offsets),
        )
        for image in range(output.shape[0])
    ]


def _is_packed(array: Array) -> bool:
    return array.strides[3] == array.itemsize and array.strides[2] == array.shape[3] * array.itemsize

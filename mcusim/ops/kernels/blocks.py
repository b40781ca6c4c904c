"""SPACE_TO_DEPTH, DEPTH_TO_SPACE: blocks of pixels against channels."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.shared.blocks import Blocks

__all__ = ["run"]


def run(prepared: Blocks, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    (rows, cols), (top, left), block = piece[:2], piece.origins[0], prepared.size
    source, output = inputs[0], outputs[0]
    if prepared.gathers:
        batch, height, width, _ = output.shape
        part = source[
            :,
            rows.start * block - top : rows.stop * block - top,
            cols.start * block - left : cols.stop * block - left,
        ]
        pixels = part.reshape(batch, height, block, width, block, source.shape[3])
        output[...] = pixels.transpose(0, 1, 3, 2, 4, 5).reshape(output.shape)
        return
    batch, height, width, channels = source.shape
    blocks = source.reshape(batch, height, width, block, block, channels // (block * block))
    spread = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * block, width * block, -1)
    output[...] = spread[
        :, rows.start - top * block : rows.stop - top * block, cols.start - left * block : cols.stop - left * block
    ]

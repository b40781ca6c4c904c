"""int8 FULLY_CONNECTED: a 1x1 convolution over a column of pixels.

A batch of 2 vectors of 640 is an image of 2 rows of one pixel with 640 channels; units are output channels. Rows, not
columns: so a large batch is converted band by band.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.ops.fully_connected import PreparedFullyConnected
from mcusim.ops.kernels.fast.command import Array, Command, Declined, FeatureMap, Shared, flat, overlap
from mcusim.ops.kernels.fast.conv_2d import Geometry, encode_product, pack_product
from mcusim.ops.registry import Piece
from mcusim.region import Span, Window

__all__ = ["encode"]

_POINT = Window(1, 1, 1, 0, 0)


def encode(
    prepared: PreparedFullyConnected, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece, shared: Shared
) -> list[Command]:
    source, output, accumulator = inputs[0], outputs[0], prepared.accumulator
    if source.dtype != np.int8 or output.dtype != np.int8:
        raise Declined("it is not int8")
    units, depth = accumulator.weights.shape
    product = shared("product", lambda: pack_product(accumulator, accumulator.weights.reshape(units, 1, 1, depth), 1))
    rows = source.size // depth
    geometry = Geometry(
        FeatureMap(flat(source), depth, depth),
        (rows, 1),
        FeatureMap(flat(output), units, units),
        (Span(0, rows), Span(0, 1)),
        (_POINT, _POINT),
        overlap(source, output),
    )
    return [encode_product(accumulator, product, geometry, shared, (source, output))]

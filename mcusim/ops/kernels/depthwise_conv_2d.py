"""DEPTHWISE_CONV_2D: one multiply-add of whole maps a tap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.ops.depthwise_conv_2d import PreparedDepthwiseConv2D
from mcusim.ops.kernels.accumulate import finish, padded, taps
from mcusim.ops.kernels.float_sums import convolve_each
from mcusim.ops.registry import Piece
from mcusim.ops.shared.float_sums import FloatSums

__all__ = ["run"]

Array = NDArray[Any]


def run(
    prepared: PreparedDepthwiseConv2D | FloatSums, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> None:
    """inputs[0]: NHWC.   outputs[0]: NHWC, the piece. Nothing is written before everything was read."""
    output = outputs[0]
    if isinstance(prepared, FloatSums):
        convolve_each(prepared, inputs[0], output, piece)
        return
    if output.size == 0:
        return
    batch, height, width, channels = output.shape
    source = padded(
        inputs[0],
        prepared.accumulator.input_zero_point,
        piece.origins[0],
        prepared.rows.needs(piece.rows),
        prepared.cols.needs(piece.cols),
        prepared.weights.dtype.type,
    )
    in_c = source.shape[3]
    sums = np.zeros((batch, height, width, in_c, channels // in_c), prepared.weights.dtype)
    product = np.empty_like(sums)
    for ky, kx, elements in taps(source, prepared.rows, prepared.cols, height, width):
        np.multiply(elements[..., None], prepared.weights[ky, kx], out=product)
        sums += product
    finish(sums.reshape(output.shape), prepared.accumulator, output)

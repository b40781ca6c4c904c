"""Layers of float32. For each output, products are added in the order of TFLM's reference kernels; all outputs at once.

Each line that multiplies or adds rounds to float32, as C does where nothing is fused.
Source: TFLite reference/conv.h, depthwiseconv_float.h, fully_connected.h, transpose_conv.h, batch_matmul.h.
"""

from __future__ import annotations

import numpy as np

from mcusim.ops.kernels.accumulate import padded, taps
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece
from mcusim.ops.shared.float_sums import FloatSums

__all__ = ["clamp_sums", "connect", "convolve", "convolve_each", "multiply"]


def clamp_sums(prepared: FloatSums, sums: Array, output: Array) -> None:
    """Bias and fused activation: sums of outputs, channels last -> outputs."""
    totals = sums if prepared.bias is None else sums + prepared.bias
    above = np.where(totals < np.float32(prepared.lowest), np.float32(prepared.lowest), totals)
    output[...] = np.where(above > np.float32(prepared.highest), np.float32(prepared.highest), above)


def convolve(prepared: FloatSums, source: Array, output: Array, piece: Piece) -> None:
    """CONV_2D. source, output: NHWC, the piece."""
    if output.size == 0:
        return
    assert prepared.windows is not None
    rows, cols = prepared.windows
    out_c, _, _, in_c = prepared.weights.shape
    inside = padded(source, 0, piece.origins[0], rows.needs(piece.rows), cols.needs(piece.cols), np.float32)
    groups = source.shape[3] // in_c
    sums = np.zeros((*output.shape[:3], groups, out_c // groups), np.float32)
    weights = prepared.weights.reshape(groups, out_c // groups, *prepared.weights.shape[1:])
    for ky, kx, elements in taps(inside, rows, cols, *output.shape[1:3]):
        by_group = elements.reshape(*elements.shape[:3], groups, in_c)
        for channel in range(in_c):
            sums += by_group[..., channel, None] * weights[:, :, ky, kx, channel]
    clamp_sums(prepared, sums.reshape(output.shape), output)


def convolve_each(prepared: FloatSums, source: Array, output: Array, piece: Piece) -> None:
    """DEPTHWISE_CONV_2D. source, output: NHWC, the piece. Nothing is written before everything was read."""
    if output.size == 0:
        return
    assert prepared.windows is not None
    rows, cols = prepared.windows
    in_c = source.shape[3]
    inside = padded(source, 0, piece.origins[0], rows.needs(piece.rows), cols.needs(piece.cols), np.float32)
    weights = prepared.weights.reshape(*prepared.weights.shape[1:3], in_c, -1)
    sums = np.zeros((*output.shape[:3], in_c, output.shape[3] // in_c), np.float32)
    for ky, kx, elements in taps(inside, rows, cols, *output.shape[1:3]):
        sums += elements[..., None] * weights[ky, kx]
    clamp_sums(prepared, sums.reshape(output.shape), output)


def connect(prepared: FloatSums, source: Array, output: Array) -> None:
    """FULLY_CONNECTED. source: any shape, read as rows of the weights' depth.   output: whole."""
    rows = source.reshape(-1, prepared.weights.shape[1])
    clamp_sums(prepared, multiply(rows, prepared.weights.T).reshape(output.shape), output)


def multiply(a: Array, b: Array) -> Array:
    """Matrix products over the last two dimensions; the leading ones broadcast."""
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    sums = np.zeros((*leading, a.shape[-2], b.shape[-1]), np.float32)
    for depth in range(a.shape[-1]):
        sums += a[..., :, depth, None] * b[..., depth, None, :]
    return sums

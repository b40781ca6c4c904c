"""FULLY_CONNECTED: a matrix product, in floats that are exact for these integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mcusim.ops.fully_connected import PreparedFullyConnected
from mcusim.ops.kernels.accumulate import finish
from mcusim.ops.kernels.float_sums import connect
from mcusim.ops.registry import Piece
from mcusim.ops.shared.float_sums import FloatSums

__all__ = ["run"]

Array = NDArray[Any]


def run(
    prepared: PreparedFullyConnected | FloatSums, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece
) -> None:
    """inputs[0]: any shape, read as rows of the weights' depth.   outputs[0]: whole."""
    if isinstance(prepared, FloatSums):
        connect(prepared, inputs[0], outputs[0])
        return
    matrix = prepared.matrix
    source = inputs[0].reshape(-1, matrix.shape[0]).astype(matrix.dtype) - prepared.accumulator.input_zero_point
    sums = (source @ matrix).reshape(outputs[0].shape)
    finish(sums, prepared.accumulator, outputs[0])

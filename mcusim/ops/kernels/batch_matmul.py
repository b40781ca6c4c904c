"""BATCH_MATMUL: matrix products in float64, which is exact below 2**53: depths up to 2**21 of int16 by int16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.batch_matmul import PreparedBatchMatMul
from mcusim.ops.kernels.float_sums import multiply
from mcusim.ops.registry import Piece

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: PreparedBatchMatMul, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: (..., rows, depth).   inputs[1]: (..., depth, cols); before transposition.   outputs[0]: whole."""
    stage = prepared.stage
    dtype = np.dtype(np.float32 if stage is None else np.float64)
    operands = []
    for constant, array, zero_point, transpose in zip(
        prepared.constants, inputs, prepared.zero_points, prepared.transposes, strict=True
    ):
        matrix = (array if constant is None else constant).astype(dtype) - np.array(zero_point, dtype)
        operands.append(matrix.swapaxes(-1, -2) if transpose else matrix)
    if stage is None:
        outputs[0][...] = multiply(*operands)
        return
    sums = (operands[0] @ operands[1]).astype(np.int64)
    result = rescale(sums if prepared.is_wide else wrap_int32(sums), stage.scaling) + stage.zero_point
    narrow(result, stage.lowest, stage.highest, outputs[0])

"""ADD_N: inputs summed one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.add_n import HEADROOM_BITS, PreparedAddN
from mcusim.ops.kernels.sections import section
from mcusim.ops.registry import Piece

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: PreparedAddN, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs, outputs[0]: one shape, the piece."""
    arrays = [
        array if constant is None else section(constant, piece, position)
        for position, (array, constant) in enumerate(zip(inputs, prepared.constants, strict=True))
    ]
    output, stage = outputs[0], prepared.stage
    if prepared.input_scaling is None or stage is None:
        total = arrays[0]
        for array in arrays[1:]:
            total = total + array
        output[...] = total
        return
    scaled = [
        rescale((array.astype(np.int64) - prepared.zero_point) << HEADROOM_BITS, prepared.input_scaling)
        for array in arrays
    ]
    # The sum starts from minus the zero point, scaled: TFLM takes that for nothing.
    start = rescale(np.full(output.shape, -prepared.zero_point << HEADROOM_BITS), prepared.input_scaling)
    sums = wrap_int32(sum(scaled, start))
    narrow(rescale(sums, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, output)

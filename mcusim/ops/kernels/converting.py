"""QUANTIZE, DEQUANTIZE: real numbers to integers and back, and integers to another scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX, INT32_MIN, rescale, round_half_away
from mcusim.ops.kernels.sections import Array, section
from mcusim.ops.registry import Piece
from mcusim.ops.shared.converting import FromReal, Rescale, ToReal

__all__ = ["run"]


def run(prepared: FromReal | ToReal | Rescale, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    source, output = section(inputs[0], piece), outputs[0]
    match prepared:
        case FromReal(scale, zero_point, lowest, highest, inverse):
            # The quotient is a float32; a double would round otherwise. Beyond int32 the C conversion is undefined:
            # microcontrollers saturate.
            with np.errstate(over="ignore"):
                real = source / np.float32(scale) if inverse is None else source * np.float32(inverse)
            quotient = np.clip(real, INT32_MIN, INT32_MAX)
            whole = round_half_away(quotient) if inverse is None else np.rint(quotient.astype(np.float64))
            output[...] = np.clip(whole + zero_point, lowest, highest).astype(output.dtype)
        case ToReal(scale, zero_point):
            output[...] = (scale * (source.astype(np.int32) - zero_point)).astype(np.float32)
        case Rescale(by, input_zero_point, zero_point, lowest, highest):
            stored = rescale(source.astype(np.int64) - input_zero_point, by) + zero_point
            output[...] = np.clip(stored, lowest, highest).astype(output.dtype)

"""Shared by operators whose kernels are integer only, for what they compute in real numbers: the yardstick of rounding.

An `OpDef.in_float` takes the inputs dequantised, and knows nothing of the fused activation, which its caller applies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Signature
from mcusim.region import Window

__all__ = ["FloatForm", "biased", "taps_met", "unchanged"]

Array = NDArray[Any]
FloatForm = Callable[[Signature, Sequence[Array | None]], Array]
"""(signature, inputs in float32) -> the output in real numbers, before the fused activation."""


def unchanged(call: Signature, inputs: Sequence[Array | None]) -> Array:
    """Of an operator that only changes how numbers are stored."""
    return np.asarray(inputs[0])


def taps_met(x: Array, rows: Window, cols: Window, outputs: tuple[int, int]) -> list[tuple[int, int, Array]]:
    """For each tap, the input places that it meets, one for each output place."""
    around = ((0, 0), (rows.before, rows.reach + rows.stride), (cols.before, cols.reach + cols.stride), (0, 0))
    padded = np.pad(x, around)
    taps = []
    for row in range(rows.kernel):
        for col in range(cols.kernel):
            top, left = row * rows.dilation, col * cols.dilation
            down = slice(top, top + outputs[0] * rows.stride, rows.stride)
            right = slice(left, left + outputs[1] * cols.stride, cols.stride)
            met = padded[:, down, right]
            taps.append((row, col, met))
    return taps


def biased(total: Array, inputs: Sequence[Array | None]) -> Array:
    """With input 2 added, where there is one."""
    bias = inputs[2] if len(inputs) > 2 else None
    return total if bias is None else total + bias

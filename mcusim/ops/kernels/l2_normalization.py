"""L2_NORMALIZATION: each vector along the last axis times one over the root of its squares' sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.fixed_point import inverse_square_root
from mcusim.arithmetic.quant import narrow, requantize, wrap_int32
from mcusim.ops.registry import Piece

__all__ = ["run"]

Array = NDArray[Any]

SHORTEST = np.float32(1e-6)
"""No vector of floats counts as shorter."""
OUTPUT_BITS = 7
"""Outputs of int8 are in units of 2**-7."""


def run(prepared: int | None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: the input's zero point, None for floats.   inputs[0], outputs[0]: one shape."""
    source, output = inputs[0], outputs[0]
    if not output.size:
        return
    if prepared is None:
        squares = np.add.accumulate(source * source, axis=-1, dtype=np.float32)[..., -1:]
        output[...] = source / np.maximum(np.sqrt(squares), SHORTEST)
        return
    x = source.astype(np.int64) - prepared
    multiplier, shift = inverse_square_root(wrap_int32((x * x).sum(axis=-1, keepdims=True)))
    narrow(requantize(x, multiplier, shift + OUTPUT_BITS), -128, 127, output)

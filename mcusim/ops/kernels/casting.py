"""CAST: elements converted to another type, as C converts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX, INT32_MIN
from mcusim.ops.kernels.sections import Array, section
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """Integers wrap. Real numbers lose their fraction; those that no int32 holds are undefined in C: they saturate."""
    source, output = section(inputs[0], piece), outputs[0]
    if source.dtype.kind == "f" and output.dtype.kind in "iu":
        lowest, highest = _LIMITS.get(output.dtype.name, (INT32_MIN, INT32_MAX))
        source = np.clip(np.trunc(source.astype(np.float64)), lowest, highest).astype(np.int64)
    output[...] = source.astype(output.dtype)


_LIMITS = {"uint32": (0, (1 << 32) - 1), "int64": (-(1 << 62), 1 << 62), "uint64": (-(1 << 62), 1 << 62)}

"""BROADCAST_ARGS: the shape that two shapes stretch to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.errors import InputError
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: str, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """prepared: names the node.   inputs: two shapes, aligned at their ends.

    Sizes of 64 bits are taken as 32.   Source: TFLM broadcast_args.h.
    """
    output = outputs[0]
    sizes = [shape.astype(np.int32) for shape in inputs[:2]]
    a, b = (np.concatenate([np.ones(output.size - size.size, np.int32), size]) for size in sizes)
    if ((a != b) & (a != 1) & (b != 1)).any():
        what = f"shapes {inputs[0].tolist()} and {inputs[1].tolist()} do not broadcast"
        raise InputError(what, where=prepared, fix="give the network shapes that do")
    output[...] = np.where(a == 1, b, a)

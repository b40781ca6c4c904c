"""CUMSUM: running sums; floats one after the other, as C adds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.cumsum import HEADROOM_BITS, PreparedCumsum
from mcusim.ops.registry import Piece

__all__ = ["run"]

Array = NDArray[Any]


def _running(values: Array, prepared: PreparedCumsum) -> Array:
    ordered = np.flip(values, prepared.axis) if prepared.reverse else values
    ordered = np.moveaxis(ordered, prepared.axis, -1)
    sums = np.add.accumulate(ordered, axis=-1, dtype=values.dtype)
    if prepared.exclusive:
        sums = np.concatenate([np.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)
    sums = np.moveaxis(sums, -1, prepared.axis)
    return np.flip(sums, prepared.axis) if prepared.reverse else sums


def run(prepared: PreparedCumsum, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], outputs[0]: whole, of one shape."""
    source, output, stage = inputs[0], outputs[0], prepared.stage
    if prepared.input_scaling is None or stage is None:
        output[...] = _running(source, prepared)
        return
    # The sum starts from minus the zero point, scaled: TFLM takes that for nothing.
    start = rescale(np.int64(-prepared.zero_point << HEADROOM_BITS), prepared.input_scaling)
    scaled = rescale((source.astype(np.int64) - prepared.zero_point) << HEADROOM_BITS, prepared.input_scaling)
    sums = wrap_int32(_running(scaled, prepared) + start)
    narrow(rescale(sums, stage.scaling) + stage.zero_point, stage.lowest, stage.highest, output)

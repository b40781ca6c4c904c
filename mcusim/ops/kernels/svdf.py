"""SVDF. The state is shifted, and takes in the newest activations, in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.registry import Piece
from mcusim.ops.svdf import STATE, PreparedSvdf

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: PreparedSvdf, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: (batch, in).   inputs[4]: the state, contiguous, written.   outputs[0]: (batch, units)."""
    batch = inputs[0].shape[0]
    filters, memory = prepared.times.shape
    state = inputs[STATE].reshape(-1)
    if not np.shares_memory(state, inputs[STATE]):
        raise AssertionError("the state's array is not contiguous")
    state[:-1] = state[1:].copy()
    activations = state.reshape(batch, filters, memory)
    sums = wrap_int32((inputs[0].astype(np.int64) - prepared.input_zero_point) @ prepared.features)
    # Clamped before the zero point is added, so that the state may wrap: as the pinned TFLM does.
    newest = np.clip(rescale(sums, prepared.feature_scaling), prepared.state_lowest, prepared.state_highest)
    activations[:, :, -1] = (newest + prepared.state_zero_point).astype(state.dtype)
    offsets = activations.astype(np.int64) - prepared.state_zero_point
    over_time = (offsets * prepared.times).sum(axis=-1)
    units = over_time.reshape(batch, -1, prepared.rank).sum(axis=-1) + prepared.bias
    stage = prepared.stage
    narrow(rescale(wrap_int32(units), stage.scaling) + stage.zero_point, stage.lowest, stage.highest, outputs[0])

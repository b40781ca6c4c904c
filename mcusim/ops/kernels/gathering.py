"""GATHER: slices of a tensor picked along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.errors import InputError
from mcusim.ops.gather import Picking
from mcusim.ops.kernels.sections import Array, section
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: Picking, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    positions = inputs[1]
    if positions.size and not 0 <= positions.min() <= positions.max() < prepared.size:
        what = f"position {positions.min()} or {positions.max()} is outside an axis of {prepared.size}"
        raise InputError(what, where=prepared.where, fix="give the network inputs that ask for places that are there")
    source = inputs[0]
    keeps_rank = outputs[0].ndim == source.ndim
    if prepared.axis == source.ndim - 1 and keeps_rank:  # pieces of the output are then pieces of the input
        source = section(source, piece)
    _gather(source, positions, outputs[0], prepared.axis, prepared.batch_dims)


def _gather(source: Array, positions: Array, output: Array, axis: int, batch_dims: int) -> None:
    if batch_dims == 0:
        output[...] = np.take(source, positions, axis).reshape(output.shape)  # never spread over a larger output
        return
    for one, picked, filled in zip(source, positions, output, strict=True):
        _gather(one, picked, filled, axis - 1, batch_dims - 1)

"""MEAN, SUM, REDUCE_MAX and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import narrow, rescale, wrap_int32
from mcusim.ops.registry import Piece
from mcusim.ops.shared.reduction import PreparedReduction, Reduction

__all__ = ["run"]

Array = NDArray[Any]


def _float_sum(source: Array, axes: tuple[int, ...]) -> Array:
    """Elements added one after the other, in the order in which they are stored, as C does; numpy adds in pairs."""
    kept = tuple(axis for axis in range(source.ndim) if axis not in axes)
    rows = source.transpose(*kept, *axes).reshape([source.shape[axis] for axis in kept] + [-1])
    return np.asarray(np.add.accumulate(rows, axis=-1, dtype=np.float32)[..., -1])


_FOLDS: Mapping[Reduction, Callable[..., Array]] = MappingProxyType(
    {Reduction.MAX: np.max, Reduction.MIN: np.min, Reduction.ALL: np.all, Reduction.ANY: np.any}
)


def run(prepared: PreparedReduction, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: any shape.   outputs[0]: the piece, with folded axes of size 1 or without them."""
    source, output = inputs[0], outputs[0]
    if output.size == 0:
        return
    fold = _FOLDS.get(prepared.reduction)
    if fold is not None:
        output[...] = fold(source, axis=prepared.axes).reshape(output.shape)
    elif prepared.stage is None:
        total = _float_sum(source, prepared.axes)
        if prepared.reduction is Reduction.MEAN:
            total = total / np.float32(prepared.count)
        output[...] = total.reshape(output.shape)
    else:
        total = wrap_int32(source.sum(axis=prepared.axes, dtype=np.int64))
        stage = prepared.stage
        if prepared.line is None:
            offsets = wrap_int32(total - prepared.zero_point * prepared.count)
            result = rescale(offsets, stage.scaling) + stage.zero_point
        else:
            slope, start = (np.float32(number) for number in prepared.line)
            result = np.rint(total.astype(np.float32) * slope + start).astype(np.int64)
        narrow(result.reshape(output.shape), stage.lowest, stage.highest, output)

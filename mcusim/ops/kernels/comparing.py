"""EQUAL, LESS and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mcusim.arithmetic.quant import rescale
from mcusim.ops.kernels.arithmetic import Array, broadcast_operands
from mcusim.ops.registry import Piece
from mcusim.ops.shared.comparing import LEFT_SHIFT, PreparedComparison, Relation

__all__ = ["run"]

_HOLDS: Mapping[Relation, Callable[[Array, Array], Array]] = MappingProxyType(
    {
        Relation.EQUAL: np.equal,
        Relation.NOT_EQUAL: np.not_equal,
        Relation.LESS: np.less,
        Relation.LESS_EQUAL: np.less_equal,
        Relation.GREATER: np.greater,
        Relation.GREATER_EQUAL: np.greater_equal,
    }
)


def run(prepared: PreparedComparison, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0], inputs[1]: broadcast to outputs[0], the piece."""
    a, b = broadcast_operands(prepared.operands, inputs, piece)
    if prepared.scalings is not None:
        a, b = (
            rescale((array.astype(np.int64) - zero_point) << LEFT_SHIFT, by)
            for array, zero_point, by in zip((a, b), prepared.zero_points, prepared.scalings, strict=True)
        )
    outputs[0][...] = _HOLDS[prepared.relation](a, b)

"""TRANSPOSE: axes in another order; output axis i is input axis perm[i]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import axis_of, check_positions, constant_ints, operand, refusal
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.tiles import entire, is_feature_map
from mcusim.ops.shared.versions import wide
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["TRANSPOSE"]


def _permutation(inputs: Sequence[TensorType | None]) -> tuple[int, ...]:
    shape = operand("TRANSPOSE", inputs, 0).shape
    order = tuple(axis_of("TRANSPOSE", axis, shape) for axis in constant_ints("TRANSPOSE", inputs, 1, "permutation"))
    if len(order) != len(shape) or len(set(order)) != len(order):
        raise refusal("TRANSPOSE", f"{order} does not order the axes of {shape}", "list each axis once")
    return order


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape = operand("TRANSPOSE", inputs, 0).shape
    return (tuple(shape[axis] for axis in _permutation(inputs)),)


@lru_cache(SIGNATURES_KEPT)
def _permutation_of(signature: Signature) -> tuple[int, ...]:
    return _permutation(signature.inputs)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Tileable as long as the rows or the columns of the output are rows or columns of the input."""
    if index or not is_feature_map(signature.output):
        return None
    order, source = _permutation_of(signature), signature.input(0)
    if {1, 2}.isdisjoint(order[1:3]):
        return None
    spans = {order[1]: rows, order[2]: cols}
    asked = Span(0, min(rows.length, cols.length))  # nothing asked, nothing needed
    return Region(
        spans.get(1, entire(asked, source.rows)),
        spans.get(2, entire(asked, source.cols)),
    )


def _prepare(call: Call) -> tuple[int, ...]:
    """Input axis of each output axis."""
    check_movable(call, 0)
    check_positions(call, 1)
    return _permutation_of(call.signature)


TRANSPOSE = register(
    replace(
        moves(
            "TRANSPOSE",
            "axes in another order",
            _infer,
            _needs,
            options="TransposeOptions",
            most_inputs=2,
            shape_inputs=(1,),
            prepare=_prepare,
            kernel="transposing",
        ),
        is_border_conversion=True,
        version=wide({DType.INT8: 2, DType.BOOL: 3, DType.INT16: 5}, 4),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

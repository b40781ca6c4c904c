"""GATHER: slices of a tensor picked along an axis. Inputs: tensor, positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import axis_of, operand, refusal
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.tiles import is_feature_map, same_region
from mcusim.ops.shared.versions import by_type
from mcusim.region import Region, Span

__all__ = ["GATHER", "GatherAttributes", "Picking"]


@dataclass(frozen=True, slots=True)
class GatherAttributes(Attributes):
    """Attributes of GATHER, under TFLite's names. batch_dims: leading dimensions that tensor and positions share."""

    axis: int = 0
    batch_dims: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, GatherAttributes)
    shape, positions = operand("GATHER", inputs, 0).shape, operand("GATHER", inputs, 1, "positions").shape
    axis = axis_of("GATHER", attributes.axis, shape)
    batch = attributes.batch_dims + (len(positions) if attributes.batch_dims < 0 else 0)
    if not 0 <= batch <= min(axis, len(positions)) or shape[:batch] != positions[:batch]:
        raise refusal(
            "GATHER",
            f"positions {positions} and tensor {shape} do not share {attributes.batch_dims} leading dimensions",
            "use batch_dims of at most axis, over equal dimensions",
        )
    return (shape[:axis] + positions[batch:] + shape[axis + 1 :],)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """Tileable where it picks among channels, by positions that are known."""
    if not is_feature_map(signature.output) or not signature.input(1).is_constant:
        return None
    if attributes_of(signature, GatherAttributes).axis not in (3, -1) or len(signature.input(1).shape) != 1:
        return None
    return same_region(signature, index, rows, cols)


class Picking(NamedTuple):
    """What the gather kernel trusts.   where: names the node, for positions that only the run knows."""

    axis: int
    batch_dims: int
    size: int
    where: str


def _prepare(call: Call) -> Picking:
    check_movable(call, 0)
    attributes, positions = attributes_of(call.signature, GatherAttributes), call.input(1)
    if positions.dtype not in (DType.INT16, DType.INT32, DType.INT64):
        what = f"its positions are {positions.dtype}, and must be integers"
        raise ModelError(what, where=call.where, fix="make them int32")
    shape = call.signature.input(0).shape
    axis = axis_of("GATHER", attributes.axis, shape)
    batch = attributes.batch_dims + (len(positions.shape) if attributes.batch_dims < 0 else 0)
    known = positions.constant
    if known is not None and known.size and not 0 <= known.min() <= known.max() < shape[axis]:
        what = f"positions {known.min()}..{known.max()} are not all on an axis of {shape[axis]}"
        raise ModelError(what, where=call.where, fix="export the model again")
    return Picking(axis, batch, shape[axis], call.where)


GATHER = register(
    replace(
        moves(
            "GATHER",
            "slices of a tensor picked along an axis",
            _infer,
            _needs,
            attributes=GatherAttributes,
            options="GatherOptions",
            most_inputs=2,
            prepare=_prepare,
            kernel="gathering",
        ),
        version=by_type({DType.INT8: 2, DType.BOOL: 3, DType.INT16: 4, DType.INT4: 7}),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

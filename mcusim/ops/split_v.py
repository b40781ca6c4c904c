"""SPLIT_V: one tensor cut into parts of given sizes along an axis. Inputs: tensor, sizes, axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import axis_of, constant_int, constant_ints, operand, refusal
from mcusim.ops.shared.slicing import Cut
from mcusim.ops.shared.splitting import pieces, prepare_split, split_needs
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import INT8, by_type
from mcusim.region import Region, Span

__all__ = ["SPLIT_V", "SplitVAttributes"]


@dataclass(frozen=True, slots=True)
class SplitVAttributes(Attributes):
    """Attributes of SPLIT_V, under TFLite's names."""

    num_splits: int = 0


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, SplitVAttributes)
    shape, sizes = operand("SPLIT_V", inputs, 0).shape, constant_ints("SPLIT_V", inputs, 1, "sizes")
    axis = axis_of("SPLIT_V", constant_int("SPLIT_V", inputs, 2, "axis"), shape)
    rest = shape[axis] - sum(size for size in sizes if size != -1)
    full = tuple(rest if size == -1 else size for size in sizes)
    if len(sizes) != attributes.num_splits or min(full, default=0) < 0 or sum(full) != shape[axis]:
        raise refusal(
            "SPLIT_V",
            f"axis {axis} of {shape} does not split into {attributes.num_splits} parts of {sizes}",
            "give sizes that add up to the axis, at most one of them -1",
        )
    return pieces(shape, axis, full)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return split_needs(signature, 0, index, rows, cols)


def _prepare(call: Call) -> Cut:
    inputs = call.signature.inputs
    return prepare_split(call, 0, axis_of("SPLIT_V", constant_int("SPLIT_V", inputs, 2, "axis"), call.input(0).shape))


SPLIT_V = register(
    replace(
        moves(
            "SPLIT_V",
            "one tensor cut into parts of given sizes along an axis",
            _infer,
            _needs,
            attributes=SplitVAttributes,
            options="SplitVOptions",
            most_inputs=3,
            prepare=_prepare,
            kernel="slicing",
        ),
        version=by_type(INT8),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

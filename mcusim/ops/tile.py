"""TILE: a tensor repeated along its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.movement import moves
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.picking import Picks, prepare_picks
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.ops.shared.versions import by_type
from mcusim.region import Region, Span

__all__ = ["TILE"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, times = operand("TILE", inputs, 0).shape, constant_ints("TILE", inputs, 1, "multiples")
    if len(times) != len(shape) or min(times, default=0) < 0:
        raise refusal("TILE", f"multiples {times} do not go with {shape}", "give one of 0 or more for each axis")
    return (tuple(size * n for size, n in zip(shape, times, strict=True)),)


def _repeated(span: Span, size: int) -> Span:
    """Hull of the places of one copy that `span` shows: all of it, once a copy ends inside."""
    if span.stop <= span.start:
        return Span(0, 0)
    copy = span.start // size * size
    return Span(span.start - copy, span.stop - copy) if span.stop <= copy + size else Span(0, size)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index or not is_feature_map(signature.output):
        return None
    source = signature.input(0)
    return Region(_repeated(rows, source.rows), _repeated(cols, source.cols))


def _prepare(call: Call) -> Picks:
    constant_ints("TILE", call.signature.inputs, 1, "multiples")
    sizes = zip(call.signature.input(0).shape, call.outputs[0].shape, strict=True)
    return prepare_picks(call, [[place % size for place in range(outputs)] for size, outputs in sizes])


TILE = register(
    replace(
        moves(
            "TILE",
            "a tensor repeated along its axes",
            _infer,
            _needs,
            options="TileOptions",
            most_inputs=2,
            shape_inputs=(1,),
            prepare=_prepare,
            kernel="picking",
        ),
        version=by_type({DType.INT8: 3}),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

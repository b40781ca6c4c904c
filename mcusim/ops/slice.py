"""SLICE: a box of a tensor; a size of -1 reaches to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.slicing import Cut, Walk, walk_needs
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import wide
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["SLICE"]


def _walks(inputs: Sequence[TensorType | None]) -> tuple[Walk, ...]:
    shape = operand("SLICE", inputs, 0).shape
    begin, size = constant_ints("SLICE", inputs, 1, "begin"), constant_ints("SLICE", inputs, 2, "size")
    if not len(begin) == len(size) == len(shape):
        raise refusal("SLICE", f"begin {begin} and size {size} do not go with {shape}", "give one number for each axis")
    walks = tuple(
        Walk(axis, first, 1, whole - first if length == -1 else length)
        for axis, (first, length, whole) in enumerate(zip(begin, size, shape, strict=True))
    )
    if any(w.start < 0 or w.length < 0 or w.start + w.length > whole for w, whole in zip(walks, shape, strict=True)):
        raise refusal("SLICE", f"begin {begin}, size {size} reach outside {shape}", "keep the box inside the tensor")
    return walks


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    if operand("SLICE", inputs, 1, "begin").values is None:  # then the size must say all by itself
        size, shape = constant_ints("SLICE", inputs, 2, "size"), operand("SLICE", inputs, 0).shape
        if len(size) != len(shape) or not all(0 <= length <= whole for length, whole in zip(size, shape, strict=True)):
            raise refusal("SLICE", f"size {size} does not go with {shape}", "keep the box inside the tensor")
        return (size,)
    return (tuple(walk.length for walk in _walks(inputs)),)


@lru_cache(SIGNATURES_KEPT)
def _walks_of(signature: Signature) -> tuple[Walk, ...]:
    return _walks(signature.inputs)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index or signature.input(1).values is None or signature.input(2).values is None:
        return None
    return walk_needs(signature, _walks_of(signature), rows, cols)


def _prepare(call: Call) -> Cut:
    check_movable(call, 0)
    begin, size = call.input(1).dtype, call.input(2).dtype
    if begin is not size:
        what = f"its size is {size}, whose bytes TensorFlow Lite Micro takes for {begin}, the type of its begin"
        raise ModelError(what, where=call.where, fix="give begin and size one type")
    walks = _walks(call.signature.inputs)
    if tuple(walk.length for walk in walks) != call.outputs[0].shape:
        what = f"its box is not {call.outputs[0].shape}, for which there is room"
        raise refusal("SLICE", what, "keep the size that the file says")
    return Cut(0, (walks,))


SLICE = register(
    replace(
        moves(
            "SLICE",
            "a box of a tensor",
            _infer,
            _needs,
            options="SliceOptions",
            most_inputs=3,
            shape_inputs=(1, 2),
            prepare=_prepare,
            kernel="slicing",
        ),
        late=(1, 2),
        version=wide({DType.INT8: 2, DType.INT16: 4}, 5),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

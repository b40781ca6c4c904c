"""STRIDED_SLICE: every stride-th element of a box, with Python's negative indices and NumPy's new and dropped axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from mcusim.errors import ModelError
from mcusim.graph import Attributes, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import check_positions, constant_ints, operand, refusal
from mcusim.ops.shared.slicing import Cut, Walk, walk_needs
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import INT8, of_type
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["STRIDED_SLICE", "StridedSliceAttributes"]

OP = "STRIDED_SLICE"
NEW_AXIS = Walk(None, 0, 1, 1)


@dataclass(frozen=True, slots=True)
class StridedSliceAttributes(Attributes):
    """Attributes of STRIDED_SLICE, under TFLite's names. Bit i of a mask speaks of entry i of begin, end and strides.

    begin_mask, end_mask: that bound is ignored.   ellipsis_mask: the entry stands for all axes that no other names.
    new_axis_mask: puts in an axis of size 1.   shrink_axis_mask: takes one element and drops the axis.
    offset: `end` counts from `begin`.
    """

    begin_mask: int = 0
    end_mask: int = 0
    ellipsis_mask: int = 0
    new_axis_mask: int = 0
    shrink_axis_mask: int = 0
    offset: bool = False


def _bound(bound: int, size: int, stride: int) -> int:
    """A begin or end, from the end where negative, clamped to where a walk in this direction can start or stop."""
    low, high = (0, size) if stride > 0 else (-1, size - 1)
    return min(max(bound + size if bound < 0 else bound, low), high)


def _walk(attributes: StridedSliceAttributes, entry: int, bounds: tuple[int, int, int], axis: int, size: int) -> Walk:
    """Source: TFLite strided_slice_logic.h, StridedSliceStartForAxis and StridedSliceEndForAxis."""
    begin, end, stride = bounds
    bit = 1 << entry
    if stride == 0:
        raise refusal(OP, "a stride is 0", "use any other stride")
    start = _bound(begin, size, stride)
    if attributes.begin_mask & bit:
        start = 0 if stride > 0 else size - 1
    if attributes.shrink_axis_mask & bit:
        if not 0 <= start < size:
            raise refusal(OP, f"index {begin} is outside an axis of {size}", f"use {-size}..{size - 1}")
        return Walk(axis, start, 1, 1, is_dropped=True)
    stop = _bound(end + start if attributes.offset else end, size, stride)
    if attributes.end_mask & bit:
        stop = size if stride > 0 else -1
    return Walk(axis, start, stride, max(-((start - stop) // stride), 0))


def _entries(inputs: Sequence[TensorType | None]) -> list[tuple[int, int, int]]:
    """Begin, end and stride of each entry."""
    begin, end, strides = (
        constant_ints(OP, inputs, index, name) for index, name in ((1, "begin"), (2, "end"), (3, "strides"))
    )
    if not len(begin) == len(end) == len(strides):
        raise refusal(OP, "begin, end and strides differ in length", "give each as many entries")
    return list(zip(begin, end, strides, strict=True))


def _walks(attributes: StridedSliceAttributes, inputs: Sequence[TensorType | None]) -> tuple[Walk, ...]:
    """The walk of each axis of the output, and of those that it drops."""
    shape = operand(OP, inputs, 0).shape
    entries = _entries(inputs)
    unnamed = len(shape) - sum(
        not (attributes.new_axis_mask | attributes.ellipsis_mask) >> i & 1 for i in range(len(entries))
    )
    if unnamed < 0:
        raise refusal(OP, f"more entries than {shape} has axes", "give at most one for each axis")
    ellipses = [i for i in range(len(entries)) if attributes.ellipsis_mask >> i & 1]
    if len(ellipses) > 1:
        raise refusal(OP, "it has two ellipses", "use one")
    gap = ellipses[0] if ellipses else len(entries)
    axes = iter(range(len(shape)))
    walks = _named(attributes, list(enumerate(entries))[:gap], axes, shape)
    walks += [Walk(axis, 0, 1, shape[axis]) for axis in islice(axes, unnamed)]
    walks += _named(attributes, list(enumerate(entries))[gap + 1 :], axes, shape)
    return tuple(walks)


def _named(
    attributes: StridedSliceAttributes,
    entries: Sequence[tuple[int, tuple[int, int, int]]],
    axes: Iterator[int],
    shape: Shape,
) -> list[Walk]:
    """Walks of numbered entries that each speak of the next input axis, or of a new one."""
    walks: list[Walk] = []
    for i, bounds in entries:
        if attributes.new_axis_mask >> i & 1:
            walks.append(NEW_AXIS)
            continue
        axis = next(axes)
        walks.append(_walk(attributes, i, bounds, axis, shape[axis]))
    return walks


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, StridedSliceAttributes)
    return (tuple(walk.length for walk in _walks(attributes, inputs) if not walk.is_dropped),)


@lru_cache(SIGNATURES_KEPT)
def _walks_of(signature: Signature) -> tuple[Walk, ...]:
    return _walks(attributes_of(signature, StridedSliceAttributes), signature.inputs)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index:
        return None
    return walk_needs(signature, tuple(walk for walk in _walks_of(signature) if not walk.is_dropped), rows, cols)


def _prepare(call: Call) -> Cut:
    check_movable(call, 0)
    check_positions(call, 1, 2, 3)
    _refuse_unset(call)
    return Cut(0, (_walks_of(call.signature),))


def _refuse_unset(call: Call) -> None:
    """Raise ModelError where an axis is dropped whose stride is negative: TFLM walks none of it, and sets no output.

    Source: TFLite strided_slice.h, whose walk ends behind the begin.
    """
    mask = attributes_of(call.signature, StridedSliceAttributes).shrink_axis_mask
    entries = _entries(call.signature.inputs) if mask else []
    if any(mask >> i & 1 and stride < 0 for i, (_, _, stride) in enumerate(entries)):
        what = "it drops an axis whose stride is negative, and TensorFlow Lite Micro leaves its output unset"
        raise ModelError(what, where=call.where, fix="give that axis the stride 1")


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    attributes, source = node.attributes, node.signature.input(0)
    if getattr(attributes, "offset", False):
        return 8
    if getattr(attributes, "ellipsis_mask", 0) or getattr(attributes, "new_axis_mask", 0):
        return 6
    return 4 if len(source.shape) > 4 else of_type(INT8, source.dtype)


STRIDED_SLICE = register(
    replace(
        moves(
            OP,
            "every stride-th element of a box; axes may be dropped or put in",
            _infer,
            _needs,
            attributes=StridedSliceAttributes,
            options="StridedSliceOptions",
            most_inputs=4,
            shape_inputs=(1, 2, 3),
            prepare=_prepare,
            kernel="slicing",
        ),
        version=_version,
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

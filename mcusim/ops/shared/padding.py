"""Shared by the operators that put a border around a tensor.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from math import prod
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import constant_ints, operand, refusal
from mcusim.ops.shared.tiles import is_feature_map
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["Frame", "border", "border_of", "infer_padded", "pad"]

Border = tuple[tuple[int, int], ...]
"""Elements put before and after, axis by axis."""


def border(op: str, inputs: Sequence[TensorType | None]) -> Border:
    """The border that input 1 asks for. Raises ModelError unless it has two numbers of 0 or more for each axis."""
    shape, flat = operand(op, inputs, 0).shape, constant_ints(op, inputs, 1, "paddings")
    if len(flat) != 2 * len(shape) or min(flat, default=0) < 0:
        raise refusal(
            op,
            f"paddings {flat} do not go with shape {shape}",
            "give two numbers for each axis, before and after, of 0 or more",
        )
    return tuple(zip(flat[::2], flat[1::2], strict=True))


@lru_cache(SIGNATURES_KEPT)
def border_of(signature: Signature) -> Border:
    """The border of a node that is known to be well formed."""
    return border(signature.op, signature.inputs)


def infer_padded(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    """`infer`: each axis grows by its border."""
    shape = operand(op, inputs, 0).shape
    return (tuple(before + size + after for size, (before, after) in zip(shape, border(op, inputs), strict=True)),)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    """The same place less the border; a border around the batch is more than rows and columns can say."""
    if index or not is_feature_map(signature.output):
        return None
    batch, (top, _), (left, _), _ = border_of(signature)
    if batch != (0, 0):
        return None
    return Region(Span(rows.start - top, rows.stop - top), Span(cols.start - left, cols.stop - left))


class Frame(NamedTuple):
    """What the padding kernel trusts.

    before: elements put before the input, axis by axis.
    value: what is put there; None where input 2 says it at run time.
    """

    before: tuple[int, ...]
    value: float | None


def _prepare(call: Call) -> Frame:
    check_movable(call, 0)
    before = tuple(first for first, _ in border_of(call.signature))
    if call.signature.has(2):
        check_movable(call, 2)
        value = call.input(2)
        if prod(value.shape) != 1:
            what = f"the value to pad with has shape {value.shape}, not one element"
            raise ModelError(what, where=call.where, fix="give it a scalar")
        return Frame(before, None if value.constant is None else value.constant.reshape(-1)[0].item())
    dtype, quantization = call.outputs[0].dtype, call.outputs[0].quantization
    # TFLM pads int16 and int32 with 0 whatever the zero point is.
    is_byte = dtype.is_integer and 0 < dtype.bits <= 8
    return Frame(before, quantization.zero_points[0] if is_byte and quantization else 0)


def pad(name: str, summary: str, *, options: str, most_inputs: int) -> OpDef:
    """An operator that puts a constant around its input."""
    return moves(
        name,
        summary,
        partial(infer_padded, name),
        _needs,
        options=options,
        most_inputs=most_inputs,
        shape_inputs=(1,),
        prepare=_prepare,
        kernel="padding",
    )

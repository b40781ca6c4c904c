"""Shared by the operators that put a border around a tensor.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.movement import moves
from mcusim.ops.operands import constant_ints, operand, refusal
from mcusim.ops.registry import OpDef
from mcusim.ops.tiles import is_feature_map
from mcusim.ops.windows import SIGNATURES_KEPT
from mcusim.region import Region, Span

__all__ = ["border", "border_of", "infer_padded", "pad"]

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


def pad(name: str, summary: str, *, options: str) -> OpDef:
    """An operator that puts a constant around its input."""
    return moves(name, summary, partial(infer_padded, name), _needs, options=options)

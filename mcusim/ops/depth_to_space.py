"""DEPTH_TO_SPACE: the channels of a pixel become a block of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import Attributes, Shape, Signature, TensorType
from mcusim.ops.registry import Call, Drawing, attributes_of, register
from mcusim.ops.shared.blocks import BlockAttributes, Blocks, checked_block
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import refusal
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import INT8, by_type
from mcusim.region import Region, Span

__all__ = ["DEPTH_TO_SPACE"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    block, (batch, height, width, channels) = checked_block("DEPTH_TO_SPACE", attributes, inputs)
    if channels % (block * block):
        raise refusal(
            "DEPTH_TO_SPACE",
            f"{channels} channels are not a multiple of {block}x{block}",
            "use a block_size whose square divides them",
        )
    return ((batch, height * block, width * block, channels // (block * block)),)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index:
        return None
    block = attributes_of(signature, BlockAttributes).block_size
    return Region(_blocks(rows, block), _blocks(cols, block))


def _blocks(span: Span, block: int) -> Span:
    """Blocks that `span` touches."""
    return Span(span.start // block, -(-span.stop // block)) if span.stop > span.start else Span(0, 0)


def _prepare(call: Call) -> Blocks:
    check_movable(call, 0)
    return Blocks(attributes_of(call.signature, BlockAttributes).block_size, gathers=False)


DEPTH_TO_SPACE = register(
    replace(
        moves(
            "DEPTH_TO_SPACE",
            "the channels of a pixel become a block of pixels",
            _infer,
            _needs,
            attributes=BlockAttributes,
            options="DepthToSpaceOptions",
            prepare=_prepare,
            kernel="blocks",
        ),
        version=by_type(INT8),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

"""SPACE_TO_DEPTH: each block of pixels becomes the channels of one."""

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

__all__ = ["SPACE_TO_DEPTH"]


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    block, (batch, height, width, channels) = checked_block("SPACE_TO_DEPTH", attributes, inputs)
    if height % block or width % block:
        raise refusal("SPACE_TO_DEPTH", f"{height}x{width} is not made of {block}x{block} blocks", "pad it first")
    return ((batch, height // block, width // block, channels * block * block),)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index:
        return None
    block = attributes_of(signature, BlockAttributes).block_size
    return Region(Span(rows.start * block, rows.stop * block), Span(cols.start * block, cols.stop * block))


def _prepare(call: Call) -> Blocks:
    check_movable(call, 0)
    return Blocks(attributes_of(call.signature, BlockAttributes).block_size, gathers=True)


SPACE_TO_DEPTH = register(
    replace(
        moves(
            "SPACE_TO_DEPTH",
            "each block of pixels becomes the channels of one",
            _infer,
            _needs,
            attributes=BlockAttributes,
            options="SpaceToDepthOptions",
            prepare=_prepare,
            kernel="blocks",
        ),
        version=by_type(INT8),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

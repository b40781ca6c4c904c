"""BATCH_TO_SPACE_ND: images laid between each other into one map, which is cropped. Inputs: images, block, crops."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mcusim.graph import Attributes, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.batching import Batching, pairs_of
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import check_positions, refusal

__all__ = ["BATCH_TO_SPACE_ND"]

OP = "BATCH_TO_SPACE_ND"


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, blocks, crops = pairs_of(OP, inputs, "crops")
    whole = [size * block for size, block in zip(shape[1:], blocks, strict=False)]
    sizes = [size - before - after for size, (before, after) in zip(whole, crops, strict=True)]
    if shape[0] % prod(blocks) or min(sizes, default=1) < 0:
        what = f"{shape} does not give a map by blocks of {blocks} and crops of {crops}"
        raise refusal(OP, what, "let the batch be a multiple of the block, and crop less than there is")
    return ((shape[0] // prod(blocks), *sizes, *shape[1 + len(blocks) :]),)


def _prepare(call: Call) -> Batching:
    """Source: TFLM batch_to_space_nd.cc."""
    check_movable(call, 0)
    check_positions(call, 1, 2)
    _, blocks, crops = pairs_of(OP, call.signature.inputs, "crops")
    return Batching(blocks, crops, gathers=False)


BATCH_TO_SPACE_ND = register(
    moves(
        OP,
        "images laid between each other into one map, which is cropped",
        _infer,
        options="BatchToSpaceNDOptions",
        most_inputs=3,
        shape_inputs=(1, 2),
        prepare=_prepare,
        kernel="batching",
    )
)

"""SPACE_TO_BATCH_ND: every n-th place of a padded map becomes an image of its own. Inputs: map, block, paddings."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mcusim.graph import Attributes, DType, Quantization, Shape, TensorType
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.batching import Batching, pairs_of
from mcusim.ops.shared.movement import check_movable, moves
from mcusim.ops.shared.operands import check_positions, refusal

__all__ = ["SPACE_TO_BATCH_ND"]

OP = "SPACE_TO_BATCH_ND"


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    shape, blocks, pads = pairs_of(OP, inputs, "paddings")
    sizes = [size + before + after for size, (before, after) in zip(shape[1:], pads, strict=False)]
    if any(size % block for size, block in zip(sizes, blocks, strict=True)):
        raise refusal(OP, f"a map of {sizes} is not made of blocks of {blocks}", "pad it to a multiple")
    batched = [size // block for size, block in zip(sizes, blocks, strict=True)]
    return ((shape[0] * prod(blocks), *batched, *shape[1 + len(blocks) :]),)


def _prepare(call: Call) -> Batching:
    """Padding counts as the output's zero point, as in TFLite: TFLM reads it from memory that nothing has set.

    Source: TFLite space_to_batch_nd.h; TFLM space_to_batch_nd.cc.
    """
    check_movable(call, 0)
    check_positions(call, 1, 2)
    _, blocks, pads = pairs_of(OP, call.signature.inputs, "paddings")
    output = call.outputs[0]
    quantization = output.quantization if output.dtype is not DType.FLOAT32 else None
    fill = quantization.zero_points[0] if isinstance(quantization, Quantization) else 0
    return Batching(blocks, pads, gathers=True, fill=fill)


SPACE_TO_BATCH_ND = register(
    moves(
        OP,
        "every n-th place of a padded map becomes an image of its own",
        _infer,
        options="SpaceToBatchNDOptions",
        most_inputs=3,
        shape_inputs=(1, 2),
        prepare=_prepare,
        kernel="batching",
    )
)

"""First-fit placement: take the blocks in some order, put each at the lowest address where it overlaps nobody."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence

from mcusim.planners.blocks import Block, join
from mcusim.program import Buffer

__all__ = ["first_fit", "tflm_greedy", "tinyengine_first_fit"]


def tflm_greedy(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes as TFLM's GreedyMemoryPlanner gives them: by size descending, ties by descending tensor index.

    Scratch requests come after the tensors in TFLM's list, in the order of the operators that make them.
    Source: tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc.
    """
    blocks = join(buffers)
    last_tensor = max((b.tensor for b in buffers), default=0)

    def rank(index: int) -> tuple[int, int]:
        member = blocks[index].members[0]
        tensor = buffers[member].tensor
        return -blocks[index].size_bytes, -(tensor if tensor >= 0 else last_tensor + 1 + member)

    return first_fit(buffers, blocks, sorted(range(len(blocks)), key=rank))


def tinyengine_first_fit(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes as TinyEngine's code generator gives them: largest first, ties in order of first appearance.

    Source: tinyengine code_generator, allocator/firstFit.py.
    """
    blocks = join(buffers)
    return first_fit(buffers, blocks, sorted(range(len(blocks)), key=lambda index: -blocks[index].size_bytes))


def first_fit(buffers: Sequence[Buffer], blocks: Sequence[Block], order: Sequence[int]) -> tuple[int, ...]:
    """Offset of each buffer when `blocks` are placed in `order`; held buffers get -1.

    A block is in the way of another only with the height it has while both are alive.
    """
    placed: list[tuple[int, int]] = []  # (offset, block), by offset
    offset_of: dict[int, int] = {}
    for index in order:
        block = blocks[index]
        _, size, first, end, alignment, _ = block
        lowest = 0
        for offset, other_index in placed:
            other = blocks[other_index]
            if other.first >= end or other.end <= first:
                continue
            if offset - lowest >= size:
                break
            top = offset + _height_between(other, first, end)
            if top > lowest:
                lowest = -(-top // alignment) * alignment
        insort(placed, (lowest, index))
        offset_of[index] = lowest
    offsets = [-1] * len(buffers)
    for index, block in enumerate(blocks):
        for member in block.members:
            offsets[member] = offset_of[index]
    return tuple(offsets)


def _height_between(block: Block, first: int, end: int) -> int:
    """Most bytes that `block` takes during [first, end)."""
    if len(block.stretches) == 1:
        return block.size_bytes
    return max(s.size_bytes for s in block.stretches if s.first < end and s.end > first)

"""First-fit placement: take the blocks in some order, put each at the lowest address where it overlaps nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mcusim.planners.blocks import Block, join
from mcusim.planners.crowded import is_crowded, place_crowded
from mcusim.planners.neighbours import first_fit_of, neighbours_of
from mcusim.program import Buffer

__all__ = ["first_fit", "tflm_greedy", "tflm_place_rest", "tinyengine_first_fit"]


def tflm_greedy(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes as TFLM's GreedyMemoryPlanner gives them: by size descending, ties by descending tensor index.

    Scratch requests come after the tensors in TFLM's list, in the order of the operators that make them.
    Source: tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc.
    """
    neighbours = neighbours_of(buffers)
    if neighbours is not None:
        return first_fit_of(buffers, neighbours, late_first=True)
    return tflm_place_rest(buffers, [-1] * len(buffers))


def tflm_place_rest(buffers: Sequence[Buffer], known: Sequence[int]) -> tuple[int, ...]:
    """Offsets as TFLM's planner gives them where the model carries offsets of its own: the others go around those.

    known: offset of each buffer in bytes, -1 where the planner is to choose. Where these are not aligned, what goes
        around them is not either: TFLM aligns sizes only.
    """
    blocks = join(buffers)
    # The file's offsets may be any number; the gaps that they leave then start at unaligned addresses.
    if any(offset % block.alignment for block in blocks if (offset := known[block.members[0]]) >= 0):
        blocks = [block._replace(alignment=1) for block in blocks]
    fixed = {index: known[block.members[0]] for index, block in enumerate(blocks) if known[block.members[0]] >= 0}
    last_tensor = max((b.tensor for b in buffers), default=0)

    def rank(index: int) -> tuple[int, int]:
        member = blocks[index].members[0]
        tensor = buffers[member].tensor
        # Scratch has no tensor index: TFLM asks for it after all tensors, so that it comes first among blocks of one
        # size.
        return -blocks[index].size_bytes, -(tensor if tensor >= 0 else last_tensor + 1 + member)

    order = sorted([index for index in range(len(blocks)) if index not in fixed], key=rank)
    return first_fit(buffers, blocks, order, fixed)


def tinyengine_first_fit(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes as TinyEngine's code generator gives them: largest first, ties in order of first appearance.

    Source: tinyengine code_generator, allocator/firstFit.py.
    """
    neighbours = neighbours_of(buffers)
    if neighbours is not None:
        return first_fit_of(buffers, neighbours, late_first=False)
    blocks = join(buffers)
    return first_fit(buffers, blocks, sorted(range(len(blocks)), key=lambda index: -blocks[index].size_bytes))


def first_fit(
    buffers: Sequence[Buffer],
    blocks: Sequence[Block],
    order: Sequence[int],
    fixed: Mapping[int, int] = MappingProxyType({}),
) -> tuple[int, ...]:
    """Offset of each buffer when `blocks` are placed in `order`; held buffers get -1.

    fixed: block -> offset of those that lie already.
    A block is in the way of another only with the height it has while both are alive.
    """
    if is_crowded(blocks):
        return _spread(buffers, blocks, place_crowded(blocks, order, fixed))
    # Who lies where, step by step: most blocks live for a step or two, so few are ever in the way of one.
    lying: list[list[tuple[int, int]]] = [[] for _ in range(max([block.end for block in blocks], default=0))]
    offset_of = dict(fixed)
    for index, offset in fixed.items():
        for time in range(blocks[index].first, blocks[index].end):
            lying[time].append((offset, index))
    for index in order:
        _, size, first, end, alignment, _ = blocks[index]
        lowest = 0
        # A set, as a block that lives through several steps is found in each of them.
        for offset, other in sorted({near for at in lying[first:end] for near in at}):
            if offset - lowest >= size:
                break
            top = offset + _height_between(blocks[other], first, end)
            if top > lowest:
                lowest = -(-top // alignment) * alignment
        offset_of[index] = lowest
        placed = (lowest, index)
        for at in lying[first:end]:
            at.append(placed)
    return _spread(buffers, blocks, offset_of)


def _spread(buffers: Sequence[Buffer], blocks: Sequence[Block], offset_of: Mapping[int, int]) -> tuple[int, ...]:
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

"""Shared objects: the largest buffer founds an object, later ones go into objects whose tenants leave them room.

    object 1 |  A (founds it)  |  C at 0, after A  |  D above C while C lives, if it fits
    object 2 |  B (founds it)  |

Source: executorch, exir/memory_planning.py (`greedy`): its only planner unless a user names another.
"""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.planners.blocks import Block, join
from mcusim.program import Buffer, BufferKind

__all__ = ["executorch_greedy"]


class _Shared:
    """A founder's bytes, and who lies where in them. Nobody in it is larger than the founder."""

    __slots__ = ("size_bytes", "tenants")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.tenants: list[tuple[int, Block]] = []

    def above(self, block: Block) -> int:
        """The first byte above all tenants that live while `block` does; -1 where none does."""
        return max(
            (o + t.size_bytes for o, t in self.tenants if t.first < block.end and block.first < t.end), default=-1
        )


def executorch_greedy(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """Offsets in bytes as ExecuTorch plans: by size descending, of equals the later one first.

    Later is in the order of the exported graph: an operator's working memory comes before its result.
    """
    blocks = join(buffers)
    order = sorted(range(len(blocks)), key=lambda index: _appears(buffers, blocks[index]))
    # By appearance, then by size (stable), and the whole list reversed: of equals the later one comes first.
    order = sorted(order, key=lambda index: blocks[index].size_bytes)[::-1]
    objects: list[_Shared] = []
    held: dict[int, tuple[_Shared, int]] = {}
    for index in order:
        held[index] = _pick(objects, blocks[index])
    # Objects lie one after the other, in the order in which they were founded.
    starts, top = {}, 0
    for each in objects:
        starts[id(each)] = top
        top += each.size_bytes
    offsets = [-1] * len(buffers)
    for index, (shared, offset_bytes) in held.items():
        for member in blocks[index].members:
            offsets[member] = starts[id(shared)] + offset_bytes
    return tuple(offsets)


def _appears(buffers: Sequence[Buffer], block: Block) -> tuple[int, int, int]:
    member = block.members[0]
    kinds = {BufferKind.INPUT: 0, BufferKind.SCRATCH: 1}
    return block.first, kinds.get(buffers[member].kind, 2), member


def _pick(objects: list[_Shared], block: Block) -> tuple[_Shared, int]:
    """The object of a block and its offset there: at 0 of the first that is free, above others, else one of its own."""
    # Checked against all tenants that are alive meanwhile, and never below one of them: a gap underneath stays empty.
    above = [each.above(block) for each in objects]
    for each, offset_bytes in zip(objects, above, strict=True):
        if offset_bytes < 0:
            each.tenants.append((0, block))
            return each, 0
    for each, offset_bytes in zip(objects, above, strict=True):
        if 0 < offset_bytes <= each.size_bytes - block.size_bytes:
            each.tenants.append((offset_bytes, block))
            return each, offset_bytes
    made = _Shared(block.size_bytes)
    made.tenants.append((0, block))
    objects.append(made)
    return made, 0

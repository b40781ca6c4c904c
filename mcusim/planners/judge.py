"""Checks a plan. Shares no code with the planners, and is quadratic on purpose: short enough to be read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from mcusim.errors import PlanError
from mcusim.graph import ABSENT
from mcusim.program import Buffer, BufferKind

__all__ = ["check_plan"]


def check_plan(buffers: Sequence[Buffer], offset_bytes: Sequence[int], arena_bytes: int) -> None:
    """Raise PlanError if two buffers share a byte while both are alive, or one is misplaced.

    A buffer that takes over another's storage must lie where that lies and start when that ends. Variables that the
    runtime keeps lie outside of what is judged here.
    """
    bug = "planner bug: please report it with the model"
    for buffer, offset in zip(buffers, offset_bytes, strict=True):
        if buffer.kind is BufferKind.PERSISTENT:
            continue
        where = f"buffer '{buffer.name}'"
        if offset < 0 or offset % buffer.alignment or offset + buffer.size_bytes > arena_bytes:
            raise PlanError(f"offset {offset} is misaligned or outside the arena", where=where, fix=bug)
        if not buffer.first < buffer.end:
            raise PlanError(f"is never alive: [{buffer.first}, {buffer.end})", where=where, fix=bug)
        if buffer.over != ABSENT:
            under = buffers[buffer.over]
            if offset != offset_bytes[buffer.over] or under.end != buffer.first or buffer.size_bytes > under.size_bytes:
                raise PlanError(f"does not take over '{under.name}'", where=where, fix=bug)
    placed = [pair for pair in zip(buffers, offset_bytes, strict=True) if pair[0].kind is not BufferKind.PERSISTENT]
    for (a, a_low), (b, b_low) in combinations(placed, 2):
        together = a.first < b.end and b.first < a.end
        if together and a_low < b_low + b.size_bytes and b_low < a_low + a.size_bytes:
            raise PlanError(f"overlaps '{b.name}'", where=f"buffer '{a.name}'", fix=bug)

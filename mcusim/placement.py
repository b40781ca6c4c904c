"""Program + planner -> Placement: the offset of every buffer, and the bytes that this takes."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.planners import Planner, peak_bytes
from mcusim.program import BufferKind, Program

__all__ = ["Placement", "place"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every buffer of a Program lies.

    offset_bytes: by buffer; held buffers follow the arena.   arena_bytes: what the planner placed.
    held_bytes: what the runtime holds beside it.
    """

    offset_bytes: tuple[int, ...]
    arena_bytes: int
    held_bytes: int


def place(program: Program, planner: Planner) -> Placement:
    """The buffers of a Program where `planner` puts them, held buffers behind the arena."""
    buffers = program.buffers
    offsets = list(planner(buffers))
    arena_bytes = peak_bytes(buffers, offsets)
    top = arena_bytes
    for index, buffer in enumerate(buffers):
        if buffer.kind is BufferKind.HELD:
            offsets[index] = top
            top += buffer.size_bytes
    return Placement(tuple(offsets), arena_bytes, top - arena_bytes)

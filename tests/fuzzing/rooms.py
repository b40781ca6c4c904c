"""Memory with guard pages and red zones around it, full of garbage: what a kernel must not touch is seen if it does.

    | no access | red zone | size_bytes | slack |  red zone  | no access |
                           ^ 64-byte boundary   ^ to the page's end: less than 64 bytes

Reads and writes beyond a page fault at once. Writes into slack and red zones are found afterwards.
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Graph
from mcusim.ops.rooms import ALIGNMENT_BYTES, SLACK_BYTES

__all__ = ["GuardedRooms"]

Array = NDArray[Any]

PAGE = mmap.PAGESIZE
RED = 0xA5
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class _Room(NamedTuple):
    """The bytes between two guard pages, and where in them the room lies."""

    bytes: Array
    start: int
    end: int

    @property
    def is_intact(self) -> bool:
        return bool((self.bytes[: self.start] == RED).all() and (self.bytes[self.end :] == RED).all())


class GuardedRooms:
    """Makes rooms and remembers them, until `forget`."""

    def __init__(self, seed: int) -> None:
        self._garbage = np.random.default_rng(seed).integers(0, 256, 1 << 16, np.uint8)
        self._rooms: list[_Room] = []

    def make(self, size_bytes: int) -> Array:
        """A room of so many bytes of garbage, with slack."""
        whole = -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        return self._placed(size_bytes, whole + SLACK_BYTES)

    def constant(self, elements: Array) -> Array:
        """A read-only copy of a constant, its last byte before a guard page: behind a constant there is no slack."""
        step = max(elements.itemsize, 1)
        copy = self._placed(elements.nbytes, -(-elements.nbytes // step) * step)
        copy[...] = np.ascontiguousarray(elements).reshape(-1).view(np.uint8)
        copy.flags.writeable = False
        return copy.view(elements.dtype).reshape(elements.shape)

    def damaged(self) -> int:
        """How many rooms were written around."""
        return sum(not room.is_intact for room in self._rooms)

    def forget(self) -> None:
        self._rooms.clear()

    def _placed(self, size_bytes: int, from_end: int) -> Array:
        pages = max(-(-from_end // PAGE), 1)
        memory = mmap.mmap(-1, (pages + 2) * PAGE)
        whole = np.frombuffer(memory, np.uint8)
        for page in (0, pages + 1):
            if _libc.mprotect(whole.ctypes.data + page * PAGE, PAGE, 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        inside = whole[PAGE : (pages + 1) * PAGE]
        start = len(inside) - from_end
        inside[:start], inside[start + size_bytes :] = RED, RED
        room = inside[start : start + size_bytes]
        for at in range(0, size_bytes, len(self._garbage)):
            part = room[at : at + len(self._garbage)]
            part[...] = self._garbage[: len(part)]
        self._rooms.append(_Room(inside, start, start + size_bytes))
        return room


def guarded(graph: Graph, rooms: GuardedRooms) -> Graph:
    """The graph with its constants before guard pages."""
    tensors = tuple(
        tensor if tensor.constant is None else tensor.with_constant(rooms.constant(tensor.constant))
        for tensor in graph.tensors
    )
    return replace(graph, tensors=tensors, subgraphs=tuple(guarded(part, rooms) for part in graph.subgraphs))

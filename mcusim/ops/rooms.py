"""The memory that kernels compute in, all of it made here, so that tests can put guard pages around it.

|<- 64-byte boundary
[ size_bytes ][ slack ]      vector code may read the slack, whatever it holds; nothing ever writes it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT_BYTES", "SLACK_BYTES", "Maker", "room", "rooms_made_by"]

Maker = Callable[[int], NDArray[np.uint8]]
"""Bytes -> so many bytes, aligned, with slack behind them."""

ALIGNMENT_BYTES = 64
"""A cache line."""
SLACK_BYTES = 64
"""So many bytes behind the last of any array of activations or variables are there to be read, whatever they hold:
vector code reads whole registers. Nothing ever writes them."""


def room(size_bytes: int) -> NDArray[np.uint8]:
    """So many bytes, aligned, with slack behind them. Zeros, unless a test says otherwise."""
    return _maker.get()(size_bytes)


@contextmanager
def rooms_made_by(maker: Maker) -> Iterator[None]:
    """For this time, in this thread, `maker` makes all rooms."""
    before = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(before)


def _zeros(size_bytes: int) -> NDArray[np.uint8]:
    whole: NDArray[Any] = np.zeros(size_bytes + ALIGNMENT_BYTES + SLACK_BYTES, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT_BYTES
    return whole[start : start + size_bytes]


_maker: ContextVar[Maker] = ContextVar("maker", default=_zeros)

"""How far the arena is filled at each step, asked and raised over whole ranges of steps.

    address   step 0 . . . 255 | 256 . . . 511 | 512 . . .
       ^                       |  ___________  |
       |          ___          | |           | |   a chunk on one level keeps that level alone; only a chunk with
       |      ___|   |_______  | |           | |   steps on several levels is looked at step by step
       +-----|_______________|-+-|___________|-+-------> steps

A block that lives through thousands of steps covers whole chunks but for its two ends, so that what it asks and raises
grows with the chunks, not with the steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["FilledSteps"]

Ints = NDArray[np.int64]
CHUNK_STEPS = 256


class FilledSteps:
    """At each step, the address below which no block fits. At first that is 0 at all steps."""

    def __init__(self, steps: int) -> None:
        chunks = -(-steps // CHUNK_STEPS)
        self._levels: Ints = np.zeros((chunks, CHUNK_STEPS), np.int64)
        """Of each step, chunk by chunk; not kept for a chunk whose lowest level is its highest."""
        self._lowest: Ints = np.zeros(chunks, np.int64)
        self._highest: Ints = np.zeros(chunks, np.int64)

    def highest(self, first: int, end: int) -> int:
        """The highest level at the steps from `first` to before `end`; 0 where there is no step."""
        if first >= end:
            return 0
        head, tail = first // CHUNK_STEPS, (end - 1) // CHUNK_STEPS
        if head == tail:
            return int(self._steps(head)[first - head * CHUNK_STEPS : end - head * CHUNK_STEPS].max())
        at_ends = (
            self._steps(head)[first - head * CHUNK_STEPS :].max(),
            self._steps(tail)[: end - tail * CHUNK_STEPS].max(),
        )
        return int(self._highest[head + 1 : tail].max(initial=max(at_ends)))

    def raise_level(self, first: int, end: int, level: int, to: int) -> bool:
        """Raise what is on `level` at the steps from `first` to before `end`. Whether anything was."""
        if first >= end:
            return False
        head, tail = first // CHUNK_STEPS, (end - 1) // CHUNK_STEPS
        if head == tail:
            return self._raise_steps(head, first - head * CHUNK_STEPS, end - head * CHUNK_STEPS, level, to)
        is_raised = self._raise_steps(head, first - head * CHUNK_STEPS, CHUNK_STEPS, level, to)
        is_raised |= self._raise_steps(tail, 0, end - tail * CHUNK_STEPS, level, to)
        return self._raise_chunks(head + 1, tail, level, to) or is_raised

    def _steps(self, chunk: int) -> Ints:
        steps: Ints = self._levels[chunk]
        if self._lowest[chunk] == self._highest[chunk]:
            # A flat chunk does not keep its steps up to date. They are written when somebody asks for them.
            steps[:] = self._lowest[chunk]
        return steps

    def _raise_steps(self, chunk: int, first: int, end: int, level: int, to: int) -> bool:
        if not self._lowest[chunk] <= level <= self._highest[chunk]:
            return False
        steps = self._steps(chunk)
        on_level = steps[first:end] == level
        if not on_level.any():
            return False
        np.putmask(steps[first:end], on_level, to)
        self._lowest[chunk], self._highest[chunk] = steps.min(), steps.max()
        return True

    def _raise_chunks(self, first: int, end: int, level: int, to: int) -> bool:
        lowest, highest = self._lowest[first:end], self._highest[first:end]
        # Chunks on one level change as a whole; in mixed ones only the steps on that level do.
        may_hold = (lowest <= level) & (highest >= level)
        if not may_hold.any():
            return False
        is_flat = lowest == highest
        mixed = first + (may_hold & ~is_flat).nonzero()[0]
        may_hold &= is_flat
        np.putmask(lowest, may_hold, to)
        np.putmask(highest, may_hold, to)
        is_raised = bool(may_hold.any())
        if len(mixed):
            steps = self._levels[mixed]
            on_level = steps == level
            np.putmask(steps, on_level, to)
            self._levels[mixed], self._lowest[mixed], self._highest[mixed] = steps, steps.min(axis=1), steps.max(axis=1)
            is_raised |= bool(on_level.any())
        return is_raised

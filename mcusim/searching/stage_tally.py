"""Bytes alive at each step of a cut stage, counted while it grows towards its start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcusim.searching.stage_axes import Bools, Ints

__all__ = ["Piece", "Tally"]


class Piece(NamedTuple):
    """What a step writes and only its stage reads, for each grid or band.

    last: its last reader.   whole_bytes: of all of it.   aligned_bytes: of the buffer that holds a piece.
    carried: bands that keep some of it for the next; None if none does.
    """

    storage: int
    last: int
    whole_bytes: int
    size_bytes: Ints
    aligned_bytes: Ints
    carried: Bools | None


class _Overwrite(NamedTuple):
    """A step that may compute on top of one of `sources`; `found` has those that were seen, by position."""

    sources: Sequence[int]
    target: Piece
    found: dict[int, tuple[Bools, Ints]]


class Tally:
    """Steps are added from the last to the first; entries of the arrays are grids or bands."""

    def __init__(self, end: int, shape: tuple[int, ...]) -> None:
        self.end = end
        self.zero: Ints = np.zeros(shape, np.int64)
        self.inner: dict[int, Ints] = {}
        self.saved: dict[int, Ints] = {}
        self.most: dict[int, Ints] = {end: self.zero}  # over a step and those behind it
        self.lines: Ints = self.zero
        self.overwrites: dict[int, _Overwrite] = {}

    def add(self, time: int, scratch_bytes: Ints | int, pieces: Sequence[Piece]) -> None:
        """The step before all others: its working memory and what it writes."""
        self.inner[time] = self.zero + scratch_bytes
        changed = time
        for piece in pieces:
            moving = piece.aligned_bytes
            if piece.carried is not None:
                self.lines = self.lines + np.where(piece.carried, moving, 0)
                moving = np.where(piece.carried, 0, moving)
            for later in range(time, piece.last + 1):
                self.inner[later] = self.inner[later] + moving
            self._take_over(piece)
            changed = max(changed, piece.last)
        for step in range(changed, time - 1, -1):
            taken = self.inner[step] - self.saved[step] if step in self.saved else self.inner[step]
            self.most[step] = np.maximum(taken, self.most[step + 1])

    def overwrite(self, time: int, sources: Sequence[int], target: Piece | None) -> None:
        """The step just added computes on top of one of `sources` where it can."""
        if target is not None:
            self.overwrites[time] = _Overwrite(sources, target, {})

    def _take_over(self, source: Piece) -> None:
        """Where the last reader of `source` computes on top of it, its bytes count once."""
        step = self.overwrites.get(source.last)
        if step is None or source.storage not in step.sources or step.target.whole_bytes > source.whole_bytes:
            return
        alike = np.ones(self.zero.shape, np.bool_)
        for piece in (source, step.target):
            if piece.carried is not None:
                alike = alike & ~piece.carried
        fits = step.target.size_bytes <= source.aligned_bytes
        step.found[step.sources.index(source.storage)] = alike, np.where(fits, source.aligned_bytes, 0)
        saved = self.zero
        for position in sorted(step.found, reverse=True):  # the first that goes is taken
            goes, size_bytes = step.found[position]
            saved = np.where(goes, size_bytes, saved)
        self.saved[source.last] = saved

    def peak_bytes(self, start: int) -> Ints:
        """Most that is alive in a step from `start` to the end, less what leaves the stage or lies outside it."""
        return self.most[start] + self.lines

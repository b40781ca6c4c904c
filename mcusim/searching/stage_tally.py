"""Bytes alive at each step of cut stages, counted while they grow towards their starts.

A stage [start, end) is grown backwards: end stays, and one step is added in front at a time, so that all starts of one
end cost one walk. What a step writes is alive from that step to its last reader in the stage:

    steps        2   3   4            alive bytes of each step, for the stage [3, 5), then [2, 5)
    adds 4               c            step 4: c
    adds 3           b   c            step 3: b      step 4: b + c if 4 reads b
    adds 2       a   b   c            step 2: a      step 3: a + b if 3 reads a

A row of an array is an end, a column a grid or a number of bands: all of them are counted at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mcusim.searching.stage_axes import Bools, Ints

__all__ = ["HeldTensor", "Tally"]

NOTHING = np.iinfo(np.int64).min
"""Before all steps."""


class HeldTensor(NamedTuple):
    """What a step writes and only its stage reads, for each grid or band of the ends that hold all its readers.

    last: its last reader.   whole_bytes: of all of it.   aligned_bytes: of the buffer that holds a piece.
    carried: bands that keep some of it for the next; None if none does.
    """

    storage: int
    last: int
    whole_bytes: int
    size_bytes: Ints
    aligned_bytes: Ints
    carried: Bools | None

    @property
    def ends(self) -> int:
        """Rows: the first so many ends."""
        return len(self.size_bytes)


class _Overwrite(NamedTuple):
    """A step that may compute on top of one of `sources`; `seen` has those that were met, by position.

    keeps: where it has working memory: all of the input is held until that is done, though its output be smaller.
    """

    sources: Sequence[int]
    target: HeldTensor
    keeps: Bools
    seen: dict[int, tuple[Bools, Ints]]


class Tally:
    """Steps are added from the last to the first. Arrays have a row for each end, the last end first, then an entry for
    each grid or band; a step that only some ends lie behind has their rows alone.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.lines: Ints = np.zeros(shape, np.int64)
        self.inner: dict[int, Ints] = {}
        self.saved: dict[int, Ints] = {}
        self.most: dict[int, Ints] = {}  # over a step and those behind it
        self.changed = NOTHING  # the last step that has changed since
        self.overwrites: dict[int, _Overwrite] = {}

    def add(self, time: int, ends: int, scratch_bytes: Ints | int, pieces: Sequence[HeldTensor]) -> None:
        """The step before all others, in the stages of the first `ends` ends: its working memory and what it writes.

        It has a row for each end that a step behind it has: a copy of an input is made in some stages alone.
        """
        rows = max(ends, len(self.inner.get(time + 1, ())))
        self.inner[time] = np.zeros((rows, *self.lines.shape[1:]), np.int64)
        self.inner[time][:ends] += scratch_bytes
        self.changed = max(self.changed, time)
        for piece in pieces:
            moving, some = piece.aligned_bytes, slice(piece.ends)
            if piece.carried is not None:
                self.lines[some] += np.where(piece.carried, moving, 0)
                moving = np.where(piece.carried, 0, moving)
            # A piece is alive from its own step to its last reader. Steps in between hold it without touching it.
            for later in range(time, piece.last + 1):
                self.inner[later][some] += moving
            self._take_over(piece)
            self.changed = max(self.changed, piece.last)

    def overwrite(
        self, time: int, sources: Sequence[int], target: HeldTensor | None, scratch_bytes: Ints | int
    ) -> None:
        """The step just added computes on top of one of `sources` where it can."""
        if target is not None:
            keeps = np.broadcast_to(np.asarray(scratch_bytes) > 0, self.inner[time].shape)
            self.overwrites[time] = _Overwrite(sources, target, keeps, {})

    def _take_over(self, source: HeldTensor) -> None:
        """Where the last reader of `source` computes on top of it, its bytes count once."""
        step = self.overwrites.get(source.last)
        if step is None or source.storage not in step.sources or step.target.whole_bytes > source.whole_bytes:
            return
        target, some = step.target, slice(step.target.ends)
        alike = np.ones(target.size_bytes.shape, np.bool_)
        # A line buffer is read by several bands, so nothing may be computed on top of it, and it on nothing.
        for carried in (source.carried, target.carried):
            if carried is not None:
                alike = alike & ~carried[some]
        taken = source.aligned_bytes[some]
        is_read = target.last > source.last
        # With working memory beside it, the whole input is kept for the step: see `lowering.lower._kept_beneath`.
        beneath = np.minimum(taken, target.aligned_bytes) if is_read else 0
        counted_twice = np.where(step.keeps[some], beneath, taken)
        step.seen[step.sources.index(source.storage)] = alike, np.where(target.size_bytes <= taken, counted_twice, 0)
        saved: Ints = np.zeros(target.size_bytes.shape, np.int64)
        for position in sorted(step.seen, reverse=True):  # the first that goes is taken
            goes, size_bytes = step.seen[position]
            saved = np.where(goes, size_bytes, saved)
        self.saved[source.last] = saved

    def peak_bytes(self, start: int) -> Ints:
        """Most that is alive in a step from `start` to the end, less what leaves the stage or lies outside it."""
        # The maximum over a step and all behind it, from the last step that changed: those further back keep theirs.
        for step in range(self.changed, start - 1, -1):
            most = self.inner[step].copy()
            if step in self.saved:
                most[: len(self.saved[step])] -= self.saved[step]
            if step + 1 in self.most:
                behind = most[: len(self.most[step + 1])]
                np.maximum(behind, self.most[step + 1], out=behind)
            self.most[step] = most
        self.changed = NOTHING
        most = self.most[start]
        return most + self.lines[: len(most)]

"""How a stage is cut along one axis, for all grids and all bands at once: `staging.Sweep` in numpy.

An axis is cut in several ways: into 1, 2, ... 16 patches, or into bands of 1, 2, ... rows. All pieces of all ways lie
one after the other in flat arrays:

    way       1 | 2     | 3         | ...
    piece     0 | 0   1 | 0   1   2 | ...
    start     0 | 0  14 | 0   9  18 | ...

One backward sweep over the steps then serves every way, every start of a stage, and every end that is as large: a row
of the arrays for each end, the last one first, so that those a step belongs to are the first rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import ABSENT, Signature
from mcusim.lowering.staging import StepNode
from mcusim.ops import OPS
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Span

__all__ = [
    "Affine",
    "AxisSweep",
    "Bools",
    "Ints",
    "Lengths",
    "affine_of",
    "band_heights",
    "is_symmetric",
    "reads_everything",
]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_FAR = 1 << 40
"""Start of an empty interval; its end is the negative. Hulls and affine maps then need no special case."""

BANDS_AT_MOST = 4096
"""So many bands a map is cut into, at most."""

Interval = tuple[Ints, Ints]


class Ways(NamedTuple):
    """Every way of cutting an axis. first: where each way starts in the flat arrays.   pieces: how many each has.

    shift: far enough from way to way that no two of them meet.
    """

    first: Ints
    pieces: Ints
    shift: Ints

    @property
    def length(self) -> int:
        return len(self.shift)


def _ways(pieces: Ints) -> Ways:
    shift = np.repeat(np.arange(len(pieces), dtype=np.int64), pieces) * (4 * _FAR)
    # Running minima over the flat arrays must not reach into the next way. So each way's numbers are moved so far up
    # that they never meet those of its neighbours.
    return Ways(np.cumsum(pieces) - pieces, pieces, shift)


@lru_cache(256)
def patch_ways(most: int) -> Ways:
    """1 to `most` patches."""
    return _ways(np.arange(1, most + 1, dtype=np.int64))


@lru_cache(256)
def band_heights(whole: int) -> Ints:
    """Rows of the bands that a map of `whole` rows is cut into.

    All of them up to 4,096 rows. Taller maps are cut into 4,096 bands at most, and each height is an eighth more than
    the one before: pieces of all ways together stay as few as those of 4,096 rows are.
    """
    if whole <= BANDS_AT_MOST:
        return np.arange(1, whole + 1, dtype=np.int64)
    heights = [-(-whole // BANDS_AT_MOST)]
    while heights[-1] < whole:
        heights.append(min(heights[-1] + max(heights[-1] // 8, 1), whole))
    return np.array(heights, np.int64)


@lru_cache(256)
def band_ways(whole: int) -> Ways:
    """Bands of each of those heights."""
    return _ways(-(-whole // band_heights(whole)))


@lru_cache(4096)
def _patch_shares(most: int, size: int) -> Interval:
    """As `staging.patches`."""
    ways = patch_ways(most)
    index = np.arange(ways.length, dtype=np.int64) - np.repeat(ways.first, ways.pieces)
    pieces = np.repeat(ways.pieces, ways.pieces)
    return _emptied(index * size // pieces, (index + 1) * size // pieces)


@lru_cache(4096)
def _band_shares(whole: int, size: int) -> Interval:
    """As `staging.bands`."""
    ways = band_ways(whole)
    index = np.arange(ways.length, dtype=np.int64) - np.repeat(ways.first, ways.pieces)
    band = np.repeat(band_heights(whole), ways.pieces)
    stop = np.minimum((index + 1) * band * size // whole, size)
    # The last band takes what is left, as `staging.bands` does.
    stop[ways.first + ways.pieces - 1] = size
    return _emptied(np.minimum(index * band * size // whole, size), stop)


def _emptied(start: Ints, stop: Ints) -> Interval:
    some = stop > start
    return np.where(some, start, _FAR), np.where(some, stop, -_FAR)


class Affine(NamedTuple):
    """[i, j) of the output needs [scale*i + first, scale*(j - 1) + last) of the input."""

    scale: int
    first: int
    last: int

    def needs(self, start: Ints, stop: Ints) -> Interval:
        if self.scale > 0:  # an empty interval stays far beyond any that is not
            return start * self.scale + self.first, stop * self.scale + (self.last - self.scale)
        some = stop > start
        return np.where(some, self.first, _FAR), np.where(some, self.last, -_FAR)

    def covers(self, outputs: int, size: int) -> bool:
        """Whether that many outputs, one after the other, leave out nothing of an axis of `size`."""
        has_no_gap = outputs == 1 or self.scale + self.first <= self.last
        return self.first <= 0 and has_no_gap and self.scale * (outputs - 1) + self.last >= size


class _Table(NamedTuple):
    """An operator that is not affine: asked interval by interval."""

    ask: Callable[[Span], Span]

    def needs(self, start: Ints, stop: Ints) -> Interval:
        some = stop > start
        # Pairs are packed into one number each, so that equal intervals are found in one pass.
        asked, place = np.unique(start[some] * _FAR + stop[some], return_inverse=True)  # few of them differ
        low = (asked + _FAR // 2) // _FAR
        pairs = zip(low.tolist(), (asked - low * _FAR).tolist(), strict=True)
        answers = np.array([self.ask(Span(a, b)) for a, b in pairs], np.int64).reshape(-1, 2)
        bounds = np.zeros((2, *start.shape), np.int64)
        bounds[:, some] = answers[place.ravel()].T
        return _emptied(bounds[0], bounds[1])

    def covers(self, outputs: int, size: int) -> bool:
        """As `Affine` says."""
        reached = 0
        for output in range(outputs):
            start, stop = self.ask(Span(output, output + 1))
            if start > reached:
                return False
            reached = max(reached, stop)
        return reached >= size


@lru_cache(SIGNATURES_KEPT)
def _axis_map(signature: Signature, index: int, by_rows: bool) -> Affine | _Table:
    """What an output interval needs of input `index` along one axis. The operator must be tileable."""
    output, needs = signature.output, OPS[signature.op].needs
    size = output.rows if by_rows else output.cols
    other = Span(0, output.cols if by_rows else output.rows)

    def ask(span: Span) -> Span:
        region = needs(signature, index, span, other) if by_rows else needs(signature, index, other, span)
        assert region is not None
        return region.rows if by_rows else region.cols

    # The first output place gives the offset, the distance between two the scale. Seven more intervals check the form:
    # whole, halves, edges, and beyond the border on both sides.
    (first, last), (second, _) = ask(Span(0, 1)), ask(Span(size, size + 1))
    scale = (second - first) // size
    middle = size // 2
    for a, b in (
        (0, size),
        (0, middle),
        (middle, size),
        (middle, middle + 1),
        (1, size),
        (0, size - 1),
        (-3, size + 3),
    ):
        if a < b:
            answer = ask(Span(a, b))
            if scale < 0 or (answer.start, answer.stop) != (scale * a + first, scale * (b - 1) + last):
                return _Table(ask)
    return Affine(scale, first, last)


def affine_of(signature: Signature, index: int, by_rows: bool) -> Affine | None:
    """What an output interval needs of input `index` along one axis, where that is affine."""
    axis = _axis_map(signature, index, by_rows)
    return axis if isinstance(axis, Affine) else None


def reads_everything(signature: Signature, index: int) -> bool:
    """Whether the pieces of any cut read all of input `index` between them. The operator must be tileable."""
    output, source = signature.output, signature.input(index)
    along_rows = _axis_map(signature, index, True).covers(output.rows, source.rows)
    return along_rows and _axis_map(signature, index, False).covers(output.cols, source.cols)


def is_symmetric(step: StepNode) -> bool:
    """Whether rows and columns of a tileable step are cut alike."""
    call = step.signature
    kinds = [call.input(index) for index, storage in enumerate(step.reads) if storage != ABSENT]
    return all(kind.rows == kind.cols for kind in (*kinds, *call.outputs)) and all(
        _axis_map(call, index, True) == _axis_map(call, index, False)
        for index, storage in enumerate(step.reads)
        if storage != ABSENT
    )


@dataclass(frozen=True, slots=True)
class Lengths:
    """One step along one axis: a row for each end of a stage, a column for each way of cutting. See `staging.AxisRow`.

    total: elements computed in all pieces together.   busy: pieces with something to do (one row where all ends agree).
    longest: of its intervals.   carried: None where no way keeps anything from one piece to the next.
    """

    total: Ints
    busy: Ints
    longest: Ints
    held: Ints
    uniform: Ints
    carried: Bools | None


class AxisSweep:
    """Steps of stages along one axis, from their ends backwards: `step` for each of them in turn.

    most: patches, at most.   whole: output rows of the stages, to be cut into bands; 0 for none.

    The flat arrays hold patches, then bands, then patches once more: as they are before the border clips them.
    """

    def __init__(self, by_rows: bool, most: int, whole: int = 0) -> None:
        self.by_rows, self.whole = by_rows, whole
        self.patches, self.bands = patch_ways(most), band_ways(whole) if whole else None
        self.inside = self.patches.length
        self.clipped = self.inside + (self.bands.length if self.bands is not None else 0)
        self.shares: dict[int, Interval] = {}
        self.needed: dict[int, Interval] = {}

    def step(self, step: StepNode, ends: int, inner: int) -> tuple[Lengths, Lengths | None]:
        """Lengths of `step` in patches and in bands, for the first `ends` ends.

        inner: so many of them hold all readers of the step; from the others its output leaves the stage.
        """
        output = step.signature.outputs[0]
        size = output.rows if self.by_rows else output.cols
        start, stop = self._asked(step, ends, inner, size)
        self._clip(start, stop, size)
        length = np.maximum(stop - start, 0)
        patched = _recomputed(self.patches, length[:, : self.inside], length[:, self.clipped :])
        banded = None
        if self.bands is not None:
            bands = slice(self.inside, self.clipped)
            banded, (start[:, bands], stop[:, bands]) = _carried(self.bands, start[:, bands], stop[:, bands])
        # The needs of this step's inputs are added to what later steps asked of the same tensor: the hull of both.
        for index, storage in enumerate(step.reads):
            if storage != ABSENT:
                source = step.signature.input(index)
                needs = _axis_map(step.signature, index, self.by_rows).needs(start, stop)
                self._clip(*needs, source.rows if self.by_rows else source.cols)
                known = self.needed.get(storage)
                if known is not None:
                    _hull(needs, known)
                self.needed[storage] = needs
        return patched, banded

    def _asked(self, step: StepNode, ends: int, inner: int, size: int) -> Interval:
        """What is needed of the output of a step: by later steps, and where it leaves the stage."""
        shape = ends, self.clipped + self.inside
        bounds = np.full(shape, _FAR), np.full(shape, -_FAR)
        if inner < ends:
            bounds[0][inner:], bounds[1][inner:] = self._share(size)
        for storage in step.writes:
            if storage in self.needed:
                needed = self.needed[storage]
                _hull(bounds, (needed[0][:ends], needed[1][:ends]))
        return bounds

    def _share(self, size: int) -> Interval:
        """The interval of an axis of `size` that each piece must deliver."""
        if size not in self.shares:
            patches = _patch_shares(len(self.patches.first), size)
            parts = [patches, patches]
            if self.bands is not None:
                parts.insert(1, _band_shares(self.whole, size))
            self.shares[size] = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
        return self.shares[size]

    def _clip(self, start: Ints, stop: Ints, size: int) -> None:
        """Put intervals inside [0, size), but for those that are kept as they are."""
        inner_start, inner_stop = start[:, : self.clipped], stop[:, : self.clipped]
        np.maximum(inner_start, 0, out=inner_start)
        # The third part of the arrays, patches before clipping, is left as it is: it may reach past the border.
        np.minimum(inner_stop, size, out=inner_stop)
        empty = inner_stop <= inner_start
        if empty.any():
            inner_start[empty], inner_stop[empty] = _FAR, -_FAR


def _recomputed(ways: Ways, length: Ints, unclipped: Ints) -> Lengths:
    first = ways.first
    longest = np.maximum.reduceat(length, first, axis=1)
    uniform = np.maximum.reduceat(unclipped, first, axis=1)
    total = np.add.reduceat(length, first, axis=1)
    return Lengths(total, _busy(ways, length), longest, longest, uniform, None)


def _busy(ways: Ways, length: Ints) -> Ints:
    if length.all():
        return ways.pieces[None]
    return np.add.reduceat((length > 0).astype(np.int64), ways.first, axis=1)


def _carried(ways: Ways, start: Ints, stop: Ints) -> tuple[Lengths, Interval]:
    """Each piece computes only what no piece before it has; what it or a later one still asks for is held."""
    first, shift = ways.first, ways.shift
    empty = stop <= start
    if empty.any():
        stop = np.where(empty, 0, stop)
        # An empty interval must not raise the oldest element that is still asked for: it stands at the end of the axis.
        last = np.repeat(np.maximum.reduceat(stop, first, axis=1), ways.pieces, axis=1)
        start = np.where(empty, last, start)
    # `shift` keeps a running minimum or maximum from crossing into the next way.
    oldest = np.minimum.accumulate((start + shift)[:, ::-1], axis=1)[:, ::-1] - shift
    reached = np.maximum.accumulate(stop + shift, axis=1) - shift
    done = np.empty_like(reached)
    done[:, 1:] = reached[:, :-1]
    done[:, first] = 0
    new_start = np.maximum(done, oldest)
    length = np.maximum(stop - new_start, 0)
    held = np.maximum.reduceat(np.maximum(reached - oldest, 0), first, axis=1)
    carried = np.logical_or.reduceat(oldest < done, first, axis=1)
    total, longest = np.add.reduceat(length, first, axis=1), np.maximum.reduceat(length, first, axis=1)
    lengths = Lengths(total, _busy(ways, length), longest, held, held, carried if carried.any() else None)
    idle = length == 0
    if idle.any():
        new_start, stop = np.where(idle, _FAR, new_start), np.where(idle, -_FAR, stop)
    return lengths, (new_start, stop)


def _hull(hull: Interval, other: Interval) -> None:
    """Widen the first rows of `hull` to hold `other`, which may have fewer."""
    start, stop = hull[0][: len(other[0])], hull[1][: len(other[0])]
    np.minimum(start, other[0], out=start)
    np.maximum(stop, other[1], out=stop)

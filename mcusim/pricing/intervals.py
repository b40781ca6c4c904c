"""How wide an interval must be so that it holds what it promises, by how much is known of a system.

The regression's deviations are those of a model that is right; how far real times lie from it is learned by leaving
rows out. Each kind of answer has its own experiment, and the scale of its deviations is the one at which COVERAGE of
what was left out lies inside (conformal calibration by kind):

    the system has ten networks or more, four or more, fewer   families left out
    its version and its board are known, not together          systems left out
    nobody measured its board                                  boards left out
    nobody measured its version, on any board                  versions left out
    neither                                                    boards and versions left out together
    the network is one operator alone                          single operators, with their board left out

A model that is sure of itself is wrong in another way than one that is not: the scale is found at three deviations and
interpolated between them, so that the width still grows with the deviation. Networks below TINY_MACS spend their time
on calls more than on multiply-accumulates; they have a factor of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.regression import Block, Evidence, Fit, blocks_of, leave_out
from mcusim.pricing.systems import System

__all__ = [
    "COVERAGE",
    "MULTIPLYING",
    "NORMAL_QUANTILE",
    "TINY_MACS",
    "Known",
    "Scale",
    "Scales",
    "find_scales",
    "is_alone",
    "is_tiny",
    "known_of",
    "known_without",
    "macs_of",
    "networks_of",
    "release_of",
    "unmeasured_blocks",
]

COVERAGE = 0.8
NORMAL_QUANTILE = 1.2816
"""A normal variable lies within so many standard deviations of its mean with probability COVERAGE."""

TINY_MACS = 500_000
_MANY, _SOME = 10, 4
_ENOUGH = 20
"""Left-out rows below which a class is not told apart from all of its kind."""

MULTIPLYING = ("pointwise_mac", "conv_mac", "depthwise_mac", "dense_mac")
_CALL = [effort.base for effort in EFFORTS].index("call")
_MACS = [place for place, effort in enumerate(EFFORTS) if effort.base in MULTIPLYING]


class Known(StrEnum):
    """How much of a system was measured."""

    MANY = "ten networks or more"
    SOME = "four networks or more"
    FEW = "fewer than four networks"
    PARTS = "its version and its board, not together"
    VERSION = "its version, on other boards"
    BOARD = "its board, with other versions"
    NOTHING = "neither its version nor its board"
    KERNEL = "anything, and the answer is for one operator alone"


class Scale(NamedTuple):
    """What deviations of log time are multiplied with: narrow ones, middling ones and wide ones.

    tiny: a factor on that for networks below TINY_MACS.
    """

    narrow: float
    middling: float
    wide: float
    tiny: float = 1.0

    def at(self, deviation: float, is_tiny: bool = False) -> float:
        """The scale of one deviation: linear in its logarithm between the three, constant beyond."""
        place = log(min(max(deviation, _KNOTS[0]), _KNOTS[-1]))
        right = 1 if place <= log(_KNOTS[1]) else 2
        low, high = log(_KNOTS[right - 1]), log(_KNOTS[right])
        share = (place - low) / (high - low)
        factor = self.tiny if is_tiny else 1.0
        return factor * ((1.0 - share) * self[right - 1] + share * self[right])

    def stretched(self, factor: float) -> Scale:
        """All of it multiplied with a factor."""
        return Scale(self.narrow * factor, self.middling * factor, self.wide * factor, self.tiny)


_KNOTS = (0.05, 0.15, 0.4)
_BETWEEN = (0.085, 0.25)
"""Deviations at which narrow, middling and wide scales hold, and where the classes that they are learned from meet."""


Scales = Mapping[Known, Scale]


def release_of(system: System) -> tuple[str, str, str]:
    """What was built: runtime, version, option."""
    return system.runtime, system.version, system.option


def known_of(system: System, measured: Mapping[System, int]) -> Known:
    """How much is known of a system.   measured: networks of every system with evidence, 0 for single kernels."""
    networks = measured.get(system, 0)
    if networks:
        return Known.MANY if networks >= _MANY else Known.SOME if networks >= _SOME else Known.FEW
    has_board = any(other.board == system.board for other in measured)
    has_release = any(release_of(other) == release_of(system) for other in measured)
    if has_board and has_release:
        return Known.PARTS
    if has_release:
        return Known.VERSION
    return Known.BOARD if has_board else Known.NOTHING


def macs_of(amounts: Sequence[float]) -> float:
    """Multiply-accumulates among some efforts."""
    return sum([amounts[place] for place in _MACS])


def is_alone(amounts: Sequence[float]) -> bool:
    """Whether efforts are those of one operator, entered once."""
    return amounts[_CALL] <= 1.0


def is_tiny(amounts: Sequence[float]) -> bool:
    """Whether a network with such efforts is one of the tiny ones."""
    return macs_of(amounts) < TINY_MACS


# ---------------------------------------------------------------------------------------------------------------------
# Finding them


def find_scales(rows: Sequence[Evidence], fit: Fit) -> dict[Known, Scale]:
    """The scales at which left-out networks lie inside COVERAGE of the time."""
    off: dict[Known, list[_Miss]] = {known: [] for known in Known}
    families = blocks_of([row.family for row in rows])
    remaining = known_without(rows, families)
    for miss in _misses(rows, fit, families):
        off[remaining[miss.place]].append(miss)
    for known, blocks in unmeasured_blocks(rows).items():
        off[known] += _misses(rows, fit, blocks)
    boards = blocks_of([row.system.board for row in rows])
    off[Known.KERNEL] = _misses(rows, fit, boards, of_kernels=True)
    return {known: _scale(off[known]) for known in Known}


def networks_of(rows: Sequence[Evidence]) -> dict[System, int]:
    """How many networks were measured on each system; 0 where only kernels were."""
    networks: dict[System, set[str]] = {}
    for row in rows:
        networks.setdefault(row.system, set()).update([] if row.is_kernel else [row.network])
    return {system: len(names) for system, names in networks.items()}


def known_without(rows: Sequence[Evidence], blocks: Sequence[Block]) -> dict[int, Known]:
    """How much is known of the system of each row that blocks predict, by its place, once its block is left out."""
    remaining: dict[int, Known] = {}
    for block in blocks:
        out = set(block.out.tolist())
        measured = networks_of([row for place, row in enumerate(rows) if place not in out])
        remaining |= {place: known_of(rows[place].system, measured) for place in block.asked.tolist()}
    return remaining


def unmeasured_blocks(rows: Sequence[Evidence]) -> dict[Known, list[Block]]:
    """What to leave out together to know less of a system."""
    systems = np.unique([repr(row.system) for row in rows], return_inverse=True)[1]
    boards = np.unique([row.system.board for row in rows], return_inverse=True)[1]
    releases = np.unique([repr(release_of(row.system)) for row in rows], return_inverse=True)[1]

    def alone(code: NDArray[np.int64]) -> list[Block]:
        return [Block(np.flatnonzero(code == i), np.flatnonzero(code == i)) for i in range(code.max() + 1)]

    pairs = sorted(set(zip(boards.tolist(), releases.tolist(), strict=True)))
    both = [
        Block(np.flatnonzero((boards == b) | (releases == r)), np.flatnonzero((boards == b) & (releases == r)))
        for b, r in pairs
    ]
    return {
        Known.PARTS: alone(systems),
        Known.VERSION: alone(boards),
        Known.BOARD: alone(releases),
        Known.NOTHING: both,
    }


class _Miss(NamedTuple):
    """How far a left-out row lies from what the others say, in deviations.   place: of the row."""

    place: int
    deviation: float
    off: float
    is_tiny: bool


def _misses(rows: Sequence[Evidence], fit: Fit, blocks: Sequence[Block], of_kernels: bool = False) -> list[_Miss]:
    """Of every network that blocks leave out, or of every operator that was measured alone."""
    left = leave_out(rows, fit, blocks)
    misses = []
    for place, row in enumerate(rows):
        deviation = float(left.deviation[place])
        is_asked = is_alone(row.amounts) if of_kernels else not row.is_kernel
        if is_asked and deviation == deviation:
            off = abs(log(row.cycles) - float(left.log_cycles[place])) / deviation
            misses.append(_Miss(place, deviation, off, is_tiny(row.amounts)))
    return misses


def _scale(misses: Sequence[_Miss]) -> Scale:
    tiny, large = ([miss for miss in misses if miss.is_tiny is asked] for asked in (True, False))
    if min(len(tiny), len(large)) < _ENOUGH:
        return _scale_of_class(misses)
    scale = _scale_of_class(large)
    return scale._replace(tiny=_quantile([miss.off / scale.at(miss.deviation) for miss in tiny]))


def _scale_of_class(misses: Sequence[_Miss]) -> Scale:
    classes: list[list[float]] = [[], [], []]
    for miss in misses:
        classes[sum(miss.deviation > edge for edge in _BETWEEN)].append(miss.off)
    everything = [miss.off for miss in misses]
    narrow, middling, wide = [_quantile(part if len(part) >= _ENOUGH else everything) for part in classes]
    return Scale(narrow, max(middling, _least_beside(narrow, 0)), max(wide, _least_beside(middling, 1)))


def _least_beside(scale: float, knot: int) -> float:
    """The least scale at the next knot with which the width of intervals never falls as the deviation grows."""
    octaves = log(_KNOTS[knot + 1] / _KNOTS[knot])
    return scale / (1.0 + octaves)


def _quantile(off: Sequence[float]) -> float:
    return float(np.quantile(off, COVERAGE)) / NORMAL_QUANTILE if off else 1.0

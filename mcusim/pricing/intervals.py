"""How wide an interval must be so that it holds what it promises, by how much is known of a system.

The regression's deviations are those of a model that is right; how far real times lie from it is learned by leaving
rows out. Each kind of answer has its own experiment, and the scale of its deviations is the one at which COVERAGE of
what was left out lies inside, and a little more (conformal calibration by kind):

    the system has ten networks or more, four or more, fewer   families left out
    its version and its board are known, not together          systems left out      } and each of these
    nobody measured its board                                  boards left out       } with the network's
    nobody measured its version, on any board                  versions left out     } family left out
    neither                                                    boards and versions   } as well
    the network is one operator alone                          single operators, with their board left out

A model that is sure of itself is wrong in another way than one that is not: the scale is found at three deviations and
interpolated between them, so that the width still grows with the deviation. Networks below TINY_MACS spend their time
on calls more than on multiply-accumulates; they have a factor of their own. So has each runtime, one for systems on
which it was measured and one for others: builds of some differ from board to board in ways that nobody states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import log
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.pricing.covariances import Spreads
from mcusim.pricing.efforts import EFFORTS
from mcusim.pricing.regression import Block, Evidence, Fit, fit_rows, leave_out
from mcusim.pricing.systems import System, release_of

__all__ = [
    "COVERAGE",
    "MULTIPLYING",
    "NORMAL_QUANTILE",
    "TINY_MACS",
    "Known",
    "Scale",
    "Scales",
    "experiments",
    "find_scales",
    "is_alone",
    "is_tiny",
    "kernels_left_out",
    "known_of",
    "known_without",
    "macs_of",
    "networks_of",
]

COVERAGE = 0.8
NORMAL_QUANTILE = 1.2816
"""A normal variable lies within so many standard deviations of its mean with probability COVERAGE."""

_ASKED_COVERAGE = 0.83
"""Of left-out times, so that COVERAGE of new ones lie inside: scales that are found without a block hold three points
less in it than in the blocks that they were found from."""

TINY_MACS = 500_000
_MANY, _SOME = 10, 4
_ENOUGH = 20
"""Left-out rows below which a class is not told apart from all of its kind."""
_HALF_TRUSTED = 3
"""Left-out rows of a runtime with which its own factor counts half."""
_LEAST_TINY = 0.82
"""No experiment makes the intervals of tiny networks narrower than that: nearly all of them are one autoencoder."""
_LEAST_FACTOR = 0.7
"""No runtime's intervals are narrower than others' by more: three networks of a maker's submission agree too well."""
_ROUNDS = 3
"""Factors by runtime and scales by what is known are found in turn."""

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


_MEASURED = (Known.MANY, Known.SOME, Known.FEW)


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


class Scales(NamedTuple):
    """by_known: by how much of a system was measured.

    by_runtime: factors on those, of a runtime where it was measured on the very system, and where it was not.
    """

    by_known: Mapping[Known, Scale]
    by_runtime: Mapping[str, tuple[float, float]] = MappingProxyType({})

    def of(self, known: Known, runtime: str) -> Scale:
        """For a runtime's times where so much is known."""
        scale, factors = self.by_known[known], self.by_runtime.get(runtime, (1.0, 1.0))
        return scale.stretched(1.0 if known is Known.KERNEL else factors[known not in _MEASURED])


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


def find_scales(rows: Sequence[Evidence], fit: Fit, alone: Sequence[Evidence]) -> Scales:
    """The scales at which left-out networks, and operators measured alone, lie inside COVERAGE of the time."""
    off: dict[Known, list[_Miss]] = {known: [] for known in Known}
    for blocks in experiments(rows):
        remaining = known_without(rows, blocks)
        for miss in _misses(rows, fit, blocks):
            off[remaining[miss.place]].append(miss)
    guesses = kernels_left_out(rows, alone, fit.spreads)
    kernels = _scale([_miss(i, row, *guesses[row.id]) for i, row in enumerate(alone)])
    by_runtime: dict[str, tuple[float, float]] = {}
    # Either depends on the other: a runtime that misses by more widens the class that it is in. A few rounds settle it.
    for _ in range(_ROUNDS):
        scales = Scales({known: _scale(_stretched(off[known], known, by_runtime)) for known in Known}, by_runtime)
        by_runtime = _by_runtime(off, scales.by_known)
    return Scales({**scales.by_known, Known.KERNEL: kernels}, by_runtime)


def _stretched(misses: Sequence[_Miss], known: Known, by_runtime: Mapping[str, tuple[float, float]]) -> list[_Miss]:
    """Misses in deviations that a runtime's factor has been applied to."""
    place = known not in _MEASURED
    return [miss._replace(off=miss.off / by_runtime.get(miss.runtime, (1.0, 1.0))[place]) for miss in misses]


def _by_runtime(off: Mapping[Known, Sequence[_Miss]], scales: Mapping[Known, Scale]) -> dict[str, tuple[float, float]]:
    """How much more or less than the times of all runtimes those of one miss."""
    factors: dict[str, list[float]] = {}
    for is_elsewhere in (False, True):
        missed: dict[str, list[float]] = {}
        for known, misses in off.items():
            if (known not in _MEASURED) is is_elsewhere:
                for miss in misses:
                    own = miss.off / scales[known].at(miss.deviation, miss.is_tiny)
                    missed.setdefault(miss.runtime, []).append(own)
        for runtime in {miss.runtime for misses in off.values() for miss in misses}:
            own_misses = missed.get(runtime, [])
            # A few rows of a runtime prove little: their factor is drawn towards 1, half of it at three rows.
            trust = len(own_misses) / (len(own_misses) + _HALF_TRUSTED)
            factors.setdefault(runtime, []).append(max(_quantile(own_misses) ** trust, _LEAST_FACTOR))
    return {runtime: (at_home, elsewhere) for runtime, (at_home, elsewhere) in sorted(factors.items())}


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


def experiments(rows: Sequence[Evidence]) -> list[list[Block]]:
    """What to leave out together: families; systems, boards, builds, boards and builds; and each with a family too."""
    families, boards, systems, releases = (
        np.unique([label(row) for row in rows], return_inverse=True)[1]
        for label in (_family, _board, lambda row: repr(row.system), lambda row: repr(release_of(row.system)))
    )
    places = ((systems,), (boards,), (releases,), (boards, releases))
    return [_blocks_of_any(families), *(_blocks_of_any(*own, *more) for own in places for more in ((), (families,)))]


def _family(row: Evidence) -> str:
    return row.family


def _board(row: Evidence) -> str:
    return row.system.board


def _blocks_of_any(*codes: NDArray[np.int64]) -> list[Block]:
    """For every combination of labels that a row has: rows with any of them are left out, those with all are asked."""
    combinations = sorted(set(zip(*[code.tolist() for code in codes], strict=True)))
    blocks = []
    for labels in combinations:
        # Left out is whatever shares any label with the question; asked is what shares all of them.
        has = [code == label for code, label in zip(codes, labels, strict=True)]
        blocks.append(Block(np.flatnonzero(np.logical_or.reduce(has)), np.flatnonzero(np.logical_and.reduce(has))))
    return blocks


class _Miss(NamedTuple):
    """How far a left-out row lies from what the others say, in deviations.   place: of the row."""

    place: int
    runtime: str
    deviation: float
    off: float
    is_tiny: bool


def _misses(rows: Sequence[Evidence], fit: Fit, blocks: Sequence[Block]) -> list[_Miss]:
    """Of every network that blocks leave out."""
    left = leave_out(rows, fit, blocks)
    asked = np.concatenate([block.asked for block in blocks]).tolist()
    return [
        _miss(place, rows[place], left.log_cycles[place], left.deviation[place])
        for place in sorted(asked)
        if not rows[place].is_kernel
    ]


def _miss(place: int, row: Evidence, log_cycles: float, deviation: float) -> _Miss:
    off = abs(log(row.cycles) - float(log_cycles)) / float(deviation)
    return _Miss(place, row.system.runtime, float(deviation), off, is_tiny(row.amounts))


def kernels_left_out(
    rows: Sequence[Evidence], alone: Sequence[Evidence], spreads: Spreads
) -> dict[str, tuple[float, float]]:
    """id -> log cycles and their standard deviation, of operators measured alone, from the rows of other boards."""
    guesses: dict[str, tuple[float, float]] = {}
    for board in sorted({row.system.board for row in alone}):
        # A fit a board: rows of the board itself must not be seen, and the others are the same for all operators on it.
        fit = fit_rows([row for row in rows if row.system.board != board], spreads)
        here = [row for row in alone if row.system.board == board]
        one_of = {row.system: row for row in here}
        prices = {system: fit.posterior(system, row.log_physics) for system, row in one_of.items()}
        for row in here:
            mean, variance = prices[row.system].log_cycles(row.amounts)
            guesses[row.id] = mean, (variance + spreads.kernel_noise**2) ** 0.5
    return guesses


def _scale(misses: Sequence[_Miss]) -> Scale:
    tiny, large = ([miss for miss in misses if miss.is_tiny is asked] for asked in (True, False))
    if min(len(tiny), len(large)) < _ENOUGH:
        return _scale_of_class(misses)
    scale = _scale_of_class(large)
    return scale._replace(tiny=max(_quantile([miss.off / scale.at(miss.deviation) for miss in tiny]), _LEAST_TINY))


def _scale_of_class(misses: Sequence[_Miss]) -> Scale:
    classes: list[list[float]] = [[], [], []]
    for miss in misses:
        classes[sum(miss.deviation > edge for edge in _BETWEEN)].append(miss.off)
    everything = [miss.off for miss in misses]
    narrow, middling, wide = [_quantile(part if len(part) >= _ENOUGH else everything) for part in classes]
    # A scale that fell too fast from one knot to the next would make an unsure time narrower than a sure one.
    middling = max(middling, _least_beside(narrow, 0))
    return Scale(narrow, middling, max(wide, _least_beside(middling, 1)))


def _least_beside(scale: float, knot: int) -> float:
    """The least scale at the next knot with which the width of intervals never falls as the deviation grows."""
    octaves = log(_KNOTS[knot + 1] / _KNOTS[knot])
    return scale / (1.0 + octaves)


def _quantile(off: Sequence[float]) -> float:
    return float(np.quantile(off, _ASKED_COVERAGE)) / NORMAL_QUANTILE if off else 1.0

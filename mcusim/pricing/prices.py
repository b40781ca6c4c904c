"""Work -> cycles. The one place that prices; operators report hardware-free `Work` and know nothing of it.

What an effort costs on a board comes from measurements (`mcusim.pricing`); here it is applied to work, and the
cycles are split by cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import exp, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.boards.board import Board
from mcusim.errors import InputError
from mcusim.graph import Signature
from mcusim.ops import OPS, Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.pricing.cycles import Cause, Cycles
from mcusim.pricing.efforts import EFFORTS, PUBLISHED, EffortModel
from mcusim.pricing.emulated import EMULATED_FAMILY, emulated_model, emulated_prices
from mcusim.pricing.intervals import MULTIPLYING, NORMAL_QUANTILE, Known, Scale, is_alone, is_tiny
from mcusim.pricing.physics import stall_share
from mcusim.pricing.places import Place, find_place
from mcusim.pricing.stored import Calibration, package_calibration
from mcusim.pricing.systems import System
from mcusim.program import Step
from mcusim.report import Basis
from mcusim.runtimes import Runtime

__all__ = ["MACS_ONLY", "Coefficients", "Interval", "coefficients", "price_whole", "price_work", "step_work"]

MOST_LOG_PRICE = 100.0
"""Of the logarithm of cycles: e**100 is no price, and e**710 no float."""


class Interval(NamedTuple):
    """Factors on the cycles of an answer: the truth lies between them four times out of five."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Prices of one runtime on one board.

    cycles: of one unit of each effort of `model`.   covariance: of their logarithms.
    row_variance: of the logarithm of a measured time around the model.   scale: stretches deviations,
    kernel_scale: those of one operator alone.
    stall_share: the part of all cycles that waits for flash, by the physics.
    version: of the runtime, as measured.   evidence: what stands behind the prices.   basis: calibrated, or
    provisional where the runtime was never measured on such a core.   board: of the prices.
    own_reach: how far, in logarithms, an interval reaches at least, so as to hold the user's own times.   notes: on
    these.   newer: of `Place`.   siblings: of `Place`, whose intervals no interval here is narrower than.
    """

    cycles: tuple[float, ...]
    covariance: NDArray[np.float64]
    row_variance: float
    scale: Scale
    kernel_scale: Scale
    stall_share: float
    version: str
    evidence: str
    networks: int
    basis: Basis
    model: EffortModel = PUBLISHED
    board: str = ""
    own_reach: float = 0.0
    notes: tuple[str, ...] = ()
    siblings: tuple[Coefficients, ...] = ()
    newer: Coefficients | None = None

    @cached_property
    def _cycles(self) -> NDArray[np.float64]:
        return np.array(self.cycles)

    def interval(self, amounts: Sequence[float]) -> Interval:
        """Around the cycles of so much of each effort: parts whose prices are known well make it narrow."""
        parts = np.multiply(amounts, self._cycles)
        total = float(np.add.reduce(parts))
        if not total:
            return Interval(1.0, 1.0)
        # The delta method: the variance of the log of a sum, from the covariance of the logs of its terms.
        variance = float(parts @ self.covariance @ parts) / total**2
        deviation = sqrt(max(variance, 0.0) + self.row_variance)
        # Both are at least what is promised: the scaled deviation, and the reach of the user's own times.
        factor = exp(max(NORMAL_QUANTILE * self.scale_at(amounts, variance) * deviation, self.own_reach))
        factor = max([factor, *[sibling.interval(amounts).high for sibling in self.siblings]])
        return Interval(1.0 / factor, factor)

    def times_of_newer(self, amounts: Sequence[float]) -> float | None:
        """How many times as long a newer version takes, where that is outside the interval; None where it is not."""
        if self.newer is None:
            return None
        ratio = float(np.dot(amounts, self.newer.cycles) / max(np.dot(amounts, self.cycles), 1e-9))
        low, high = self.interval(amounts)
        return None if low <= ratio <= high else ratio

    def wider_sibling(self, amounts: Sequence[float]) -> Coefficients | None:
        """Whose interval around so much of each effort holds, as an own one would be narrower; None for an own one."""
        by_width = {sibling.interval(amounts).high: sibling for sibling in self.siblings}
        own = replace(self, siblings=()).interval(amounts).high
        return by_width[max(by_width)] if by_width and max(by_width) > own else None

    def scale_at(self, amounts: Sequence[float], variance: float) -> float:
        """What the deviation of such a network's time is multiplied with.   variance: that of its prices."""
        # Emulated prices have no left-out times that a scale could be learned from.
        if self.model is not PUBLISHED:
            return 1.0
        scale = self.kernel_scale if is_alone(amounts) else self.scale
        return scale.at(sqrt(max(variance, 0.0) + self.row_variance), is_tiny(amounts))


MACS_ONLY = Coefficients(
    tuple(float(effort.base in MULTIPLYING) for effort in EFFORTS),
    np.zeros((len(EFFORTS), len(EFFORTS))),
    0.0,
    Scale(1.0, 1.0, 1.0),
    Scale(1.0, 1.0, 1.0),
    0.0,
    "",
    "one cycle a multiply-accumulate, to rank schedules where nothing was measured",
    0,
    Basis.PROVISIONAL,
)


@lru_cache(1024)
def coefficients(
    runtime: Runtime, board: Board, memory: str = "", calibration: Calibration | None = None
) -> Coefficients | None:
    """Prices of a runtime on a board; None where the runtime was never measured.

    memory: `external` where activations lie outside the chip.   calibration: the package's own if None.
    Raises InputError where a calibration of the user's gives no numbers.
    """
    chosen = calibration or package_calibration()
    place = find_place(chosen, runtime, board, memory)
    if place is None:
        return _emulated(board) if runtime.price_family == EMULATED_FAMILY else None
    own = _coefficients(chosen, board, place, place.system, place.sure, place.log_physics)
    siblings = [
        _coefficients(chosen, board, place, sibling.system, sibling.system, sibling.log_physics)
        for sibling in place.siblings
    ]
    newer = place.newer and _coefficients(chosen, board, place, place.newer, place.newer, place.log_physics)
    return replace(own, siblings=tuple(siblings), newer=newer) if siblings or newer else own


def _coefficients(
    chosen: Calibration, board: Board, place: Place, system: System, sure: System, log_physics: Sequence[float]
) -> Coefficients:
    """Prices of a system, and how sure they are.   sure: whose intervals hold."""
    prices = chosen.fit.posterior(system, log_physics)
    certainty = prices if sure == system else chosen.fit.posterior(sure, log_physics)
    log_prices = prices.log_prices.tolist()
    if not all(abs(price) < MOST_LOG_PRICE for price in log_prices):
        what = f"its prices on {board.name} are no numbers of cycles"
        raise InputError(what, where="the calibration", fix="make it anew with `mcusim calibrate`")
    own = chosen.own_system(system)
    return Coefficients(
        tuple(exp(value) for value in log_prices),
        certainty.covariance,
        chosen.fit.spreads.noise**2,
        chosen.scale_of(sure),
        chosen.scales.by_known[Known.KERNEL],
        stall_share(board),
        f"{system.version}+{system.option}" if system.option else system.version,
        place.evidence,
        place.networks,
        Basis.CALIBRATED if place.is_measured_core else Basis.PROVISIONAL,
        board=system.board,
        own_reach=0.0 if own is None else own.reach,
        notes=() if own is None else own.notes,
    )


def _emulated(board: Board) -> Coefficients:
    """Prices of mcusim's own kernels, which no board has confirmed."""
    emulated = emulated_prices(board)
    size = len(emulated.cycles)
    return Coefficients(
        emulated.cycles,
        np.zeros((size, size)),
        emulated.spread**2,
        Scale(1.0, 1.0, 1.0),
        Scale(1.0, 1.0, 1.0),
        stall_share(board),
        "",
        emulated.evidence,
        0,
        Basis.PROVISIONAL,
        emulated_model(),
    )


def price_work(prices: Coefficients, call: Signature, work: Work) -> Cycles[float]:
    """Cycles of some work of a node, in the core's own clock."""
    mac, output, read, entry = prices.model.rates(prices.cycles, call, work)
    total = mac * work.macs + read * work.inputs + output * work.outputs + entry * work.calls
    spent = dict.fromkeys(Cause, 0.0)
    for place, amount in prices.model.parts(call, work):
        spent[prices.model.causes[place]] += amount * prices.cycles[place]
    # A core that waits for its flash is slowed in whatever it executes, so that share of both causes is shown as
    # memory.
    waiting = prices.stall_share * (spent[Cause.COMPUTE] + spent[Cause.STORE])
    busy = 1.0 - prices.stall_share
    return Cycles(
        total,
        busy * spent[Cause.COMPUTE],
        busy * spent[Cause.STORE],
        spent[Cause.MEMORY] + waiting,
        spent[Cause.OVERHEAD],
    )


def step_work(step: Step) -> Work:
    """What a step does over all pieces together."""
    return OPS[step.signature.op].work(step.signature, step.priced_rows, step.priced_cols, step.calls)


@lru_cache(SIGNATURES_KEPT)
def price_whole(prices: Coefficients, signature: Signature) -> Cycles[float]:
    """Cycles of a node that runs whole, once. Operators that mcusim does not know cost nothing here."""
    op = OPS.get(signature.op)
    if op is None or not signature.outputs:
        return Cycles(0.0, 0.0, 0.0, 0.0, 0.0)
    output = signature.output
    return price_work(prices, signature, op.work(signature, output.rows, output.cols, 1))

"""Work -> cycles. The one place that prices; operators report hardware-free `Work` and know nothing of it.

Prices are cycles for each multiply-accumulate, output element, input element and kernel call, by kind of work. They
are data (`coefficients/*.toml`), with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

from mcusim.graph import Signature
from mcusim.ops import OPS, Work, WorkKind
from mcusim.ops.windows import SIGNATURES_KEPT
from mcusim.report import Basis

__all__ = ["Coefficients", "Cost", "Rates", "coefficients", "price_whole", "price_work"]


class Cost(NamedTuple):
    """Cycles, split by cause.

    compute_cycles: multiply-accumulates and reads.   store_cycles: requantising and storing outputs.
    overhead_cycles: entering kernels.   Assumption A1: none of them overlaps another.
    """

    compute_cycles: float = 0.0
    store_cycles: float = 0.0
    overhead_cycles: float = 0.0

    @property
    def total_cycles(self) -> float:
        return self.compute_cycles + self.store_cycles + self.overhead_cycles


class Rates(NamedTuple):
    """Cycles for one unit of one kind of work on the reference core."""

    mac: float = 0.0
    output: float = 0.0
    input: float = 0.0
    call: float = 0.0


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Prices of one runtime on one core.

    core_factor: cycles of this core for one of the reference core.
    low_factor, high_factor: the interval around an answer.
    """

    rates: Mapping[WorkKind, Rates]
    core_factor: float
    low_factor: float
    high_factor: float
    basis: Basis


@cache
def coefficients(family: str, core: str) -> Coefficients | None:
    """Prices of a family of kernels on a core; None where there is no evidence for either."""
    import msgspec

    text = resources.files("mcusim").joinpath("coefficients", "provisional.toml").read_text(encoding="utf-8")
    table = msgspec.toml.decode(text)
    rates, factor = table["kernels"].get(family), table["core_factor"].get(core)
    if rates is None or factor is None:
        return None
    low_factor, high_factor = table["interval_factors"]
    kinds = {kind: Rates(**rates.get(kind.value, rates["default"])) for kind in WorkKind}
    return Coefficients(kinds, factor, low_factor, high_factor, Basis.PROVISIONAL)


def price_work(prices: Coefficients, work: Work) -> Cost:
    """Cycles of some work, in the core's own clock."""
    mac, output, read, call = prices.rates[work.kind]
    factor = prices.core_factor
    return Cost(
        factor * (mac * work.macs + read * work.inputs),
        factor * output * work.outputs,
        factor * call * work.calls,
    )


@lru_cache(SIGNATURES_KEPT)
def price_whole(prices: Coefficients, signature: Signature) -> Cost:
    """Cycles of a node that runs whole, once. Operators that mcusim does not know cost nothing here."""
    op = OPS.get(signature.op)
    if op is None or not signature.outputs:
        return Cost()
    output = signature.output
    return price_work(prices, op.work(signature, output.rows, output.cols, 1))

"""Reports -> figures of a table, each with what stands behind it."""

from __future__ import annotations

from mcusim.conventions import CONVENTIONS
from mcusim.published import NOTHING, Printed, Unit
from mcusim.published.tables.document import Figure
from mcusim.report import Basis, Report
from mcusim.runtimes import RUNTIMES

__all__ = [
    "accuracy_figure",
    "flash_figure",
    "is_known",
    "latency_figure",
    "macs_figure",
    "sram_figure",
    "times_figure",
]


def is_known(counting: str) -> bool:
    """Whether mcusim has a convention or runtime of this name."""
    return counting in CONVENTIONS or counting in RUNTIMES


def macs_figure(macs: int | None, printed: Printed = NOTHING) -> Figure:
    """Multiply-accumulates: counted, not estimated."""
    return Figure(unit=Unit.MEGA, printed=printed, value=macs, basis=None if macs is None else Basis.EXACT)


def sram_figure(report: Report | None, printed: Printed = NOTHING, limit: int | None = None) -> Figure:
    """SRAM against the report's budget; `limit` where there is no report."""
    if report is None:
        return Figure(unit=Unit.KIB, printed=printed, limit=limit)
    sram = report.sram
    return Figure(
        unit=Unit.KIB,
        printed=printed,
        value=sram.measured_bytes,
        basis=sram.basis,
        limit=sram.budget_bytes,
        counted_as=report.convention.name,
    )


def flash_figure(report: Report | None, printed: Printed = NOTHING, limit: int | None = None) -> Figure:
    """Flash against the report's budget; `limit` where there is no report. No value where a part is unknown."""
    if report is None:
        return Figure(unit=Unit.KIB, printed=printed, limit=limit)
    flash = report.flash
    basis = None if flash.total_bytes is None else flash.basis
    return Figure(unit=Unit.KIB, printed=printed, value=flash.total_bytes, basis=basis, limit=flash.budget_bytes)


def latency_figure(report: Report | None, printed: Printed = NOTHING) -> Figure:
    """Milliseconds with their interval; no value where nobody has measured the runtime on the core."""
    if report is None or report.latency.ms is None:
        return Figure(unit=Unit.MS, printed=printed)
    time = report.latency
    return Figure(unit=Unit.MS, printed=printed, value=time.ms, low=time.low_ms, high=time.high_ms, basis=time.basis)


def accuracy_figure(printed: Printed, own: Printed = NOTHING) -> Figure:
    """Percent. Accuracy is not simulated: `own` is what the network's own source prints."""
    basis = None if own.value is None else Basis.PUBLISHED
    return Figure(unit=Unit.PERCENT, printed=printed, value=own.value, basis=basis)


def times_figure(value: float | None, basis: Basis | None, printed: Printed = NOTHING) -> Figure:
    """A ratio; with no value, no basis."""
    return Figure(unit=Unit.TIMES, printed=printed, value=value, basis=None if value is None else basis)

"""The head of the page: the budgets, what takes the memory at the peak, what takes the time."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.render import spending
from mcusim.render.text import stored_bytes
from mcusim.report import EnergyInfo, LatencyInfo, LayerInfo, Report
from mcusim.units import cycles_to_ms, format_bytes, format_ms, format_percent

__all__ = ["CycleCause", "Gauge", "Share", "alive_rows", "causes", "gauges", "parts_rows"]

_FIT_WORDS = {True: "fits", False: "does not fit", None: "not sure"}


class Gauge(NamedTuple):
    """A budget and what it holds. value: exact, "" if not known.   state: fits, missed, unsure or free (no budget).

    fill, mark, low, high: in percent of the bar's length; None where there is nothing to draw.
    """

    name: str
    value: float | str
    shown: str
    of: str
    state: str
    words: str
    interval: str
    basis: str
    fill: float
    mark: float | None = None
    low: float | None = None
    high: float | None = None


def gauges(report: Report) -> list[Gauge]:
    """SRAM, flash, time and energy."""
    sram, flash = report.sram, report.flash
    detail = [("arena", sram.arena_bytes), ("scratch", sram.scratch_bytes), ("persistent", sram.persistent_bytes)]
    detail.append(("setting up", sram.setup_bytes))
    parts = " + ".join(f"{name} {format_bytes(size)}" for name, size in detail if size)
    stored = flash.weight_bytes if flash.model_bytes is None else flash.model_bytes
    code = "code not known" if flash.code_bytes is None else f"code {format_bytes(flash.code_bytes)}"
    return [
        _bytes("SRAM", sram.peak_bytes, sram.budget_bytes, sram.fits, parts, sram.basis, sram.is_bound),
        _bytes(
            "Flash",
            stored_bytes(flash),
            flash.budget_bytes,
            flash.fits,
            f"model {format_bytes(stored)} + {code}",
            flash.basis,
            at_least=flash.total_bytes is None,
        ),
        _time(report.latency, _reason(report, "time")),
        _energy(report.energy, _reason(report, "energy")),
    ]


def _state(fits: bool | None) -> str:
    return "unsure" if fits is None else "fits" if fits else "missed"


def _bytes(
    name: str, used: int, budget: int, fits: bool | None, parts: str, basis: str, at_least: bool = False
) -> Gauge:
    scale, slack = max(used, budget, 1), budget - used
    words = f"{format_percent(used / budget)}, {format_bytes(abs(slack))} {'free' if slack >= 0 else 'over'}"
    if at_least and slack >= 0:
        words = "the rest is not known"
    shown = f"{'> ' if at_least else ''}{format_bytes(used)}"
    mark = budget / scale * 100
    return Gauge(
        name, used, shown, f"of {format_bytes(budget)}", _state(fits), words, parts, basis, used / scale * 100, mark
    )


def _reason(report: Report, figure: str) -> str:
    """Why a figure is not known, in the words of its warning."""
    warning = next((line for line in report.warnings if line.startswith(f"{figure}: ")), "")
    return warning.removeprefix(f"{figure}: ").removeprefix("not known, ") or "the warnings say why"


def _time(time: LatencyInfo, reason: str) -> Gauge:
    if time.ms is None or time.low_ms is None or time.high_ms is None:
        return Gauge("Time", "", "not known", "", "unsure", reason, "", time.basis, 0)
    limit = time.budget_ms
    scale = max(time.high_ms, limit or 0) or 1.0
    state = "free" if limit is None else _state(time.fits)
    words = "no limit is set" if limit is None else f"{format_percent(time.ms / limit)}, {_FIT_WORDS[time.fits]}"
    return Gauge(
        "Time",
        time.ms,
        format_ms(time.ms),
        "" if limit is None else f"of {format_ms(limit)}",
        state,
        words,
        f"{format_ms(time.low_ms)} to {format_ms(time.high_ms)}, 80 %: four times out of five",
        time.basis,
        time.ms / scale * 100,
        None if limit is None else limit / scale * 100,
        time.low_ms / scale * 100,
        time.high_ms / scale * 100,
    )


def _energy(energy: EnergyInfo | None, reason: str) -> Gauge:
    if energy is None:
        return Gauge("Energy", "", "not known", "", "unsure", reason, "", "", 0)
    return Gauge(
        "Energy",
        energy.uj,
        _joules(energy.uj),
        "",
        "free",
        "an inference",
        f"{_joules(energy.low_uj)} to {_joules(energy.high_uj)}",
        energy.basis,
        energy.uj / energy.high_uj * 100,
        None,
        energy.low_uj / energy.high_uj * 100,
        100.0,
    )


def _joules(microjoules: float) -> str:
    return f"{microjoules / 1e3:,.2f} mJ"


# ---------------------------------------------------------------------------------------------------------------------
# Why


class Share(NamedTuple):
    """A part of a sum. percent: of the bar's length."""

    name: str
    bytes: int
    percent: float
    why: str = ""


def alive_rows(report: Report) -> list[Share]:
    """What takes the SRAM at the peak: buffers, gaps between them, and what is no buffer. They add up to all of it."""
    sram = report.sram
    if sram.peak is None:
        return []
    rows = [(item.name, item.bytes, "") for item in sram.peak.alive]
    gaps = sram.arena_bytes - sum(item.bytes for item in sram.peak.alive)
    rows.append(("gaps in the plan", gaps, "below the highest buffer of the plan, and not in use at the peak"))
    rows.append(("scratch", sram.scratch_bytes, "held beside the arena, as much as the neediest kernel asks"))
    rows.append(("persistent", sram.persistent_bytes, "lives as long as the runtime"))
    rows.append(("setting up", sram.setup_bytes, "what the arena must have on top while the interpreter sets up"))
    return [Share(name, size, size / (sram.peak_bytes or 1) * 100, why) for name, size, why in rows if size > 0]


def parts_rows(report: Report) -> list[Share]:
    """What a convention adds up."""
    total = report.sram.peak_bytes or 1
    return [Share(p.name, p.bytes, p.bytes / total * 100, p.why) for p in report.convention.parts]


class CycleCause(NamedTuple):
    """Cycles of the whole network by cause. key: names its colour.   start, percent: in a bar of all."""

    key: str
    name: str
    why: str
    cycles: int
    ms: float
    start: float
    percent: float


_KEYS = (
    ("compute", "the multiply-accumulates of convolutions and matrix products"),
    ("store", "scaling sums to int8, element-wise arithmetic, writing results"),
    ("memory", "gathering windows, copying, waiting for flash"),
    ("overhead", "entering kernels: calls, set-up, loops around the inner ones"),
)
CAUSES = tuple((key, name, why) for name, (key, why) in zip(spending.CAUSES, _KEYS, strict=True))
"""What a layer's field begins with, its name as the terminal has it, and what is meant."""


def causes(report: Report) -> list[CycleCause]:
    """What the time is spent on; nothing where the time is not known."""
    total = report.latency.cycles
    if not total:
        return []
    rows, start = [], 0.0
    for key, name, why in CAUSES:
        cycles = sum(cycles_of(layer, key) or 0 for layer in report.layers)
        percent = cycles / total * 100
        rows.append(CycleCause(key, name, why, cycles, cycles_to_ms(cycles, report.profile.clock_hz), start, percent))
        start += percent
    return rows


def cycles_of(layer: LayerInfo, cause: str) -> int | None:
    """Cycles that a layer spends on one cause."""
    spent: int | None = getattr(layer, f"{cause}_cycles")
    return spent

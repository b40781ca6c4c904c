"""Where the marks of the page's two pictures go: the memory timeline, and the front of schedules.

Places are percent of the picture's width and height: it is as wide as the page, its letters as large as the text's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from mcusim.lowering.rules import InputPlace
from mcusim.memory.planning import PERSISTENT, MemoryPlan, Tenant
from mcusim.program import BufferKind
from mcusim.render.arena import peak_step, step_words
from mcusim.render.naming import KIND_WORDS
from mcusim.render.text import first_name
from mcusim.report import Report
from mcusim.schedule import parse_schedule
from mcusim.searching import Point
from mcusim.simulation.dossier import Dossier
from mcusim.units import BYTES_PER_KIB

__all__ = ["FrontView", "TimelineView", "front_view", "timeline_view"]

HEADROOM = 1.08
"""The picture is so much taller than its highest mark."""
TICKS = 5


class Tick(NamedTuple):
    """at: percent from the left, or from the top."""

    at: float
    text: str


class Box(NamedTuple):
    """A buffer in its place. look: names its colour.   x, y, width, height: percent."""

    tenant: Tenant
    look: str
    label: str
    is_at_peak: bool
    x: float
    y: float
    width: float
    height: float


class TimelineView(NamedTuple):
    """budget: percent from the top; None where it is far above the picture."""

    boxes: tuple[Box, ...]
    looks: tuple[tuple[str, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    peak: Tick
    budget: Tick | None
    steps: int
    total_bytes: int
    least_bytes: int
    is_least_proved: bool
    planner: str


_LOOKS = {**{kind.value: words for kind, words in KIND_WORDS.items()}, "peak": "activation alive at the peak"}
FAR = 2.5
"""A budget so many times the peak is not drawn: it would flatten the picture."""


def timeline_view(dossier: Dossier) -> TimelineView | None:
    """Every buffer over the steps of its life; None where nobody knows where the runtime puts them."""
    plan, budget = dossier.plan, dossier.report.sram.budget_bytes
    if plan is None:
        return None
    steps, total, peak = max(plan.program.length, 1), max(plan.total_bytes, 1), peak_step(plan)
    shows_budget = budget <= total * FAR
    top = max(total, budget if shows_budget else 0) * HEADROOM
    names = _step_names(plan)
    boxes = tuple(_box(t, peak, steps, top, names) for t in plan.tenants() if t.size_bytes)
    used = {box.look for box in boxes}
    return TimelineView(
        boxes,
        tuple((key, text) for key, text in _LOOKS.items() if key in used),
        tuple(Tick(value / steps * 100, f"{value:g}") for value in _ticks(0, steps) if value == int(value)),
        _kib_ticks(top),
        Tick((peak + 0.5) / steps * 100, _step_text(plan, peak)),
        Tick((1 - budget / top) * 100, f"{budget / BYTES_PER_KIB:,.1f} KiB") if shows_budget else None,
        plan.program.length,
        plan.total_bytes,
        plan.best.arena_bytes + plan.total_bytes - plan.arena_bytes,
        plan.best.proved,
        plan.planner_name,
    )


def _step_names(plan: MemoryPlan) -> tuple[str, ...]:
    return tuple(first_name(name) for name in plan.step_names())


def _step_text(plan: MemoryPlan, step: int) -> str:
    names = _step_names(plan)
    return f"{step_words(plan, step)}: {names[step]}" if step < len(names) else f"step {step}"


def _box(tenant: Tenant, peak: int, steps: int, top: float, names: tuple[str, ...]) -> Box:
    there = tenant.is_alive(peak)
    label = (
        f"{first_name(tenant.name)} \N{EN DASH} {tenant.size_bytes:,} bytes at {tenant.offset_bytes:,}, "
        f"steps {tenant.first} to {tenant.end - 1}"
    )
    first, last = (names[step] if step < len(names) else "" for step in (tenant.first, tenant.end - 1))
    if first and last:
        label += f" ({first} to {last})" if first != last else f" ({first})"
    return Box(
        tenant,
        _look(tenant, there),
        label,
        there,
        tenant.first / steps * 100,
        (1 - tenant.top_bytes / top) * 100,
        (tenant.end - tenant.first) / steps * 100,
        tenant.size_bytes / top * 100,
    )


def _look(tenant: Tenant, is_at_peak: bool) -> str:
    if tenant.name == PERSISTENT and tenant.index < 0:
        return "persistent"
    if tenant.kind is BufferKind.ACTIVATION:
        return "peak" if is_at_peak else "activation"
    return tenant.kind.value


# ---------------------------------------------------------------------------------------------------------------------
# The front


class Mark(NamedTuple):
    """A schedule of the front. x, y: percent.   is_asked: of the report.   is_best: the cheapest that fits.

    is_layer: layer by layer.   ms: None where the time is not known; then `y` is by MACs.
    """

    point: Point
    x: float
    y: float
    label: str
    is_asked: bool
    is_best: bool
    is_layer: bool


class FrontView(NamedTuple):
    """budget: percent from the left; None where it lies outside.   unit: of the upright axis.

    differs: figures of the report that were counted otherwise than those of the front; "" if none were.
    """

    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    budget: Tick | None
    unit: str
    can_cut: bool
    runtime: str
    differs: str


def front_view(dossier: Dossier) -> FrontView | None:
    """SRAM against time; None where the front was not searched."""
    front = dossier.front
    if front is None:
        return None
    report = dossier.report
    points, own = list(front.points), _own_point(dossier)
    if front.layer not in points:
        points.append(front.layer)
    asked = next((p for p in points if _is_alike(p, own)), own)
    if asked is own:
        points.append(own)
    is_timed = all(p.ms is not None for p in points)
    widths = [p.peak_bytes / BYTES_PER_KIB for p in points]
    heights = [p.ms if is_timed and p.ms is not None else p.macs / 1e6 for p in points]
    budget = front.budget_bytes / BYTES_PER_KIB
    shows_budget = min(widths) / FAR <= budget <= max(widths) * FAR
    left, right = _range([*widths, *([budget] if shows_budget else [])])
    low, high = _range(heights)
    marks = tuple(
        Mark(
            point,
            (width - left) / (right - left) * 100,
            (1 - (height - low) / (high - low)) * 100,
            _point_text(point, width, height, "ms" if is_timed else "M MACs"),
            point is asked,
            point is front.best,
            point.schedule == front.layer.schedule,
        )
        for point, width, height in zip(points, widths, heights, strict=True)
    )
    return FrontView(
        marks,
        tuple(Tick((value - left) / (right - left) * 100, f"{value:,g}") for value in _ticks(left, right)),
        tuple(Tick((1 - (value - low) / (high - low)) * 100, f"{value:,g}") for value in _ticks(low, high)),
        Tick((budget - left) / (right - left) * 100, f"{budget:,.1f} KiB") if shows_budget else None,
        "ms" if is_timed else "million MACs",
        dossier.can_cut,
        f"{front.runtime.name} {front.runtime.shown_version(report.latency.version)}",
        _differences(report, asked),
    )


def _own_point(dossier: Dossier) -> Point:
    """The schedule of the report, placed by its runtime where that is known; its time is the report's."""
    report, plan = dossier.report, dossier.plan
    total_bytes = least_bytes = report.sram.peak_bytes
    if plan is not None:
        total_bytes = plan.total_bytes
        least_bytes = max(plan.alive_bytes, default=0) + plan.total_bytes - plan.arena_bytes
    return Point(
        parse_schedule(report.schedule.spec),
        InputPlace(report.input.where),
        total_bytes,
        least_bytes,
        report.latency.cycles,
        report.latency.ms,
        report.model.macs + report.schedule.recomputed_macs,
        report.schedule.recomputed_macs,
        sum(stage.halo_bytes for stage in report.schedule.stages),
        total_bytes <= report.sram.budget_bytes,
    )


def _is_alike(a: Point, b: Point) -> bool:
    return str(a.schedule) == str(b.schedule) and a.input_place == b.input_place


def _differences(report: Report, asked: Point) -> str:
    """What of the report, by a convention or one's own measurements, is not what its point of the front has."""
    axes = ["SRAM"] if asked.peak_bytes != report.sram.peak_bytes else []
    if asked.ms is not None and report.latency.ms is not None and not math.isclose(asked.ms, report.latency.ms):
        axes.append("time")
    return " and ".join(axes)


def _point_text(point: Point, kib: float, height: float, unit: str) -> str:
    fits = "fits" if point.fits else "does not fit"
    return f"{point.schedule} \N{EN DASH} {kib:,.1f} KiB, {height:,.1f} {unit}, {fits}"


# ---------------------------------------------------------------------------------------------------------------------
# Axes


def _range(values: list[float]) -> tuple[float, float]:
    """A little more than all values take."""
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return max(low - margin, 0.0), high + margin


def _kib_ticks(top_bytes: float) -> tuple[Tick, ...]:
    top = top_bytes / BYTES_PER_KIB
    return tuple(Tick((1 - value / top) * 100, f"{value:,g}") for value in _ticks(0, top))


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between, five or so, a multiple of 1, 2 or 5 apart."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, math.floor(high / step) + 1)]

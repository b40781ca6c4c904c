"""The front of schedules as a plot: SRAM across, time up; live and placed, the chosen point and the board's budget."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from mcusim.render import style
from mcusim.render.text import in_kib
from mcusim.searching import Front, Point
from mcusim.units import BYTES_PER_KIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["front_plot"]

ASPECT, LEAST_HEIGHT_INCHES, NARROW_INCHES = 0.52, 2.6, 5.0
MARGIN = 0.05
"""Of an axis, free beside the outermost points: their marks are wide."""
LEAST_TICKS, TICKS = 4, 6
"""A logarithmic axis that 1, 2, 5, 10, ... label more sparsely than this has round numbers at equal steps."""
FAR = 4.0
"""Where the longest schedule takes so many times the shortest, or SRAM spreads so far, the axis is logarithmic."""


def front_plot(front: Front, kind: str, width_inches: float = style.COLUMN_INCHES) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf."""
    with style.figure(max(ASPECT * width_inches, LEAST_HEIGHT_INCHES), width_inches) as made:
        axes = made.subplots()
        _draw_points(axes, front)
        _draw_limit(axes, front)
        _label(axes, front, width_inches)
        made.legend(
            loc="outside lower center",
            ncols=2 if width_inches < NARROW_INCHES else 5,
            handlelength=1.6,
            columnspacing=1.2,
        )
        return style.drawn(made, kind)


def _time(front: Front, point: Point) -> float:
    """Milliseconds, or millions of MACs where nobody has measured the runtime on this core."""
    return point.macs / 1e6 if front.layer.ms is None or point.ms is None else point.ms


def _draw_points(axes: Axes, front: Front) -> None:
    points = sorted(front.points, key=lambda p: p.live_bytes)
    live = [p.live_bytes / BYTES_PER_KIB for p in points]
    times = [_time(front, p) for p in points]
    dot = "." if len(points) == 1 else ""  # a line through one point is none
    label = "front: live bytes"
    axes.step(live, times, where="post", label=label, color=style.BLUE, linewidth=1.0, marker=dot, zorder=3)
    for point, at, time in zip(points, live, times, strict=True):
        if point.gap_bytes:
            axes.plot([at, point.peak_bytes / BYTES_PER_KIB], [time, time], color=style.GREY, linewidth=0.5, zorder=2)
    placed = [p.peak_bytes / BYTES_PER_KIB for p in points]
    axes.plot(placed, times, "o", ms=3, mfc="white", mec=style.BLUE, mew=0.7, label="as placed", zorder=4)
    layer = front.layer
    axes.plot(
        layer.peak_bytes / BYTES_PER_KIB,
        _time(front, layer),
        "s",
        ms=8.5,
        mfc="none",
        mec=style.BLACK,
        mew=1.2,
        label="layer by layer",
        zorder=8,
    )
    chosen = front.best or front.nearest
    word = "cheapest that fits" if front.best is not None else "nearest: nothing fits"
    axes.plot(
        chosen.peak_bytes / BYTES_PER_KIB,
        _time(front, chosen),
        "D",
        ms=6,
        mfc=style.ORANGE,
        mec=style.BLACK,
        mew=0.7,
        label=word,
        zorder=7,
    )
    axes.margins(MARGIN)
    if max(times) > FAR * min(times):
        axes.set_yscale("log")
    elif max(times) == min(times):
        axes.set_ylim(0, 1.5 * max(times))
    everything = [*live, *placed, layer.peak_bytes / BYTES_PER_KIB]
    if max(everything) > FAR * min(everything):
        axes.set_xscale("log")


def _draw_limit(axes: Axes, front: Front) -> None:
    budget = front.budget_bytes / BYTES_PER_KIB
    largest = max(p.peak_bytes for p in (*front.points, front.layer)) / BYTES_PER_KIB
    budget_shown = f"{front.board.name}: {budget:,.0f} KiB"
    if budget > style.BUDGET_IN_VIEW * largest:
        text = f"budget of {budget_shown} →"
        axes.text(1, 1, text, transform=axes.transAxes, ha="right", va="top", color=style.RED, size=style.SMALL_POINTS)
        return
    low, high = axes.get_xlim()
    high = max(high, budget * 1.02, largest * (1 + MARGIN))
    axes.axvspan(budget, high, color=style.LIGHT, alpha=0.6, zorder=0)
    dashed = (0, (4, 2))
    axes.axvline(budget, label=f"budget of {budget_shown}", color=style.RED, linewidth=1.0, linestyle=dashed, zorder=1)
    axes.set_xlim(min(low, budget * 0.98), high)


def _label(axes: Axes, front: Front, width: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    chosen = front.best or front.nearest
    narrow = width < NARROW_INCHES
    axes.set_title(f"{front.graph.name} on {front.board.name}{chr(10) if narrow else ' '}with {front.runtime.name}")
    peak = in_kib(chosen.peak_bytes).replace(" ", "\N{NO-BREAK SPACE}")
    label = f"◆ {chosen.schedule}: {peak}"
    lines = textwrap.wrap(label.replace("+", "+ "), int(width * 13))
    axes.set_xlabel("\n".join(["SRAM, KiB", *(line.replace("+ ", "+") for line in lines)]))
    axes.set_ylabel("time, ms" if front.layer.ms is not None else "MACs, millions")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            low, high = sorted(axis.get_view_interval())
            sparse = LogLocator(subs=(1, 2, 5))
            labelled = [value for value in sparse.tick_values(low, high) if low <= value <= high]
            axis.set_major_locator(sparse if len(labelled) >= LEAST_TICKS else MaxNLocator(TICKS, steps=(1, 2, 5, 10)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())

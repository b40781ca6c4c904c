"""Memory layer by layer as a plot: a bar for each layer that runs, beside the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.render import style
from mcusim.render.layers import executed
from mcusim.render.text import first_name, in_kib
from mcusim.report import Report
from mcusim.units import BYTES_PER_KIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["memory_plot"]

HEIGHT_INCHES = 2.9
TEXT_SHARE = 0.12
"""Of the picture's height, for a line of text."""
BUDGET_SHARE = 0.7
"""Of its width, free of the budget's name."""


def memory_plot(report: Report, kind: str) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf."""
    with style.figure(HEIGHT_INCHES) as made:
        axes = made.subplots()
        _draw_bars(axes, report)
        made.legend(loc="outside lower center", ncols=3, handlelength=1.2)
        return style.drawn(made, kind)


def _draw_bars(axes: Axes, report: Report) -> None:
    sram, layers = report.sram, executed(report)
    places = range(len(layers))
    counted = report.counts_layers_otherwise  # then what is beside the tensors is no part of the bars
    scratch = 0.0 if counted else sram.scratch_bytes / BYTES_PER_KIB
    persistent = 0.0 if counted else (sram.persistent_bytes + sram.setup_bytes) / BYTES_PER_KIB
    alive = [layer.sram_bytes / BYTES_PER_KIB - scratch for layer in layers]
    largest = max(alive, default=0.0)
    budget = sram.budget_bytes / BYTES_PER_KIB
    colours = [style.ORANGE if size == largest else style.SKY for size in alive]
    axes.bar(places, alive, 0.86, color=colours, label=f"{'tensors ' if counted else ''}alive while the layer runs")
    if scratch:
        axes.bar(places, scratch, 0.86, alive, color=style.PURPLE, label="scratch, held throughout")
    if persistent:
        bottom = [size + scratch for size in alive]
        axes.bar(places, persistent, 0.86, bottom, color="#B0B0B0", label="persistent")
    total = largest + scratch + persistent
    placed = sram.peak_bytes / BYTES_PER_KIB
    if counted or round(placed - total, 1) > 0:
        gaps = f"as placed: {placed:,.0f} KiB, {placed - total:,.0f} of it gaps"
        label = f"in all, as {report.convention.name} counts: {placed:,.0f} KiB" if counted else gaps
        axes.axhline(placed, color=style.BLACK, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=5, label=label)
    top = style.draw_budget(axes, report.profile.name, budget, max(total, placed), len(layers) - 0.5)
    axes.set_xlim(-0.7, max(len(layers), 1) - 0.3)
    axes.set_ylim(0, top * 1.12)
    rules = f" as {report.convention.name} counts" if counted else ""
    axes.set_title(f"{report.model.name} with {report.runtime.name}: {in_kib(sram.peak_bytes)}{rules}")
    axes.set_ylabel("KiB of SRAM")
    style.layer_numbers(axes, [layer.index for layer in layers])
    if layers:
        place = alive.index(largest)
        text = f"layer {layers[place].index}, {first_name(layers[place].name)}: {total:,.0f} KiB"
        near = [line for line in (placed, budget) if 0 < line - total < TEXT_SHARE * top]
        _mark_peak(axes, text, (place, total), max(near, default=total), len(layers))


def _mark_peak(axes: Axes, text: str, peak: tuple[float, float], above: float, layers: int) -> None:
    """The name of the fullest layer, beside its bar, or `above` lines that run just over it."""
    place, height = peak
    is_right = place > layers / 2
    aside = min(place, BUDGET_SHARE * layers) if above > height else place
    axes.annotate(
        text,
        peak,
        (aside + (-1 if is_right else 1) * layers / 60, above * 1.015),
        ha="right" if is_right else "left",
        va="bottom",
        fontsize=style.SMALL_POINTS,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        arrowprops={"arrowstyle": "-", "linewidth": 0.6, "relpos": (float(is_right), 0.0)} if above > height else None,
        zorder=7,
    )

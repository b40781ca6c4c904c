"""Memory layer by layer as a plot: a bar for each layer that runs, beside the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.render import style
from mcusim.render.layers import executed
from mcusim.render.text import first_name, kib
from mcusim.report import Report
from mcusim.units import BYTES_PER_KIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["memory_plot"]

HEIGHT_INCHES = 2.9


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
    scratch = sram.scratch_bytes / BYTES_PER_KIB
    persistent = sram.persistent_bytes / BYTES_PER_KIB
    alive = [layer.sram_bytes / BYTES_PER_KIB - scratch for layer in layers]
    largest = max(alive, default=0.0)
    budget = sram.budget_bytes / BYTES_PER_KIB
    colours = [style.ORANGE if size == largest else style.SKY for size in alive]
    axes.bar(places, alive, 0.86, color=colours, label="alive while the layer runs")
    if scratch:
        axes.bar(places, scratch, 0.86, alive, color=style.PURPLE, label="scratch, held throughout")
    if persistent:
        bottom = [size + scratch for size in alive]
        axes.bar(places, persistent, 0.86, bottom, color="#B0B0B0", label="persistent")
    total = largest + scratch + persistent
    top = style.draw_budget(axes, report.profile.name, budget, total, len(layers) - 0.5)
    axes.set_xlim(-0.7, max(len(layers), 1) - 0.3)
    axes.set_ylim(0, top * 1.12)
    axes.set_title(f"{report.model.name} with {report.runtime.name}: {kib(sram.peak_bytes)} KiB")
    axes.set_xlabel("layers that run, in order")
    axes.set_ylabel("KiB of SRAM")
    style.whole_numbers(axes)
    if layers:
        _mark_peak(axes, alive.index(largest), total, first_name(layers[alive.index(largest)].name), len(layers))


def _mark_peak(axes: Axes, place: int, height: float, name: str, layers: int) -> None:
    """The name of the fullest layer, beside its bar."""
    right = place > layers / 2
    axes.annotate(
        f"{name}: {height:,.0f} KiB",
        (place, height),
        (-6 if right else 6, 4),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize=style.SMALL_POINTS,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        zorder=7,
    )

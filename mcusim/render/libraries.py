"""Libraries side by side: a group of bars for each network, simulated as bars, measured as diamonds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.published import Unit
from mcusim.published.tables.curves import Chart, Dot, Panel
from mcusim.render import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["runtimes_plot"]

HEIGHT_INCHES = 5.6
GROUP = 0.84
"""Width of a group, of the distance between groups."""
_COLOURS = (style.GREY, style.ORANGE, style.SKY, style.BLUE, style.GREEN, style.PURPLE)
_HATCHES = ("", "////", "\\\\\\\\", "", "xxxx", "----")


def runtimes_plot(chart: Chart, kind: str) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf."""
    with style.figure(HEIGHT_INCHES) as made:
        panels = made.subplots(len(chart.panels), 1, sharex=True)
        for axes, panel in zip(panels, chart.panels, strict=True):
            _draw(axes, panel)
        handles, labels = panels[1].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=1.2)
        return style.drawn(made, kind)


def _draw(axes: Axes, panel: Panel) -> None:
    networks = list(dict.fromkeys(dot.name for dot in panel.dots))
    libraries = list(dict.fromkeys(dot.series for dot in panel.dots))
    base, width = panel.unit.base, GROUP / len(libraries)
    for at, library in enumerate(libraries):
        places = {name: n - GROUP / 2 + (at + 0.5) * width for n, name in enumerate(networks)}
        bars = [d for d in panel.dots if d.series == library and not d.is_published and d.value is not None]
        axes.bar(
            [places[dot.name] for dot in bars],
            [(dot.value or 0) / base for dot in bars],
            width * 0.92,
            color=_COLOURS[at % len(_COLOURS)],
            hatch=_HATCHES[at % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
            label=library,
            zorder=2,
        )
        _draw_intervals(axes, bars, places, base)
        rings = [d for d in panel.dots if d.series == library and d.is_published]
        _draw_measured(axes, rings, places, base, "measured" if at == len(libraries) - 1 else None)
    _set_scale(axes, panel)
    for budget in panel.budgets:
        largest = max(dot.value or 0 for dot in panel.dots) / base
        style.draw_budget(axes, budget.name, budget.value / base, largest, len(networks) - 0.45)
    axes.set_xlim(-0.6, len(networks) - 0.4)
    axes.set_xticks(range(len(networks)), networks, rotation=25, ha="right", rotation_mode="anchor")
    is_log = ", logarithmic" if panel.unit is Unit.MS else ""
    axes.set_title(f"{panel.title[:1].upper()}{panel.title[1:]}")
    axes.set_ylabel(f"{panel.unit.symbol}{is_log}")


def _draw_intervals(axes: Axes, dots: list[Dot], places: dict[str, float], base: float) -> None:
    for dot in dots:
        if dot.low is not None and dot.high is not None:
            axes.vlines(places[dot.name], dot.low / base, dot.high / base, color=style.BLACK, linewidth=0.5, zorder=3)


def _draw_measured(axes: Axes, dots: list[Dot], places: dict[str, float], base: float, label: str | None) -> None:
    known = [dot for dot in dots if dot.value is not None]
    axes.plot(
        [places[dot.name] for dot in known],
        [(dot.value or 0) / base for dot in known],
        linestyle="",
        marker="D",
        markersize=3.4,
        mfc="white",
        mec=style.BLACK,
        mew=0.7,
        label=label,
        zorder=4,
    )
    for dot in dots:
        if dot.ran_out:
            axes.annotate(
                "OOM",
                (places[dot.name], 0),
                (0, 3),
                xycoords=axes.get_xaxis_transform(),
                textcoords="offset points",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize=style.SMALL_POINTS - 1,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                zorder=5,
            )


def _set_scale(axes: Axes, panel: Panel) -> None:
    """Latencies of four libraries lie two orders of magnitude apart."""
    if panel.unit is Unit.MS:
        axes.set_yscale("log")
        style.plain_powers(axes.yaxis)
        axes.set_ylim(10, None)
    axes.grid(axis="y", color=style.LIGHT, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)

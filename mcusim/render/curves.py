"""Accuracy against memory and time: what is published as rings, what is simulated as filled marks, fronts as steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mcusim.published.tables.curves import Chart, Dot, Panel
from mcusim.render import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["table4_plot", "vww_plot"]

HEIGHT_INCHES = 3.3
RING, DOT = 7.5, 4.0
"""Sizes of marks, points: a ring goes around the dot that it agrees with."""


class _Look(NamedTuple):
    marker: str
    colour: str
    label: str
    has_interval: bool = True
    order: float = 4


# ---------------------------------------------------------------------------------------------------------------------
# Table 4


def table4_plot(chart: Chart, kind: str) -> bytes:
    """Top-1 against SRAM as a file of `kind`: svg, png or pdf."""
    with style.figure(HEIGHT_INCHES) as made:
        panels = made.subplots(1, len(chart.panels), sharey=True)
        for axes, panel in zip(panels, chart.panels, strict=True):
            _draw_table4(axes, panel)
        panels[0].set_ylabel("ImageNet top-1, %")
        handles, labels = panels[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=len(labels), handlelength=1.2)
        return style.drawn(made, kind)


def _draw_table4(axes: Axes, panel: Panel) -> None:
    base = panel.unit.base
    budget = panel.budgets[0].value / base
    rings = [dot for dot in panel.dots if dot.is_published]
    simulated = [dot for dot in panel.dots if not dot.is_published]
    _draw_front(axes, [dot for dot in rings if not dot.is_bound], base, style.GREY, "published front", budget)
    for is_grey in (False, True):
        colour, bits = (style.GREY, "below 8 bits") if is_grey else (style.BLUE, "int8")
        ringed = [dot for dot in rings if dot.is_grey is is_grey]
        _ring(axes, ringed, base, style.GREY if is_grey else style.BLACK, f"published, {bits}")
        _mark(axes, [d for d in simulated if d.is_grey is is_grey], base, _Look("s", colour, f"simulated, {bits}"))
        _point_below(axes, ringed, base)
    for dot in rings:
        _name(axes, dot, base, dot.value is not None and dot.value / base < budget)
    style.draw_budget_across(axes, panel.budgets[0].name, budget, at_top=False)
    values = [dot.value / base for dot in panel.dots if dot.value is not None]
    spread = max([*values, budget]) - min(values)
    axes.set_xlim(min(values) - 0.75 * spread, max([*values, budget]) + 0.75 * spread)
    axes.set_title(panel.title)
    axes.set_xlabel("SRAM as each source counts it, KiB")
    axes.grid(color=style.LIGHT, linewidth=0.5, zorder=0)
    axes.margins(y=0.12)


def _point_below(axes: Axes, dots: Sequence[Dot], base: float) -> None:
    """An arrow from what is only known to be less."""
    for dot in dots:
        if dot.is_bound and dot.value is not None and dot.accuracy is not None:
            axes.annotate(
                "",
                (dot.value / base, dot.accuracy),
                (-11, 0),
                textcoords="offset points",
                arrowprops={"arrowstyle": "<-", "color": style.GREY, "linewidth": 0.8, "shrinkB": 4},
            )


def _name(axes: Axes, dot: Dot, base: float, is_left: bool) -> None:
    if dot.value is None or dot.accuracy is None:
        return
    axes.annotate(
        dot.name.replace(" (", "\n("),
        (dot.value / base, dot.accuracy),
        (-7 if is_left else 7, 0),
        textcoords="offset points",
        ha="right" if is_left else "left",
        va="center",
        fontsize=style.SMALL_POINTS,
        color=style.GREY if dot.is_grey else style.BLACK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85},
        zorder=3,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Visual Wake Words

_LOOKS = {
    "simulated, per layer": _Look("s", style.BLUE, "simulated, per layer", order=4.5),
    "simulated, per patch": _Look("^", style.ORANGE, "simulated, one stage of patches", has_interval=False),
    "simulated, patches, bands": _Look("D", style.GREEN, "simulated, any patches and bands"),
}


def vww_plot(chart: Chart, kind: str) -> bytes:
    """Accuracy against SRAM and against latency as a file of `kind`: svg, png or pdf."""
    with style.figure(HEIGHT_INCHES) as made:
        panels = made.subplots(1, len(chart.panels), sharey=True)
        for axes, panel in zip(panels, chart.panels, strict=True):
            _draw_vww(axes, panel)
        panels[0].set_ylabel("Visual Wake Words accuracy, %")
        _name_networks(panels[-1], chart.panels[-1])
        handles, labels = panels[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=2, handlelength=1.6)
        return style.drawn(made, kind)


def _draw_vww(axes: Axes, panel: Panel) -> None:
    base = panel.unit.base
    for series, look in _LOOKS.items():
        dots = [dot for dot in panel.dots if dot.series == series]
        _draw_front(axes, dots, base, look.colour, None)
        _mark(axes, dots, base, look)
    rings = [dot for dot in panel.dots if dot.is_published and not dot.is_bound]
    _ring(axes, rings, base, style.BLACK, "published, per layer")
    for dot in panel.dots:
        if dot.is_bound and dot.value is not None and dot.accuracy is not None:
            _draw_claim(axes, dot.value / base, dot.accuracy)
    for budget in panel.budgets:
        style.draw_budget_across(axes, budget.name, budget.value / base)
    _draw_intervals(axes, panel)
    axes.set_xscale("log")
    _plain_ticks(axes)
    axes.set_title(panel.title)
    axes.set_xlabel(f"{panel.unit.symbol}, logarithmic")
    axes.grid(color=style.LIGHT, linewidth=0.5, zorder=0)
    shown = [value for dot in panel.dots for value in (dot.value, *_interval(dot)) if value is not None]
    values = [value / base for value in shown]
    budgets = [budget.value / base for budget in panel.budgets]
    axes.set_xlim(min(values) / 1.15, max([*values, *budgets]) * 1.15)
    accuracies = [dot.accuracy for dot in panel.dots if dot.accuracy is not None]
    axes.set_ylim(min(accuracies) - 0.8, max(accuracies) + 1.2)


def _draw_intervals(axes: Axes, panel: Panel) -> None:
    """Of simulated latencies; those in between are left out, as they lie one over the other."""
    for dot in panel.dots:
        if dot.accuracy is not None and (interval := _interval(dot)):
            colour = _LOOKS[dot.series].colour
            axes.hlines(dot.accuracy, *interval, color=colour, linewidth=0.8, alpha=0.7, zorder=3)


def _interval(dot: Dot) -> tuple[()] | tuple[float, float]:
    """Where the value lies between, if that is drawn."""
    look = _LOOKS.get(dot.series)
    if look is None or not look.has_interval or dot.low is None or dot.high is None:
        return ()
    return dot.low, dot.high


def _draw_claim(axes: Axes, size: float, accuracy: float) -> None:
    """The corner that a claim of the text says some network is in: less than `size`, more than `accuracy`."""
    label = "published, claimed to be possible"
    colour = style.YELLOW
    axes.fill_betweenx([accuracy, 100], 0.1, size, facecolor=colour, alpha=0.5, linewidth=0, label=label, zorder=0)


def _plain_ticks(axes: Axes) -> None:
    """`20`, `50`, `100` instead of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plain = ScalarFormatter()
    plain.set_scientific(False)
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_networks(axes: Axes, panel: Panel) -> None:
    """At the right edge, each at its accuracy, which is the same however it is cut."""
    named = {dot.name: dot.accuracy for dot in panel.dots if not dot.is_published}
    for name, accuracy in named.items():
        if accuracy is not None:
            axes.annotate(
                name,
                (1, accuracy),
                (3, 0),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                va="center",
                fontsize=style.SMALL_POINTS,
            )


# ---------------------------------------------------------------------------------------------------------------------
# Both


def _places(dots: Iterable[Dot], base: float) -> tuple[list[float], list[float]]:
    """Of the dots that have both."""
    known = [(d.value / base, d.accuracy) for d in dots if d.value is not None and d.accuracy is not None]
    return [x for x, _ in known], [y for _, y in known]


def _mark(axes: Axes, dots: Sequence[Dot], base: float, look: _Look) -> None:
    """What is simulated: filled."""
    xs, ys = _places(dots, base)
    axes.plot(
        xs,
        ys,
        linestyle="",
        marker=look.marker,
        markersize=DOT,
        color=look.colour,
        label=look.label,
        zorder=look.order,
    )


def _ring(axes: Axes, dots: Sequence[Dot], base: float, colour: str, label: str) -> None:
    """What is published: a ring, around the mark that agrees with it."""
    xs, ys = _places(dots, base)
    axes.plot(xs, ys, linestyle="", marker="o", markersize=RING, mfc="none", mec=colour, mew=1.0, label=label, zorder=5)


def _draw_front(
    axes: Axes, dots: Sequence[Dot], base: float, colour: str, label: str | None, right: float | None = None
) -> None:
    """Steps along the dots that no other beats in both, and on to `right`: less across, more accuracy up."""
    known = sorted(zip(*_places(dots, base), strict=True), key=lambda place: (place[0], -place[1]))
    front: list[tuple[float, float]] = []
    for x, y in known:
        if not front or y > front[-1][1]:
            front.append((x, y))
    if right is not None and front:
        front.append((right, front[-1][1]))
    xs, ys = [x for x, _ in front], [y for _, y in front]
    axes.plot(
        xs, ys, drawstyle="steps-post", color=colour, linewidth=1.0, linestyle="-", alpha=0.7, label=label, zorder=2
    )

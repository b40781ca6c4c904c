"""Answers of a sweep as a plot: a dot an answer, a panel a board, the front of those that fit as steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mcusim.render import style
from mcusim.render.sheets import sheet
from mcusim.render.text import clean
from mcusim.report import Verdict
from mcusim.sweeping.points import AccuracySource, Metric, Panel, Point, SweepPoints, front_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["sweep_csv", "sweep_plot"]

NARROW_INCHES = 5.0
ALONE_ASPECT = 0.56
PANEL_INCHES = 1.75
LEGEND_INCHES = 0.75
MANY = 1500
"""More dots than this are drawn smaller, paler and as one picture inside an SVG or PDF."""
FAR = 8.0
"""An axis whose largest figure is so many times its smallest is logarithmic."""
LABEL_LENGTH = 34


class _Look(NamedTuple):
    colour: str
    marker: str
    label: str


_LOOKS = {
    Verdict.FITS: _Look(style.BLUE, "o", "fits"),
    Verdict.DOES_NOT_FIT: _Look("#9A9A9A", "x", "does not fit"),
    Verdict.UNKNOWN: _Look(style.ORANGE, "^", "not known"),
}
_SOURCES = {
    AccuracySource.GIVEN: "as given",
    AccuracySource.PREDICTED: "by the predictor",
    AccuracySource.PUBLISHED: "published",
    AccuracySource.FIT: "by a fit to MACs and parameters (hollow)",
}


def sweep_plot(points: SweepPoints, kind: str, width_inches: float = style.COLUMN_INCHES) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf."""
    is_narrow = width_inches < NARROW_INCHES
    columns = min(2 if is_narrow or len(points.panels) == 4 else 3, len(points.panels))
    lines = math.ceil(len(points.panels) / columns)
    alone = ALONE_ASPECT * width_inches + LEGEND_INCHES
    height = alone if len(points.panels) == 1 else PANEL_INCHES * lines + LEGEND_INCHES
    with style.figure(height, width_inches) as made:
        grid = made.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        every = [point for panel in points.panels for point in panel.points]
        places = list(grid.flat)
        for axes, panel in zip(places, points.panels, strict=False):
            _draw(axes, points, panel, len(every) > MANY)
        for axes in places[len(points.panels) :]:
            axes.set_axis_off()
        _scale(places[0], points, every)
        for number, (axes, panel) in enumerate(zip(places, points.panels, strict=False)):
            _draw_budgets(axes, panel)
            if number + columns >= len(points.panels):
                axes.tick_params(labelbottom=True)
                axes.set_xlabel(_axis_label(points.x, points))
            if number % columns == 0:
                axes.set_ylabel(_axis_label(points.y, points))
        handles: dict[str, Artist] = {}
        for axes in places[: len(points.panels)]:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        made.legend(
            list(handles.values()),
            list(handles),
            loc="outside lower center",
            ncols=2 if is_narrow else min(len(handles), 5),
            handlelength=1.6,
            columnspacing=1.2,
            title=_sources_shown(points, is_narrow) or None,
            title_fontsize=style.SMALL_POINTS,
        )
        return style.drawn(made, kind)


def _sources_shown(points: SweepPoints, is_narrow: bool) -> str:
    """Where the accuracies come from."""
    sources = {point.source for panel in points.panels for point in panel.points}
    words = [text for source, text in _SOURCES.items() if source in sources]
    joint = ",\n" if is_narrow else ", "
    return f"accuracy: {joint.join(words)}" if words else ""


def _axis_label(metric: Metric, points: SweepPoints) -> str:
    of = f"{points.dataset} " if points.dataset and not metric.column else ""
    return f"{of}{metric.title}, {metric.unit}"


def _draw(axes: Axes, sweep_points: SweepPoints, panel: Panel, is_many: bool) -> None:
    for order, verdict in enumerate((Verdict.DOES_NOT_FIT, Verdict.UNKNOWN, Verdict.FITS)):
        look = _LOOKS[verdict]
        of_verdict = [point for point in panel.points if point.verdict == verdict]
        solid = [point for point in of_verdict if point.source is not AccuracySource.FIT]
        hollow = [point for point in of_verdict if point.source is AccuracySource.FIT]
        for points, is_hollow in ((solid, False), (hollow, True)):
            if points:
                _dots(axes, points, look, is_hollow, is_many, order)
    front = front_of([point for point in panel.points if point.on_front], sweep_points.x, sweep_points.y)
    if len(front) > 1:  # of one answer there is no line to see
        axes.plot(
            [point.x for point in front],
            [point.y for point in front],
            drawstyle="steps-pre" if sweep_points.x.more_is_better else "steps-post",
            color=style.BLACK,
            linewidth=1.0,
            marker="o" if is_many else "",
            markersize=2.5,
            label="front of those that fit",
            zorder=6,
        )
    if panel.title:
        short = clean(panel.title)
        axes.set_title(short if len(short) <= LABEL_LENGTH else short[: LABEL_LENGTH - 1] + "\N{HORIZONTAL ELLIPSIS}")
    axes.grid(color=style.LIGHT, linewidth=0.5, zorder=0)


def _dots(axes: Axes, points: Sequence[Point], look: _Look, is_hollow: bool, is_many: bool, order: int) -> None:
    axes.plot(
        [point.x for point in points],
        [point.y for point in points],
        linestyle="",
        marker=look.marker,
        markersize=2.0 if is_many else 4.0,
        mfc="none" if is_hollow else look.colour,
        mec=look.colour,
        mew=0.5 if is_many else 0.8,
        alpha=0.45 if is_many else 0.85,
        label=look.label,
        rasterized=is_many,
        zorder=3 + order / 2,
    )


def _draw_budgets(axes: Axes, panel: Panel) -> None:
    """The budget of a panel, where it lies in view."""
    label, dashed = "budget", (0, (4, 2))
    for budget, (low, high), draw in (
        (panel.budget_x, axes.get_xlim(), axes.axvline),
        (panel.budget_y, axes.get_ylim(), axes.axhline),
    ):
        if budget is not None and low <= budget <= high:
            draw(budget, color=style.RED, linewidth=0.9, linestyle=dashed, label=label, zorder=2)


def _scale(axes: Axes, sweep_points: SweepPoints, points: Sequence[Point]) -> None:
    """Axes of all panels: logarithmic where the figures spread far; accuracy never is."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for metric, values, axis, set_scale in (
        (sweep_points.x, [point.x for point in points], axes.xaxis, axes.set_xscale),
        (sweep_points.y, [point.y for point in points], axes.yaxis, axes.set_yscale),
    ):
        if metric.column and min(values) > 0 and max(values) > FAR * min(values):
            set_scale("log")
            decades = math.log10(max(values) / min(values))
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1, 3) if decades < 2.5 else (1,)))
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))


def sweep_csv(points: SweepPoints) -> str:
    """A line a point, in the units of the axes."""
    names = [f"{metric.name}_{metric.unit}".replace("%", "percent") for metric in (points.x, points.y)]
    head = [
        "panel",
        "number",
        "network",
        "board",
        "runtime",
        "schedule",
        "verdict",
        *names,
        "accuracy_source",
        "on_front",
    ]
    return sheet(head, _lines(points))


def _lines(points: SweepPoints) -> Iterable[list[object]]:
    for panel in points.panels:
        for point in panel.points:
            *names, x, y, source, on_front = point
            yield [panel.title, *names, round(x, 6), round(y, 6), source or "", str(on_front).lower()]

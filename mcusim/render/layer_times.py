"""Time layer by layer as a plot: a bar for each layer that runs, split by what its cycles are spent on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.render import style
from mcusim.render.layers import executed
from mcusim.render.spending import CAUSES, Slow, causes_of, slowest
from mcusim.render.text import UNICODE, clean, shorten
from mcusim.report import Report
from mcusim.units import cycles_to_ms, format_percent, three_digits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["layers_plot"]

HEIGHT_INCHES = 3.2
NAMED = 6
"""So many of the slowest layers have their names in the plot."""
NAME_CELLS = 24
KEY_CELLS = 100
"""Of a line of the key: more does not fit the width of a column of text."""
_BETWEEN = "   "

_COLOURS = (style.BLUE, style.SKY, style.ORANGE, "#B0B0B0")


def layers_plot(report: Report, kind: str) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf."""
    with style.figure(HEIGHT_INCHES) as made:
        axes = made.subplots()
        named = slowest(report, NAMED)
        _draw_bars(axes, report)
        _draw_numbers(axes, report, named)
        made.supxlabel("\n".join(_key(named, report)), fontsize=style.SMALL_POINTS, color=style.GREY)
        return style.drawn(made, kind)


def _draw_bars(axes: Axes, report: Report) -> None:
    layers, clock_hz = executed(report), report.profile.clock_hz
    places = range(len(layers))
    bottom = [0.0] * len(layers)
    for number, (cause, colour) in enumerate(zip(CAUSES, _COLOURS, strict=True)):
        heights = [cycles_to_ms(causes_of(layer)[number], clock_hz) for layer in layers]
        axes.bar(places, heights, 0.86, bottom, color=colour, label=cause)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
    axes.set_xlim(-0.7, max(len(layers), 1) - 0.3)
    axes.set_ylim(0, max(bottom, default=0.0) * 1.08 or 1.0)
    axes.set_title(_title(report), pad=20)
    axes.set_ylabel("ms")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=4, handlelength=1.2, borderaxespad=0.2)
    style.layer_numbers(axes, [layer.index for layer in layers])


def _title(report: Report) -> str:
    """Two lines: together they are wider than a column of text."""
    time = report.latency
    model = shorten(_plain(report.model.name), NAME_CELLS + 4, UNICODE)
    whose = f"{model} with {report.runtime.name} on {report.profile.name}"
    if time.ms is None or time.low_ms is None or time.high_ms is None:
        return f"{whose}\ntime not known"
    return f"{whose}\n{_ms(time.ms)} ms ({_ms(time.low_ms)} to {_ms(time.high_ms)}, 80 %)"


def _plain(name: str) -> str:
    """A name that matplotlib takes for no formula."""
    return clean(name).replace("$", "S")


def _ms(ms: float) -> str:
    return three_digits(ms) if ms >= 100 else f"{ms:.3g}"


def _draw_numbers(axes: Axes, report: Report, named: list[Slow]) -> None:
    """Its number above each of the slowest bars: the key below tells their names."""
    place = {layer.index: place for place, layer in enumerate(executed(report))}
    for one in named:
        height = cycles_to_ms(one.layer.cycles or 0, report.profile.clock_hz)
        axes.annotate(
            str(one.layer.index),
            (place[one.layer.index], height),
            (0, 1.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=style.SMALL_POINTS,
            weight="bold",
        )


def _key(named: list[Slow], report: Report) -> list[str]:
    """Lines of names, none wider than the picture."""
    entries = [
        f"{one.layer.index} {shorten(_plain(one.name), NAME_CELLS, UNICODE)}, "
        f"{_ms(cycles_to_ms(one.layer.cycles or 0, report.profile.clock_hz))} ms ({format_percent(one.share)})"
        for one in named
    ]
    lines: list[str] = []
    for entry in entries:
        if lines and len(lines[-1]) + len(_BETWEEN) + len(entry) <= KEY_CELLS:
            lines[-1] += _BETWEEN + entry
        else:
            lines.append(entry)
    return lines

"""The charts of published tables by name: as pictures, and the numbers behind them as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mcusim.published.tables.curves import Chart, Dot
from mcusim.render.curves import table4_plot, vww_plot
from mcusim.render.libraries import runtimes_plot
from mcusim.render.sheets import sheet

__all__ = ["PLOTS", "chart_csv"]

PLOTS: Mapping[str, Callable[[Chart, str], bytes]] = MappingProxyType(
    {"table4": table4_plot, "vww": vww_plot, "runtimes": runtimes_plot}
)
"""Chart's name -> what draws it as svg, png or pdf."""

DIGITS = 6
"""Decimals of a value in its unit: more would be noise of the arithmetic."""


def chart_csv(chart: Chart) -> str:
    """One line a point: values in the unit of their panel."""
    rows: list[list[object]] = []
    for panel in chart.panels:
        for dot in panel.dots:
            values = (None if v is None else round(v / panel.unit.base, DIGITS) for v in (dot.value, dot.low, dot.high))
            value, low, high = values
            rows.append([panel.key, panel.unit.symbol, *dot._replace(value=value, low=low, high=high)])
    return sheet(("panel", "unit", *Dot._fields), rows)

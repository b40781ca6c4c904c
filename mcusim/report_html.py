"""A Report as a small HTML table, for notebooks: verdict, budgets, the heaviest layers, warnings.

Colours are the page's own, so that it reads on dark pages as on light ones; every text of a file is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from mcusim.units import cycles_to_ms, format_bytes, format_ms, format_percent

if TYPE_CHECKING:
    from mcusim.report import LayerInfo, Report

__all__ = ["report_html"]

TOP = 5
"""So many layers are shown: those that take most time, or most memory where the time is not known."""

_TABLE = 'style="border-collapse: collapse; margin: 0.3em 0"'
_CELL = 'style="text-align: left; padding: 0.1em 0.8em 0.1em 0; background: none"'
_WORDS = {True: "fits", False: "does not fit", None: "not sure"}


def report_html(report: Report) -> str:
    """The whole of it, as one <div>."""
    verdict = str(report.verdict).replace("-", " ")
    heading = f"<b>{_text(report.model.name)} on {_text(report.profile.name)}: {_text(verdict)}</b>"
    told = f"{_text(report.runtime.name)} {_text(report.runtime.version)}, schedule {_text(report.schedule.spec)}"
    parts = [heading, f"<div>{told}</div>", _table(("", "takes", "of", "used", "", "basis"), _budgets(report))]
    layers = _heaviest(report)
    if layers:
        rows = [_layer(layer, report.profile.clock_hz) for layer in layers]
        parts.append(_table(("layer", "op", "SRAM", "time"), rows))
        if len(layers) < len(report.layers):
            parts.append(f"<div><small>{len(layers)} of {len(report.layers)} layers; .to_frame() has all</small></div>")
    parts += [f"<div><small>! {_text(warning)}</small></div>" for warning in report.warnings]
    return f"<div>{''.join(parts)}</div>"


def _budgets(report: Report) -> list[Sequence[str]]:
    sram, flash, time, energy = report.sram, report.flash, report.latency, report.energy
    stored = flash.model_bytes if flash.total_bytes is None else flash.total_bytes
    rows: list[Sequence[str]] = [("SRAM", *_share(sram.peak_bytes, sram.budget_bytes), _WORDS[sram.fits], sram.basis)]
    at_least = "> " if flash.total_bytes is None else ""
    amount, *rest = _share(flash.weight_bytes if stored is None else stored, flash.budget_bytes)
    rows.append(("flash", at_least + amount, *rest, _WORDS[flash.fits], flash.basis))
    if time.ms is None or time.low_ms is None or time.high_ms is None:
        rows.append(("time", "not known", "", "", "", ""))
    else:
        limit = ("", "", "")
        if time.budget_ms is not None:
            limit = (format_ms(time.budget_ms), format_percent(time.ms / time.budget_ms), _WORDS[time.fits])
        interval = f"{format_ms(time.ms)} ({format_ms(time.low_ms)} to {format_ms(time.high_ms)})"
        rows.append(("time", interval, *limit, time.basis))
    if energy is not None:
        millijoules = f"{energy.uj / 1e3:.2f} mJ ({energy.low_uj / 1e3:.2f} to {energy.high_uj / 1e3:.2f})"
        rows.append(("energy", millijoules, "", "", "", energy.basis))
    return rows


def _share(used: int, budget: int) -> tuple[str, str, str]:
    return format_bytes(used), format_bytes(budget), format_percent(used / budget)


def _heaviest(report: Report) -> list[LayerInfo]:
    """In the order of the network."""
    ranked = sorted(report.layers, key=lambda layer: (-(layer.cycles or 0), -layer.sram_bytes))[:TOP]
    return sorted(ranked, key=lambda layer: layer[0])


def _layer(layer: LayerInfo, clock_hz: int) -> Sequence[str]:
    time = "?" if layer.cycles is None else format_ms(cycles_to_ms(layer.cycles, clock_hz))
    return layer.name[:60], layer.op, format_bytes(layer.sram_bytes), time


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th {_CELL}>{_text(title)}</th>" for title in titles)
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    return f"<table {_TABLE}><tr>{head}</tr>{body}</table>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td {_CELL}>{_text(cell)}</td>" for cell in row)


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else "?" for c in text))

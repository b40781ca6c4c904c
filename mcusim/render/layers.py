"""The per-layer table: memory and time of every layer that runs, with bars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.text import Text

from mcusim.render.text import Glyphs, first_name, in_kib, kib, paragraph, shape_text, short_op
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import LayerInfo, Report
from mcusim.units import cycles_to_ms, format_count, format_percent, three_digits

__all__ = ["ALL_UP_TO", "TOP", "LayerChoice", "executed", "layer_table"]

ALL_UP_TO = 40
"""As many layers are shown all together."""
TOP = 15
"""So many of a longer network."""

_FOLDED, _NONE = "folded into ", "none: "


class LayerChoice(StrEnum):
    """Which layers the table shows."""

    AUTO = "auto"
    ALL = "all"
    TOP = "top"
    NONE = "none"


class _Row(NamedTuple):
    """A layer that runs. name: as shown everywhere, of fused ones the first."""

    layer: LayerInfo
    name: str
    ms: float | None


def layer_table(report: Report, width: int, glyphs: Glyphs, choice: LayerChoice) -> list[Text]:
    """The table and a line on what it leaves out."""
    rows = _executed(report)
    if not rows:
        return []
    total_ms = sum(row.ms or 0.0 for row in rows)
    most_bytes = max(row.layer.sram_bytes for row in rows)
    most_ms = max(row.ms or 0.0 for row in rows)
    wants_all = choice is LayerChoice.ALL or (choice is LayerChoice.AUTO and len(rows) <= ALL_UP_TO)
    shown = rows if wants_all else _heaviest(rows)
    cells = [_cells(row, report, most_bytes, most_ms, glyphs) for row in shown]
    lines = table(_COLUMNS, cells, width, glyphs)
    return lines + _left_out(report, rows, shown, total_ms, width)


_COLUMNS = (
    Column(),
    Column("#", right=True, gap=1),
    Column("layer", least=14, most=30),
    Column("op", drop=5, least=10, most=24),
    Column("kernel", drop=9, least=16, most=48),
    Column("output", drop=6),
    Column("MACs", right=True, drop=7),
    Column("weights KiB", right=True, drop=8),
    Column("SRAM KiB", right=True),
    Column("", drop=2, least=4, most=14, gap=1),
    Column("time ms", right=True),
    Column("", drop=1, least=4, most=14, gap=1),
)


def executed(report: Report) -> list[LayerInfo]:
    """Layers that run, in order; not those that the runtime folds away, relabels or leaves to its caller."""
    return [layer for layer in report.layers if not layer.kernel.startswith((_FOLDED, _NONE))]


def _executed(report: Report) -> list[_Row]:
    clock_hz, layers = report.profile.clock_hz, executed(report)
    return [
        _Row(layer, first_name(layer.name), None if layer.cycles is None else cycles_to_ms(layer.cycles, clock_hz))
        for layer in layers
    ]


def _heaviest(rows: Sequence[_Row]) -> list[_Row]:
    """The layers that weigh most in memory and those that weigh most in time, in the order of the network."""
    by_memory = sorted(rows, key=lambda row: row.layer.sram_bytes, reverse=True)
    by_time = sorted(rows, key=lambda row: row.ms or 0.0, reverse=True)
    kept: dict[int, _Row] = {}
    for pair in zip(by_memory, by_time, strict=True):
        for row in pair:
            if len(kept) < TOP:
                kept[row.layer.index] = row
    return [kept[index] for index in sorted(kept)]


def _cells(row: _Row, report: Report, most_bytes: int, most_ms: float, glyphs: Glyphs) -> list[Cell | Bar]:
    layer = row.layer
    peak = report.sram.peak
    is_peak = peak is not None and peak.layer == layer.name
    over = "red" if layer.sram_bytes > report.sram.budget_bytes and not report.counts_layers_otherwise else ""
    emphasis = "bold" if is_peak else ""
    unsupported = "" if layer.kernel else "yellow"
    return [
        Cell(glyphs.mark if is_peak else " ", over or "bold"),
        Cell(str(layer.index), "dim"),
        Cell(row.name, emphasis),
        Cell(short_op(layer.op), unsupported),
        Cell(layer.kernel or "none", unsupported or "dim"),
        Cell(shape_text(layer.output_shape, glyphs)),
        Cell(format_count(layer.macs) if layer.macs else ""),
        Cell(kib(layer.weight_bytes) if layer.weight_bytes else ""),
        Cell(kib(layer.sram_bytes), f"{emphasis} {over}".strip()),
        Bar(layer.sram_bytes / (most_bytes or 1), over or "cyan"),
        Cell("?" if row.ms is None else three_digits(row.ms)),
        Bar((row.ms or 0.0) / (most_ms or 1.0), "magenta"),
    ]


def _left_out(report: Report, rows: Sequence[_Row], shown: Sequence[_Row], total_ms: float, width: int) -> list[Text]:
    """Lighter layers that the table leaves out, and nodes that cost nothing."""
    sentences = []
    if report.counts_layers_otherwise:
        own = (
            "live tensors" if report.convention.name == report.runtime.name else f"as {report.runtime.name} takes them"
        )
        sentences.append(
            f"SRAM of a layer: {own}; the total above is counted by other rules ({report.convention.name})."
        )
    elif report.sram.persistent_bytes:
        sentences.append(
            f"SRAM of a layer: arena and scratch; {in_kib(report.sram.persistent_bytes)} persistent come on top."
        )
    if len(shown) < len(rows):
        missing = len(rows) - len(shown)
        share = 1 - sum(row.ms or 0.0 for row in shown) / total_ms if total_ms else 0.0
        of_time = f" ({format_percent(share)} of the time)" if total_ms else ""
        sentences.append(f"{missing} lighter layers are not shown{of_time}: --layers all.")
    silent = [node for node in report.layers if node.kernel.startswith((_FOLDED, _NONE))]
    whys = Counter((node.op, node.kernel.removeprefix(_NONE).partition(" into ")[0]) for node in silent)
    if whys:
        listed = ", ".join(f"{f'{count} ' if count > 1 else ''}{op} ({why})" for (op, why), count in whys.items())
        sentences.append(f"Not run as layers: {listed}.")
    return [line for text in sentences for line in paragraph(text, width, style="dim", indent="  ")]

"""Where the time goes: the cycles of a network by cause, and the layers that take most of them."""

from __future__ import annotations

from typing import NamedTuple

from rich.text import Text

from mcusim.render.layers import executed
from mcusim.render.text import Glyphs, first_name, paragraph
from mcusim.render.text_table import Cell, Column, table
from mcusim.report import LayerInfo, Report
from mcusim.units import cycles_to_ms, format_percent, three_digits

__all__ = ["CAUSES", "SLOWEST", "Slow", "causes_of", "main_cause", "slowest", "spending_lines"]

SLOWEST = 3
"""So many of the slowest layers are named."""

CAUSES = ("compute", "requantise and store", "memory", "overhead")
"""What cycles are spent on, in the order of `LayerInfo`'s fields."""
_SHORT = ("compute", "store", "memory", "overhead")


class Slow(NamedTuple):
    """A layer that runs. name: as shown.   share: of the network's cycles."""

    layer: LayerInfo
    name: str
    share: float


def causes_of(layer: LayerInfo) -> tuple[int, int, int, int]:
    """Cycles by cause, in the order of CAUSES; nothing where they are not known."""
    spent = (layer.compute_cycles, layer.store_cycles, layer.memory_cycles, layer.overhead_cycles)
    compute, store, memory, overhead = [cycles or 0 for cycles in spent]
    return compute, store, memory, overhead


def main_cause(layer: LayerInfo) -> str:
    """What most of a layer's cycles are spent on, in one word."""
    spent = causes_of(layer)
    return _SHORT[spent.index(max(spent))]


def slowest(report: Report, count: int = SLOWEST) -> list[Slow]:
    """The layers that take longest, longest first."""
    layers = executed(report)
    names = [first_name(layer.name) for layer in layers]
    total = sum([layer.cycles or 0 for layer in layers]) or 1
    slow = [Slow(layer, name, (layer.cycles or 0) / total) for layer, name in zip(layers, names, strict=True)]
    return sorted([one for one in slow if one.share], key=lambda one: (-one.share, one.layer.index))[:count]


def spending_lines(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """The split in a sentence, and a row for each of the slowest layers; nothing where the time is not known."""
    spent = [sum(causes) for causes in zip(*[causes_of(layer) for layer in report.layers], strict=True)]
    total = sum(spent)
    if report.latency.ms is None or not total:
        return []
    shares = ", ".join([f"{name} {format_percent(cycles / total)}" for name, cycles in zip(CAUSES, spent, strict=True)])
    slowest_layers = slowest(report)
    lines = paragraph(f"Time: {shares}; the slowest layers:", width, style="bold")
    rows = [_row(one, report) for one in slowest_layers]
    indent = "  " if width >= 60 else ""
    lines += [Text(indent, no_wrap=True).append_text(line) for line in _table(rows, width - len(indent), glyphs)]
    for hint, layers in _hints(slowest_layers).items():
        whose = f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, sorted(layers)))}"
        lines += paragraph(f"{whose}: {hint}.", width, style="cyan", indent=indent, hanging=indent)
    return [Text(), *lines]


def _hints(slow_layers: list[Slow]) -> dict[str, list[int]]:
    hints: dict[str, list[int]] = {}
    for one in slow_layers:
        if one.layer.hint:
            hints.setdefault(one.layer.hint, []).append(one.layer.index)
    return hints


def _ms(one: Slow, report: Report) -> float:
    return cycles_to_ms(one.layer.cycles or 0, report.profile.clock_hz)


def _row(one: Slow, report: Report) -> list[Cell]:
    layer = one.layer
    return [
        Cell(three_digits(_ms(one, report))),
        Cell("ms", "dim"),
        Cell(format_percent(one.share)),
        Cell(f"{layer.index} {one.name}"),
        Cell(f"mostly {main_cause(layer)}", "dim"),
        Cell(layer.kernel, "dim"),
        Cell(layer.why, "dim"),
    ]


def _table(rows: list[list[Cell]], width: int, glyphs: Glyphs) -> list[Text]:
    columns = (
        Column(right=True),
        Column(gap=1),
        Column(right=True),
        Column(least=22, most=34),
        Column(drop=1),
        Column(drop=2, least=26, most=48),
        Column(drop=3, least=24, most=40),
    )
    return table(columns, rows, width, glyphs, header=False)

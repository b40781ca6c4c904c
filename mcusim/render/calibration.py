"""What one's own measurements change, as text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rich.text import Text

from mcusim.pricing.own import Change
from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.units import format_ms

__all__ = ["calibration_lines"]

_COLUMNS = (
    Column("network", least=12, keep_end=True),
    Column("runtime", drop=2),
    Column("board", drop=1),
    Column("measured", right=True),
    Column("before", right=True),
    Column("interval", right=True, drop=3),
    Column("error", right=True),
    Column("after", right=True),
    Column("error", right=True),
)


def calibration_lines(changes: Sequence[Change], target: str, width: int, glyphs: Glyphs) -> list[Text]:
    """One row a measured time, and what they come to."""
    lines = table(_COLUMNS, [_row(change) for change in changes], width, glyphs)
    before = fmean([abs(change.old_ms / change.measured_ms - 1) for change in changes])
    sentences = f"Off by {100 * before:.1f} % in the mean before"
    known = [(change.new_ms, change.measured_ms) for change in changes if change.new_ms is not None]
    if known:
        after = fmean([abs(new / measured - 1) for new, measured in known])
        sentences += f", by {100 * after:.1f} % now: each predicted from the other networks of the file."
    else:
        sentences += ". How far it is off now is not known: the file would need a second network."
    sentences += f" {target} holds all measurements, published and yours: `mcusim run --calibration {target}`."
    lines += [Text(), *paragraph(sentences, width)]
    for change in changes:
        if change.is_odd:
            lines += paragraph(f"! {change.warning}.", width, style="yellow", hanging="  ")
    return lines


def _row(change: Change) -> list[Cell | Bar]:
    system = change.system
    inside = change.old_low_ms <= change.measured_ms <= change.old_high_ms
    interval = f"{format_ms(change.old_low_ms)} to {format_ms(change.old_high_ms)}"
    after = ("", "") if change.new_ms is None else (format_ms(change.new_ms), _error(change.new_ms, change))
    return [
        Cell(change.model),
        Cell(f"{system.runtime} {system.version}"),
        Cell(system.board),
        Cell(format_ms(change.measured_ms), "bold"),
        Cell(format_ms(change.old_ms)),
        Cell(interval, "" if inside else "yellow"),
        Cell(_error(change.old_ms, change)),
        Cell(after[0]),
        Cell(after[1]),
    ]


def _error(ms: float, change: Change) -> str:
    return f"{100 * (ms / change.measured_ms - 1):+.1f} %"

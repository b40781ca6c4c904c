"""The memory timeline as text: steps across, bytes up, a letter for each buffer.

405.6 |aabbbb
      |aabbccdd        a column is a step, or several where there are more steps than columns
  0.0 |aaaaccdd
       ^  the fullest step
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from string import ascii_letters

from rich.text import Text

from mcusim.memory.planning import MemoryPlan, Tenant
from mcusim.render.text import Glyphs, first_name, kib, shorten

__all__ = ["HEIGHT", "marks_of", "peak_step", "step_words", "timeline_lines"]

HEIGHT, LOW_HEIGHT = 18, 10
"""Rows of the picture, and of a narrow one."""
NARROW = 60
MOST_CELLS = 6
"""Columns that a step takes at most."""

_STYLES = ("cyan", "green", "magenta", "blue", "yellow")


def peak_step(plan: MemoryPlan) -> int:
    """The first step at which most is alive."""
    alive = plan.alive_bytes
    return alive.index(max(alive)) if alive else 0


def step_words(plan: MemoryPlan, step: int) -> str:
    """A step, and the number by which a report names its layer."""
    layer = plan.step_layers()[step]
    return f"step {step}" if layer is None else f"step {step} (layer {layer})"


def marks_of(tenants: Sequence[Tenant]) -> Mapping[int, str]:
    """Buffer index -> its letter. Letters come again where there are more buffers than letters."""
    ordered = sorted(tenants, key=lambda tenant: (tenant.first, tenant.offset_bytes))
    return {tenant.index: ascii_letters[i % len(ascii_letters)] for i, tenant in enumerate(ordered)}


def timeline_lines(plan: MemoryPlan, width: int, glyphs: Glyphs) -> list[Text]:
    """The picture, as lines of at most `width` cells."""
    tenants = [tenant for tenant in plan.tenants() if tenant.size_bytes]
    steps, total = plan.program.length, plan.total_bytes
    if not steps or not total:
        return []
    marks = marks_of(tenants)
    margin = len(kib(total)) + 2
    room = max(width - margin, 10)
    columns = _columns(plan, room)
    cells = min(max(room // len(columns), 1), MOST_CELLS)
    peak = peak_step(plan)
    lines = []
    height = HEIGHT if width >= NARROW else LOW_HEIGHT
    for row in reversed(range(height)):
        level = (row + 0.5) * total / height
        label = kib((row + 1) * total / height) if row == height - 1 or row == height // 2 else ""
        label = kib(0) if row == 0 else label
        line = Text(f"{label:>{margin - 2}} ", style="dim", no_wrap=True)
        line.append("|" if glyphs.is_ascii else "│", "dim")
        for step in columns:
            occupant = next((t for t in tenants if t.offset_bytes <= level < t.top_bytes and t.is_alive(step)), None)
            style = _style(occupant, peak) if occupant is not None else "dim"
            line.append((marks[occupant.index] if occupant is not None else " ") * cells, style)
        line.rstrip()
        lines.append(line)
    return [*lines, *_axis(plan, columns, cells, margin, peak, width, glyphs)]


def _style(tenant: Tenant, peak: int) -> str:
    colour = _STYLES[tenant.index % len(_STYLES)]
    return f"bold {colour}" if tenant.is_alive(peak) else colour


def _columns(plan: MemoryPlan, room: int) -> list[int]:
    """The steps to show: all, or of each stretch the fullest."""
    steps, alive = plan.program.length, plan.alive_bytes
    if steps <= room:
        return list(range(steps))
    edges = [column * steps // room for column in range(room + 1)]
    return [max(range(a, b), key=lambda step: alive[step]) for a, b in pairwise(edges)]


def _axis(
    plan: MemoryPlan, columns: Sequence[int], cells: int, margin: int, peak: int, width: int, glyphs: Glyphs
) -> list[Text]:
    """The line of steps, and the mark under the fullest with the name of what runs then."""
    wide = len(columns) * cells
    first, last = "step 0", str(plan.program.length - 1)
    rule = "-" if glyphs.is_ascii else "─"
    corner = "+" if glyphs.is_ascii else "└"
    axis = f"{'KiB':>{margin - 2}} {corner}{rule * wide}"
    place = margin + columns.index(peak) * cells
    words = ": ".join(filter(None, (step_words(plan, peak), plan.step_ops()[peak])))
    label = f"^ {words}"
    name = shorten(first_name(plan.step_names()[peak]), max(width - 12, 8), glyphs, keep_end=True)
    ends = f"{'':{margin}}{first}{last:>{max(wide - len(first), len(last) + 1)}}"
    mark = f"{'':{min(place, max(width - len(label), 0))}}{label}"
    if place + len(label) > width:
        mark = f"{f'{words} ^':>{place + 1}}"
    named = f"{'':{margin}}fullest: {name}"
    return [Text(line[:width].rstrip(), style="dim", no_wrap=True) for line in (axis, ends, mark, named)]

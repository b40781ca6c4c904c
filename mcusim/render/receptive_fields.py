"""Which kernels and strides of a patch stage cost recomputation, and what a redistributed network would give."""

from __future__ import annotations

from rich.text import Text

from mcusim.advising.receptive_fields import Advice, Variant
from mcusim.render.text import Glyphs, kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.units import format_count, format_percent

__all__ = ["advice_lines"]

CHANGES_SHOWN = 8


def advice_lines(advice: Advice, width: int, glyphs: Glyphs) -> list[Text]:
    """All of it, as lines of at most `width` cells."""
    lines = [
        Text(),
        *paragraph(f"Advice for {advice.schedule}: one change at a time, the best first.", width, style="bold"),
    ]
    helping = [change for change in advice.changes if change.saved_macs > 0]
    rows = [_row("", "as it is", "", advice.before, glyphs)]
    rows += [_row(str(c.layer), c.op, c.what, c.after, glyphs) for c in helping[:CHANGES_SHOWN]]
    after = advice.redistributed
    if after is not None:
        rows.append(_row("", "redistributed", "", after, glyphs))
    lines += table(_COLUMNS, rows, width, glyphs)
    if not helping:
        lines += paragraph("No smaller kernel, moved stride or moved block saves recomputation.", width)
    if after is not None:
        sentence = f"Redistributed: {'; '.join(advice.moved)}. It runs as {after.schedule}."
        lines += [Text(), *paragraph(sentence, width)]
    return [*lines, *paragraph("Each is another network: it must be trained again.", width, style="dim")]


_COLUMNS = (
    Column("#", right=True),
    Column("layer", least=13),
    Column("change", least=22),
    Column("patch", right=True, drop=2),
    Column("stage MACs", right=True, drop=1),
    Column("recomputed", right=True),
    Column("", right=True),
    Column("SRAM KiB", right=True, drop=3),
)


def _row(number: str, layer: str, what: str, variant: Variant, glyphs: Glyphs) -> list[Cell | Bar]:
    return [
        Cell(number, "dim"),
        Cell(layer),
        Cell(what),
        Cell(glyphs.times.join(map(str, variant.patch))),
        Cell(format_count(variant.stage_macs)),
        Cell(format_count(variant.recomputed_macs)),
        Cell(f"+{format_percent(variant.overhead)}"),
        Cell(kib(variant.peak_bytes)),
    ]

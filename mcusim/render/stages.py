"""The stages of a report that run in pieces: of which size, and what that computes again."""

from __future__ import annotations

from rich.text import Text

from mcusim.render.text import Glyphs, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import Report, StageInfo
from mcusim.units import format_bytes, format_count

__all__ = ["more_macs", "pieces_of", "stage_lines"]


def stage_lines(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """One line a cut stage; nothing for a network that runs layer by layer."""
    cut = [stage for stage in report.schedule.stages if stage.kind != "layer"]
    if not cut:
        return []
    again = report.schedule.recomputed_macs
    sentence = (
        f"In pieces: {_more(again, report.model.macs)} than layer by layer" if again else "In pieces: nothing twice"
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(pieces_of(stage, glyphs)),
            Cell(f"layers {stage.nodes[0]} to {stage.nodes[1]}", "dim"),
            Cell(f"reads {glyphs.times.join(map(str, stage.input_piece))}"),
            Cell(more_macs(report, stage)),
            Cell(f"{_kept(stage)} {format_bytes(stage.halo_bytes)}" if stage.halo_bytes else "", "dim"),
        ]
        for stage in cut
    ]
    columns = (Column(whole=True), Column(drop=1), Column(drop=2), Column(whole=True), Column(drop=3))
    return [Text(), *paragraph(sentence, width, style="bold"), *table(columns, rows, width, glyphs, header=False)]


def pieces_of(stage: StageInfo, glyphs: Glyphs) -> str:
    """`4x4 patches`, `18 bands`."""
    if stage.kind == "stream":
        return f"{stage.grid[0]} bands"
    return f"{glyphs.times.join(map(str, stage.grid))} patches"


def _kept(stage: StageInfo) -> str:
    """What its bytes are: of patches, what is computed again; of bands, all that their line buffers hold."""
    return "lines kept" if stage.kind == "stream" else "halos"


def more_macs(report: Report, stage: StageInfo) -> str:
    """What a stage computes again, and beside its layers done once."""
    first, last = stage.nodes
    return _more(stage.recomputed_macs, sum(layer.macs for layer in report.layers if first <= layer.index <= last))


def _more(again: int, once: int) -> str:
    """`38.2 M MACs more (+41.9 %)`."""
    if not again:
        return "nothing twice"
    return f"{format_count(again)} MACs more (+{again / once * 100:.1f} %)" if once else f"{format_count(again)} MACs"

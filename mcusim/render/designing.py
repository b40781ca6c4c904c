"""A network that was searched for: what was asked, what was found, how far it is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from mcusim.designing.witnesses import FoundNetwork, Judged
from mcusim.designing.witnesses.counting import CONVENTION
from mcusim.designing.witnesses.rows import UnreleasedRow
from mcusim.render.catalog import fields
from mcusim.render.text import Glyphs, headline, in_kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.units import format_count, format_percent

__all__ = ["found_lines", "row_lines"]

_NAMES = {
    "macs": "MACs",
    "sram_bytes": "SRAM",
    "placed_bytes": "SRAM, clean plan",
    "flash_bytes": "flash",
    "params": "parameters",
    "overhead": "recomputed",
}


def found_lines(network: FoundNetwork, file: str | None, width: int, glyphs: Glyphs) -> list[Text]:
    """All of it, as lines of at most `width` cells.   file: where the network was written, if it was."""
    subject = f"witness of {network.row}" if network.row else f"{network.task} network for {network.board.name}"
    if network.meets:
        lines = headline(subject, "all that is asked is met; accuracy unknown", "bold green", width)
    else:
        missed = ", ".join(_NAMES[judged.of] for judged in network.judged if not judged.is_met)
        lines = headline(subject, f"NOTHING FOUND MEETS ALL; the nearest misses {missed}", "bold red", width)
    lines += paragraph(_search_line(network), width, style="dim")
    lines += [Text(), *_judged(network.judged, width, glyphs), Text()]
    lines += fields(_facts(network), width)
    if network.misses_flash:
        lines += [Text(), *paragraph(f"! flash: {network.misses_flash}.", width, style="yellow", hanging="  ")]
    if network.meets and file is None:
        lines += [Text(), *paragraph("-o FILE writes it, for `mcusim run FILE`.", width, style="dim")]
    if file is not None:
        command = f"mcusim run {file} --profile {network.board.name} --schedule {network.schedule}"
        lines += [Text(), *paragraph(f"next: {command}", width, style="bold", hanging="  ")]
    if not network.meets:
        advice = "another --seed starts elsewhere; --tolerance, --max-overhead and the figures say what counts as met."
        lines += [Text(), *paragraph(advice, width, style="dim")]
    return lines


def _search_line(network: FoundNetwork) -> str:
    return (
        f"{network.board.title} - MCUNetV2's search space, seed {network.seed}, {network.steps:,} networks tried, "
        f"{network.counted:,} placed; SRAM as {CONVENTION} counts it"
    )


def _facts(network: FoundNetwork) -> list[tuple[str, str]]:
    side = network.network["input"][0]
    widths = [int(layer["out_channels"]) for layer in network.network["layers"] if layer["op"] == "mbconv"]
    return [
        ("MACs", f"{network.figures.macs:,}, and {network.figures.recomputed_macs:,} computed again by patches"),
        ("parameters", f"{network.figures.params:,}"),
        ("input", f"{side}x{side}"),
        ("schedule", str(network.schedule)),
        ("blocks", f"{len(widths)} inverted residual blocks, {min(widths)} to {max(widths)} channels"),
        ("accuracy", "unknown: nobody has trained it"),
    ]


def _judged(judged: Sequence[Judged], width: int, glyphs: Glyphs) -> list[Text]:
    columns = (
        Column("figure"),
        Column("asked", right=True, drop=1),
        Column("found", right=True),
        Column("off", right=True),
        Column("", least=4),
    )
    rows: list[list[Cell | Bar]] = [
        [
            Cell(_NAMES[one.of]),
            Cell(_shown(one.of, one.aim if one.is_target else one.high, "" if one.is_target else "at most ")),
            Cell(_shown(one.of, one.value)),
            Cell(f"{one.off:+.2%}" if one.is_target else ""),
            Cell("met" if one.is_met else "MISSED", "green" if one.is_met else "bold red"),
        ]
        for one in judged
    ]
    return table(columns, rows, width, glyphs)


def _shown(of: str, value: float, words: str = "") -> str:
    if of == "overhead":
        return f"{words}{format_percent(value)}"
    if of.endswith("_bytes"):
        return f"{words}{in_kib(value)}"
    return f"{words}{_precise(value)}"


def _precise(count: float) -> str:
    return f"{count / 1e6:.3f} M" if count < 1e7 else format_count(count)


def row_lines(rows: Mapping[str, UnreleasedRow], width: int, glyphs: Glyphs) -> list[Text]:
    """The rows that a witness can be searched for, with their printed figures."""
    columns = (
        Column("row"),
        Column("network", drop=3, least=16),
        Column("board"),
        Column("MACs M", right=True),
        Column("SRAM KiB", right=True),
        Column("flash KiB", right=True),
        Column("params M", right=True),
        Column("in the zoo as", drop=1),
        Column("source", drop=2, least=16),
    )
    cells: list[list[Cell | Bar]] = [
        [
            Cell(name),
            Cell(row.notes.title),
            Cell(row.printed.profile),
            Cell(row.printed.macs),
            Cell(row.printed.sram),
            Cell(row.printed.flash),
            Cell(row.printed.params),
            Cell(row.notes.witness),
            Cell(row.printed.source, "dim"),
        ]
        for name, row in rows.items()
    ]
    sentence = "Published rows whose networks were never released: search-net --row ROW finds a witness of one."
    return [*table(columns, cells, width, glyphs), Text(), *paragraph(sentence, width, style="dim")]

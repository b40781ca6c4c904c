"""What to do when a network does not fit, best first."""

from __future__ import annotations

from rich.text import Text

from mcusim.advising.remedies import Diagnosis, Remedy
from mcusim.render.text import Glyphs, command_lines, headline, in_kib, kib, listed, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.render.verdict import VERDICT_STYLES, VERDICT_WORDS
from mcusim.report import Verdict
from mcusim.units import format_ms, three_digits

__all__ = ["remedy_lines"]


def remedy_lines(diagnosis: Diagnosis, width: int, glyphs: Glyphs) -> list[Text]:
    """The verdict, and one row a remedy."""
    report = diagnosis.report
    words = VERDICT_WORDS[report.verdict].upper()
    words += f", SRAM {kib(report.sram.peak_bytes)} of {in_kib(report.sram.budget_bytes)}"
    stored = report.flash.total_bytes
    words += f", flash {'?' if stored is None else kib(stored)} of {in_kib(report.flash.budget_bytes)}"
    time = report.latency
    if time.budget_ms is not None:
        words += f", time {'?' if time.ms is None else format_ms(time.ms)} of {format_ms(time.budget_ms)}"
    lines = headline(f"{report.model.name} on {report.profile.name}", words, VERDICT_STYLES[report.verdict], width)
    if report.verdict is Verdict.UNKNOWN or report.runtime.runs is not True:
        for warning in report.warnings:
            if not warning.startswith(_NOT_JUDGED):
                lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    if report.fits:
        sentence = "It fits as it is. What would make it smaller:" if diagnosis.remedies else "It fits as it is."
        lines += paragraph(sentence, width)
    elif not diagnosis.remedies:
        return [*lines, *paragraph("Nothing that mcusim knows makes it smaller.", width)]
    if diagnosis.remedies:
        lines += [Text(), *table(_COLUMNS, [_row(diagnosis, remedy) for remedy in diagnosis.remedies], width, glyphs)]
    for remedy in diagnosis.remedies:
        if remedy.lacks:
            verdict = "does not fit" if remedy.fits is False else "is not known to fit"
            sentence = f"It {verdict} with {remedy.what}: {listed(remedy.lacks)}."
            lines += paragraph(sentence, width, style="dim", hanging="  ")
    for note in dict.fromkeys(remedy.note for remedy in diagnosis.remedies if remedy.note):
        lines += paragraph(f"! {note}", width, style="yellow", hanging="  ")
    commands = [remedy.command for remedy in diagnosis.remedies if remedy.fits and remedy.command]
    if commands and not report.fits:
        lines.append(Text())
        for place, command in enumerate(commands):
            lines += [Text(line, style="" if place else "bold") for line in command_lines(command, width)]
    return lines


_NOT_JUDGED = ("time:", "latency:", "energy:")
"""What warnings begin with that say nothing about whether it fits."""

_WORDS = {True: ("fits", "green"), None: ("unknown", "yellow"), False: ("no", "red")}

_COLUMNS = (
    Column(""),
    Column("remedy", least=20),
    Column("SRAM KiB", right=True),
    Column("", drop=4, least=4, most=14, gap=1),
    Column("flash KiB", right=True, drop=2),
    Column("time ms", right=True, drop=1),
    Column("outputs", whole=True),
)


def _row(diagnosis: Diagnosis, remedy: Remedy) -> list[Cell | Bar]:
    word, style = _WORDS[remedy.fits]
    share = remedy.sram_bytes / max(diagnosis.report.sram.peak_bytes, 1)
    return [
        Cell(word, style),
        Cell(remedy.what),
        Cell(kib(remedy.sram_bytes), style),
        Bar(share, style, track=True),
        Cell("?" if remedy.flash_bytes is None else kib(remedy.flash_bytes)),
        Cell("?" if remedy.ms is None else three_digits(remedy.ms)),
        Cell("same" if remedy.keeps_outputs else "changed", "dim"),
    ]

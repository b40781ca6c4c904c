"""Regression gates as text: what grew, which limits that breaks, and networks held against their budgets."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mcusim.gating.budgets import Held
from mcusim.gating.comparing import Change, Comparison, Growth
from mcusim.gating.limits import Metric
from mcusim.render.text import Glyphs, first_name, headline, paragraph, stored_bytes
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.render.verdict import VERDICT_STYLES, VERDICT_WORDS
from mcusim.report import Verdict
from mcusim.units import format_bytes, format_ms

__all__ = ["budget_lines", "change_sentence", "comparison_lines", "comparison_markdown"]

_WORDS = {True: ("holds", "green"), False: ("BROKEN", "bold red"), None: ("cannot be known", "yellow")}


def comparison_lines(comparison: Comparison, names: tuple[str, str], width: int, glyphs: Glyphs) -> list[Text]:
    """A row a metric, what else differs, and the layers that grew."""
    words, style = _headline(comparison)
    lines = [*headline(f"{comparison.model}: {names[1]} against {names[0]}", words, style, width)]
    for other in comparison.other:
        lines += paragraph(f"! {other}", width, style="yellow", hanging="  ")
    columns = (
        Column("metric"),
        Column("before", right=True),
        Column("after", right=True),
        Column("change", right=True),
        Column("limit", drop=1),
        Column("", whole=True),
    )
    rows: list[list[Cell | Bar]] = [
        [*map(Cell, _cells(change)), Cell(*_judged(change, comparison))] for change in comparison.changes
    ]
    lines += [Text(), *table(columns, rows, width, glyphs)]
    for change in comparison.changes:
        if change.layers and change.before != change.after:
            grown = "; ".join(_growth(change.metric, layer) for layer in change.layers)
            lines += paragraph(f"{change.metric} grew in {grown}", width, style="dim", hanging="  ")
    return lines


def comparison_markdown(comparison: Comparison, names: tuple[str, str]) -> str:
    """The same as a table for a comment on a pull request."""
    words, _ = _headline(comparison)
    lines = [f"**{comparison.model}**: {words} ({names[1]} against {names[0]})", ""]
    lines += ["| metric | before | after | change | limit | |", "|---|--:|--:|--:|---|---|"]
    for change in comparison.changes:
        lines.append(f"| {' | '.join([*_cells(change), _judged(change, comparison)[0]])} |")
    grown = [
        (change, layer) for change in comparison.changes for layer in change.layers if change.before != change.after
    ]
    lines += ["", *(f"- {change.metric} grew in {_growth(change.metric, layer)}" for change, layer in grown)]
    return "\n".join([*lines, *(f"- {other}" for other in comparison.other)]).rstrip() + "\n"


def change_sentence(change: Change) -> str:
    """One metric in a sentence, as in `sram 22.3 KiB -> 24.0 KiB (+1.7 KiB, +7.6 %)`."""
    metric, before, after, difference, _ = _cells(change)
    return f"{metric} {before} -> {after}" + (f" ({difference})" if difference else "")


def _headline(comparison: Comparison) -> tuple[str, str]:
    asked = any(change.limits for change in comparison.changes)
    if comparison.holds is False:
        broken = [limit.text for change in comparison.changes for limit in change.broken]
        return f"broken: {', '.join(broken)}", "bold red"
    if comparison.holds is None:
        return "it cannot be known whether the limits hold", "bold yellow"
    return ("every limit holds", "bold green") if asked else ("no limit was given", "bold")


def _cells(change: Change) -> list[str]:
    before, after = change.before, change.after
    texts = [_amount(change.metric, value) for value in (before, after)]
    if before is None or after is None:
        difference = ""
    else:
        share = f" ({100 * (after / before - 1):+.1f} %)" if before else ""
        difference = f"{'+' if after >= before else '-'}{_amount(change.metric, abs(after - before))}{share}"
    return [change.metric.value, *texts, difference, ", ".join(limit.text for limit in change.limits)]


def _judged(change: Change, comparison: Comparison) -> tuple[str, str]:
    if not change.limits:
        return "", ""
    is_unknown = change.is_unknown or bool(comparison.apart)
    return _WORDS[False if change.broken else None if is_unknown else True]


def _amount(metric: Metric, value: float | None) -> str:
    if value is None:
        return "not known"
    if metric in (Metric.SRAM, Metric.FLASH):
        return format_bytes(value)
    return format_ms(value) if metric is Metric.TIME else f"{value:,.1f} uJ"


def _growth(metric: Metric, layer: Growth) -> str:
    """`layer 2 conv_2 (16.0 KiB, was 8.0 KiB)`, in bytes or cycles."""
    texts = [
        format_bytes(value) if metric in (Metric.SRAM, Metric.FLASH) else f"{value:,.0f} cycles"
        for value in (layer.after, layer.before or 0)
    ]
    was = "new" if layer.before is None else f"was {texts[1]}"
    return f"layer {layer.index} {first_name(layer.name)} ({texts[0]}, {was})"


def budget_lines(answers: Sequence[Held], width: int, glyphs: Glyphs) -> list[Text]:
    """A row a network and board, and the reasons of what has no answer."""
    counts = {fits: sum(held.fits is fits for held in answers) for fits in (True, False, None)}
    words = f"{counts[True]} of {len(answers)} hold"
    wrong = sum(held.report is None for held in answers)
    others = {"do not": counts[False], "cannot be known": counts[None] - wrong, "cannot be asked": wrong}
    rest = [f"{count} {what}" for what, count in others.items() if count]
    columns = (
        Column("network", least=12, most=40, keep_end=True),
        Column("board", least=8),
        Column("runtime", drop=2, least=8),
        Column("SRAM", right=True),
        Column("of", right=True, drop=1),
        Column("flash", right=True),
        Column("of", right=True, drop=1),
        Column("time", right=True),
        Column("of", right=True, drop=1),
        Column("", whole=True),
    )
    lines = [*paragraph("; ".join([words, *rest]), width, style="bold"), Text()]
    lines += table(columns, [_held(held) for held in answers], width, glyphs)
    for held in answers:
        reasons = [held.why] if held.report is None else held.report.warnings if held.fits is None else ()
        for reason in reasons:
            lines += paragraph(f"! {held.network} on {held.board}: {reason}", width, style="yellow", hanging="  ")
    return lines


def _held(held: Held) -> list[Cell | Bar]:
    report = held.report
    if report is None:
        empty = [Cell("")] * 7
        return [Cell(held.network), Cell(held.board), *empty, Cell("cannot be asked", "bold red")]
    time = report.latency
    return [
        Cell(held.network),
        Cell(report.profile.name),
        Cell(report.runtime.name),
        *_pair(report.sram.peak_bytes, report.sram.budget_bytes, report.sram.fits),
        *_pair(stored_bytes(report.flash), report.flash.budget_bytes, report.flash.fits),
        Cell("" if time.ms is None else format_ms(time.ms), "red" if time.fits is False else ""),
        Cell("" if time.budget_ms is None else format_ms(time.budget_ms), "dim"),
        Cell(VERDICT_WORDS[report.verdict], VERDICT_STYLES[Verdict(report.verdict)]),
    ]


def _pair(used: int, budget: int, fits: bool | None) -> tuple[Cell, Cell]:
    return Cell(format_bytes(used), "red" if fits is False else ""), Cell(format_bytes(budget), "dim")

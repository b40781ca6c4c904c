"""The terminal report: verdict first, then where the memory goes, layer by layer, warnings last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from rich.text import Text

from mcusim.render.banks import bank_table
from mcusim.render.layers import LayerChoice, layer_table
from mcusim.render.spending import spending_lines
from mcusim.render.stages import stage_lines
from mcusim.render.text import (
    BASIS_WORDS,
    BUILD_NOTE,
    Glyphs,
    first_name,
    headline,
    in_kib,
    kib,
    listed,
    paragraph,
    shape_text,
    stored_bytes,
    time_words,
)
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.render.verdict import VERDICT_STYLES, VERDICT_WORDS, verdict_reason
from mcusim.report import Basis, LatencyInfo, Report
from mcusim.units import format_bytes, format_count, format_hz, format_ms, format_percent, three_digits

__all__ = ["LayerChoice", "other_lines", "report_lines"]

ALIVE_SHOWN = 6
_COVERAGE = "80 %"
"""Of a time's interval."""

ROOMY = 60
"""From this width on, tables are set in."""


class _Fit(StrEnum):
    """Colours of a budget."""

    HELD = "green"
    MISSED = "red"
    UNKNOWN = "yellow"


def report_lines(report: Report, width: int, glyphs: Glyphs, layers: LayerChoice = LayerChoice.AUTO) -> list[Text]:
    """All of it, as lines of at most `width` cells."""
    lines = [*_heading(report, width), *_facts(report, width, glyphs), Text()]
    lines += _budgets(report, width, glyphs)
    lines += _peak(report, width, glyphs)
    lines += _parts(report, width, glyphs)
    lines += stage_lines(report, width, glyphs)
    lines += _banks(report, width, glyphs)
    lines += spending_lines(report, width, glyphs)
    if layers is not LayerChoice.NONE:
        lines += [Text(), *layer_table(report, width, glyphs, layers)]
    lines += _legend(report, width)
    lines += _warnings(report, width)
    return lines


def _heading(report: Report, width: int) -> list[Text]:
    subject, words = f"{report.model.name} on {report.profile.name}", VERDICT_WORDS[report.verdict].upper()
    style, reason = VERDICT_STYLES[report.verdict], verdict_reason(report)
    if len(subject) + len(words) + len(reason) + 4 <= width:
        return headline(subject, f"{words}, {reason}", style, width)
    return [*headline(subject, words, style, width), *paragraph(reason, width, style=style)]


def _facts(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """What was asked: network, board, runtime, schedule, input."""
    model, board = report.model, report.profile
    params = f"{format_count(model.params)} parameters"
    if model.published_params is not None:
        params += f" ({format_count(model.published_params)} published)"
    where = "in the arena" if report.input.where == "arena" else report.input.where
    facts = [
        f"input {shape_text(model.input_shape, glyphs)}" if report.input.bytes else "no input",
        f"{format_count(model.macs)} MACs",
        params,
        f"{board.core} at {format_hz(board.clock_hz)}",
        f"{report.runtime.name} {report.runtime.version}{_priced(report)}",
        f"schedule {report.schedule.spec}",
        *([f"input of {format_bytes(report.input.bytes)} {where}"] if report.input.bytes else []),
        *([f"SRAM as {report.convention.name}"] if report.convention.name != report.runtime.name else []),
    ]
    lines = [Text(line, style="dim") for line in _joined(facts, f" {glyphs.dot} ", width)]
    if report.runtime.why:
        lines += paragraph(f"{report.runtime.name}; {report.runtime.why}", width, style="dim")
    return lines


def other_lines(others: Sequence[Report], width: int) -> list[Text]:
    """A line for each other runtime: SRAM, verdict, time."""
    lines = []
    for report in others:
        time = "time not known" if report.latency.ms is None else format_ms(report.latency.ms)
        least = "at least " if report.sram.is_bound else ""
        words = VERDICT_WORDS[report.verdict]
        text = f"also: {report.runtime.name} {least}{in_kib(report.sram.peak_bytes)} {words}, {time}"
        lines += paragraph(text, width, style="dim", hanging="  ")
    return [Text(), *lines] if lines else []


def _priced(report: Report) -> str:
    """The version whose times these are, where it is another than that of the rules."""
    version = report.latency.version
    return "" if version in ("", report.runtime.version) else f", times of {version}"


def _joined(parts: Iterable[str], between: str, width: int) -> list[str]:
    """The parts in as many lines as they need; no part is broken unless it is longer than a line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= width:
            lines[-1] += between + part
        else:
            lines.append(part[:width])
    return lines


def _budgets(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """SRAM, flash, time and energy against what there is."""
    sram, flash, time = report.sram, report.flash, report.latency
    rows: list[list[Cell | Bar]] = [
        _bytes_row("SRAM", sram.peak_bytes, sram.budget_bytes, sram.fits, sram.basis, sram.is_bound),
        _bytes_row(
            "flash", stored_bytes(flash), flash.budget_bytes, flash.fits, flash.basis, flash.total_bytes is None
        ),
        _time_row(time),
    ]
    energy = report.energy
    if energy is not None:
        interval = f"{energy.low_uj / 1e3:.2f} to {energy.high_uj / 1e3:.2f}"
        rows.append(_row("energy", f"{energy.uj / 1e3:.2f} mJ", interval, energy.basis))
    columns = (
        Column(),
        Column(right=True),
        Column(drop=3, gap=1),
        Column(right=True, drop=1),
        Column(drop=5, least=6, most=24),
        Column(whole=True),
        Column(drop=2),
        Column(drop=4),
    )
    return _indented(columns, rows, width, glyphs)


def _row(name: str, amount: str, interval: str, basis: str = "", coverage: str = "") -> list[Cell | Bar]:
    """A figure that no budget limits. coverage: of its interval."""
    empty = Cell("")
    return [Cell(name), Cell(amount, "bold"), empty, empty, Bar(0), Cell(interval), Cell(coverage), Cell(basis, "dim")]


def _bytes_row(
    name: str, used: int, budget: int, fits: bool | None, basis: Basis, at_least: bool = False
) -> list[Cell | Bar]:
    style = _fit(fits).value
    left = budget - used
    slack = f"{kib(abs(left))} {'free' if left >= 0 else 'over'}" if fits is not None or at_least else "not sure"
    if at_least:
        slack = "rest not known" if left >= 0 else slack
    return [
        Cell(name),
        Cell(f"{'> ' if at_least else ''}{in_kib(used)}", "bold"),
        Cell(f"of {kib(budget)}"),
        Cell(format_percent(used / budget), style),
        Bar(used / budget, style, track=True),
        Cell(slack, style if fits is False else ""),
        Cell(""),
        Cell(str(basis), "dim"),
    ]


def _time_row(time: LatencyInfo) -> list[Cell | Bar]:
    if time.ms is None or time.low_ms is None or time.high_ms is None:
        return _row("time", "not known", "")
    interval = f"{three_digits(time.low_ms)} to {three_digits(time.high_ms)}"
    if time.budget_ms is None:
        return _row("time", f"{three_digits(time.ms)} ms", interval, str(time.basis), _COVERAGE)
    style = _fit(time.fits).value
    return [
        Cell("time"),
        Cell(f"{three_digits(time.ms)} ms", "bold"),
        Cell(f"of {time.budget_ms:,g}"),
        Cell(format_percent(time.ms / time.budget_ms), style),
        Bar(time.ms / time.budget_ms, style, track=True),
        Cell(interval, "" if time.fits is not None else _Fit.UNKNOWN.value),
        Cell(_COVERAGE) if time.fits is not None else Cell(f"{_COVERAGE}, not sure", _Fit.UNKNOWN.value),
        Cell(str(time.basis), "dim"),
    ]


def _indented(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell | Bar]], width: int, glyphs: Glyphs
) -> list[Text]:
    """A table without a header, set in a little where there is room."""
    indent = "  " if width >= ROOMY else ""
    lines = table(columns, rows, width - len(indent), glyphs, header=False)
    return [Text(indent, no_wrap=True).append_text(line) for line in lines]


def _fit(fits: bool | None) -> _Fit:
    return _Fit.UNKNOWN if fits is None else _Fit.HELD if fits else _Fit.MISSED


def _peak(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """The layer at which the arena is fullest, and what is alive then."""
    sram, peak = report.sram, report.sram.peak
    if peak is None:
        return []
    at_peak = next((layer for layer in report.layers if layer.name == peak.layer), None)
    what = (
        f"layer {at_peak.index}, {first_name(peak.layer)} ({at_peak.op})"
        if at_peak
        else f"layer {first_name(peak.layer)}"
    )
    shown = [(first_name(item.name), item.bytes) for item in peak.alive[:ALIVE_SHOWN]]
    rest = peak.alive[ALIVE_SHOWN:]
    if rest:
        shown.append((f"{len(rest)} more", sum(item.bytes for item in rest)))
    gaps = sram.arena_bytes - sum(item.bytes for item in peak.alive)
    shown += zip(_PLACES, (max(gaps, 0), sram.scratch_bytes, sram.persistent_bytes, sram.setup_bytes), strict=True)
    rows: list[list[Cell | Bar]] = [
        [*_amount(size), Bar(size / sram.peak_bytes, "cyan"), Cell(name)] for name, size in shown if size > 0
    ]
    longest = max(map(len, _PLACES))
    columns = (
        Column(right=True),
        Column(gap=1),
        Column(drop=1, least=4, most=16),
        Column(least=longest if any(size for name, size in shown if name in _PLACES) else 12, keep_end=True),
    )
    lines = paragraph(f"SRAM peaks at {what}, where these are alive:", width, style="bold")
    return [Text(), *lines, *_indented(columns, rows, width, glyphs)]


_PLACES = ("gaps in the plan", "scratch, beside the arena", "persistent", "setting up")
"""What takes SRAM and is no tensor."""


def _amount(size_bytes: int) -> tuple[Cell, Cell]:
    """An amount and its unit, in columns of their own."""
    amount, unit = in_kib(size_bytes).split()
    return Cell(amount), Cell(unit, "dim")


def _parts(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """What a convention adds up."""
    convention = report.convention
    if not convention.parts:
        return []
    rows: list[list[Cell | Bar]] = [
        [
            *_amount(part.bytes),
            Bar(part.bytes / (report.sram.peak_bytes or 1), "cyan"),
            Cell(part.name),
            Cell(part.why, "dim"),
        ]
        for part in convention.parts
    ]
    columns = (
        Column(right=True),
        Column(gap=1),
        Column(drop=2, least=4, most=16),
        Column(least=8),
        Column(drop=1, least=12),
    )
    lines = paragraph(f"SRAM as {convention.name} counts it: {convention.what}", width, style="bold")
    return [Text(), *lines, *_indented(columns, rows, width, glyphs)]


def _banks(report: Report, width: int, glyphs: Glyphs) -> list[Text]:
    """The memory banks, where the arena lies in several or does not fit."""
    banks = report.sram.banks
    used = [bank for bank in banks if bank.in_run]
    if len(used) < 2 and (report.sram.fits is not False or len(banks) < 2):
        return []
    return [Text(), *bank_table(banks, width, glyphs)]


def _legend(report: Report, width: int) -> list[Text]:
    """What stands behind each figure."""
    whose: dict[str, list[str]] = {}
    for name, basis in (("SRAM", report.sram.basis), ("flash", report.flash.basis)):
        whose.setdefault(f"{basis} ({BASIS_WORDS[basis]})", []).append(name)
    if report.latency.ms is not None:
        names = ["time"] if report.energy is None else ["time", "energy"]
        whose.setdefault(f"{report.latency.basis} ({time_words(report.latency)})", []).extend(names)
    entries = [f"{listed(names)} {words}" for words, names in whose.items()]
    lines = [Text(), *paragraph(f"Basis: {'; '.join(entries)}.", width, style="dim")]
    if report.latency.ms is not None and not any(report.latency.evidence in text for text in report.warnings):
        lines += paragraph(f"Time: {report.latency.evidence}.", width, style="dim")
    if report.latency.ms is not None:
        lines += paragraph(
            f"{BUILD_NOTE} {_COVERAGE}: four of five measured times lie in the interval.", width, style="dim"
        )
    return lines


def _warnings(report: Report, width: int) -> list[Text]:
    if not report.warnings:
        return []
    lines = [Text()]
    for warning in report.warnings:
        lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    return lines

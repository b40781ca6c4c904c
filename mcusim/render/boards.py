"""One network on many boards, best fit first."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from rich.text import Text

from mcusim.render.naming import distinct_names
from mcusim.render.text import BASIS_WORDS, Glyphs, counted, kib, paragraph, stored_bytes
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.render.verdict import VERDICT_STYLES, VERDICT_WORDS
from mcusim.report import Basis, Report, Verdict
from mcusim.units import format_percent, three_digits

__all__ = ["best_first", "board_lines"]

_ORDER = (Verdict.FITS, Verdict.UNKNOWN, Verdict.DOES_NOT_FIT)


def best_first(reports: Sequence[Report]) -> list[Report]:
    """Boards that hold the network before those that may and those that do not; within each the smallest board first.

    Smallest: SRAM budget, then flash, then the faster one. Boards that do not fit come in the order of how much of a
    budget they miss.
    """
    return sorted(reports, key=_rank)


def _rank(report: Report) -> tuple[int, float, int, int, float, str]:
    place = _ORDER.index(report.verdict)
    missed = _worst_share(report) if report.verdict is Verdict.DOES_NOT_FIT else 0.0
    ms = float("inf") if report.latency.ms is None else report.latency.ms
    return place, missed, report.sram.budget_bytes, report.flash.budget_bytes, ms, report.profile.name


def _verdict(report: Report) -> str:
    """The verdict; where the network does not fit, `no` and which budgets it misses."""
    judged = (("SRAM", report.sram.fits), ("flash", report.flash.fits), ("time", report.latency.fits))
    missed = [name for name, fits in judged if fits is False]
    return f"no: {', '.join(missed)}" if missed else VERDICT_WORDS[report.verdict]


def _worst_share(report: Report) -> float:
    """The largest share of a budget that is used."""
    time = report.latency
    late = time.ms / time.budget_ms if time.ms is not None and time.budget_ms is not None else 0.0
    stored = stored_bytes(report.flash)
    return max(report.sram.peak_bytes / report.sram.budget_bytes, stored / report.flash.budget_bytes, late)


def board_lines(reports: Sequence[Report], width: int, glyphs: Glyphs) -> list[Text]:
    """A heading that counts, and one row an answer: a board, or a network or runtime on it."""
    names = distinct_names([(report.model.name, report.model.source) for report in reports])
    models = set(names)
    runtimes = {report.runtime.name for report in reports}
    versions = {report.latency.version for report in reports} - {""}
    is_told = (len(models) > 1, len(runtimes) > 1, len(versions) > 1)
    rows = [_row(report, name, *is_told) for report, name in zip(reports, names, strict=True)]
    lines = [*paragraph(_heading(reports), width, style="bold"), Text(), *table(_COLUMNS, rows, width, glyphs)]
    basis = {report.latency.basis for report in reports if report.latency.ms is not None}
    memory = _explained({report.sram.basis for report in reports})
    sentence = f"Boards that fit come first, the smallest of them at the top. Basis: SRAM {memory}"
    sentence += f"; time {_explained(basis)}" if basis else "; time is not known."
    if basis:
        is_one = len(versions) == len(runtimes) == 1
        sentence += f", of {runtimes.pop()} {versions.pop()}." if is_one else ", of the version in each row."
    lines += [Text(), *paragraph(sentence, width, style="dim")]
    for warning in _shared_warnings(reports):
        lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    return lines


def _explained(bases: Collection[Basis]) -> str:
    """`derived (from published rules)`, each by what it means."""
    return ", ".join(f"{basis} ({BASIS_WORDS[basis]})" for basis in Basis if basis in bases)


def _heading(reports: Sequence[Report]) -> str:
    """What was asked, and how many of the answers are yes."""
    models = {*distinct_names([(report.model.name, report.model.source) for report in reports])}
    runtimes = {report.runtime.name for report in reports}
    boards = {report.profile.name for report in reports}
    verdicts = [report.verdict for report in reports]
    if len(reports) > len(boards) and len(models) + len(runtimes) > 2:
        sides = ((models, "network"), (runtimes, "runtime"), (boards, "board"))
        asked = " x ".join(counted(len(names), noun) for names, noun in sides)
        return f"{asked}: fits in {_counted(verdicts, 'answers')}"
    what = next(iter(models)) if len(models) == 1 else "each board's default network"
    of_runtime = f" with {next(iter(runtimes))}" if len(runtimes) == 1 else ""
    return f"{what}{of_runtime} fits {_counted(verdicts, 'boards')}"


def _shared_warnings(reports: Sequence[Report]) -> list[str]:
    """Each warning once, with the number of boards that share it; on what inferred times stand in one line."""
    boards: dict[str, set[str]] = {}
    for report in reports:
        for text in report.warnings:
            if not text.startswith(_NOT_SHOWN):
                boards.setdefault(text.replace(report.profile.name, _BOARD), set()).add(report.profile.name)
    inferred: dict[str, list[str]] = {}
    for text in boards:
        match = _INFERRED.match(text)
        if match:
            inferred.setdefault(match[1], []).append(text)
    for runtime, texts in inferred.items():
        if len(texts) > 1:
            named = set().union(*(boards.pop(text) for text in texts))
            boards[_INFERRED_ALL.format(runtime=runtime)] = named
    return [
        text.replace(_BOARD, next(iter(named)))
        if len(named) == 1
        else f"{len(named)} boards: {text.replace(f'--profile {_BOARD}', '--profile BOARD')}"
        for text, named in boards.items()
    ]


_INFERRED = re.compile(r"time: (\S+) .*?was not measured on .*; inferred from ")
"""How a time that stands on measurements of other boards, cores or versions is told."""
_INFERRED_ALL = (
    "time: this version of {runtime} was not measured on this board; inferred from other versions and boards: "
    "the interval is wide. `mcusim run --profile BOARD` names them."
)
_BOARD = "this board"
_NOT_SHOWN = "energy:"
"""What warnings on figures begin with that this table does not have."""


def _counted(verdicts: Sequence[Verdict], noun: str) -> str:
    """`23 of 26 boards; 2 do not fit, 1 unknown`."""
    fitting, missing, open_ = (verdicts.count(v) for v in (Verdict.FITS, Verdict.DOES_NOT_FIT, Verdict.UNKNOWN))
    rest = [f"{missing} do{'es' * (missing == 1)} not fit"] * bool(missing) + [f"{open_} unknown"] * bool(open_)
    return f"{fitting} of {len(verdicts)} {noun}" + (f"; {', '.join(rest)}" if rest else "")


_COLUMNS = (
    Column("board"),
    Column("verdict"),
    Column("network", drop=3, least=12),
    Column("runtime", drop=3, least=8),
    Column("core", drop=9),
    Column("MHz", right=True, drop=8),
    Column("SRAM KiB", right=True),
    Column("of", right=True, drop=2),
    Column("used", right=True, drop=5),
    Column("", drop=7, least=4, most=14, gap=1),
    Column("flash KiB", right=True, drop=4),
    Column("of", right=True, drop=4),
    Column("time ms", right=True),
    Column("times of", drop=5),
)


def _row(report: Report, name: str, with_model: bool, with_runtime: bool, with_version: bool) -> list[Cell | Bar]:
    sram, flash, ms = report.sram, report.flash, report.latency.ms
    style = VERDICT_STYLES[report.verdict].removeprefix("bold ")
    used = sram.peak_bytes / sram.budget_bytes
    sram_style = "red" if sram.fits is False else ""
    flash_style = "red" if flash.fits is False else ""
    late = "red" if report.latency.fits is False else ""
    at_least = "> " if flash.total_bytes is None else ""
    return [
        Cell(report.profile.name),
        Cell(_verdict(report), style),
        Cell(name if with_model else ""),
        Cell(report.runtime.name if with_runtime else ""),
        Cell(report.profile.core, "dim"),
        Cell(f"{report.profile.clock_hz / 1e6:g}", "dim"),
        Cell(kib(sram.peak_bytes), sram_style),
        Cell(kib(sram.budget_bytes), "dim"),
        Cell(format_percent(used), sram_style),
        Bar(used, sram_style or "cyan", track=True),
        Cell(f"{at_least}{kib(stored_bytes(flash))}", flash_style),
        Cell(kib(flash.budget_bytes), "dim"),
        Cell("?" if ms is None else three_digits(ms), late),
        Cell(report.latency.version if with_version else "", "dim"),
    ]

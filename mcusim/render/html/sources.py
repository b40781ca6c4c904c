"""What was asked, and what stands behind the figures: published ones beside counted ones, bases, assumptions."""

from __future__ import annotations

from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.render.text import BASIS_WORDS, BUILD_NOTE, UNICODE, shape_text, time_words
from mcusim.report import Basis, Report
from mcusim.simulation.dossier import Dossier
from mcusim.units import format_bytes, format_count, format_hz

__all__ = ["Fact", "PublishedRow", "basis_rows", "board_sources", "facts", "notes", "published_rows"]


class Fact(NamedTuple):
    name: str
    text: str


def facts(dossier: Dossier) -> list[Fact]:
    """The question: network, board, runtime, schedule."""
    report = dossier.report
    model, board = report.model, report.profile
    params = f"{format_count(model.params)} parameters"
    if model.published_params is not None:
        params += f" ({format_count(model.published_params)} published)"
    where = "in the arena" if report.input.where == "arena" else report.input.where
    lines = [
        Fact("Network", f"{shape_text(model.input_shape, UNICODE)} input, {format_count(model.macs)} MACs, {params}"),
        Fact("Board", f"{dossier.board.title}: {board.core} at {format_hz(board.clock_hz)}"),
        Fact("Runtime", f"{report.runtime.name} {report.runtime.version}"),
        Fact("Schedule", report.schedule.spec),
        Fact("Input", f"{format_bytes(report.input.bytes)} {where}"),
    ]
    if report.convention.name != report.runtime.name:
        lines.append(Fact("SRAM counted as", f"{report.convention.name}: {report.convention.what}"))
    return lines


class PublishedRow(NamedTuple):
    """A figure that a source prints. counted: what mcusim counts for it, "" where it counts nothing of the kind."""

    source: str
    what: str
    printed: str
    counted: str


_ACCURACY = (
    ("top1_float", "top-1, float"),
    ("top1_quantized", "top-1, quantised"),
    ("top5_float", "top-5, float"),
    ("top5_quantized", "top-5, quantised"),
)


def published_rows(dossier: Dossier) -> list[PublishedRow]:
    """What is printed about the network, source by source, as printed."""
    if dossier.entry is None:
        return []
    model, rows = dossier.report.model, []
    for figures in dossier.entry.published:
        if figures.macs:
            rows.append(PublishedRow(figures.source, "MACs", f"{figures.macs} M", format_count(model.macs)))
        if figures.params:
            counted = f"{format_count(model.params)} weights and biases"
            rows.append(PublishedRow(figures.source, "parameters", f"{figures.params} M", counted))
        rows += [
            PublishedRow(figures.source, what, f"{printed} %", "")
            for field, what in _ACCURACY
            if (printed := getattr(figures, field))
        ]
    return rows


class BasisRow(NamedTuple):
    figure: str
    basis: str
    meaning: str
    evidence: str


def basis_rows(report: Report) -> list[BasisRow]:
    """What stands behind each of the figures at the head."""
    whose: list[tuple[str, Basis, str]] = [
        ("SRAM", report.sram.basis, report.convention.what),
        ("flash", report.flash.basis, ""),
        ("time", report.latency.basis, report.latency.evidence),
    ]
    if report.energy is not None:
        whose.append(("energy", report.energy.basis, "the power of the profile times the time"))
    if report.latency.ms is None:
        whose = [row for row in whose if row[0] != "time"]
    meaning = {figure: BASIS_WORDS[basis] for figure, basis, _ in whose} | {"time": time_words(report.latency)}
    return [BasisRow(figure, str(basis), meaning[figure], evidence) for figure, basis, evidence in whose]


def board_sources(board: Board) -> list[Fact]:
    """Where the profile's numbers come from."""
    power = board.power
    sources = [
        ("board", board.source),
        ("flash", board.flash.source),
        ("caches", board.caches.source),
        ("power", None if power is None else power.source),
        *((f"memory {bank.name}", bank.source) for bank in board.memory),
    ]
    return [Fact(name, text) for name, text in sources if text]


def notes(dossier: Dossier) -> list[str]:
    """What is assumed in the figures, beside the warnings."""
    report, sentences = dossier.report, []
    run = " + ".join(bank.name for bank in report.sram.banks if bank.in_run)
    budget = format_bytes(report.sram.budget_bytes)
    if report.sram.budget_bytes == dossier.board.sram_budget_bytes:
        sentences.append(f"The SRAM budget, {budget}, is the largest piece of memory without a gap: {run}.")
    else:
        sentences.append(f"The SRAM budget, {budget}, was set by the question; the arena lies in {run}.")
    if report.latency.ms is not None:
        sentences.append(
            "The time lies within its interval four times out of five; cycles of all causes add up, nothing overlaps."
        )
        sentences.append(BUILD_NOTE)
    if report.energy is not None:
        sentences.append("The core draws its active power throughout an inference.")
    if dossier.entry is not None and dossier.entry.note:
        sentences.append(f"Of the network: {dossier.entry.note}")
    return sentences

"""What `mcusim run` writes and shows of its answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mcusim.cli.asking import Answer
from mcusim.cli.sheets import boards_csv, layers_csv
from mcusim.cli.shell import (
    STDOUT,
    complain,
    document,
    glyphs,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError, OutputError
from mcusim.files import not_written
from mcusim.gating.comparing import compare_reports, read_report
from mcusim.question.question import Question
from mcusim.render.boards import board_lines
from mcusim.render.gates import change_sentence
from mcusim.render.layers import LayerChoice
from mcusim.render.run_report import report_lines
from mcusim.report import SCHEMA_VERSION, Report, Verdict

__all__ = [
    "ONE_ANSWER",
    "RunDocument",
    "fits_somewhere",
    "page",
    "refuse_beside_many",
    "tell_boards",
    "tell_report",
    "write_baseline",
    "write_trace",
]

ONE_ANSWER = "name one network, one board and one runtime"
"""What to do where an option is about one answer, and there are many."""


def refuse_beside_many(given: Mapping[str, str | None]) -> None:
    for option_name, value in given.items():
        if value is not None:
            raise InputError("it is about one answer", where=option_name, fix=ONE_ANSWER)


def fits_somewhere(reports: Sequence[Report]) -> bool | None:
    """Whether each network fits one of the boards that were asked about; None where that cannot be known."""
    fits: dict[str, list[bool | None]] = {}
    for report in reports:
        fits.setdefault(report.model.source, []).append(report.fits)
    by_network = [True if True in one else None if None in one else False for one in fits.values()]
    return False if False in by_network else None if None in by_network else True


def write_trace(question: Question, answer: Answer, target: str) -> None:
    """A trace of what the report is about: with `--schedule auto`, of the schedule that was found."""
    from mcusim.simulation.tracing import trace_of  # only --trace wants it

    about = replace(
        question,
        model=answer.graph,
        profile=answer.board,
        runtime=answer.runtime,
        schedule=answer.report.schedule.spec,
        input_place=answer.report.input.where,
    )
    made = trace_of(about)
    if "warning" in made["otherData"]:
        complain(f"--trace: {made['otherData']['warning']}")
    write_output(document(made, indent=None), target, "--trace")


def page(question: Question, answer: Answer, files: Mapping[str, str | None], command: str) -> str:
    """The page as text. files: what one that was read is for -> its path, or a word or None where there was none."""
    # Templates, search and sources: most of what mcusim can load, and only --html wants it.
    from mcusim.render.html import html_page
    from mcusim.simulation.dossier import dossier

    report, graph = answer.report, answer.graph
    named = {"network": report.model.source if graph.source.file_bytes is not None else None, **files}
    read = [(role, path) for role, path in named.items() if path is not None and os.path.isfile(path)]  # no pipes
    made = dossier(report, graph, answer.board, answer.runtime, firmware=question.firmware, files=read, command=command)
    return html_page(made)


class OtherRuntime(NamedTuple):
    """What another runtime that can run the network takes on that board. ms: None where it is not known."""

    runtime: str
    version: str
    verdict: Verdict
    sram_bytes: int
    flash_bytes: int | None
    ms: float | None


@dataclass(frozen=True, slots=True)
class RunDocument(Report):
    """A report. also: the other runtimes that can run the network there; none where one was asked for."""

    also: tuple[OtherRuntime, ...] = ()


def _other(report: Report) -> OtherRuntime:
    runtime, latency = report.runtime, report.latency
    used = report.sram.peak_bytes, report.flash.total_bytes
    return OtherRuntime(runtime.name, runtime.version, report.verdict, *used, latency.ms)


def tell_report(
    report: Report, others: Sequence[Report], layers: LayerChoice, json: str | None, csv: str | None, is_told: bool
) -> None:
    """Files first: what goes wrong there should not follow a page of good news."""
    if json is not None:
        also = [_other(other)._asdict() for other in others]
        write_output(document({**report.to_dict(), "also": also}), json, "--json")
    if csv is not None:
        write_output(layers_csv(report), csv, "--csv")
    if is_told:
        show(report_lines(report, terminal_width(), glyphs(), layers))


def _make_folder(folder: str, target: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        reason, fix = not_written(error)
        raise OutputError(f"cannot write {target} ({reason})", where="--update-baseline", fix=fix) from None


def write_baseline(report: Report, target: str) -> None:
    """Write the document, and on standard error what changed from the one before."""
    before = read_report(target) if os.path.exists(target) else None
    if before is None and target != STDOUT:
        _make_folder(os.path.dirname(target) or ".", target)
    write_output(document(report.to_dict()), target, "--update-baseline")
    if before is None:
        complain(f"{target}: a new baseline")
        return
    comparison = compare_reports(before, read_report(target))
    changed = [change for change in comparison.changes if change.before != change.after]
    changes = [change_sentence(change) for change in changed]
    complain(f"{target}: {'; '.join([*changes, *comparison.other]) or 'nothing changed'}")


def tell_boards(reports: Sequence[Report], json: str | None, csv: str | None) -> None:
    if json is not None:
        write_output(document({"schema_version": SCHEMA_VERSION, "reports": reports}), json, "--json")
    if csv is not None:
        write_output(boards_csv(reports), csv, "--csv")
    if STDOUT not in (json, csv):
        show(board_lines(reports, terminal_width(), glyphs()))

"""`mcusim fit`: what to do when a network does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

import typer

from mcusim.advising.remedies import Diagnosis, RemedyKind, remedies
from mcusim.cli.documents import RuntimeName, Versioned
from mcusim.cli.options import (
    FLASH_BUDGET,
    INPUT,
    JSON,
    MAX_MEMORY,
    MAX_MS,
    RUNTIME,
    SRAM_BUDGET,
    WHAT_IF,
    bytes_option,
    csv_of,
    ms_option,
    place_option,
    profile_file,
)
from mcusim.cli.sheets import remedies_csv
from mcusim.cli.shell import (
    STDOUT,
    check_exit,
    document,
    glyphs,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.render.remedies import remedy_lines
from mcusim.report import Verdict

__all__ = ["FitDocument", "fit"]


class PeakOfBudget(TypedDict):
    peak_bytes: int
    budget_bytes: int


class TotalOfBudget(TypedDict):
    total_bytes: int | None
    budget_bytes: int


class RemedyDocument(TypedDict):
    """One thing to do.

    fits: the verdict of `command`, null where it cannot be known.   lacks: what keeps it from fitting, or from being
    known to fit.
    """

    kind: RemedyKind
    what: str
    keeps_outputs: bool
    sram_bytes: int
    flash_bytes: int | None
    ms: float | None
    fits: bool | None
    lacks: Sequence[str]
    command: str | None
    note: str | None


class FitDocument(Versioned):
    """What `mcusim fit` answers: the network as it is, and the remedies in their order."""

    model: str
    profile: str
    runtime: RuntimeName
    verdict: Verdict
    sram: PeakOfBudget
    flash: TotalOfBudget
    ms: float | None
    remedies: list[RemedyDocument]


def fit(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file, or the name of a published network.")
    ],
    profile: Annotated[str, typer.Option(metavar="BOARD", help="A board's name, or the path of a TOML file.")],
    runtime: Annotated[str | None, RUNTIME] = None,
    input_place: Annotated[str | None, INPUT] = None,
    sram_budget: Annotated[str | None, SRAM_BUDGET] = None,
    flash_budget: Annotated[str | None, FLASH_BUDGET] = None,
    max_ms: Annotated[str | None, MAX_MS] = None,
    what_if: Annotated[bool, WHAT_IF] = False,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[str | None, csv_of("remedy")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when the network does not fit as it is.")] = False,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """What to do when a network does not fit: ranked remedies, each with its bytes and milliseconds.

    First what fits and keeps the network's outputs (a plan, an order, a schedule, another runtime), then the next
    board, then what costs accuracy (a smaller input, a narrower network).

    \b
    Examples:
      mcusim fit mbv2-w0.35-r144 --profile stm32f412
      mcusim fit mcunet-in3 --profile nrf52840 --json -
      mcusim fit mcunet-vww1 --profile stm32f746 --sram-budget 64k --max-ms 500
    """

    refuse_same_target(json=json, csv=csv)
    refuse_overwriting((model, profile_file(profile)), json=json, csv=csv)
    diagnosis = remedies(
        model,
        profile=profile,
        runtime=runtime,
        input_place=place_option(input_place),
        sram_budget_bytes=bytes_option(sram_budget, "--sram-budget"),
        flash_budget_bytes=bytes_option(flash_budget, "--flash-budget"),
        max_ms=ms_option(max_ms, "--max-ms"),
        what_if=what_if,
    )
    if json is not None:
        write_output(document(_document(diagnosis)), json, "--json")
    if csv is not None:
        write_output(remedies_csv(diagnosis.remedies), csv, "--csv")
    if STDOUT not in (json, csv):
        show(remedy_lines(diagnosis, terminal_width(), glyphs()))
    if check:
        check_exit("mcusim fit", [diagnosis.report.fits])


def _document(diagnosis: Diagnosis) -> FitDocument:
    report = diagnosis.report
    return {
        "schema_version": 1,
        "model": report.model.name,
        "profile": report.profile.name,
        "runtime": {"name": report.runtime.name, "version": report.runtime.version},
        "verdict": report.verdict,
        "sram": {"peak_bytes": report.sram.peak_bytes, "budget_bytes": report.sram.budget_bytes},
        "flash": {"total_bytes": report.flash.total_bytes, "budget_bytes": report.flash.budget_bytes},
        "ms": report.latency.ms,
        "remedies": [
            {
                "kind": r.kind,
                "what": r.what,
                "keeps_outputs": r.keeps_outputs,
                "sram_bytes": r.sram_bytes,
                "flash_bytes": r.flash_bytes,
                "ms": r.ms,
                "fits": r.fits,
                "lacks": r.lacks,
                "command": r.command or None,
                "note": r.note or None,
            }
            for r in diagnosis.remedies
        ],
    }

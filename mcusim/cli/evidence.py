"""`mcusim evidence`: what was measured, and stands behind times."""

from __future__ import annotations

from typing import Annotated, TypedDict

from mcusim.cli.documents import SystemDocument, Versioned, system_document
from mcusim.cli.options import JSON, named_board, option
from mcusim.cli.shell import document, glyphs, show, terminal_width, write_output
from mcusim.errors import InputError
from mcusim.pricing.evidence import SystemEvidence, systems_behind
from mcusim.pricing.stored import package_calibration
from mcusim.render.reasons import evidence_lines
from mcusim.runtimes import find_runtime

__all__ = ["EvidenceDocument", "evidence"]


class TimeDocument(TypedDict):
    """A measured time, digit by digit as its source prints it. clock_hz: at which it was taken."""

    id: str
    model: str
    latency_ms: str
    clock_hz: int
    source: str


class MeasuredDocument(SystemDocument):
    """What was measured of a system. known: how much that is.   kernels: operators alone."""

    known: str
    kernels: int
    times: list[TimeDocument]


class EvidenceDocument(Versioned):
    """What `mcusim evidence` lists, systems with most networks first."""

    systems: list[MeasuredDocument]


def evidence(
    runtime: Annotated[str | None, option(metavar="NAME", help="Only times of this runtime.")] = None,
    profile: Annotated[str | None, option(metavar="BOARD", help="Only times on this board.")] = None,
    json: Annotated[str | None, JSON] = None,
) -> None:
    """Which measured times stand behind those that mcusim gives?

    Systems (a runtime at a version on a board) with the networks and single operators that were measured on them;
    with both --runtime and --profile every time with its source.

    \b
    Examples:
      mcusim evidence
      mcusim evidence --runtime x-cube-ai --profile stm32h747
      mcusim run mcunet-in3 --profile stm32h743 --why-time
    """
    family = None if runtime is None else find_runtime(runtime).price_family
    version, _, build = (find_runtime(runtime).asked_version if runtime else "").partition("+")
    board = None if profile is None else named_board(profile).name
    systems = [
        entry
        for entry in systems_behind(package_calibration(), family, board)
        if version in ("", entry.system.version) and build in ("", entry.system.option)
    ]
    if not systems:
        named = (("--runtime", runtime), ("--profile", profile))
        where = " ".join([f"{name} {value}" for name, value in named if value is not None])
        raise InputError("nothing was measured there", where=where, fix="`mcusim evidence` lists what was measured")
    if json is not None:
        write_output(
            document(EvidenceDocument(schema_version=1, systems=[_plain(entry) for entry in systems])), json, "--json"
        )
    if json != "-":
        show(evidence_lines(systems, runtime is not None and profile is not None, terminal_width(), glyphs()))


def _plain(entry: SystemEvidence) -> MeasuredDocument:
    return {
        **system_document(entry.system),
        "known": entry.known.name.lower(),
        "kernels": entry.kernels,
        "times": [
            {
                "id": row.id,
                "model": row.model,
                "latency_ms": row.latency_ms,
                "clock_hz": row.clock_hz,
                "source": row.source,
            }
            for row in entry.rows
        ],
    }

"""A Report with what stands behind it: the plan of its arena, its flash item by item, the schedules there are beside
its own, and the files that it was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mcusim import zoo
from mcusim.boards.board import Board
from mcusim.files import blocks_of
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.flash import FlashLedger, flash_ledger
from mcusim.memory.linked_firmware import LinkedFirmware
from mcusim.memory.planning import MemoryPlan, plan_memory
from mcusim.report import Report
from mcusim.runtimes import Runtime
from mcusim.schedule import StageKind, parse_schedule
from mcusim.searching import Front, search
from mcusim.version import __version__
from mcusim.zoo import ZooEntry

__all__ = ["Dossier", "InputFile", "dossier"]

SEARCHED_NODES = 200
"""Of networks up to so many nodes the front is searched: within a second or so."""


class InputFile(NamedTuple):
    """A file that the answer depends on. role: network, board, firmware...   sha256: of its bytes, in hexadecimal."""

    role: str
    name: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Dossier:
    """All that a page about one answer shows.

    report: the answer.   board: at the clock of the answer.
    plan: where the runtime puts its buffers; None where nobody has published that.
    front: the schedules that no other beats; None where none are searched: a long network, or a runtime without a plan.
    can_cut: whether the runtime runs networks in pieces itself.
    entry: what the zoo knows of the network, if it is one of its own.
    command: that asked, "" if none did.   version: of mcusim.
    """

    report: Report
    board: Board
    plan: MemoryPlan | None
    ledger: FlashLedger
    front: Front | None
    can_cut: bool
    entry: ZooEntry | None
    files: tuple[InputFile, ...]
    command: str
    version: str


def dossier(
    report: Report,
    graph: Graph,
    board: Board,
    runtime: Runtime,
    *,
    firmware: LinkedFirmware | None = None,
    files: Iterable[tuple[str, str]] = (),
    command: str = "",
) -> Dossier:
    """What stands behind `report`, which `simulate` made of `graph`, `board` and `runtime`.

    firmware: whose code counted.   files: (role, path) of files that were read.   command: that asked.
    """
    clocked = board.with_clock(report.profile.clock_hz)
    is_of_zoo = graph.source.description.startswith("zoo:") and graph.name in zoo.names()
    described = [InputFile("network", f"{graph.name}.toml", _sha256([zoo.file_bytes(graph.name)]))] if is_of_zoo else []
    return Dossier(
        report=report,
        board=clocked,
        plan=_plan(report, graph, runtime),
        ledger=flash_ledger(graph, runtime, firmware),
        front=_front(report, graph, clocked, runtime),
        can_cut=bool(runtime.cut_stages),
        entry=zoo.describe(graph.name) if is_of_zoo else None,
        files=(*described, *[InputFile(role, path, _sha256(blocks_of(path))) for role, path in files]),
        command=command,
        version=__version__,
    )


def _plan(report: Report, graph: Graph, runtime: Runtime) -> MemoryPlan | None:
    if not runtime.has_placement:
        return None
    schedule, place = parse_schedule(report.schedule.spec), InputPlace(report.input.where)
    return plan_memory(graph, runtime, schedule, input_place=place)


def _front(report: Report, graph: Graph, board: Board, runtime: Runtime) -> Front | None:
    """By the number of nodes, not by the clock: the same question has the same answer on every machine."""
    if len(graph.nodes) > SEARCHED_NODES or not runtime.has_placement:
        return None
    return search(
        graph,
        profile=board,
        runtime=runtime,
        # Runtimes that cannot cut get a front too: it shows what patches would save.
        kinds=runtime.cut_stages or frozenset({StageKind.PATCH, StageKind.STREAM}),
        sram_budget_bytes=report.sram.budget_bytes,
    )


def _sha256(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()

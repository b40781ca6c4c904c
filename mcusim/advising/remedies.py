"""What to do when a network does not fit: ranked remedies, each with its bytes and milliseconds."""

from __future__ import annotations

import copy
import math
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike
from typing import Any

from mcusim import zoo
from mcusim.arguments import Budgets, chosen_runtime, the_board, the_budgets, the_graph
from mcusim.boards import all_boards
from mcusim.boards.board import Board
from mcusim.errors import McusimError
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.reorder import reorder
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import untold_input
from mcusim.memory.placement import place
from mcusim.planners import PLANNERS
from mcusim.precision import fit_bits
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import LAYER
from mcusim.searching import search
from mcusim.simulation.simulate import simulate

__all__ = ["Diagnosis", "Remedy", "RemedyKind", "narrowed", "remedies"]

WIDTHS = (0.75, 0.5, 0.35, 0.25)
RESOLUTION_STEP = 16
"""Networks halve their maps four or five times: other sizes only add borders."""
LEAST_RESOLUTION = 32


class RemedyKind(StrEnum):
    """What a remedy changes; the first three give the same outputs on the same board under the same runtime."""

    PLAN = "plan"
    ORDER = "order"
    SCHEDULE = "schedule"
    RUNTIME = "runtime"
    BITS = "bits"
    RESOLUTION = "resolution"
    WIDTH = "width"
    BOARD = "board"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do.

    what: in a few words.   keeps_outputs: whether the network still answers the same, so that no accuracy is at stake.
    sram_bytes, flash_bytes, ms: with it; None where that cannot be known.
    lacks: what keeps it from fitting, as far as that is known.
    command: that shows it, or "".   note: what must be so besides, or "".
    """

    kind: RemedyKind
    what: str
    keeps_outputs: bool
    sram_bytes: int
    flash_bytes: int | None
    ms: float | None
    lacks: tuple[str, ...]
    command: str = ""
    note: str = ""

    @property
    def fits(self) -> bool:
        """Whether all that is known fits."""
        return not self.lacks


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A network on a board as it is, and what could be done: what fits first, the gentlest remedy first."""

    report: Report
    remedies: tuple[Remedy, ...]


def remedies(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    profile: Board | str | PathLike[str],
    runtime: Runtime | str | None = None,
    input_place: InputPlace | None = None,
    sram_budget_bytes: int | None = None,
    flash_budget_bytes: int | None = None,
    max_ms: float | None = None,
    what_if: bool = False,
) -> Diagnosis:
    """What could be done for `model` on the board `profile`, whether it fits already or not.

    input_place: where the network's input lies; the runtime's own choice if None.
    sram_budget_bytes, flash_budget_bytes: replace the board's own; other boards are held to theirs.
    max_ms: a limit in time, on every board.   what_if: whether a budget may be more than the board has.
    Raises McusimError where the model, board or runtime is wrong.
    """
    graph, board = the_graph(model), the_board(profile)
    chosen, _ = chosen_runtime(runtime, graph, board)
    named = os.fspath(model) if isinstance(model, str | PathLike) else graph.name
    budgets = the_budgets(board, sram_budget_bytes, flash_budget_bytes, max_ms, what_if)
    report = _asked(graph, board, chosen, input_place, budgets)
    patient = _Patient(graph, shlex.quote(named), board, chosen, report, input_place, budgets)
    found = [
        *patient.plans(),
        *patient.orders(),
        *patient.schedules(),
        *patient.runtimes(),
        *patient.bits(),
        *patient.resolutions(),
        *patient.widths(),
        *patient.boards(),
    ]
    if patient.report.fits:  # then only what takes less is of any use
        found = [remedy for remedy in found if remedy.sram_bytes < patient.report.sram.peak_bytes]
    return Diagnosis(patient.report, tuple(sorted(found, key=_rank)))


def _rank(remedy: Remedy) -> tuple[bool, bool, bool, int, float, int]:
    """What fits, keeps the outputs, and keeps the board; among those as `RemedyKind` lists them.

    Of one kind, of what fits the fastest comes first, of what does not the smallest.
    """
    is_board = remedy.kind is RemedyKind.BOARD
    gentleness = not remedy.fits, not remedy.keeps_outputs, is_board, list(RemedyKind).index(remedy.kind)
    return *gentleness, remedy.ms if remedy.fits and remedy.ms is not None else math.inf, remedy.sram_bytes


@dataclass(frozen=True, slots=True)
class _Patient:
    """named: as the user named the network, for commands."""

    graph: Graph
    named: str
    board: Board
    runtime: Runtime
    report: Report
    input_place: InputPlace | None
    budgets: Budgets

    def plans(self) -> Iterator[Remedy]:
        """The smallest plan of the same buffers."""
        if not self.runtime.has_placement:
            return
        program = lower(self.graph, LAYER, self.runtime.rules, self.input_place)
        beside = self.report.sram.peak_bytes - self.report.sram.arena_bytes
        sizes = {name: place(program, planner).arena_bytes + beside for name, planner in PLANNERS.items()}
        name = min(sizes, key=lambda name: (sizes[name], name))
        if sizes[name] < self.report.sram.peak_bytes:
            command = f"{self._plan()} --planner {name}"
            yield self._same(
                RemedyKind.PLAN, f"plan the arena with {name}", sizes[name], self.report.latency.ms, command
            )

    def orders(self) -> Iterator[Remedy]:
        """Another order of independent layers."""
        if not self.runtime.has_placement:
            return
        found = reorder(self.graph, self.runtime.rules)
        after = self._asked(found.graph)
        if after is not None and after.sram.peak_bytes < self.report.sram.peak_bytes:
            command = f"{self._plan()} --reorder"
            yield self._same(
                RemedyKind.ORDER, "run the layers in another order", after.sram.peak_bytes, after.latency.ms, command
            )

    def schedules(self) -> Iterator[Remedy]:
        """The cheapest schedule that the runtime can run and that fits, or the smallest there is."""
        front = search(
            self.graph,
            profile=self.board,
            runtime=self.runtime,
            kinds=self.runtime.cut_stages,
            input_place=self.input_place,
            sram_budget_bytes=self.budgets.sram_bytes,
            what_if=True,
        )
        point = front.best or front.nearest
        if point.peak_bytes < self.report.sram.peak_bytes:
            command = f"{self._command('run')} --schedule {point.schedule}"
            what = f"{'input external, ' if point.outside_bytes else ''}schedule {point.schedule}"
            note = untold_input(self.board, point.outside_bytes)
            yield self._same(RemedyKind.SCHEDULE, what, point.peak_bytes, point.ms, command, note)

    def runtimes(self) -> Iterator[Remedy]:
        """Other runtimes that need less."""
        for name, runtime in sorted(RUNTIMES.items()):
            if runtime is self.runtime or not runtime.serves(self.board):
                continue
            other = self._asked(self.graph, runtime=runtime)
            if other is None or other.sram.is_bound:  # how much it takes is not known: no remedy
                continue
            if other.fits or other.sram.peak_bytes < self.report.sram.peak_bytes:
                yield _of(RemedyKind.RUNTIME, f"runtime {name}", True, other, self._command("run", runtime=name))

    def bits(self) -> Iterator[Remedy]:
        """Fewer bits a tensor, as few as it takes."""
        found = fit_bits(
            self.graph,
            profile=self.board,
            runtime=self.runtime,
            input_place=self.input_place,
            sram_budget_bytes=self.budgets.sram_bytes,
            flash_budget_bytes=self.budgets.flash_bytes,
            what_if=True,
        )
        if found.graph is not found.original:
            least = min((*found.allocation.weights.values(), *found.allocation.activations.values()))
            command = self._command("bits")
            yield _of(RemedyKind.BITS, f"tensors of {least} bits and more, retrained", False, found.report, command)

    def resolutions(self) -> Iterator[Remedy]:
        """The largest smaller input whose SRAM fits, or the smallest; it stores the same weights."""
        description = _description(self.graph)
        if description is None:
            return
        rows, cols, channels = description["input"]
        last: Remedy | None = None
        for size in range(rows - 1 - (rows - 1) % RESOLUTION_STEP, LEAST_RESOLUTION - 1, -RESOLUTION_STEP):
            shape = [size, max(round(size * cols / rows), 1), channels]
            report = self._asked({**description, "input": shape})
            if report is None:
                break
            last = _of(RemedyKind.RESOLUTION, f"an input of {shape[0]}x{shape[1]}", False, report)
            if report.sram.fits is not False:  # a bound that fits may be all that is known
                break
        if last is not None:
            yield last

    def widths(self) -> Iterator[Remedy]:
        """The widest narrower network that fits, or the narrowest."""
        description = _description(self.graph)
        last: Remedy | None = None
        for width in WIDTHS if description is not None else ():
            assert description is not None
            report = self._asked(narrowed(description, width))
            if report is None:
                break
            last = _of(RemedyKind.WIDTH, f"width x {width:g}", False, report)
            if last.fits:
                break
        if last is not None:
            yield last

    def boards(self) -> Iterator[Remedy]:
        """The smallest board that holds it as it is."""
        asked = [self._asked(self.graph, board=board) for board in all_boards() if board.name != self.board.name]
        known = [report for report in asked if report is not None and report.runtime.runs]
        holding = [report for report in known if report.fits is not False and report.sram.fits]
        if holding:
            report = min(
                holding, key=lambda r: (r.fits is None, r.sram.budget_bytes, r.flash.budget_bytes, r.profile.name)
            )
            board = report.profile.name
            yield _of(RemedyKind.BOARD, f"board {board}", True, report, self._command("run", board=board))

    def _asked(
        self, network: Graph | Mapping[str, Any], *, board: Board | None = None, runtime: Runtime | None = None
    ) -> Report | None:
        """An answer, or None where such a network cannot be built or run."""
        budgets = self.budgets if board is None else the_budgets(board, max_ms=self.budgets.max_ms)
        try:
            return _asked(network, board or self.board, runtime or self.runtime, self.input_place, budgets)
        except McusimError:
            return None

    def _same(
        self, kind: RemedyKind, what: str, sram_bytes: int, ms: float | None, command: str, note: str = ""
    ) -> Remedy:
        """A remedy that stores and computes the same network."""
        flash = self.report.flash
        lacks = _lacks(sram_bytes <= self.report.sram.budget_bytes, self.report)
        return Remedy(kind, what, True, sram_bytes, flash.total_bytes, ms, lacks, command, note)

    def _command(self, verb: str, *, board: str = "", runtime: str = "") -> str:
        where = board or self.board.name
        return f"mcusim {verb} {self.named} --profile {where} --runtime {runtime or self.runtime.name}{self._input()}"

    def _plan(self) -> str:
        return f"mcusim plan {self.named} --runtime {self.runtime.name}{self._input()}"

    def _input(self) -> str:
        return "" if self.input_place is None else f" --input {self.input_place}"


def _asked(
    network: Graph | Mapping[str, Any], board: Board, runtime: Runtime, input_place: InputPlace | None, budgets: Budgets
) -> Report:
    return simulate(
        network,
        profile=board,
        runtime=runtime,
        input_place=input_place,
        sram_budget_bytes=budgets.sram_bytes,
        flash_budget_bytes=budgets.flash_bytes,
        max_ms=budgets.max_ms,
        what_if=True,
    )


def _of(kind: RemedyKind, what: str, keeps: bool, report: Report, command: str = "") -> Remedy:
    flash_bytes, lacks = report.flash.total_bytes, _lacks(report.sram.fits, report)
    return Remedy(kind, what, keeps, report.sram.peak_bytes, flash_bytes, report.latency.ms, lacks, command)


def _lacks(sram_fits: bool | None, report: Report) -> tuple[str, ...]:
    budgets = (("SRAM", sram_fits), ("flash", report.flash.fits))
    found = [f"too much {name}" for name, fits in budgets if fits is False]
    if report.latency.fits is False:
        found.append("too much time")
    if report.runtime.runs is not True:
        found.append(f"{report.runtime.name} cannot run it")
    return tuple(found)


def _description(graph: Graph) -> dict[str, Any] | None:
    """The description of a network of the zoo with one image as input; None for any other."""
    if graph.name not in zoo.names() or not graph.source.description.startswith("zoo:"):
        return None
    found = zoo.network_description(graph.name)
    return found if len(found.get("input", ())) == 3 else None


def narrowed(description: Mapping[str, Any], width: float) -> dict[str, Any]:
    """Every layer but the last that has channels, narrower."""
    found = copy.deepcopy(dict(description))
    layers = [layer for layer in found["layers"] if "out_channels" in layer]
    for layer in layers[:-1]:
        layer["out_channels"] = _rounded(layer["out_channels"] * width)
    return found


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, and never less than 90 % of `channels`. Source: MobileNetV2's make_divisible."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest

"""What to do when a network does not fit: ranked remedies, each with its bytes and milliseconds."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations, groupby
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mcusim import zoo
from mcusim.advising.ways import Limits, Way, cut, external, fewest_bytes, reordered, replanned
from mcusim.boards import all_boards
from mcusim.boards.board import Board
from mcusim.errors import McusimError
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.accounting import untold_input
from mcusim.precision import fit_bits
from mcusim.question.arguments import Budgets, chosen_runtime, the_board, the_budgets, the_graph
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.runtimes.choosing import preferred
from mcusim.simulation.simulate import simulate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Diagnosis", "Remedy", "RemedyKind", "narrowed", "remedies"]

WIDTHS = (0.75, 0.5, 0.35, 0.25)
RESOLUTION_STEP = 16
"""Networks halve their maps four or five times: other sizes only add borders."""
LEAST_RESOLUTION = 32


class RemedyKind(StrEnum):
    """What a remedy changes; the first four give the same outputs on the same board under the same runtime."""

    PLAN = "plan"
    ORDER = "order"
    SCHEDULE = "schedule"
    INPUT = "input"
    RUNTIME = "runtime"
    COMBINATION = "combination"
    """Several of those before it, none of which is enough without the others."""
    BITS = "bits"
    RESOLUTION = "resolution"
    WIDTH = "width"
    BOARD = "board"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do.

    what: in a few words.   keeps_outputs: whether the network still answers the same, so that no accuracy is at stake.
    sram_bytes, flash_bytes, ms: with it; None where that cannot be known.
    fits: the verdict of `command`; None where it cannot be known.
    lacks: what keeps it from fitting, or from being known to fit.
    command: that shows it, or "".   note: what must be so besides, or "".
    """

    kind: RemedyKind
    what: str
    keeps_outputs: bool
    sram_bytes: int
    flash_bytes: int | None
    ms: float | None
    fits: bool | None
    lacks: tuple[str, ...]
    command: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A network on a board as it is, and what could be done: what fits first, the gentlest remedy first."""

    report: Report
    remedies: tuple[Remedy, ...]

    def reworded(self, worded: Callable[[str], str]) -> Diagnosis:
        """The same in other words (`wording.Worded`)."""
        return replace(self, report=self.report.reworded(worded))

    def to_frame(self) -> pd.DataFrame:
        """One row a remedy, in their order; sizes in bytes."""
        import pandas as pd

        rows = [
            {
                "kind": str(remedy.kind),
                "what": remedy.what,
                "keeps_outputs": remedy.keeps_outputs,
                "sram_bytes": remedy.sram_bytes,
                "flash_bytes": remedy.flash_bytes,
                "ms": remedy.ms,
                "fits": remedy.fits,
                "command": remedy.command,
            }
            for remedy in self.remedies
        ]
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        report = self.report
        asked = f"{report.model.name[:60]!r} on {report.profile.name!r} with {report.runtime.name!r}"
        fitting = sum(remedy.fits is True for remedy in self.remedies)
        return f"<Diagnosis {asked}: {report.verdict}, {len(self.remedies)} remedies, {fitting} of them fit>"


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
    shown = os.fspath(profile) if isinstance(profile, str | PathLike) else board.name
    budgets = the_budgets(board, sram_budget_bytes, flash_budget_bytes, max_ms, what_if)
    limits = Limits(sram_budget_bytes, flash_budget_bytes, max_ms, what_if)
    way = Way(graph, named, board, shown, chosen, limits, input_place)
    report = _asked(graph, board, chosen, input_place, budgets)
    patient = _Patient(way, chosen, report, budgets, runtime is None)
    ranked_remedies = [
        *patient.changes(),
        *patient.bits(),
        *patient.resolutions(),
        *patient.widths(),
        *patient.boards(),
    ]
    if patient.report.fits:  # then only what takes less is of any use
        ranked_remedies = [remedy for remedy in ranked_remedies if remedy.sram_bytes < patient.report.sram.peak_bytes]
    return Diagnosis(patient.report, tuple(sorted(ranked_remedies, key=_rank)))


def _rank(remedy: Remedy) -> tuple[int, bool, bool, int, float, int]:
    """What fits, then what may; what keeps the outputs, and keeps the board; among those as `RemedyKind` lists them.

    Of one kind, of what fits the fastest comes first, of what does not the smallest.
    """
    is_board = remedy.kind is RemedyKind.BOARD
    gentleness = (
        (True, None, False).index(remedy.fits),
        not remedy.keeps_outputs,
        is_board,
        list(RemedyKind).index(remedy.kind),
    )
    return *gentleness, remedy.ms if remedy.fits and remedy.ms is not None else math.inf, remedy.sram_bytes


Change = Callable[[Way], Way | None]

_CHANGES: Mapping[RemedyKind, Change] = MappingProxyType(
    {
        RemedyKind.ORDER: reordered,
        RemedyKind.INPUT: external,
        RemedyKind.SCHEDULE: cut,
        RemedyKind.PLAN: replanned,
    }
)
"""What can be changed without another network, board or runtime, in the order in which it is done."""

_MOST_TOGETHER = 3
FLASH_LACKS = "too much flash"
CANNOT_RUN = "cannot run it"
OWN = "mcusim"
"""The runtime whose C `mcusim codegen` writes, which runs on every board."""


@dataclass(frozen=True, slots=True)
class _Patient:
    """The network as it was asked about.   report: as it is.   picks_runtime: whether the user named none."""

    way: Way
    runtime: Runtime
    report: Report
    budgets: Budgets
    picks_runtime: bool

    def changes(self) -> Iterator[Remedy]:
        """What keeps the network and the board: one change each, then as few together as it takes."""
        fitting = False
        others = list(self._runtimes())
        # A single change that fits ends the search: combinations are for networks that no single one can help.
        for single in (*self._singles(self.way), *[remedy for _, remedy in others]):
            fitting = fitting or _may_fit(single)
            yield single
        if fitting or self.report.fits:
            return
        # What is stored stays the same, whatever the plan: where that is too much already, no change is enough.
        ways = [self.way] if self.report.flash.fits is not False else []
        ways += [way for way, remedy in others if way.runtime is not None and FLASH_LACKS not in remedy.lacks]
        # The fewest changes at once that may fit; then no further ones are tried.
        for count in range(1, _MOST_TOGETHER + 1):
            of_schedule = [
                remedy
                for way in ways
                for kinds in combinations(_CHANGES, count)
                if count > 1 or way is not self.way
                if (remedy := self._together(way, kinds)) is not None and _may_fit(remedy)
            ]
            yield from of_schedule
            if of_schedule:
                return

    def _singles(self, way: Way) -> Iterator[Remedy]:
        for kind in _CHANGES:
            remedy = self._together(way, (kind,))
            if remedy is not None and remedy.sram_bytes < self.report.sram.peak_bytes:
                yield remedy

    def _together(self, way: Way, kinds: Sequence[RemedyKind]) -> Remedy | None:
        """Some changes at once; None where one of them changes nothing."""
        for kind in kinds:
            changed = _CHANGES[kind](way)
            if changed is None:
                return None
            way = changed
        answer = way.answer()
        if answer is None:
            return None
        is_alone = len(kinds) == 1 and way.runtime is self.runtime
        note = untold_input(way.board, answer.input.bytes if answer.input.where == InputPlace.EXTERNAL else 0)
        kind = kinds[0] if is_alone else RemedyKind.COMBINATION
        return _of(kind, self._ways_named(way, answer), True, answer, way.command, note)

    def _ways_named(self, way: Way, answer: Report) -> str:
        ways = [f"runtime {way.runtime.name}"] if way.runtime is not None and way.runtime is not self.runtime else []
        ways += ["run the layers in another order"] if way.reorder else []
        if answer.input.where == InputPlace.EXTERNAL and self.report.input.where != InputPlace.EXTERNAL:
            ways.append("input external")
        ways += [f"schedule {way.schedule}"] if way.schedule != "layer" else []
        ways += [f"plan the arena with {way.planner}"] if way.planner is not None else []
        return ", ".join(ways)

    def _runtimes(self) -> Iterator[tuple[Way, Remedy]]:
        """Other runtimes that need less, or fit."""
        for name, runtime in sorted(RUNTIMES.items()):
            if name == self.runtime.name or not runtime.serves(self.way.board):
                continue
            way = replace(self.way, runtime=runtime.on(self.way.board.core))
            # A lower bound of SRAM would look like a saving, and nobody knows whether it is one.
            other = way.answer()
            if other is None or other.sram.is_bound:  # how much it takes is not known: no remedy
                continue
            if other.fits or other.sram.peak_bytes < self.report.sram.peak_bytes:
                yield way, _of(RemedyKind.RUNTIME, f"runtime {name}", True, other, way.command)

    def bits(self) -> Iterator[Remedy]:
        """Fewer bits a tensor, as few as it takes."""
        bit_fit = fit_bits(
            self.way.graph,
            profile=self.way.board,
            runtime=self.runtime,
            input_place=self.way.input_place,
            sram_budget_bytes=self.budgets.sram_bytes,
            flash_budget_bytes=self.budgets.flash_bytes,
            what_if=True,
        )
        if bit_fit.graph is not bit_fit.original:
            least = min((*bit_fit.allocation.weights.values(), *bit_fit.allocation.activations.values()))
            command = f"{self.way.command} --bits auto"
            yield _of(RemedyKind.BITS, f"tensors of {least} bits and more, retrained", False, bit_fit.report, command)

    def resolutions(self) -> Iterator[Remedy]:
        """The largest smaller input whose SRAM fits, or the smallest; it stores the same weights."""
        description = _description(self.way.graph)
        if description is None:
            return
        rows, cols, channels = description["input"]
        last: Remedy | None = None
        # From the next multiple of 16 below the network's own size, downwards: the first that fits is the largest.
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
        description = _description(self.way.graph)
        last: Remedy | None = None
        for width in WIDTHS if description is not None else ():
            assert description is not None
            report = self._asked(narrowed(description, width))
            if report is None:
                break
            last = _of(RemedyKind.WIDTH, f"width x {width:g}", False, report)
            if _may_fit(last):
                break
        if last is not None:
            yield last

    def boards(self) -> Iterator[Remedy]:
        """The smallest board that holds it as it is; then smaller ones: under another runtime, in pieces.

        In pieces is asked only where the network does not fit as it is: it takes a search a board and runtime.
        """
        wished = None if self.picks_runtime else self.runtime
        every = (*preferred(), RUNTIMES[OWN])
        rows = [next(self._smallest([wished]), None)]
        if wished is not None:
            rows.append(next(self._smallest([each for each in every if each.name != wished.name]), None))
        if not self.report.fits:
            least = min([_size(row[1]) for row in rows if row is not None and row[1].fits], default=None)
            # Boards on which pieces would help must be smaller than those that hold the network whole: else nothing is
            # gained.
            rows.append(next(self._in_pieces([each for each in every if each.cut_stages], least), None))
        smallest: tuple[int, int] | None = None
        for row in rows:
            if row is None or (smallest is not None and _size(row[1]) >= smallest):
                continue
            way, answer = row
            if answer.fits:  # what may fit leaves out nothing that does
                smallest = _size(answer)
            yield _of(RemedyKind.BOARD, self._board_named(answer), True, answer, way.command)

    def _smallest(self, runtimes: Sequence[Runtime | None]) -> Iterator[tuple[Way, Report]]:
        """Boards that hold the network, the smallest first, of equal ones the fastest, as in `run --profile all`.

        Those of which it is not certain come last. Of several runtimes on one board the fastest counts.
        """
        needed_bytes = {runtime: self._needed_bytes(runtime) for runtime in runtimes}
        others = [board for board in all_boards() if board.name != self.way.board.name]
        uncertain = []
        for _, boards in groupby(sorted(others, key=_room), key=_room):
            certain = []
            for board in boards:
                enough = [runtime for runtime in runtimes if needed_bytes[runtime] <= board.sram_budget_bytes]
                holding = list(self._holding(board, enough))
                fitting = [pair for pair in holding if pair[1].fits]
                if fitting:
                    certain.append(min(fitting, key=lambda pair: _time(pair[1])))
                else:
                    uncertain += holding
            yield from sorted(certain, key=lambda pair: (_time(pair[1]), pair[1].profile.name))
        yield from uncertain

    def _in_pieces(self, runtimes: Sequence[Runtime], below: tuple[int, int] | None) -> Iterator[tuple[Way, Report]]:
        """Boards that hold the network under some schedule, the smallest first, none as large as `below`.

        Of several runtimes on one board the fastest counts.
        """
        least = {runtime: fewest_bytes(self._on(self.way.board, runtime)) for runtime in runtimes}
        for board in sorted(all_boards(), key=_room):
            if below is not None and _room(board) >= below:
                return
            fitting = []
            for runtime in runtimes:
                if not runtime.serves(board) or board.name == self.way.board.name:
                    continue
                way = self._on(board, runtime)
                whole = way.answer()  # neither its flash nor its kernels depend on the schedule
                if whole is None or whole.flash.fits is False or not whole.runtime.runs:
                    continue
                # A tenth less than the least on this core: scratch differs from core to core, and no board must be left
                # out by that.
                pieces = cut(way) if 0.9 * least[runtime] <= board.sram_budget_bytes else None
                answer = None if pieces is None else pieces.answer()
                if pieces is not None and answer is not None and answer.fits:
                    fitting.append((pieces, answer))
            if fitting:
                yield min(fitting, key=lambda pair: _time(pair[1]))

    def _on(self, board: Board, runtime: Runtime | None) -> Way:
        """The way on another board, which is held to its own budgets where the user stated larger ones."""
        stated = self.way.limits
        limits = Limits(max_ms=stated.max_ms) if stated.what_if else stated
        built = None if runtime is None else runtime.on(board.core)
        return replace(self.way, board=board, profile=board.name, runtime=built, limits=limits)

    def _holding(self, board: Board, runtimes: Sequence[Runtime | None]) -> Iterator[tuple[Way, Report]]:
        """Those of the runtimes that run the network there, in SRAM that holds it. Flash and time may be unsure."""
        for runtime in runtimes:
            if runtime is not None and not runtime.serves(board):
                continue
            way = self._on(board, runtime)
            answer = way.answer()
            if answer is not None and answer.runtime.runs and answer.fits is not False and answer.sram.fits:
                yield way, answer

    def _needed_bytes(self, runtime: Runtime | None) -> float:
        """SRAM that the network takes at least, on any board; None stands for whichever runtime takes least.

        Cores differ in scratch only; with a tenth less than on this board no board is left out that might hold it.
        """
        chosen = [runtime] if runtime is not None else preferred()
        answers = [replace(self.way, runtime=each.on(self.way.board.core)).answer() for each in chosen]
        return 0.9 * min([math.inf if answer is None else answer.sram.peak_bytes for answer in answers])

    def _board_named(self, answer: Report) -> str:
        """The board, and the runtime where it is another, and the schedule where it runs in pieces."""
        board, schedule = f"board {answer.profile.name}", answer.schedule.spec
        runtime = "" if answer.runtime.name == self.runtime.name else f", runtime {answer.runtime.name}"
        return f"{board}{runtime}" + ("" if schedule == "layer" else f", schedule {schedule}")

    def _asked(self, network: Mapping[str, Any]) -> Report | None:
        """An answer, or None where such a network cannot be built or run."""
        try:
            return _asked(network, self.way.board, self.runtime, self.way.input_place, self.budgets)
        except McusimError:
            return None


def _time(answer: Report) -> float:
    return math.inf if answer.latency.ms is None else answer.latency.ms


def _size(answer: Report) -> tuple[int, int]:
    return answer.sram.budget_bytes, answer.flash.budget_bytes


def _room(board: Board) -> tuple[int, int]:
    return board.sram_budget_bytes, board.flash_bytes


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


def _of(kind: RemedyKind, what: str, keeps: bool, report: Report, command: str = "", note: str = "") -> Remedy:
    sram_bytes, flash_bytes, ms = report.sram.peak_bytes, report.flash.total_bytes, report.latency.ms
    return Remedy(kind, what, keeps, sram_bytes, flash_bytes, ms, report.fits, _lacks(report), command, note)


def _lacks(report: Report) -> tuple[str, ...]:
    """What keeps a network from fitting; where nothing does, what keeps that from being known."""
    judged = [("SRAM", report.sram.fits), ("flash", report.flash.fits)]
    judged += [("time", report.latency.fits)] if report.latency.budget_ms is not None else []
    lacks = [f"too much {name}" for name, fits in judged if fits is False]
    if report.runtime.runs is False:
        lacks.append(f"{report.runtime.name} {CANNOT_RUN}")
    if not lacks and report.runtime.runs is None:
        lacks.append(f"nobody knows whether {report.runtime.name} runs it")
    if not lacks or report.fits is None:
        lacks += [f"the {name} is not certain" for name, fits in judged if fits is None]
    return tuple(lacks)


def _may_fit(remedy: Remedy) -> bool:
    """Whether nothing that is known keeps it from fitting."""
    return remedy.fits is not False and not any(lack.endswith(CANNOT_RUN) for lack in remedy.lacks)


def _description(graph: Graph) -> dict[str, Any] | None:
    """The description of a network of the zoo with one image as input; None for any other."""
    if graph.name not in zoo.names() or not graph.source.description.startswith("zoo:"):
        return None
    description = zoo.network_description(graph.name)
    return description if len(description.get("input", ())) == 3 else None


def narrowed(description: Mapping[str, Any], width: float) -> dict[str, Any]:
    """Every layer but the last that has channels, narrower."""
    narrower = copy.deepcopy(dict(description))
    layers = [layer for layer in narrower["layers"] if "out_channels" in layer]
    # The last layer's channels are the network's classes.
    for layer in layers[:-1]:
        layer["out_channels"] = _rounded(layer["out_channels"] * width)
    return narrower


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, and never less than 90 % of `channels`. Source: MobileNetV2's make_divisible."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest

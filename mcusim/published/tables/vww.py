"""Visual Wake Words: accuracy against memory and latency, per layer and per patch, as printed and as simulated.

A schedule never changes what a network computes, so its accuracy is the same whole and in patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from statistics import geometric_mean
from typing import NamedTuple

from mcusim import published
from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.published import NOTHING, Printed, Unit, Vww, VwwPoint
from mcusim.published.tables.claims import Recomputed, recomputed
from mcusim.published.tables.document import Claim, Column, Document, Group, Row, Table
from mcusim.published.tables.figures import (
    accuracy_figure,
    flash_figure,
    latency_figure,
    sram_figure,
    times_figure,
)
from mcusim.published.tables.networks import RUNTIME, accuracy, simulated, stand_in
from mcusim.report import Basis, Report
from mcusim.searching import Front, Point, search
from mcusim.simulation.simulate import simulate
from mcusim.units import format_bytes

__all__ = ["BOARD", "SMALL_BOARD", "Cuts", "Option", "Way", "cuts", "networks", "vww_document"]

BOARD, SMALL_BOARD = "stm32h743", "stm32f410"
_PAPER_STAGES, _PAPER_GRID = 1, 4
"""Of MCUNetV2's space: one stage of patches, grids up to 4x4."""
_CHEAP = 0.1
_TOP1 = "top1_quantized"


class Way(StrEnum):
    """In which pieces a network runs."""

    LAYER = "per layer"
    CHEAP = "per patch, +10 %"
    """One stage of patches, in at most a tenth more time than layer by layer."""
    PATCH = "per patch"
    """One stage of patches."""
    ANY = "patches, bands"
    """Whatever `mcusim patch` knows."""


@dataclass(frozen=True, slots=True)
class Option:
    """A network cut in one way. accuracy: as its source prints it."""

    network: str
    way: Way
    accuracy: Printed
    report: Report


def networks() -> tuple[str, ...]:
    """The networks of the published points."""
    return tuple(dict.fromkeys(point.network for point in published.vww().points if point.network))


class Cuts(NamedTuple):
    """A network on a board. by_way: with the least SRAM of each way.

    frontier: single stages of patches that no other beats in both SRAM and time, cheapest first.
    """

    by_way: Mapping[Way, Option]
    frontier: tuple[Option, ...]


def cuts(name: str, profile: str = BOARD) -> Cuts:
    """What a network takes on a board, whole and cut."""
    patched = search(
        name,
        profile=profile,
        runtime=RUNTIME,
        kinds=("patch",),
        max_stages=_PAPER_STAGES,
        max_grid=_PAPER_GRID,
    )
    points = {
        Way.LAYER: patched.layer,
        Way.CHEAP: _cheap(patched),
        Way.PATCH: patched.nearest,
        Way.ANY: search(name, profile=profile, runtime=RUNTIME).nearest,
    }
    options = {way: _option(name, way, point, profile) for way, point in points.items()}
    least, kept = None, []
    for point in patched.points:
        if least is None or point.peak_bytes < least:
            least = point.peak_bytes
            kept.append(_option(name, Way.PATCH, point, profile))
    return Cuts(options, tuple(kept))


def _cheap(front: Front) -> Point:
    """The least SRAM in at most a tenth more time than layer by layer."""
    if front.layer.cycles is None:
        return front.layer
    most = front.layer.cycles * (1 + _CHEAP)
    points = [point for point in front.points if point.cycles is not None and point.cycles <= most]
    return min(points, key=lambda point: point.peak_bytes, default=front.layer)


def _option(name: str, way: Way, point: Point, profile: str) -> Option:
    return Option(name, way, accuracy(name, _TOP1), _run(name, point, profile))


def _run(name: str, point: Point, profile: str) -> Report:
    return simulate(name, profile=profile, runtime=RUNTIME, schedule=point.schedule, input_place=point.input_place)


# ---------------------------------------------------------------------------------------------------------------------
# The report


def vww_document() -> Document:
    """Every published point simulated; each network whole and cut; and what a board of 32 KiB can hold."""
    printed = published.vww()
    ways = [tuple(cuts(name).by_way.values()) for name in networks()]
    small = [tuple(cuts(name, SMALL_BOARD).by_way.values()) for name in networks()]
    return Document(
        name="vww",
        title=printed.title,
        published=("vww",),
        tables=(_points(printed), _ways(ways), _small(printed, small)),
        claims=_claims(printed, ways, small),
        notes=_notes(printed),
        sources=(printed.source, *dict.fromkeys(point.source for point in printed.points)),
    )


def _points(printed: Vww) -> Table:
    columns = (
        Column("accuracy", "accuracy", Unit.PERCENT),
        Column("sram", "SRAM", Unit.KIB, has_counting=True),
        Column("latency", "latency", Unit.MS, has_interval=True),
    )
    points = [point for point in printed.points if point.network]
    groups = [
        Group(board, tuple(_point(point) for point in rows))
        for board, rows in groupby(points, key=lambda point: point.board)
    ]
    return Table("points", "Published points, layer by layer", columns, tuple(groups))


def _point(point: VwwPoint) -> Row:
    counting = point.counted_as or None
    report = simulate(point.network, profile=point.board, runtime=RUNTIME, convention=counting)
    cells = (
        accuracy_figure(point.accuracy, accuracy(point.network, _TOP1)),
        sram_figure(report, point.sram),
        latency_figure(report, point.latency),
    )
    return Row(label=point.network, about=point.source, cells=cells, network=point.network, board=point.board)


def _ways(ways: Sequence[Sequence[Option]]) -> Table:
    columns = (
        Column("accuracy", "accuracy", Unit.PERCENT),
        Column("sram", "SRAM", Unit.KIB),
        Column("less", "less", Unit.TIMES),
        Column("latency", "latency", Unit.MS, has_interval=True),
        Column("slower", "longer", Unit.TIMES),
        Column("schedule", "schedule"),
    )
    groups = [Group(options[0].network, tuple(_way(each, options[0]) for each in options)) for options in ways]
    return Table("ways", f"Whole and cut, on {BOARD}", columns, tuple(groups))


def _way(option: Option, whole: Option) -> Row:
    report, before = option.report, whole.report
    times = None
    if report.latency.ms is not None and before.latency.ms:
        times = report.latency.ms / before.latency.ms
    cells = (
        accuracy_figure(NOTHING, option.accuracy),
        sram_figure(report),
        times_figure(before.sram.peak_bytes / report.sram.peak_bytes, report.sram.basis),
        latency_figure(report),
        times_figure(times, report.latency.basis),
        report.schedule.spec,
    )
    return Row(label=option.way, cells=cells, network=option.network, board=report.profile.name)


def _small(printed: Vww, ways: Sequence[Sequence[Option]]) -> Table:
    columns = (
        Column("accuracy", "accuracy", Unit.PERCENT),
        Column("sram", "SRAM", Unit.KIB),
        Column("flash", "flash", Unit.KIB),
        Column("latency", "latency", Unit.MS, has_interval=True),
        Column("schedule", "schedule"),
    )
    board = load_board(SMALL_BOARD)
    claimed = tuple(_claimed(point, board) for point in printed.points if not point.network)
    groups = [Group("as the text has it", claimed)]
    groups += [Group(options[0].network, tuple(_small_row(each) for each in options)) for options in ways]
    sram, flash = format_bytes(board.sram_budget_bytes), format_bytes(board.flash_bytes)
    return Table("small", f"On {board.name}: {sram} SRAM, {flash} flash", columns, tuple(groups))


def _small_row(option: Option) -> Row:
    report = option.report
    cells = (
        accuracy_figure(NOTHING, option.accuracy),
        sram_figure(report),
        flash_figure(report),
        latency_figure(report),
        report.schedule.spec,
    )
    return Row(label=option.way, cells=cells, network=option.network, board=report.profile.name)


def _claimed(point: VwwPoint, board: Board) -> Row:
    """The network that only the text knows, or its witness."""
    stand = stand_in(point.network, board, witness=point.witness)
    counted, takes = simulated(stand, board, point.counted_as)
    cells = (
        accuracy_figure(point.accuracy),
        sram_figure(counted, point.sram, board.sram_budget_bytes),
        flash_figure(takes, limit=board.flash_bytes),
        latency_figure(takes, point.latency),
        "" if takes is None else takes.schedule.spec,
    )
    return Row(label="MCUNetV2", cells=cells, network=stand.name, board=board.name, origin=stand.origin)


def _claims(printed: Vww, ways: Sequence[Sequence[Option]], small: Sequence[Sequence[Option]]) -> tuple[Claim, ...]:
    return recomputed(printed.claims, {"memory": _less(ways), "accuracy-32kb": _most_accurate(small)})


def _less(ways: Sequence[Sequence[Option]]) -> Recomputed:
    """How many times less SRAM the paper's patches take."""
    peaks = [{option.way: option.report.sram.peak_bytes for option in options} for options in ways]
    ratios = [peak[Way.LAYER] / peak[Way.PATCH] for peak in peaks]
    listed = ", ".join(f"{options[0].network} {ratio:.1f}x" for options, ratio in zip(ways, ratios, strict=True))
    how = f"geometric mean of {listed}: networks released for running whole; the paper's were made for patches"
    return Recomputed(how, simulated=geometric_mean(ratios), basis=Basis.DERIVED, is_of_others=True)


def _most_accurate(small: Sequence[Sequence[Option]]) -> Recomputed:
    """The most accurate network that some schedule brings below the board's SRAM; and whether its flash holds it."""
    holding = [option for options in small for option in options if option.report.sram.fits]
    best = max(holding, key=lambda option: option.accuracy.value or 0, default=None)
    if best is None:
        return Recomputed("no released network goes into its SRAM")
    sram, flash = best.report.sram, best.report.flash
    stored = "unknown" if flash.total_bytes is None else format_bytes(flash.total_bytes)
    how = (
        f"{best.network} in {format_bytes(sram.peak_bytes)} as {best.report.schedule.spec}; flash is another matter: "
        f"it needs {stored}, and the board has {format_bytes(flash.budget_bytes)}"
    )
    return Recomputed(how, simulated=best.accuracy.value, basis=Basis.PUBLISHED, is_of_others=True)


def _notes(printed: Vww) -> tuple[str, ...]:
    notes = [
        f"per patch: one stage of up to {_PAPER_GRID}x{_PAPER_GRID} patches; +10 %: in at most a tenth more time; "
        "patches, bands: any schedule that `mcusim patch` knows. Of each, the one with least SRAM.",
        "Patches that begin at the image read it from where it lies, and it is not counted, as TinyEngine has it; "
        "bands are what they would need of it, as it has none.",
        "A schedule changes no output, so cutting a network costs it no accuracy.",
        "The other points of the published figure exist only as a picture and were not recovered.",
    ]
    strange = [f"{point.sram} KiB ({point.network})" for point in printed.points if not point.is_explained]
    if strange:
        notes.append(f"These follow from no rule that is known: {', '.join(strange)}.")
    return tuple(notes)

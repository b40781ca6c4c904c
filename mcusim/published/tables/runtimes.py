"""Four libraries by eleven networks on STM32H743: latency, SRAM and flash, simulated beside measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from mcusim import published, zoo
from mcusim.published import Library, LibraryComparison, LibraryRow, Unit
from mcusim.published.tables.document import Column, Document, Figure, Group, Row, Table
from mcusim.published.tables.figures import flash_figure, is_known, latency_figure, sram_figure
from mcusim.report import Basis, Report
from mcusim.runtimes import RUNTIMES
from mcusim.simulation.simulate import simulate

__all__ = ["runtimes_document"]

_COLUMNS = (
    Column("latency", "latency", Unit.MS, has_interval=True),
    Column("sram", "SRAM", Unit.KIB),
    Column("flash", "flash", Unit.KIB),
)


def runtimes_document() -> Document:
    """Every measured cell beside the simulated one, and how far they lie apart, library by library."""
    printed = published.h743_libraries()
    libraries = {library.name: library for library in printed.libraries}
    groups = [
        Group(network, tuple(_row(row, libraries[row.library], printed.board) for row in rows))
        for network, rows in groupby(printed.rows, key=lambda row: row.network)
    ]
    table = Table("rows", f"Networks and libraries on {printed.board}", _COLUMNS, tuple(groups))
    return Document(
        name="runtimes",
        title=printed.title,
        published=("h743_libraries",),
        tables=(table, _summary(table, printed)),
        notes=_notes(printed),
        sources=(printed.source,),
    )


def _row(row: LibraryRow, library: Library, board: str) -> Row:
    report = _simulated(row.network, library.runtime, board)
    counted = report if report is not None else _counted(row.network, library.runtime, board)
    cells = (
        latency_figure(report, row.latency),
        sram_figure(counted, row.sram),
        flash_figure(report, row.flash),
    )
    return Row(label=library.name, about=library.version, cells=cells, network=row.network, board=board)


def _simulated(network: str, runtime: str, board: str) -> Report | None:
    """None where mcusim does not know the runtime."""
    return simulate(network, profile=board, runtime=runtime) if runtime in RUNTIMES else None


def _counted(network: str, convention: str, board: str) -> Report | None:
    """SRAM by the convention of that name; None where mcusim does not know it either."""
    return simulate(network, profile=board, convention=convention) if is_known(convention) else None


def _summary(table: Table, printed: LibraryComparison) -> Table:
    """The mean distance between simulated and measured, library by library."""
    columns = tuple(Column(column.key, column.title, Unit.PERCENT) for column in _COLUMNS)
    rows = tuple(
        Row(
            label=library.name,
            about=f"as {library.runtime}",
            cells=tuple(_distance(table, library.name, at) for at in range(len(columns))),
        )
        for library in printed.libraries
    )
    title = "Mean distance between simulated and measured"
    return Table("summary", title, columns, (Group("", rows),))


def _distance(table: Table, library: str, at: int) -> Figure:
    cells = [row.cells[at] for row in table.rows if row.label == library]
    figures: Sequence[Figure] = [cell for cell in cells if isinstance(cell, Figure)]
    apart = [abs(figure.difference) for figure in figures if figure.difference is not None]
    if not apart:
        return Figure(unit=Unit.PERCENT)
    bases = {figure.basis for figure in figures if figure.basis is not None}
    return Figure(unit=Unit.PERCENT, value=fmean(apart) * 100, basis=max(bases, key=list(Basis).index))


def _notes(printed: LibraryComparison) -> tuple[str, ...]:
    notes = []
    for library in printed.libraries:
        if library.runtime not in RUNTIMES and is_known(library.runtime):
            notes.append(f"{library.name}: SRAM by the convention {library.runtime}; its time and flash are not known.")
    networks = dict.fromkeys(row.network for row in printed.rows)
    notes += [f"{name}: {note}" for name in networks if (note := zoo.describe(name).note)]
    notes.append(
        "The coefficients that price these runtimes were chosen on measurements with these among them: how near the "
        "latencies lie is a fit, not a prediction."
    )
    notes.append("OOM: it ran out of memory on the board; the simulated latency is what it would take with more.")
    return tuple(notes)

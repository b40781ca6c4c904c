"""The model zoo of 2020: twelve networks with TinyEngine, as printed and as simulated."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from mcusim import published
from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.published import Unit, Zoo2020Row
from mcusim.published.tables.document import Column, Document, Group, Row, Table
from mcusim.published.tables.figures import accuracy_figure, flash_figure, latency_figure, macs_figure, sram_figure
from mcusim.published.tables.networks import EARLIER_RELEASE, RUNTIME, accuracy, simulated, stand_in
from mcusim.simulation.simulate import simulate
from mcusim.units import format_bytes

__all__ = ["zoo_2020_document"]

_COLUMNS = (
    Column("macs", "MACs", Unit.MEGA),
    Column("act", "act", Unit.KIB),
    Column("sram", "SRAM", Unit.KIB, has_counting=True),
    Column("takes", "takes", Unit.KIB),
    Column("flash", "flash", Unit.KIB),
    Column("latency", "latency", Unit.MS, has_interval=True),
    Column("top1", "top-1", Unit.PERCENT),
)
_ACTIVATIONS = "act"

_NOTES = (
    "act: activations as the zoo counts them.   takes: what the runtime itself takes of SRAM.",
    EARLIER_RELEASE,
    "Accuracies are those of the networks' own sources.",
)


def zoo_2020_document() -> Document:
    """Every network on its board: activations and SRAM as the zoo counts them, flash and latency as simulated."""
    printed = published.zoo_2020()
    rows = sorted(printed.rows, key=lambda row: row.board)
    groups = []
    for name, of_board in groupby(rows, key=lambda row: row.board):
        board = load_board(name)
        title = f"{board.name}: {format_bytes(board.sram_budget_bytes)} SRAM, {format_bytes(board.flash_bytes)} flash"
        groups.append(Group(title, tuple(_row(row, board) for row in of_board)))
    return Document(
        name="zoo",
        title=printed.title,
        published=("zoo_2020",),
        tables=(Table("rows", "Networks and boards", _COLUMNS, tuple(groups)),),
        notes=_NOTES,
        sources=(printed.source,),
    )


def _row(row: Zoo2020Row, board: Board) -> Row:
    stand = stand_in(row.network, board)
    counted, takes = simulated(stand, board, row.counted_as)
    activations = simulate(row.network, profile=board, runtime=RUNTIME, convention=_ACTIVATIONS)
    cells = (
        macs_figure(stand.macs, row.macs),
        replace(sram_figure(activations, row.act), limit=None),  # a sum that nothing has to hold
        sram_figure(counted, row.sram),
        sram_figure(takes),
        flash_figure(takes, row.flash),
        latency_figure(takes, row.latency),
        accuracy_figure(row.top1_quantized, accuracy(row.network, "top1_quantized")),
    )
    return Row(label=row.network, cells=cells, network=row.network, board=board.name, is_grey=row.is_grey)

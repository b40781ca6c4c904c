"""Pascal VOC: the detectors as printed, and what may be simulated of them."""

from __future__ import annotations

from itertools import groupby

from mcusim import published
from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.ops.totals import count_parameters
from mcusim.published import Unit, VocRow
from mcusim.published.tables.claims import gained, recomputed
from mcusim.published.tables.document import Column, Document, Figure, Group, Origin, Row, Table
from mcusim.published.tables.figures import accuracy_figure, flash_figure, latency_figure, macs_figure, sram_figure
from mcusim.published.tables.networks import simulated, stand_in
from mcusim.report import Basis
from mcusim.units import format_bytes

__all__ = ["voc_document"]

_BASELINE = "MCUNet"
_COLUMNS = (
    Column("params", "params", Unit.MEGA),
    Column("macs", "MACs", Unit.MEGA),
    Column("sram", "SRAM", Unit.KIB, has_counting=True),
    Column("flash", "flash", Unit.KIB),
    Column("latency", "latency", Unit.MS, has_interval=True),
    Column("map", "mAP", Unit.PERCENT),
    Column("gain", "gain", Unit.POINTS),
)


def voc_document() -> Document:
    """Table 3 of MCUNetV2, the gain over MCUNet recomputed from its rows."""
    printed = published.voc()
    groups = []
    for name, rows in groupby(printed.rows, key=lambda row: row.board):
        board = load_board(name)
        groups.append(
            Group(
                f"{board.name}: {format_bytes(board.sram_budget_bytes)} SRAM",
                tuple(_row(row, board) for row in rows),
            )
        )
    rows_by = {row.model: row for row in printed.rows}
    h7, m4 = (gained(rows_by[model].map, rows_by[_BASELINE].map) for model in ("MCUNet-H7", "MCUNet-M4"))
    known = any(row.origin is Origin.WITNESS for group in groups for row in group.rows)
    return Document(
        name="voc",
        title=printed.title,
        published=("voc",),
        tables=(Table("rows", "Detectors and boards", _COLUMNS, tuple(groups)),),
        claims=recomputed(printed.claims, {"h7-map": h7, "h7-map-text": h7, "m4-map": m4}),
        notes=_notes(known),
        sources=(printed.source,),
    )


def _row(row: VocRow, board: Board) -> Row:
    stand = stand_in("", board, witness=row.witness)
    counted, takes = simulated(stand, board, row.counted_as)
    params = None if stand.graph is None else count_parameters(stand.graph)[1]
    cells = (
        Figure(unit=Unit.MEGA, printed=row.params, value=params, basis=None if params is None else Basis.EXACT),
        macs_figure(stand.macs, row.macs),
        sram_figure(counted, row.sram, board.sram_budget_bytes),
        flash_figure(takes, limit=board.flash_bytes),
        latency_figure(takes),
        accuracy_figure(row.map),
        Figure(unit=Unit.POINTS, printed=row.gain),
    )
    return Row(label=row.model, cells=cells, network=stand.name, board=board.name, origin=stand.origin)


def _notes(has_witness: bool) -> tuple[str, ...]:
    gain = "gain: points of mAP over MCUNet on STM32H743, recomputed below from the printed rows."
    if has_witness:
        return (gain, "witness: another network, which meets the row's figures; its mAP is unknown.")
    return (gain, "None of these detectors was released, so nothing of them can be simulated.")

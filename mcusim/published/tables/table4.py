"""ImageNet on STM32F412 and STM32H743, as printed and as simulated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from mcusim import published
from mcusim.boards import load_board
from mcusim.boards.board import Board
from mcusim.published import NOTHING, Precision, Printed, Table4, Table4Row, Unit
from mcusim.published.tables.claims import gained, recomputed, saved_percent
from mcusim.published.tables.document import Claim, Column, Document, Figure, Group, Origin, Row, Table
from mcusim.published.tables.figures import (
    accuracy_figure,
    flash_figure,
    latency_figure,
    macs_figure,
    sram_figure,
)
from mcusim.published.tables.networks import RUNTIME, StandIn, accuracy, simulated, simulated_with, stand_in
from mcusim.runtimes import RUNTIMES
from mcusim.units import format_bytes

__all__ = ["table4_document"]

_PATCHED = (("stm32f412", "MCUNet-M4", Precision.INT8), ("stm32h743", "MCUNet-H7", Precision.INT8))
_CURRENT = RUNTIMES[RUNTIME].version
_COLUMNS = (
    Column("macs", "MACs", Unit.MEGA),
    Column("sram", "SRAM", Unit.KIB, has_counting=True),
    Column("takes", "takes", Unit.KIB),
    Column("flash", "flash", Unit.KIB),
    Column("latency", "latency", Unit.MS, has_interval=True),
    Column("latency-now", _CURRENT, Unit.MS, has_interval=True),
    Column("top1", "top-1", Unit.PERCENT),
    Column("top5", "top-5", Unit.PERCENT),
)
_TAKES = [column.key for column in _COLUMNS].index("takes")


def table4_document() -> Document:
    """Table 4 of the MCUNet overview: every row simulated on its board, and the text's claims recomputed."""
    printed = published.table4()
    groups = []
    for name, rows in groupby(printed.rows, key=lambda row: row.board):
        board = load_board(name)
        title = f"{board.name}: {format_bytes(board.sram_budget_bytes)} SRAM, {format_bytes(board.flash_bytes)} flash"
        groups.append(Group(title, tuple(_row(row, board) for row in rows)))
    table = Table("rows", "Networks and boards", _COLUMNS, tuple(groups))
    return Document(
        name="table4",
        title=printed.title,
        published=("table4", "zoo_2020"),
        tables=(table,),
        claims=_claims(printed),
        notes=_notes(table.rows),
        sources=(printed.source, f"latency as printed: {published.zoo_2020().source}"),
    )


def _row(row: Table4Row, board: Board) -> Row:
    stand = stand_in(row.network, board, witness=row.witness, is_twin=row.is_twin, precision=row.precision)
    counted, takes = simulated(stand, board, row.counted_as)
    sram_limit, flash_limit = board.sram_budget_bytes, board.flash_bytes
    cells = (
        macs_figure(stand.macs, row.macs),
        sram_figure(counted, row.sram, sram_limit),
        sram_figure(takes, limit=sram_limit),
        flash_figure(takes, row.flash, flash_limit),
        latency_figure(simulated_with(stand, board, row.release), _printed_latency(row)),
        latency_figure(takes),
        accuracy_figure(row.top1, _own_accuracy(stand, row, "top1_quantized")),
        accuracy_figure(row.top5, _own_accuracy(stand, row, "top5_quantized")),
    )
    return Row(
        label=row.model,
        about=f"{row.library}, {row.precision}",
        cells=cells,
        network=stand.name,
        board=board.name,
        origin=stand.origin,
        is_grey=row.is_grey,
    )


def _printed_latency(row: Table4Row) -> Printed:
    """Table 4 prints none; the model zoo of 2020 does for some of its networks, on the same board (assumption A41)."""
    latencies = (
        each.latency for each in published.zoo_2020().rows if (each.network, each.board) == (row.network, row.board)
    )
    return next(latencies, NOTHING)


def _own_accuracy(stand: StandIn, row: Table4Row, field: str) -> Printed:
    """None for a witness, nor for bits that mcusim chose: the printed accuracy is that of another network."""
    return NOTHING if stand.origin is Origin.WITNESS or row.is_mixed else accuracy(stand.name, field)


def _claims(printed: Table4) -> tuple[Claim, ...]:
    rows = {(row.board, row.model, row.precision): row for row in printed.rows}
    m4, h7 = (rows[key] for key in _PATCHED)
    f412, h743 = (rows[board, "MCUNet", Precision.INT8] for board in ("stm32f412", "stm32h743"))
    return recomputed(
        printed.claims,
        {
            "m4-top1": gained(m4.top1, f412.top1),
            "m4-sram": saved_percent(m4.sram, f412.sram),
            "h7-top1": gained(h7.top1, h743.top1),
        },
    )


def _notes(rows: Sequence[Row]) -> tuple[str, ...]:
    """What a reader must know; only of what is in the table."""
    origins = {row.origin for row in rows}
    mixed = [row for row, printed in zip(rows, published.table4().rows, strict=True) if printed.is_mixed]
    is_said = {
        "takes: what the runtime itself takes of SRAM, not what the row's source counts.": True,
        "released twin: the row's own network was not released; the nearest one was, and its MACs, flash and accuracy "
        "differ a little. No rule is known that gives the printed flash.": Origin.TWIN in origins,
        "witness: another network of the published search space, which meets the row's MACs, SRAM and flash; its "
        "accuracy is unknown, and the printed one is not its own.": Origin.WITNESS in origins,
        "not released: nobody outside knows the network, so nothing of it can be simulated.": Origin.NOT_RELEASED
        in origins,
        "mixed: its bits, layer by layer, were not printed; of what is simulated, only MACs do not depend on "
        "them.": any(not _is_simulated(row) for row in mixed),
        "mixed: its bits, layer by layer, were not printed; they are chosen here as Rusci et al. choose them, until it "
        "fits, and what accuracy they leave is not known.": any(_is_simulated(row) for row in mixed),
        f"latency: with the TinyEngine of 2020 where the row was measured on it; {_CURRENT}: with that release, whose "
        "kernels are faster.": True,
        "Accuracies are those of the networks' own sources.": True,
    }
    return tuple(note for note, is_told in is_said.items() if is_told)


def _is_simulated(row: Row) -> bool:
    takes = row.cells[_TAKES]
    return isinstance(takes, Figure) and takes.value is not None

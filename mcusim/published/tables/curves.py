"""The points behind the plots of published figures: printed and simulated, panel by panel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from mcusim import published
from mcusim.boards import load_board
from mcusim.published import Unit
from mcusim.published.tables.document import Figure, Inputs, Row, Table
from mcusim.published.tables.runtimes import runtimes_document
from mcusim.published.tables.table4 import table4_document
from mcusim.published.tables.vww import BOARD, SMALL_BOARD, Option, Way, cuts, networks

__all__ = ["CHARTS", "Budget", "Chart", "Dot", "Panel", "runtimes_chart", "table4_chart", "vww_chart"]


class Dot(NamedTuple):
    """value, low, high: in base units of its panel's unit.   accuracy: percent, None where the panel has none.

    is_bound: only a limit is printed.   ran_out: it did not run for want of memory, and there is no value.
    is_grey: below eight bits.
    """

    series: str
    name: str
    is_published: bool
    value: float | None
    low: float | None = None
    high: float | None = None
    accuracy: float | None = None
    is_bound: bool = False
    ran_out: bool = False
    is_grey: bool = False


class Budget(NamedTuple):
    """value: in base units."""

    name: str
    value: float


class Panel(NamedTuple):
    key: str
    title: str
    unit: Unit
    dots: tuple[Dot, ...]
    budgets: tuple[Budget, ...] = ()


class Chart(NamedTuple):
    """inputs: what it was made from."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    inputs: Inputs


# ---------------------------------------------------------------------------------------------------------------------
# Table 4


def table4_chart() -> Chart:
    """Top-1 against SRAM, a panel for each board."""
    document = table4_document()
    table = document.tables[0]
    rows = zip(table.rows, published.table4().rows, table.figures("sram"), table.figures("top1"), strict=True)
    dots: dict[str, list[Dot]] = {}
    for row, printed, sram, top1 in rows:
        name = f"{printed.model} {printed.precision}" if printed.is_grey else printed.model
        dots.setdefault(row.board, []).extend(_accuracy_dots(name, row, sram, top1))
    panels = []
    for name, points in dots.items():
        board = load_board(name)
        panels.append(Panel(name, name, Unit.KIB, tuple(points), (Budget(name, board.sram_budget_bytes),)))
    return Chart("table4", document.title, tuple(panels), document.inputs)


def _accuracy_dots(name: str, row: Row, sram: Figure, top1: Figure) -> Iterator[Dot]:
    """What is printed, and what is simulated where anything is."""
    number = sram.printed.number
    if number is not None and top1.printed.value is not None:
        yield Dot(
            series="published",
            name=name,
            is_published=True,
            value=float(number) * sram.unit.base,
            accuracy=top1.printed.value,
            is_bound=sram.printed.is_bound,
            is_grey=row.is_grey,
        )
    if sram.value is not None and top1.value is not None:
        yield Dot(
            series=f"simulated, counted as {sram.counted_as}",
            name=row.network,
            is_published=False,
            value=sram.value,
            accuracy=top1.value,
            is_grey=row.is_grey,
        )


# ---------------------------------------------------------------------------------------------------------------------
# Visual Wake Words


def vww_chart() -> Chart:
    """Accuracy against SRAM and against latency: published points, and every network whole and cut."""
    cut_networks = [cuts(name) for name in networks()]
    whole, free = ([each.by_way[way] for each in cut_networks] for way in (Way.LAYER, Way.ANY))
    options = [*whole, *(option for each in cut_networks for option in each.frontier), *free]
    boards = (SMALL_BOARD, "stm32f412", BOARD)
    budgets = [Budget(name, load_board(name).sram_budget_bytes) for name in boards]
    sram = Panel(
        "sram", "Peak SRAM", Unit.KIB, (*_printed_points("sram"), *map(_sram_dot, options)), tuple(budgets[:2])
    )
    latency = Panel("latency", f"Latency on {BOARD}", Unit.MS, (*_printed_points("latency"), *map(_time_dot, options)))
    inputs = Inputs(("vww",), networks(), tuple(sorted(boards)))
    return Chart("vww", published.vww().title, (sram, latency), inputs)


def _printed_points(key: str) -> Iterator[Dot]:
    """Those of the board that is simulated, and what the text claims of a network that nobody released."""
    for point in published.vww().points:
        figure = point.sram if key == "sram" else point.latency
        is_claim = not point.network
        if figure.number is None or point.accuracy.number is None or not (is_claim or point.board == BOARD):
            continue
        unit = Unit.KIB if key == "sram" else Unit.MS
        yield Dot(
            series="claimed" if is_claim else "published, per layer",
            name=point.network or "MCUNetV2",
            is_published=True,
            value=float(figure.number) * unit.base,
            accuracy=float(point.accuracy.number),
            is_bound=is_claim,
        )


def _sram_dot(option: Option) -> Dot:
    return _dot(option, option.report.sram.peak_bytes, None, None)


def _time_dot(option: Option) -> Dot:
    time = option.report.latency
    return _dot(option, time.ms, time.low_ms, time.high_ms)


def _dot(option: Option, value: float | None, low: float | None, high: float | None) -> Dot:
    return Dot(
        series=f"simulated, {option.way}",
        name=option.network,
        is_published=False,
        value=value,
        low=low,
        high=high,
        accuracy=option.accuracy.value,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Libraries


def runtimes_chart() -> Chart:
    """Latency, SRAM and flash of every network under every library: a panel each."""
    document = runtimes_document()
    table = document.tables[0]
    board = load_board(table.rows[0].board)
    budgets: Mapping[str, tuple[Budget, ...]] = {
        "sram": (Budget(board.name, board.sram_budget_bytes),),
        "flash": (Budget(board.name, board.flash_bytes),),
    }
    panels = [
        Panel(column.key, column.title, column.unit, tuple(_bars(table, column.key)), budgets.get(column.key, ()))
        for column in table.columns
        if column.unit is not None
    ]
    return Chart("runtimes", document.title, tuple(panels), document.inputs)


def _bars(table: Table, key: str) -> Iterator[Dot]:
    for row, figure in zip(table.rows, table.figures(key), strict=True):
        yield Dot(row.label, row.network, True, figure.printed_value, ran_out=figure.printed.ran_out)
        if figure.value is not None:
            yield Dot(row.label, row.network, False, figure.value, figure.low, figure.high)


CHARTS = MappingProxyType({"table4": table4_chart, "vww": vww_chart, "runtimes": runtimes_chart})
"""Every chart by name."""

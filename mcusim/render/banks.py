"""Which buffers lie in which memory bank of a board, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from mcusim.boards.board import Board
from mcusim.memory.banks import BankUse, RunUse, Spread, beyond_end
from mcusim.memory.planning import MemoryPlan, Tenant
from mcusim.render.arena import peak_step
from mcusim.render.text import Glyphs, first_name, in_kib, kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import BankInfo
from mcusim.units import format_ms, format_percent

__all__ = ["bank_lines", "bank_table", "spread_lines"]

SHOWN = 4

_COLUMNS = (
    Column(),
    Column(right=True),
    Column(right=True),
    Column(right=True),
    Column(drop=2, least=4, most=14, gap=1),
    Column(drop=1, least=16),
)


def bank_table(banks: Sequence[BankInfo], width: int, glyphs: Glyphs) -> list[Text]:
    """The banks of a report: how full, and what each holds at the peak."""
    rows = []
    for bank in banks:
        holds = _names(bank.buffers) if bank.in_run else f"{bank.kind}, outside the arena's piece of memory"
        rows.append(_row(bank.name, bank.used_bytes, bank.size_bytes, holds, bank.in_run, bank.reserved_bytes))
    heading = "Memory banks, and what each holds at the peak"
    return [*paragraph(heading, width, style="bold"), *_rows_shown(rows, width, glyphs)]


def bank_lines(plan: MemoryPlan, board: Board, uses: Sequence[BankUse], width: int, glyphs: Glyphs) -> list[Text]:
    """The arena in one piece: bank by bank, at the fullest step; buffers across a border are named in both."""
    over = uses[-1].over_bytes if uses else 0
    run = " + ".join(use.bank.name for use in uses)
    size = sum(use.bank.size_bytes for use in uses)
    if plan.total_bytes > board.sram_budget_bytes:
        reserved = f", {board.reserved_bytes:,} of it reserved" if board.reserved_bytes else ""
        verdict = (
            f"does not fit {run} in one piece{reserved}: {in_kib(plan.total_bytes - board.sram_budget_bytes)} over"
        )
    else:
        verdict = f"fits {run} in one piece, {in_kib(board.sram_budget_bytes - plan.total_bytes)} free"
    heading = f"On {board.name}: {verdict} of {kib(size)}"
    peak = peak_step(plan)
    rows = []
    for use in uses:
        there = [(tenant, size) for tenant, size in use.tenants if tenant.is_alive(peak)]
        names = [
            t.name if size == t.size_bytes else f"{first_name(t.name)} ({in_kib(size)} of it)" for t, size in there
        ]
        used = use.used_bytes + use.over_bytes
        rows.append(_row(use.bank.name, used, use.bank.size_bytes, _names(names), True, board.reserved_in(use.bank)))
    lines = [
        *paragraph(heading, width, style="bold red" if over else "bold"),
        *_rows_shown(rows, width, glyphs),
    ]
    beyond = beyond_end(board, plan.tenants())
    if beyond:
        parts = ", ".join(_part(tenant, size) for tenant, size in sorted(beyond, key=lambda pair: -pair[1]))
        lines += paragraph(f"! Beyond the end of that piece: {parts}.", width, style="red", hanging="  ")
    outside = [b for b in board.memory if b not in board.arena_run]
    if outside:
        listed = ", ".join(f"{bank.name} {in_kib(bank.size_bytes)}" for bank in outside)
        lines += paragraph(f"Not in that piece: {listed}.", width, style="dim")
    return lines


def _part(tenant: Tenant, size: int) -> str:
    """What of a buffer lies there, and when it does."""
    part = "all" if size == tenant.size_bytes else kib(size)
    return f"{first_name(tenant.name)} ({part} of {in_kib(tenant.size_bytes)}, steps {tenant.first}-{tenant.end - 1})"


def _rows_shown(rows: Sequence[list[Cell | Bar]], width: int, glyphs: Glyphs) -> list[Text]:
    """The rows as a table; where their last texts would be cut, each on lines of its own below."""
    lines = table(_COLUMNS, rows, width, glyphs, header=False)
    texts = [cell.text if isinstance(cell := row[-1], Cell) else "" for row in rows]
    if all(line.plain.endswith(text) for line, text in zip(lines, texts, strict=True)):
        return lines
    short = table(_COLUMNS[:-1], [row[:-1] for row in rows], width, glyphs, header=False)
    return [
        part
        for line, text in zip(short, texts, strict=True)
        for part in (line, *(paragraph(text, width, indent="    ", style="dim") if text else []))
    ]


def _row(name: str, used: int, size: int, holds: str, in_run: bool, reserved: int = 0) -> list[Cell | Bar]:
    style = "red" if used > size - reserved else ""
    if reserved:
        holds = f"{in_kib(reserved)} reserved; {holds}".removesuffix("; ")
    return [
        Cell(name, "" if in_run else "dim"),
        Cell(in_kib(used), style),
        Cell(f"of {kib(size)}", "dim"),
        Cell(format_percent(used / size), style),
        Bar(used / size, style or "cyan", track=True),
        Cell(holds, "dim"),
    ]


def _names(names: Sequence[str]) -> str:
    shown = [first_name(name) for name in names[:SHOWN]]
    more = len(names) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def spread_lines(spread: Spread, width: int, glyphs: Glyphs) -> list[Text]:
    """Buffers spread over the runs of banks: what a runtime could do that places each where there is room."""
    total = sum(run.size_bytes for run in spread.runs)
    if spread.fits:
        heading, style = "Spread over all banks, buffer by buffer, it would fit:", "bold green"
    else:
        heading = f"Even spread over all banks ({in_kib(total)} together), some buffer finds no place:"
        style = "bold red"
    rows = []
    for run in spread.runs:
        largest = sorted(run.buffers, key=lambda pair: -pair[1])
        name = " + ".join(bank.name for bank in run.banks)
        rows.append(_row(name, run.used_bytes, run.size_bytes, _names([n for n, _ in largest]), True))
    lines = [*paragraph(heading, width, style=style), *_rows_shown(rows, width, glyphs)]
    for name, size in spread.left:
        lines += paragraph(f"! {first_name(name)}: {in_kib(size)}, and no piece has room for it.", width, style="red")
    for run in spread.runs:
        if run.is_external and run.buffers:
            lines += paragraph(f"! {_cost(run)}", width, style="yellow", hanging="  ")
    return lines


def _cost(run: RunUse) -> str:
    sentence = (
        f"{run.banks[0].name} is external memory: {in_kib(run.moved_bytes)} are read and written there an inference"
    )
    if run.seconds is None:
        return f"{sentence}; how long that takes is not known (bytes_per_second in the profile)."
    return f"{sentence}, at least {format_ms(run.seconds * 1e3)} more."

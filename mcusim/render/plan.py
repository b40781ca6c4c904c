"""The terminal view of one network's memory: the plan, its picture, and what all of it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from rich.text import Text

from mcusim.boards.board import Board
from mcusim.lowering.reorder import Reordered
from mcusim.memory.counting import Comparison
from mcusim.memory.flash import FlashLedger, KernelCode
from mcusim.memory.planning import MemoryPlan, Tenant
from mcusim.render.arena import marks_of, peak_step, step_words, timeline_lines
from mcusim.render.catalog import fields
from mcusim.render.naming import kind_words
from mcusim.render.text import BASIS_WORDS, Glyphs, first_name, headline, in_kib, kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table
from mcusim.report import Basis
from mcusim.runtimes import CodeItem, LedgerItem
from mcusim.units import format_percent

__all__ = ["BufferChoice", "comparison_lines", "ledger_lines", "plan_lines"]


HEAD, WORDS, STUB, GAP = 34, 44, 22, 2
"""Of a ledger, in cells: what names and figures need, what its words would like, with how few they stand beside the
figures, and what is between."""


class BufferChoice(StrEnum):
    """Which buffers the table shows."""

    PEAK = "peak"
    ALL = "all"
    NONE = "none"


def plan_lines(
    plan: MemoryPlan,
    why: str,
    ledger: FlashLedger,
    reordered: Reordered | None,
    width: int,
    glyphs: Glyphs,
    buffers: BufferChoice = BufferChoice.PEAK,
) -> list[Text]:
    """All but the banks, as lines of at most `width` cells.   why: this runtime, where nobody named one."""
    name = plan.program.graph.name
    lines = headline(f"{name} with {plan.runtime.name}", _verdict(plan), _style(plan), width)
    if why:
        lines += paragraph(f"{plan.runtime.name}; {why}", width, style="dim")
    for refusal in plan.refusals:
        lines += paragraph(f"! {refusal}", width, style="yellow", hanging="  ")
    lines += [Text(), *fields(_facts(plan, reordered), width)]
    lines += [Text(), *timeline_lines(plan, width, glyphs)]
    if buffers is not BufferChoice.NONE:
        lines += [Text(), *_buffers(plan, width, glyphs, buffers)]
    persistent = plan.runtime.persistent_ledger(plan.graph)
    if persistent:
        heading = f"Persistent: {plan.persistent.size_bytes:,} bytes ({plan.runtime.persistent_basis})"
        lines += [Text(), *ledger_lines(heading, persistent, width, glyphs)]
    if plan.persistent.warning:
        lines += paragraph(f"! {plan.persistent.warning}.", width, style="yellow", hanging="  ")
    return [*lines, Text(), *_flash(ledger, width, glyphs)]


def _verdict(plan: MemoryPlan) -> str:
    best = plan.best
    if plan.arena_bytes < best.arena_bytes:
        return f"arena of {in_kib(plan.arena_bytes)}, smaller than any plan found"
    if plan.proved:
        return f"arena of {in_kib(plan.arena_bytes)}, proved minimal"
    if plan.arena_bytes == best.arena_bytes:
        return f"arena of {in_kib(plan.arena_bytes)}, at most {format_percent(best.gap)} above the smallest"
    proof = "the proved minimum" if best.proved else "the smallest found"
    return f"arena of {in_kib(plan.arena_bytes)}, {format_percent(plan.excess)} above {proof}"


def _style(plan: MemoryPlan) -> str:
    return "bold green" if plan.proved else "bold yellow"


def _facts(plan: MemoryPlan, reordered: Reordered | None) -> Iterable[tuple[str, str]]:
    best, runtime = plan.best, plan.runtime
    if plan.program.outside_bytes:
        yield "input", f"{_amount(plan.program.outside_bytes)} external, not counted"
    yield "arena", f"{_amount(plan.arena_bytes)}, placed by {plan.planner_name} ({runtime.memory_basis})"
    if plan.held_bytes:
        held = [b for b in plan.tenants() if b.index >= 0 and b.offset_bytes >= plan.arena_bytes and b.size_bytes]
        yield "beside it", f"{_amount(plan.held_bytes)}: {', '.join(f'{b.name} {b.size_bytes:,}' for b in held)}"
    if plan.persistent.size_bytes:
        yield "persistent", f"{_amount(plan.persistent.size_bytes)} ({runtime.persistent_basis})"
    if plan.setup_bytes:
        yield "setting up", f"{plan.setup_bytes:,} bytes more, to set up in and for alignment"
    harness_bytes = runtime.harness(plan.graph)
    if plan.recommended_arena_bytes is not None:
        whose = ", to plain firmware" if harness_bytes else ""
        yield "arena to give", f"{_amount(plan.recommended_arena_bytes)}{whose}"
    elif plan.total_bytes != plan.arena_bytes:
        yield "total", _amount(plan.total_bytes)
    if harness_bytes:
        yield "not counted", f"{harness_bytes:,} bytes that TFLM's benchmark adds: a recorder, slots for variables"
    if best.proved:
        proof = f"proved, {best.method}"
    else:
        proof = (
            f"none takes less than {best.lower_bound_bytes:,} bytes, a gap of {format_percent(best.gap)}; {best.method}"
        )
    yield "smallest plan", f"{_amount(best.arena_bytes)}: {proof}"
    most = max(plan.alive_bytes, default=0)
    unused = f"; {format_percent(plan.fragmentation)} of the arena is gaps then" if plan.fragmentation else ""
    yield "alive at most", f"{_amount(most)}{unused}"
    if reordered is not None:
        yield "order", _order(reordered)


def _order(reordered: Reordered) -> str:
    proof = "proved best" if reordered.proved else f"none is below {reordered.lower_bound_bytes:,}"
    if reordered.peak_bytes == reordered.old_peak_bytes:
        return f"as it is: no order found has less than {reordered.old_peak_bytes:,} bytes alive ({proof})"
    moved = sum(index != place for place, index in enumerate(reordered.order))
    alive = f"{reordered.old_peak_bytes:,} -> {reordered.peak_bytes:,} bytes"
    return f"another one, {moved} nodes moved: alive {alive} ({proof})"


def _amount(size_bytes: int) -> str:
    return f"{in_kib(size_bytes)} ({size_bytes:,} bytes)"


def _buffers(plan: MemoryPlan, width: int, glyphs: Glyphs, choice: BufferChoice) -> list[Text]:
    """The table of buffers: those there at the fullest step, highest first, or all."""
    tenants = [tenant for tenant in plan.tenants() if tenant.size_bytes]
    marks, peak = marks_of(tenants), peak_step(plan)
    shown = tenants if choice is BufferChoice.ALL else [t for t in tenants if t.is_alive(peak)]
    ordered = sorted(
        shown, key=lambda t: (t.first, t.offset_bytes) if choice is BufferChoice.ALL else (-t.offset_bytes,)
    )
    heading = "All buffers" if choice is BufferChoice.ALL else f"There at {step_words(plan, peak)}, highest first"
    columns = (
        Column(),
        Column("buffer", least=12, most=48),
        Column("kind", drop=3),
        Column("from", right=True),
        Column("KiB", right=True),
        Column("", drop=2, least=4, most=14, gap=1),
        Column("steps", right=True, drop=1),
    )
    largest = max((tenant.size_bytes for tenant in ordered), default=1)
    rows = [_tenant_row(tenant, marks[tenant.index], largest) for tenant in ordered]
    return [*paragraph(heading, width, style="bold"), *table(columns, rows, width, glyphs)]


def _tenant_row(tenant: Tenant, mark: str, largest: int) -> list[Cell | Bar]:
    return [
        Cell(mark, "bold"),
        Cell(first_name(tenant.name)),
        Cell(kind_words(tenant), "dim"),
        Cell(f"{tenant.offset_bytes:,}"),
        Cell(kib(tenant.size_bytes)),
        Bar(tenant.size_bytes / largest, "cyan"),
        Cell(f"{tenant.first}-{tenant.end - 1}", "dim"),
    ]


def ledger_lines(heading: str, items: Sequence[LedgerItem], width: int, glyphs: Glyphs) -> list[Text]:
    """A ledger: an item a row, and beside or below it all of what it is."""
    total = sum(item.size_bytes for item in items) or 1
    rows: list[list[Cell | Bar]] = [
        [Cell(item.name), Cell(f"{item.size_bytes:,}"), Bar(item.size_bytes / total, "cyan")] for item in items
    ]
    columns = (Column(), Column(right=True), Column(drop=1, least=4, most=12, gap=1))
    heads = table(columns, rows, max(width - WORDS - GAP, min(width, HEAD)), glyphs, header=False)
    margin = max((head.cell_len for head in heads), default=0) + GAP
    room = width - margin
    lines = paragraph(heading, width, style="bold")
    for head, item in zip(heads, items, strict=True):
        if room < STUB:
            lines += [head, *paragraph(item.why, width, style="dim", indent="    ")]
            continue
        first, *more = paragraph(item.why, room, style="dim")
        lines.append(Text.assemble(head, " " * (margin - head.cell_len), first, no_wrap=True))
        lines += [Text(" " * margin, no_wrap=True).append_text(line) for line in more]
    return lines


def _flash(ledger: FlashLedger, width: int, glyphs: Glyphs) -> list[Text]:
    """Model, operators or kernels, runtime."""
    total = "not known" if ledger.total_bytes is None else f"{ledger.total_bytes:,} bytes"
    known = [_code_line(item) for item in ledger.code if item.size_bytes is not None]
    lines = ledger_lines(f"Flash: {total}", [*ledger.model, *known], width, glyphs)
    if ledger.code_bytes is not None:
        untold = [item.name for item in ledger.code if item.size_bytes is None]
        more = f", and {', '.join(untold)} on top" if untold else ""
        least = "at least " if untold else ""
        sentence = f"Code: {least}{ledger.code_bytes:,} bytes{more} ({ledger.basis}, {BASIS_WORDS[ledger.basis]})."
        lines += paragraph(sentence, width, style="dim")
    itemised = {item.name for item in ledger.code}
    others = [kernel for kernel in ledger.kernels if kernel.name not in itemised]
    if others:
        also = "also " if len(others) < len(ledger.kernels) else ""
        sentence = f"Kernels that it {also}runs: {', '.join(map(_kernel_shown, others))}."
        lines += paragraph(sentence, width, style="dim")
    if ledger.note:
        lines += paragraph(f"! {ledger.note}.", width, style="yellow", hanging="  ")
    return lines


def _code_line(item: CodeItem) -> LedgerItem:
    return LedgerItem(item.name, item.size_bytes or 0, f"code: {item.why}")


def _kernel_shown(kernel: KernelCode) -> str:
    size = "" if kernel.size_bytes is None else f", {kernel.size_bytes:,} B"
    return f"{kernel.name} ({kernel.layers}{size})"


# ---------------------------------------------------------------------------------------------------------------------
# Ways of counting, side by side


def comparison_lines(
    name: str, rows: Sequence[Comparison], board: Board | None, width: int, glyphs: Glyphs
) -> list[Text]:
    """A row for each runtime and convention, and below it what it counts."""
    largest = max(row.total_bytes for row in rows)
    columns = (
        Column(least=8),
        Column(right=True),
        Column(drop=2, least=4, most=20, gap=1),
        Column(whole=True),
        Column(drop=3),
        Column(drop=1),
    )
    cells: list[list[Cell | Bar]] = []
    for row in rows:
        verdict, style = _against(row, board)
        cells.append(
            [
                Cell(row.name, "bold"),
                Cell(f"{'> ' if row.unknown else ''}{in_kib(row.total_bytes)}", style if style == "red" else ""),
                Bar(row.total_bytes / (largest or 1), "red" if style == "red" else "cyan"),
                Cell(verdict, style),
                Cell("placed" if row.is_placement else f"a {row.kind}", "dim"),
                Cell(str(row.basis), "yellow" if row.basis is Basis.CALIBRATED else "dim"),
            ]
        )
    heads = table(columns, cells, width, glyphs, header=False)
    against = "" if board is None else f", against the {in_kib(board.sram_budget_bytes)} of {board.name}"
    lines = [*paragraph(f"{name}: RAM by every way of counting{against}", width, style="bold"), Text()]
    for head, row in zip(heads, rows, strict=True):
        lines.append(head)
        lines += paragraph(_counted(row), width, indent="    ", style="dim")
    return lines


def _against(row: Comparison, board: Board | None) -> tuple[str, str]:
    """Whether the board's budget holds it, and the colour of that."""
    if board is None:
        return "", ""
    if row.total_bytes > board.sram_budget_bytes:
        return "over", "red"
    return ("fits", "green") if not row.unknown else ("unknown", "yellow")


def _counted(row: Comparison) -> str:
    parts = [f"{name} {size:,}" for name, size in row.parts.items() if size]
    sentence = f"{row.what}: {' + '.join(parts)}"
    sentence += f". {row.unknown}" if row.unknown else ""
    return f"{sentence}. {row.evidence}" if row.basis is Basis.CALIBRATED else sentence

"""One arena for several networks, as lines."""

from __future__ import annotations

from rich.text import Text

from mcusim.memory.sharing import SharedPlan
from mcusim.render.naming import distinct_names
from mcusim.render.text import Glyphs, in_kib, kib, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table

__all__ = ["sharing_lines"]


def sharing_lines(plan: SharedPlan, why: str, width: int, glyphs: Glyphs) -> list[Text]:
    """A row a network, and what they take together.   why: this runtime, where nobody named one."""
    largest = max(plan.arena_bytes, *(each.persistent.size_bytes for each in plan.plans), 1)
    columns = (
        Column("network", least=12, most=40),
        Column("head KiB", right=True),
        Column("", drop=2, least=4, most=20, gap=1),
        Column("tail KiB", right=True),
        Column("alone KiB", right=True, drop=1),
    )
    cells: list[list[Cell | Bar]] = [
        [
            Cell(name, "bold" if each.arena_bytes == plan.arena_bytes else ""),
            Cell(kib(each.arena_bytes)),
            Bar(each.arena_bytes / largest, "cyan"),
            Cell(kib(each.persistent.size_bytes)),
            Cell(kib(each.total_bytes), "dim"),
        ]
        for each, name in zip(plan.plans, distinct_names(plan.sources), strict=True)
    ]
    title = (
        f"{len(plan.plans)} networks with {plan.runtime.name} in one arena of {in_kib(plan.recommended_arena_bytes)}"
    )
    chosen = paragraph(f"{plan.runtime.name}; {why}", width, style="dim") if why else []
    lines = [*paragraph(title, width, style="bold"), *chosen, Text(), *table(columns, cells, width, glyphs), Text()]
    sentences = [
        f"arena to give: {plan.recommended_arena_bytes:,} bytes: the largest head ({plan.arena_bytes:,}), all tails "
        f"({plan.persistent_bytes:,}), and {plan.setup_bytes:,} to set up in and for alignment; an arena each: "
        f"{plan.apart_bytes:,}.",
        "One MicroAllocator for all interpreters, set up in this order; one of them runs at a time.",
    ]
    for each in sentences:
        lines += paragraph(each, width)
    for each in plan.warnings:
        lines += paragraph(f"! {each}", width, style="yellow", hanging="  ")
    return lines

"""The memory timeline as a plot: steps across, bytes up, a rectangle for each buffer where it lies.

Colours tell the kind of a buffer. Those that are there at the fullest step are outlined and listed beside the plot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcusim.boards.board import Board
from mcusim.memory.planning import PERSISTENT, MemoryPlan, Tenant
from mcusim.program import BufferKind
from mcusim.render import style
from mcusim.render.arena import peak_step, step_words
from mcusim.render.naming import KIND_WORDS
from mcusim.render.text import first_name, in_kib
from mcusim.units import BYTES_PER_KIB, format_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["timeline_plot"]

HEIGHT_INCHES = 3.8
LISTED = 4
"""Lines beside the plot: more would reach the legend."""
NAME_LENGTH = 26
THIN = 0.01
"""Of the picture's height: a buffer so low gets no outline."""


@dataclass(frozen=True, slots=True)
class _Look:
    label: str
    face: str
    hatch: str = ""


_LOOKS = {
    BufferKind.INPUT: _Look(KIND_WORDS[BufferKind.INPUT], style.GREEN),
    BufferKind.OUTPUT: _Look(KIND_WORDS[BufferKind.OUTPUT], style.YELLOW),
    BufferKind.ACTIVATION: _Look(KIND_WORDS[BufferKind.ACTIVATION], style.SKY),
    BufferKind.SCRATCH: _Look(KIND_WORDS[BufferKind.SCRATCH], style.PURPLE, "////"),
    BufferKind.HELD: _Look(KIND_WORDS[BufferKind.HELD], style.LIGHT, "||||"),
    BufferKind.VARIABLE: _Look(KIND_WORDS[BufferKind.VARIABLE], style.LIGHT, "...."),
}
_PERSISTENT = _Look(KIND_WORDS[BufferKind.PERSISTENT], style.LIGHT, "\\\\\\\\")


def timeline_plot(plan: MemoryPlan, board: Board | None, kind: str) -> bytes:
    """The plot as a file of `kind`: svg, png or pdf. board: whose budget is drawn."""
    tenants = [tenant for tenant in plan.tenants() if tenant.size_bytes]
    with style.figure(HEIGHT_INCHES) as made:
        axes, side = made.subplots(1, 2, width_ratios=(3.6, 1))
        _draw_buffers(axes, tenants, peak_step(plan), plan.total_bytes)
        limits = _draw_limits(axes, plan, board)
        _label(axes, plan)
        _list(side, plan, tenants, limits)
        return style.drawn(made, kind)


def _look(tenant: Tenant) -> _Look:
    return _PERSISTENT if tenant.name == PERSISTENT and tenant.index < 0 else _LOOKS[tenant.kind]


def _draw_buffers(axes: Axes, tenants: list[Tenant], peak: int, total_bytes: int) -> None:
    """A rectangle a buffer. Outlines of thin ones would be all that is seen of them."""
    from matplotlib.patches import Rectangle

    for tenant in sorted(tenants, key=lambda t: t.is_alive(peak)):  # outlines of the fullest step go on top
        look, there = _look(tenant), tenant.is_alive(peak)
        is_outlined = there and tenant.size_bytes > THIN * total_bytes
        axes.add_patch(
            Rectangle(
                (tenant.first, tenant.offset_bytes / BYTES_PER_KIB),
                tenant.end - tenant.first,
                tenant.size_bytes / BYTES_PER_KIB,
                facecolor=style.ORANGE if there and tenant.kind is BufferKind.ACTIVATION else look.face,
                edgecolor=style.BLACK if is_outlined else "none" if there else "white",
                hatch=look.hatch or None,
                linewidth=0.8 if is_outlined else 0.0 if there else 0.3,
            )
        )


def _draw_limits(axes: Axes, plan: MemoryPlan, board: Board | None) -> dict[str, Any]:
    """Lines at the budget and at the minimum; what they mean by line, for the legend: words would lie on buffers."""
    steps, total = plan.program.length, plan.total_bytes / BYTES_PER_KIB
    top, lines = total, {}
    if board is not None:
        budget = board.sram_budget_bytes / BYTES_PER_KIB
        if budget > style.BUDGET_IN_VIEW * total:
            style.draw_budget(axes, board.name, budget, total, steps)
        else:
            limit = axes.axhline(budget, color=style.RED, linewidth=1.0, linestyle=(0, (4, 2)), zorder=5)
            lines[f"{board.name}: {in_kib(board.sram_budget_bytes)}"] = limit
            top = max(total, budget)
    if plan.best.arena_bytes < plan.arena_bytes:
        word = "minimum" if plan.best.proved else "smallest found"
        least, dotted = plan.best.arena_bytes / BYTES_PER_KIB, (0, (1, 1.5))
        minimum = axes.axhline(least, color=style.BLACK, linewidth=0.8, linestyle=dotted, zorder=5)
        lines[f"{word}: {in_kib(plan.best.arena_bytes)}"] = minimum
    axes.set_xlim(0, max(steps, 1))
    axes.set_ylim(0, top * 1.10)
    return lines


def _label(axes: Axes, plan: MemoryPlan) -> None:
    peak, graph = peak_step(plan), plan.program.graph
    axes.set_title(f"{graph.name} with {plan.runtime.name}: {in_kib(plan.total_bytes)}")
    axes.set_xlabel("step, in order of execution")
    axes.set_ylabel("KiB from the start of the arena")
    axes.annotate(
        "",
        (peak + 0.5, 0),
        (0, -7),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-|>", "color": style.BLACK, "linewidth": 0.8, "mutation_scale": 7},
        annotation_clip=False,
    )
    axes.tick_params(axis="x", pad=6)
    style.whole_numbers(axes)


def _list(side: Axes, plan: MemoryPlan, tenants: list[Tenant], limits: dict[str, Any]) -> None:
    """What is there at the fullest step, highest first, and what the colours mean."""
    from matplotlib.patches import Patch

    peak = peak_step(plan)
    side.set_axis_off()
    there = sorted([t for t in tenants if t.is_alive(peak)], key=lambda t: -t.offset_bytes)
    lines = [f"▲ fullest at {step_words(plan, peak)}", f"{plan.step_ops()[peak]}", ""]
    shown = there if len(there) <= LISTED else sorted(there, key=lambda t: -t.size_bytes)[: LISTED - 1]
    for tenant in shown:
        lines += [in_kib(tenant.size_bytes), f"  {_short(first_name(tenant.name))}"]
    rest = [tenant for tenant in there if tenant not in shown]
    if rest:
        lines += [in_kib(sum(t.size_bytes for t in rest)), f"  {len(rest)} more"]
    if plan.fragmentation:
        lines += ["", f"{format_percent(plan.fragmentation)} of the arena is gaps"]
    side.text(0, 1, "\n".join(lines), va="top", ha="left", fontsize=style.SMALL_POINTS, linespacing=1.35)
    used: dict[str, Any] = {}
    for tenant in tenants:
        look = _look(tenant)
        used.setdefault(look.label, Patch(facecolor=look.face, hatch=look.hatch or None, edgecolor=style.GREY))
    used["there when fullest"] = Patch(facecolor=style.ORANGE, edgecolor=style.BLACK)
    used.update(limits)
    side.legend(used.values(), used.keys(), loc="lower left", borderaxespad=0, handlelength=1.4, borderpad=0)


def _short(name: str) -> str:
    """The end of a long name: what tells layers apart."""
    return name if len(name) <= NAME_LENGTH else f"…{name[-NAME_LENGTH + 1 :]}"

"""Which buffers lie in which memory bank: of an arena in one piece, and of one spread over all banks of a board.

A runtime with one arena lays it into one run of banks without a gap; a buffer may then lie across a border. Where that
run is too small, the buffers might still fit if each were put into some run: that needs a runtime which places them
so, and external memory takes time of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mcusim.boards.board import Board, MemoryBank, total_bytes
from mcusim.graph import ABSENT
from mcusim.memory.planning import MemoryPlan, Tenant
from mcusim.planners.blocks import Block, join
from mcusim.program import Buffer, BufferKind, Program

__all__ = ["BankUse", "RunUse", "Spread", "bank_uses", "beyond_end", "external_runs", "moved_bytes", "spread_out"]


class BankUse(NamedTuple):
    """One bank of the run that holds the arena.

    used_bytes: of it, counted from its start.   tenants: buffers in it, with the bytes of each that lie here.
    over_bytes: bytes of the arena behind the end of the run; in the last bank only.
    """

    bank: MemoryBank
    used_bytes: int
    tenants: tuple[tuple[Tenant, int], ...]
    over_bytes: int = 0


def bank_uses(board: Board, tenants: Sequence[Tenant], total: int) -> tuple[BankUse, ...]:
    """The banks of the arena's run, filled from the lowest address.

    tenants: what lies there, by offset from the start of the run.   total: bytes that they take together.
    """
    uses: list[BankUse] = []
    start = 0
    for bank in board.arena_run:
        end = start + bank.size_bytes
        inside = [(t, min(t.top_bytes, end) - max(t.offset_bytes, start)) for t in tenants]
        # What the run cannot hold shows at its end, as an address behind the last bank.
        over = max(total - end, 0) if bank is board.arena_run[-1] else 0
        used = min(max(total - start, 0), bank.size_bytes)
        uses.append(BankUse(bank, used, tuple((t, size) for t, size in inside if size > 0), over))
        start = end
    return tuple(uses)


def beyond_end(board: Board, tenants: Sequence[Tenant]) -> tuple[tuple[Tenant, int], ...]:
    """Buffers that reach beyond the bytes the arena may take, each with how many of its bytes lie there."""
    end = board.sram_budget_bytes
    over = [(tenant, min(tenant.top_bytes - end, tenant.size_bytes)) for tenant in tenants]
    return tuple((tenant, size) for tenant, size in over if size > 0 and tenant.size_bytes)


class RunUse(NamedTuple):
    """One run of banks and what was put there: (buffer name, bytes).

    moved_bytes: read and written there in one inference, at least.   seconds: what an external memory takes for
    that, None where its rate is not known or it is on the chip.
    """

    banks: tuple[MemoryBank, ...]
    used_bytes: int
    buffers: tuple[tuple[str, int], ...]
    moved_bytes: int = 0
    seconds: float | None = None

    @property
    def is_external(self) -> bool:
        return any(not bank.is_on_chip for bank in self.banks)

    @property
    def size_bytes(self) -> int:
        return total_bytes(self.banks)


class Spread(NamedTuple):
    """Buffers put into several runs. left: those that no run holds, (name, bytes)."""

    runs: tuple[RunUse, ...]
    left: tuple[tuple[str, int], ...]

    @property
    def fits(self) -> bool:
        return not self.left


class _Item(NamedTuple):
    """What is placed as one: a block of buffers, or bytes that are held throughout."""

    names: tuple[str, ...]
    block: Block
    moved_bytes: int


def spread_out(plan: MemoryPlan, board: Board) -> Spread:
    """Every block of the plan in some run of the board's banks: the largest first, into the largest run that has room.

    External memory comes last. Not proved to be the best such plan: what is left over might fit in another one.
    """
    on_chip = sorted(board.runs, key=total_bytes, reverse=True)
    runs = [*on_chip, *external_runs(board)]
    # The board's own reservation (stack, other firmware) is taken from the run that holds the arena.
    reserved = board.reserved_bytes
    room = [total_bytes(run) - (reserved if run == board.arena_run else 0) for run in runs]
    placed: list[list[tuple[int, _Item]]] = [[] for _ in runs]
    left: list[tuple[str, int]] = []
    for item in sorted(_items(plan), key=lambda item: (-item.block.size_bytes, item.block.first)):
        for index in range(len(runs)):
            offset = _lowest_gap(item.block, placed[index])
            if offset + item.block.size_bytes <= room[index]:
                placed[index].append((offset, item))
                break
        else:
            left.append((" > ".join(item.names), item.block.size_bytes))
    return Spread(tuple(_run_use(run, items) for run, items in zip(runs, placed, strict=True)), tuple(left))


def external_runs(board: Board) -> list[tuple[MemoryBank, ...]]:
    """External memory, unless the user has put the arena there already."""
    return [(bank,) for bank in board.memory if not bank.is_on_chip and not bank.holds_arena and bank.arena is None]


def _items(plan: MemoryPlan) -> list[_Item]:
    buffers = plan.program.buffers
    moved = moved_bytes(plan.program)
    items = [
        _Item(tuple(buffers[i].name for i in block.members), block, sum(moved.get(i, 0) for i in block.members))
        for block in join(buffers)
        if block.size_bytes
    ]
    throughout = [(b.name, b.size_bytes, b.alignment) for b in buffers if b.kind is BufferKind.HELD]
    throughout.append(("persistent", plan.persistent.size_bytes, 16))
    for name, size_bytes, alignment in throughout:
        if size_bytes:
            held = Buffer(name, size_bytes, 0, max(plan.program.length, 1), alignment=alignment)
            items.append(_Item((name,), join([held])[0], 0))
    return items


def _lowest_gap(block: Block, placed: Sequence[tuple[int, _Item]]) -> int:
    """The lowest aligned offset at which a block is clear of those that are alive with it."""
    lowest = 0
    for offset, item in sorted(placed, key=lambda pair: pair[0]):
        other = item.block
        # Block heights are taken as constant here: a bank's plan is an estimate of what could fit, not the runtime's.
        if other.first >= block.end or other.end <= block.first:
            continue
        if offset - lowest >= block.size_bytes:
            break
        top = offset + other.size_bytes
        if top > lowest:
            lowest = -(-top // block.alignment) * block.alignment
    return lowest


def _run_use(run: tuple[MemoryBank, ...], items: Sequence[tuple[int, _Item]]) -> RunUse:
    used = max((offset + item.block.size_bytes for offset, item in items), default=0)
    moved = sum(item.moved_bytes for _, item in items)
    ordered = sorted(items, key=lambda pair: (pair[1].block.first, pair[0]))
    names = tuple((" > ".join(item.names), item.block.size_bytes) for _, item in ordered)
    rate = None if run[0].is_on_chip else run[0].bytes_per_second
    return RunUse(run, used, names, moved, moved / rate if rate else None)


def moved_bytes(program: Program) -> Mapping[int, int]:
    """Buffer -> bytes read and written there in one inference, each tensor once a step: what is moved at least."""
    moved: dict[int, int] = {}
    tensors = program.graph.tensors
    for step in program.body():
        for index in (*step.reads, *step.writes):
            if index == ABSENT:
                continue
            view = program.views[index]
            if view.buffer != ABSENT and program.buffers[view.buffer].kind.is_planned:
                # A copied input patch is no tensor of the graph, so the bytes of its buffer count.
                size_bytes = tensors[view.tensor].size_bytes if view.tensor < len(tensors) else 0
                moved[view.buffer] = moved.get(view.buffer, 0) + (size_bytes or program.buffers[view.buffer].size_bytes)
    return moved

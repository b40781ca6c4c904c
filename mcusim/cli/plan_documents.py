"""What `mcusim plan --json` writes: the plan of one network, or every way of counting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

from mcusim.boards.board import Board
from mcusim.cli.documents import ChosenRuntime, Versioned
from mcusim.lowering.reorder import Reordered
from mcusim.memory.banks import BankUse, Spread, beyond_end
from mcusim.memory.counting import Comparison
from mcusim.memory.flash import FlashLedger, KernelCode
from mcusim.memory.planning import MemoryPlan, Tenant
from mcusim.report import Basis
from mcusim.runtimes import CodeItem, LedgerItem
from mcusim.runtimes.choosing import RuntimeChoice

__all__ = ["CountedDocument", "PlanAnswer", "PlanDocument", "chosen_document", "counted_document", "plan_document"]


class BestPlan(TypedDict):
    """The smallest plan. gap: of the runtime's own arena above it, as a share; proved: whether none is smaller."""

    arena_bytes: int
    lower_bound_bytes: int
    proved: bool
    gap: float
    method: str


class StepDocument(TypedDict):
    layer: int | None
    name: str
    op: str
    alive_bytes: int


class FlashDocument(TypedDict):
    """The model's bytes, the kernels that the network runs, and the code that it links."""

    model: Sequence[LedgerItem]
    kernels: Sequence[KernelCode]
    code: Sequence[CodeItem]
    code_bytes: int | None
    total_bytes: int | None
    basis: Basis


class BufferBytes(TypedDict):
    name: str
    bytes: int


class BankDocument(TypedDict):
    """A bank of the run that holds the arena. beyond: buffers behind its end, in the last bank only."""

    name: str
    address: int
    size_bytes: int
    used_bytes: int
    over_bytes: int
    buffers: list[BufferBytes]
    beyond: list[BufferBytes]


class RunDocument(TypedDict):
    """Banks whose addresses follow one another, and what was put there."""

    banks: list[str]
    size_bytes: int
    used_bytes: int
    external: bool
    moved_bytes: int
    seconds: float | None
    buffers: list[BufferBytes]


class SpreadDocument(TypedDict):
    """Buffers put into several runs. left: those that no run holds."""

    fits: bool
    runs: list[RunDocument]
    left: list[BufferBytes]


class PlanDocument(Versioned):
    """What `mcusim plan` answers. banks, spread: None without --profile, or where they do not apply."""

    model: str
    runtime: ChosenRuntime
    planner: str
    arena_bytes: int
    scratch_bytes: int
    persistent_bytes: int
    setup_bytes: int
    total_bytes: int
    recommended_arena_bytes: int | None
    harness_bytes: int
    alive_bytes: int
    fragmentation: float
    best: BestPlan
    refusals: Sequence[str]
    order: Sequence[int] | None
    steps: list[StepDocument]
    buffers: Sequence[Tenant]
    persistent: Sequence[LedgerItem]
    flash: FlashDocument
    banks: list[BankDocument] | None
    spread: SpreadDocument | None


class CountingDocument(TypedDict):
    """One way of counting. unknown: why a part cannot be known exactly."""

    name: str
    kind: str
    total_bytes: int
    parts: Mapping[str, int]
    basis: Basis
    what: str
    evidence: str
    unknown: str | None


class CountedDocument(Versioned):
    """What `mcusim plan --all` answers."""

    model: str
    counted: list[CountingDocument]


class PlanAnswer(NamedTuple):
    """All that one question is answered with.   uses, spread: of the board's banks, where there is a board."""

    plan: MemoryPlan
    choice: RuntimeChoice
    flash: FlashLedger
    reordered: Reordered | None
    board: Board | None
    uses: tuple[BankUse, ...]
    spread: Spread | None


def chosen_document(choice: RuntimeChoice) -> ChosenRuntime:
    """The runtime of a plan, and why it is that one."""
    runtime = choice.runtime
    return {
        "name": runtime.name,
        "version": runtime.version,
        "why": choice.why or None,
        "pointer_bits": runtime.pointer_bits,
    }


def counted_document(name: str, rows: Sequence[Comparison]) -> CountedDocument:
    """Every way of counting a network.   name: of the network."""
    counted: list[CountingDocument] = [
        {
            "name": row.name,
            "kind": row.kind,
            "total_bytes": row.total_bytes,
            "parts": row.parts,
            "basis": row.basis,
            "what": row.what,
            "evidence": row.evidence,
            "unknown": row.unknown or None,
        }
        for row in rows
    ]
    return {"schema_version": 1, "model": name, "counted": counted}


def plan_document(answer: PlanAnswer) -> PlanDocument:
    """The plan of one network."""
    plan, best, flash = answer.plan, answer.plan.best, answer.flash
    graph, runtime = plan.graph, plan.runtime
    alive = plan.alive_bytes
    return {
        "schema_version": 1,
        "model": graph.name,
        "runtime": chosen_document(answer.choice),
        "planner": plan.planner_name,
        "arena_bytes": plan.arena_bytes,
        "scratch_bytes": plan.held_bytes,
        "persistent_bytes": plan.persistent.size_bytes,
        "setup_bytes": plan.setup_bytes,
        "total_bytes": plan.total_bytes,
        "recommended_arena_bytes": plan.recommended_arena_bytes,
        "harness_bytes": runtime.harness(graph),
        "alive_bytes": max(alive, default=0),
        "fragmentation": plan.fragmentation,
        "best": {
            "arena_bytes": best.arena_bytes,
            "lower_bound_bytes": best.lower_bound_bytes,
            "proved": best.proved,
            "gap": best.gap,
            "method": best.method,
        },
        "refusals": plan.refusals,
        "order": None if answer.reordered is None else list(answer.reordered.order),
        "steps": [
            {"layer": layer, "name": name, "op": op, "alive_bytes": size}
            for layer, name, op, size in zip(plan.step_layers(), plan.step_names(), plan.step_ops(), alive, strict=True)
        ],
        "buffers": plan.tenants(),
        "persistent": runtime.persistent_ledger(graph),
        "flash": {
            "model": flash.model,
            "kernels": flash.kernels,
            "code": flash.code,
            "code_bytes": flash.code_bytes,
            "total_bytes": flash.total_bytes,
            "basis": flash.basis,
        },
        "banks": None if answer.board is None else _plain_banks(answer),
        "spread": None if answer.spread is None else _plain_spread(answer.spread),
    }


def _plain_banks(answer: PlanAnswer) -> list[BankDocument]:
    beyond = beyond_end(answer.board, answer.plan.tenants()) if answer.board is not None else ()
    last = answer.uses[-1] if answer.uses else None
    return [
        {
            "name": use.bank.name,
            "address": use.bank.address,
            "size_bytes": use.bank.size_bytes,
            "used_bytes": use.used_bytes,
            "over_bytes": use.over_bytes,
            "buffers": [{"name": tenant.name, "bytes": size} for tenant, size in use.tenants],
            "beyond": [{"name": tenant.name, "bytes": size} for tenant, size in (beyond if use is last else ())],
        }
        for use in answer.uses
    ]


def _plain_spread(spread: Spread) -> SpreadDocument:
    def named(pairs: Sequence[tuple[str, int]]) -> list[BufferBytes]:
        return [{"name": name, "bytes": size} for name, size in pairs]

    runs: list[RunDocument] = [
        {
            "banks": [bank.name for bank in run.banks],
            "size_bytes": run.size_bytes,
            "used_bytes": run.used_bytes,
            "external": run.is_external,
            "moved_bytes": run.moved_bytes,
            "seconds": run.seconds,
            "buffers": named(run.buffers),
        }
        for run in spread.runs
    ]
    return {"fits": spread.fits, "runs": runs, "left": named(spread.left)}

"""Ways of counting one network side by side, its minimal plan, and that plan as TFLM reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.conventions import CONVENTIONS, count
from mcusim.errors import PlanError
from mcusim.graph import ABSENT, Graph
from mcusim.lower import lower
from mcusim.placement import place
from mcusim.planners import Plan, peak_bytes, plan_optimal, tflm_place_rest
from mcusim.program import BufferKind, Program
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES, Runtime, find_runtime
from mcusim.schedule import LAYER, Schedule

__all__ = ["Comparison", "MemoryPlan", "OfflinePlan", "compare_plans", "offline_plan", "plan_memory"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One way of counting a network's RAM.

    name: of the runtime or convention.   is_placement: whether buffers were placed, or sizes added up.
    total_bytes: what it counts.   parts: the same by name.   what: one line on what it counts.
    """

    name: str
    is_placement: bool
    total_bytes: int
    parts: Mapping[str, int]
    basis: Basis
    what: str


def compare_plans(graph: Graph, schedule: Schedule = LAYER) -> tuple[Comparison, ...]:
    """What every runtime takes and every convention counts for `graph`: placements first, then sums.

    Conventions that do not count such a schedule are left out.
    """
    rows = [_placed(graph, schedule, runtime) for runtime in RUNTIMES.values()]
    for convention in CONVENTIONS.values():
        if schedule.is_layer or convention.takes_pieces:
            ledger = count(convention, graph, schedule)
            parts = {part.name: part.size_bytes for part in ledger.parts}
            rows.append(Comparison(convention.name, False, ledger.total_bytes, parts, ledger.basis, ledger.what))
    return tuple(rows)


def _placed(graph: Graph, schedule: Schedule, runtime: Runtime) -> Comparison:
    placement = place(lower(graph, schedule, runtime.rules), runtime.planner)
    persistent = runtime.persistent(graph).size_bytes
    parts = {"arena": placement.arena_bytes, "scratch": placement.held_bytes, "persistent": persistent}
    basis = max(runtime.memory_basis, runtime.persistent_basis, key=list(Basis).index)
    what = f"arena placed by {runtime.planner_name}"
    what += ", buffers held beside it" if placement.held_bytes else ""
    what += ", the runtime's own structures" if persistent else ""
    return Comparison(
        runtime.name, True, sum(parts.values()), parts, basis if persistent else runtime.memory_basis, what
    )


@dataclass(frozen=True, slots=True, eq=False)
class MemoryPlan:
    """A network's buffers, where its runtime puts them, and the smallest plan.

    offset_bytes, arena_bytes: the runtime's own plan.   best: the smallest one, with what is proved about it.
    """

    program: Program
    runtime: Runtime
    offset_bytes: tuple[int, ...]
    arena_bytes: int
    best: Plan

    @property
    def excess(self) -> float:
        """How much more the runtime takes than the best plan: 0.33 for a third."""
        return self.arena_bytes / self.best.arena_bytes - 1 if self.best.arena_bytes else 0.0


def plan_memory(graph: Graph, runtime: Runtime | str = "tflm", schedule: Schedule = LAYER) -> MemoryPlan:
    """The arena of `graph` as `runtime` plans it, beside the smallest plan of the same buffers.

    Raises McusimError for an unknown runtime, or a schedule that does not go with the network.
    """
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    program = lower(graph, schedule, chosen.rules)
    offsets = chosen.planner(program.buffers)
    return MemoryPlan(program, chosen, offsets, peak_bytes(program.buffers, offsets), plan_optimal(program.buffers))


# ---------------------------------------------------------------------------------------------------------------------
# A plan that a .tflite file carries

OFFLINE_METADATA = "OfflineMemoryAllocation"
"""The metadata entry under which TFLM looks for it."""

_VERSION, _SUBGRAPH, _PLANNED_ONLINE = 1, 0, -1


@dataclass(frozen=True, slots=True)
class OfflinePlan:
    """What TFLM reads from `OfflineMemoryAllocation`, as int32.

    vector: version, subgraph, number of tensors in all subgraphs, the offset of each tensor or -1.
    arena_bytes: the head that the interpreter then takes, scratch requests included: it places them around the tensors.
    default_bytes: the head without it.   lower_bound_bytes: proved: no plan of these buffers takes less.
    """

    vector: tuple[int, ...]
    arena_bytes: int
    default_bytes: int
    lower_bound_bytes: int


def offline_plan(graph: Graph, runtime: Runtime | str = "tflm") -> OfflinePlan:
    """The smallest plan of `graph` for a stock TFLM interpreter.

    runtime: one of the TFLM family: `tflm`, or `tflm-cmsis-nn` with that core's scratch.
    The interpreter wants one offset for each tensor of all subgraphs, and then looks tensor i of every subgraph up at
    the same place i: so a plan works where only the main graph has tensors to place.
    Raises PlanError for a runtime that reads no such plan, or a network with other subgraphs to place.
    """
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    if not chosen.name.startswith("tflm"):
        raise PlanError(
            "reads no plan from the model", where=f"runtime '{chosen.name}'", fix="use tflm or tflm-cmsis-nn"
        )
    _refuse_placed_subgraphs(graph)
    buffers = lower(graph, LAYER, chosen.rules).buffers
    default_bytes = peak_bytes(buffers, chosen.planner(buffers))
    best = plan_optimal(buffers)
    known = [
        offset if buffer.kind is not BufferKind.SCRATCH else _PLANNED_ONLINE
        for buffer, offset in zip(buffers, best.offset_bytes, strict=True)
    ]
    arena_bytes = peak_bytes(buffers, tflm_place_rest(buffers, known))
    if arena_bytes >= default_bytes:  # nothing to gain: let the interpreter plan as it does
        known, arena_bytes = [_PLANNED_ONLINE] * len(buffers), default_bytes
    offset_of = {b.tensor: o for b, o in zip(buffers, known, strict=True) if b.tensor != ABSENT}
    tensors = len(graph.tensors) + sum(len(subgraph.tensors) for subgraph in graph.subgraphs)
    offsets = [offset_of.get(tensor, _PLANNED_ONLINE) for tensor in range(tensors)]
    return OfflinePlan((_VERSION, _SUBGRAPH, tensors, *offsets), arena_bytes, default_bytes, best.lower_bound_bytes)


def _refuse_placed_subgraphs(graph: Graph) -> None:
    for subgraph in graph.subgraphs:
        for tensor in subgraph.tensors:
            if tensor.size_bytes and not tensor.is_constant and not tensor.is_variable:
                raise PlanError(
                    f"tensor '{tensor.name}' of subgraph '{subgraph.name}' would get an offset of the main graph",
                    where=f"network '{graph.name}'",
                    fix="let the interpreter plan networks with control flow",
                )

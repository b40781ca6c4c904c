"""One network's arena: where its runtime puts the buffers, the minimal plan, and that plan as TFLM reads it.

Three sizes of one arena are told apart. The bytes alive at the fullest step are what any plan must have. The smallest
plan may need more, as a buffer that outlives its neighbours leaves gaps; `best` says whether that is proved. The
runtime's own plan may need more again. `excess` compares the last two, `fragmentation` the last with the first.

The smallest plan can be written into a .tflite file (`offline_plan`): metadata with an offset a tensor, which TFLM
takes instead of planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mcusim.errors import InputError, PlanError, did_you_mean
from mcusim.frontends.tflite_model import OFFLINE_METADATA
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.memory.placement import Placement, carries_plan, place, place_for, setup_bytes, shared_bytes
from mcusim.planners import PLANNERS, Plan, live_bytes, peak_bytes, plan_optimal, tflm_place_rest
from mcusim.program import BufferKind, Program
from mcusim.runtimes import Persistent, Runtime, find_runtime
from mcusim.runtimes.refusals import cannot_run, cannot_start, missing_kernels
from mcusim.schedule import LAYER, Schedule
from mcusim.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OFFLINE_METADATA", "PERSISTENT", "MemoryPlan", "OfflinePlan", "Tenant", "offline_plan", "plan_memory"]


_MODELS_OWN = "the model's own plan"
PERSISTENT = "persistent"
"""Name of the tenant that stands for all that lives as long as the runtime."""


class Tenant(NamedTuple):
    """A buffer in its place: bytes [offset_bytes, offset_bytes + size_bytes) on steps [first, end).

    index: of the buffer in its program; ABSENT for what the runtime keeps.
    """

    index: int  # type: ignore[assignment]  # nobody searches a tenant as a tuple
    name: str
    kind: BufferKind
    offset_bytes: int
    size_bytes: int
    first: int
    end: int

    @property
    def top_bytes(self) -> int:
        """The first byte above it."""
        return self.offset_bytes + self.size_bytes

    def is_alive(self, step: int) -> bool:
        """Whether it holds something while `step` runs."""
        return self.first <= step < self.end


@dataclass(frozen=True, slots=True, eq=False)
class MemoryPlan:
    """A network's buffers, where its runtime (or another planner) puts them, and the smallest plan.

    planner_name: what placed them.   best: the smallest plan of the same buffers, with what is proved about it.
    persistent: what lives as long as the runtime.   setup_bytes: what an interpreter's arena must have on top.
    """

    graph: Graph
    program: Program
    runtime: Runtime
    planner_name: str
    placement: Placement
    best: Plan
    persistent: Persistent
    setup_bytes: int = 0

    @property
    def follows_model(self) -> bool:
        """Whether buffers lie where the model says."""
        return self.planner_name == _MODELS_OWN

    @property
    def recommended_arena_bytes(self) -> int | None:
        """The size to give an interpreter's arena: it sets up in it and runs in it. None for generated code."""
        return None if self.runtime.setup is None else self.total_bytes

    @property
    def offset_bytes(self) -> tuple[int, ...]:
        return self.placement.offset_bytes

    @property
    def arena_bytes(self) -> int:
        """What the planner placed."""
        return self.placement.arena_bytes

    @property
    def held_bytes(self) -> int:
        """What is held beside the arena."""
        return self.placement.held_bytes

    @property
    def total_bytes(self) -> int:
        return self.arena_bytes + self.held_bytes + self.persistent.size_bytes + self.setup_bytes

    @property
    def excess(self) -> float:
        """How much more the plan takes than the best one: 0.33 for a third."""
        return self.arena_bytes / self.best.arena_bytes - 1 if self.best.arena_bytes else 0.0

    @property
    def proved(self) -> bool:
        """Whether no plan of these buffers is smaller than this one."""
        return self.arena_bytes == self.best.lower_bound_bytes

    @property
    def alive_bytes(self) -> list[int]:
        """Bytes alive at each step, in the arena."""
        return live_bytes(self.program.buffers, self.program.length)

    @property
    def fragmentation(self) -> float:
        """Share of the arena that no buffer fills even at the fullest step."""
        return 1 - max(self.alive_bytes, default=0) / self.arena_bytes if self.arena_bytes else 0.0

    def tenants(self) -> tuple[Tenant, ...]:
        """Every buffer in its place: the arena's, those held behind it, and what the runtime keeps on top."""
        placed = zip(self.program.buffers, self.offset_bytes, strict=True)
        seated = [
            Tenant(
                i,
                b.name or (f"tensor {b.tensor}" if b.tensor != ABSENT else f"buffer {i}"),
                b.kind,
                offset,
                b.size_bytes,
                b.first,
                b.end,
            )
            for i, (b, offset) in enumerate(placed)
            if b.kind is not BufferKind.PERSISTENT  # counted with all else that the runtime keeps
        ]
        if self.persistent.size_bytes:
            top, size_bytes = self.arena_bytes + self.held_bytes, self.persistent.size_bytes
            seated.append(Tenant(ABSENT, PERSISTENT, BufferKind.HELD, top, size_bytes, 0, self.program.length))
        return tuple(seated)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why its runtime cannot run the network, a sentence each: then it is a plan of what would be needed."""
        not_run = cannot_run(self.runtime, missing_kernels(self.program, self.runtime))
        shared = shared_bytes(self.program, self.runtime, self.placement) if self.follows_model else ""
        nonsense = [f"{shared}."] if shared else []
        return (*cannot_start(self.program, self.runtime), *not_run, *nonsense)

    def to_frame(self) -> pd.DataFrame:
        """One row a buffer: name, kind, where it lies (bytes), and the steps [first, end) on which it is alive."""
        import pandas as pd

        frame = pd.DataFrame(self.tenants(), columns=list(Tenant._fields))
        frame["kind"] = frame["kind"].map(str)
        return frame

    def __repr__(self) -> str:
        sizes = f"{format_bytes(self.total_bytes)}, {format_bytes(self.arena_bytes)} of them the arena"
        least = "no plan is smaller" if self.proved else f"the best arena takes {format_bytes(self.best.arena_bytes)}"
        return f"<MemoryPlan {self.graph.name[:60]!r} with {self.runtime.name!r}: {sizes}; {least}>"

    def step_layers(self) -> tuple[int | None, ...]:
        """The number of the layer that each step runs; None for a copy that only the runtime makes.

        A network without steps has one moment all the same, in which nothing runs; names and operators too.
        """
        return tuple(None if step.node == ABSENT else step.node for step in self.program.body()) or (None,)

    def step_names(self) -> tuple[str, ...]:
        """What each step runs."""
        return tuple([self.program.name_of(step) for step in self.program.body()]) or ("",)

    def step_ops(self) -> tuple[str, ...]:
        """The operator of each step; "" for a moment in which nothing runs."""
        stages = self.program.stages
        ops = ["" if s.part and step.node == ABSENT else step.signature.op for s in stages for step in s.steps]
        return tuple(ops) or ("",)


def plan_memory(
    graph: Graph,
    runtime: Runtime | str = "tflm",
    schedule: Schedule = LAYER,
    *,
    planner: str | None = None,
    input_place: InputPlace | None = None,
) -> MemoryPlan:
    """The arena of `graph` as `runtime` plans it, beside the smallest plan of the same buffers.

    planner: one of `PLANNERS` instead of the runtime's own.   input_place: the runtime's own choice if None.
    Raises McusimError for an unknown runtime or planner, one whose plans are not known, or a schedule that does not go
    with the network.
    """
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    if not chosen.has_placement:
        known = "a convention counts its SRAM" if chosen.counted_by else "only a lower bound of its SRAM is known"
        fix = f"`mcusim run MODEL --profile BOARD --runtime {chosen.name}` shows what is known, "
        fix += "`mcusim plan MODEL --all` what others take; or name another runtime"
        raise PlanError(
            f"nobody has published where it puts buffers: {known}", where=f"runtime '{chosen.name}'", fix=fix
        )
    if planner is not None and planner not in PLANNERS:
        fix = did_you_mean(planner, PLANNERS, listed_by="mcusim plan --help")
        raise InputError(f"there is no planner '{planner}'", where="--planner", fix=fix)
    place_of_input = input_place or chosen.rules.default_input_place(schedule)
    program = lower(graph, schedule, chosen.rules, place_of_input)
    # Found even where the runtime has a plan of its own: it says how far that is from the best.
    best = plan_optimal(program.buffers)
    name = planner or (_MODELS_OWN if carries_plan(program, chosen) else chosen.planner_name)
    if planner == "optimal":
        # The best plan is at hand, so that it is not searched for twice.
        placement = place(program, lambda _: best.offset_bytes)
    else:
        placement = place_for(program, chosen) if planner is None else place(program, PLANNERS[planner])
    persistent = chosen.persistent(graph)
    extra_bytes = setup_bytes(graph, chosen, placement, persistent.size_bytes)
    return MemoryPlan(graph, program, chosen, name, placement, best, persistent, extra_bytes)


# ---------------------------------------------------------------------------------------------------------------------
# A plan that a .tflite file carries

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

    def metadata(self) -> dict[str, bytes]:
        """The entry for a .tflite file."""
        return {OFFLINE_METADATA: np.array(self.vector, "<i4").tobytes()}


def offline_plan(graph: Graph, runtime: Runtime | str = "tflm") -> OfflinePlan:
    """The smallest plan of `graph` for a stock TFLM interpreter.

    runtime: one of the TFLM family: `tflm`, or `tflm-cmsis-nn` with that core's scratch.
    The interpreter wants one offset for each tensor of all subgraphs, and then looks tensor i of every subgraph up at
    the same place i: so a plan works where only the main graph has tensors to place.
    Raises PlanError for a runtime that reads no such plan, or a network with other subgraphs to place.
    """
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    if not chosen.reads_offline_plan:
        raise PlanError(
            "reads no plan from the model", where=f"runtime '{chosen.name}'", fix="use tflm or tflm-cmsis-nn"
        )
    _refuse_placed_subgraphs(graph)
    buffers = lower(graph, LAYER, chosen.rules).buffers
    default_bytes = peak_bytes(buffers, chosen.planner(buffers))
    best = plan_optimal(buffers)
    known = [
        # TFLM plans scratch online even beside an offline plan, around the offsets given.
        offset if buffer.kind is not BufferKind.SCRATCH else _PLANNED_ONLINE
        for buffer, offset in zip(buffers, best.offset_bytes, strict=True)
    ]
    # So the head that TFLM takes is not the minimal one where scratch does not fit into its gaps.
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

"""Several networks in one arena, one running at a time: what TFLM calls multitenancy.

    head  | the largest plan of them: each network's tensors and scratch, while that network runs
    tail  |                            what the last keeps | ... | what the first keeps |

One MicroAllocator is given to all interpreters, which are set up one after the other and never run at once. The tail of
each stays; the head is used over and over. Setting up needs room beside the tails of those that are there already.
Source: tensorflow/tflite-micro, tensorflow/lite/micro/docs/memory_management.md, "Head Section", "Multi-tenant".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcusim.errors import PlanError
from mcusim.graph import Graph
from mcusim.memory.placement import ARENA_ALIGNMENT_BYTES
from mcusim.memory.planning import MemoryPlan, plan_memory
from mcusim.runtimes import Runtime
from mcusim.units import format_bytes

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SharedPlan", "share_arena"]


@dataclass(frozen=True, slots=True, eq=False)
class SharedPlan:
    """One arena for several networks.   plans: of each alone, in the order in which they are set up."""

    runtime: Runtime
    plans: tuple[MemoryPlan, ...]

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Name and source of each network: files may be called alike."""
        return [(plan.graph.name, plan.graph.source.description) for plan in self.plans]

    @property
    def arena_bytes(self) -> int:
        """The largest head."""
        return max(plan.arena_bytes for plan in self.plans)

    @property
    def persistent_bytes(self) -> int:
        """All tails. Each is counted as it is alone, with allocators of its own; TFLM makes these once."""
        return sum(plan.persistent.size_bytes for plan in self.plans)

    @property
    def recommended_arena_bytes(self) -> int:
        """The size to give the arena: all of them set up in it, in this order, and each runs in it."""
        needed = self.arena_bytes + self.persistent_bytes
        kept = 0
        # Network i sets up beside the tails of those before it, in what is left of the arena.
        for plan in self.plans:
            needed = max(needed, kept + self._setup_bytes(plan.graph))
            kept += plan.persistent.size_bytes
        return -(-needed // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES

    @property
    def setup_bytes(self) -> int:
        """What the arena must have on top of head and tails, to set up in and for its alignment."""
        return self.recommended_arena_bytes - self.arena_bytes - self.persistent_bytes

    @property
    def apart_bytes(self) -> int:
        """What an arena for each of them takes together."""
        return sum(plan.total_bytes for plan in self.plans)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What cannot be known of a network, or keeps it from running, after its name."""
        sentences = []
        for plan in self.plans:
            sentences += [f"{plan.graph.name}: {each}" for each in plan.refusals]
            sentences += [f"{plan.graph.name}: {plan.persistent.warning}."] if plan.persistent.warning else []
        return tuple(sentences)

    def to_frame(self) -> pd.DataFrame:
        """One row a network: its head, its tail, and what it takes alone."""
        import pandas as pd

        columns = ("model", "arena_bytes", "persistent_bytes", "total_bytes")
        rows = [(p.graph.name, p.arena_bytes, p.persistent.size_bytes, p.total_bytes) for p in self.plans]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        shared = f"{len(self.plans)} networks with {self.runtime.name!r} in one arena"
        return f"<SharedPlan {shared}: {format_bytes(self.recommended_arena_bytes)}>"

    def _setup_bytes(self, graph: Graph) -> int:
        return self.runtime.setup(graph) if self.runtime.setup is not None else 0


def share_arena(graphs: Sequence[Graph], runtime: Runtime) -> SharedPlan:
    """One arena for `graphs`, set up in this order.   Raises PlanError for a runtime that has no interpreters."""
    if runtime.setup is None:
        raise PlanError(
            "has no interpreters that could share an arena",
            where=f"runtime '{runtime.name}'",
            fix="use --runtime tflm or tflm-cmsis-nn",
        )
    return SharedPlan(runtime, tuple([plan_memory(graph, runtime) for graph in graphs]))

"""What each runtime takes and what each convention counts for a network: one by name, or all side by side."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from mcusim.conventions import CONVENTIONS, Convention, count
from mcusim.errors import RuntimeNameError, ScheduleError, did_you_mean
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.memory.placement import known_for, setup_bytes
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import LAYER, Schedule

__all__ = ["Comparison", "compare_plans", "count_as", "find_counting"]

_HELD = frozenset({"im2col", "kernel"})
_PERSISTENT = frozenset({"runtime", "rest", "setup"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """One way of counting a network's RAM.

    name: of the runtime or convention.   is_placement: whether buffers were placed, or sizes added up.
    total_bytes: what it counts.   parts: the same by name.   what: one line on what it counts.
    evidence: what it was checked against.   unknown: why a part cannot be known exactly; "" if it can.
    """

    name: str
    is_placement: bool
    total_bytes: int
    parts: Mapping[str, int]
    basis: Basis
    what: str
    evidence: str = ""
    unknown: str = ""

    @property
    def kind(self) -> str:
        """What the total is: a placement, a sum, or a bound, of which it is only known that it takes no less."""
        return "placement" if self.is_placement else "bound" if self.unknown else "sum"

    @property
    def scratch_bytes(self) -> int:
        """What is held beside the arena."""
        return self._sum(_HELD) + self.parts.get("scratch", 0)

    @property
    def persistent_bytes(self) -> int:
        """What lives as long as the runtime."""
        return self._sum(_PERSISTENT) + self.parts.get("persistent", 0)

    @property
    def arena_bytes(self) -> int:
        """All else: activations."""
        return self.total_bytes - self.scratch_bytes - self.persistent_bytes

    def _sum(self, names: frozenset[str]) -> int:
        return sum(size for name, size in self.parts.items() if name in names)


def find_counting(name: str) -> Runtime | Convention:
    """The runtime or convention called `name`. Raises RuntimeNameError if there is neither."""
    lower_name = name.strip().lower()
    counting = RUNTIMES.get(lower_name) or CONVENTIONS.get(lower_name)
    if counting is None:
        # `tinyengine@2020` and its like are versions for times. Bytes are counted by one set of rules, which has no
        # version.
        if lower_name.partition("@")[0] in RUNTIMES:
            fix = f"write {lower_name.partition('@')[0]}: SRAM is counted by one version's rules"
        else:
            fix = did_you_mean(lower_name, {**RUNTIMES, **CONVENTIONS}, listed_by="mcusim plan MODEL --all")
        raise RuntimeNameError("no such convention", where=f"convention '{name}'", fix=fix)
    return counting


def count_as(
    counting: Runtime | Convention, graph: Graph, schedule: Schedule = LAYER, input_place: InputPlace | None = None
) -> Comparison:
    """What one runtime takes or one convention counts for `graph`.

    input_place: where the input lies; the runtime's own choice if None. Most sums have a choice of their own.
    Raises ScheduleError where a convention does not count such a schedule.
    """
    if isinstance(counting, Runtime) and counting.counted_by:
        counting = CONVENTIONS[counting.counted_by]
    if isinstance(counting, Runtime):
        return _placed(graph, schedule, counting, input_place)
    ledger = count(counting, graph, schedule, input_place)
    parts = {part.name: part.size_bytes for part in ledger.parts}
    total = ledger.total_bytes
    return Comparison(counting.name, counting.places, total, parts, ledger.basis, ledger.what, counting.evidence)


def compare_plans(graph: Graph, schedule: Schedule = LAYER) -> tuple[Comparison, ...]:
    """What every runtime takes and every convention counts for `graph`: placements first, then sums.

    Conventions that do not count such a schedule are left out.
    """
    taken = [count_as(runtime, graph, schedule) for runtime in RUNTIMES.values() if not runtime.counted_by]
    counted = []
    for convention in CONVENTIONS.values():
        # A convention that counts whole layers has no answer for a schedule with patches.
        with suppress(ScheduleError):
            counted.append(count_as(convention, graph, schedule))
    return tuple(sorted([*taken, *counted], key=lambda row: not row.is_placement))


def _placed(graph: Graph, schedule: Schedule, runtime: Runtime, input_place: InputPlace | None) -> Comparison:
    place = input_place or runtime.rules.default_input_place(schedule)
    placement = known_for(lower(graph, schedule, runtime.rules, place), runtime)
    persistent_bytes, unknown = runtime.persistent(graph)
    parts = {"arena": placement.arena_bytes, "scratch": placement.held_bytes, "persistent": persistent_bytes}
    if runtime.setup is not None:
        parts["setup"] = setup_bytes(graph, runtime, placement, persistent_bytes)
    basis = max(runtime.memory_basis, runtime.persistent_basis, key=list(Basis).index)
    what = "at least what is alive at once" if runtime.bounds_memory else f"arena placed by {runtime.planner_name}"
    what += ", buffers held beside it" if placement.held_bytes else ""
    what += ", the runtime's own structures" if persistent_bytes else ""
    return Comparison(
        runtime.name,
        runtime.has_placement,
        sum(parts.values()),
        parts,
        basis if persistent_bytes else runtime.memory_basis,
        what,
        runtime.evidence,
        unknown,
    )

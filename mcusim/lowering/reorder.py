"""Another execution order with a lower peak, where the network branches, and the proof that none is lower.

What is alive at a step depends on which steps ran before, not on their order. So orders are paths through sets of
executed steps, and the best path is the one whose fullest step is the least full: a search that always extends the
set reached with the lowest peak finds it, and the first complete set that it takes up is proved minimal. A step that
frees at least what it adds, and that the peak so far has room for, is taken at once: no order gains by delaying it.
Where that takes too many sets, the best of two ways to the end is taken, from the set that has come farthest and from
the start, always by the step that keeps the least alive; the search then proves a bound only.

Nodes with side effects (variables, unknown operators) keep their order among each other. The nodes, their inputs and
their numbers are untouched: an order that keeps every producer before its readers gives the same outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import islice
from typing import NamedTuple, TypeAlias

from mcusim.errors import PlanError
from mcusim.graph import ABSENT, Flow, Graph
from mcusim.lowering.lower import lower, lower_alone
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.staging import overwritten
from mcusim.ops import OPS
from mcusim.ops.registry import StateRole
from mcusim.planners import live_bytes
from mcusim.program import BufferKind, Program, Step
from mcusim.schedule import LAYER

__all__ = ["Reordered", "check_order", "reorder"]

SETS = 20_000
"""Sets of executed steps that the search takes up at most."""
STEPS_TRIED = 200_000
"""Steps that may come next, over all sets, that the search tries at most. Each may become a set that is kept."""
BITS_KEPT = 400_000_000
"""Of all sets together, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Reordered:
    """The network in its best order found.

    graph: the network itself where no order is better.   order: node indices of the original, in the new order.
    old_peak_bytes, peak_bytes: alive at the fullest step before and after.
    lower_bound_bytes: proved: no order has a lower peak.
    """

    graph: Graph
    order: tuple[int, ...]
    old_peak_bytes: int
    peak_bytes: int
    lower_bound_bytes: int

    @property
    def proved(self) -> bool:
        """Whether no order is better."""
        return self.peak_bytes == self.lower_bound_bytes


def reorder(graph: Graph, rules: LoweringRules, *, sets: int = SETS) -> Reordered:
    """The order of `graph` with the lowest peak of live bytes under `rules`, run layer by layer.

    sets: limits the search; where it ends early, the best order found so far and what is proved are returned.
    """
    old_peak = _peak_bytes(lower(graph, LAYER, rules))
    # What is planned beside the network's own steps (subgraphs, untouched tensors) moves with them: the search leaves
    # it out, and the orders are compared with it.
    program = lower_alone(graph, rules)
    nodes = [step.node for step in program.body()]
    order_of_steps, bound = _search(_model(program, rules), _peak_bytes(program), sets)
    kept = Reordered(graph, tuple(range(len(graph.nodes))), old_peak, old_peak, min(bound, old_peak))
    if order_of_steps is None:
        return kept
    order = _with_skipped(graph, [nodes[time] for time in order_of_steps])
    check_order(graph, order)
    permuted = replace(graph, nodes=tuple([graph.nodes[index] for index in order]))
    peak = _peak_bytes(lower(permuted, LAYER, rules))
    if peak >= old_peak:
        return kept
    return Reordered(permuted, tuple(order), old_peak, peak, min(bound, peak))


def check_order(graph: Graph, order: Sequence[int]) -> None:
    """Raise PlanError unless `order` has every node once, producers before readers, side effects as they were."""
    bug = "mcusim bug: please report it with the model"
    where = f"order of '{graph.name}'"
    if sorted(order) != list(range(len(graph.nodes))):
        raise PlanError("is no permutation of the nodes", where=where, fix=bug)
    written = {tensor for node in graph.nodes for tensor in node.outputs}
    last_effect = -1
    for index in order:
        node = graph.nodes[index]
        if any(tensor in written for tensor in node.inputs):
            raise PlanError(f"'{node.name}' reads what is not there yet", where=where, fix=bug)
        written.difference_update(node.outputs)
        if _has_side_effect(graph, index):
            if index < last_effect:
                raise PlanError(f"'{node.name}' changes places with another side effect", where=where, fix=bug)
            last_effect = index


def _has_side_effect(graph: Graph, index: int) -> bool:
    """Whether the node does more than write its outputs, or may do: it keeps its place among its like."""
    node = graph.nodes[index]
    op = OPS.get(node.op)
    if op is None or op.state not in (StateRole.NONE, StateRole.HANDLE) or op.flow is not Flow.NONE:
        return True
    return any(tensor != ABSENT and graph.tensors[tensor].is_variable for tensor in node.inputs)


def _peak_bytes(program: Program) -> int:
    return max(live_bytes(program.buffers, program.length), default=0)


# ---------------------------------------------------------------------------------------------------------------------
# Steps and what they keep alive


class _Step(NamedTuple):
    """before: steps that must have run, as bits.   touches: tenants it reads or writes.   scratch_bytes: its own.
    takes_over: (tenant written, tenant whose storage it takes if nobody else needs that), in order of preference.
    """

    before: int
    unlocks: tuple[int, ...]
    touches: tuple[int, ...]
    scratch_bytes: int
    takes_over: tuple[tuple[int, int], ...]


class _Tenant(NamedTuple):
    """A buffer: alive from the first step on (`always`) or from the first that touches it, until all `users` ran."""

    size_bytes: int
    users: int
    always: bool
    to_the_end: bool


class _Model(NamedTuple):
    steps: tuple[_Step, ...]
    tenants: tuple[_Tenant, ...]
    everything: int


def _model(program: Program, rules: LoweringRules) -> _Model:
    steps = list(program.body())
    place: dict[int, int] = {}
    for index, buffer in enumerate(program.buffers):
        if buffer.tensor != ABSENT:
            place[index] = len(place)
    touched = [_touched(program, step, place) for step in steps]
    users = [0] * len(place)
    for time, tenants in enumerate(touched):
        for tenant in tenants:
            users[tenant] |= 1 << time
    all_tenants = [_tenant(program, index, users[tenant]) for index, tenant in place.items()]
    needed = _needed(program.graph, {step.node: time for time, step in enumerate(steps)})
    effects = 0
    befores = []
    for time, step in enumerate(steps):
        before = 0
        for node in (step.node, *step.absorbed):
            # A PAD that was folded into a step still names what the step depends on.
            for tensor in program.graph.nodes[node].inputs:
                before |= needed.get(tensor, 0)
        if _has_side_effect(program.graph, step.node):
            # Side effects form a chain: each comes after the one before it, as the file has them.
            before |= effects
            effects = 1 << time
        befores.append(before & ~(1 << time))
    unlocks: list[list[int]] = [[] for _ in steps]
    for time, before in enumerate(befores):
        for earlier in _bits(before):
            unlocks[earlier].append(time)
    rows = []
    for time, step in enumerate(steps):
        scratch = [program.buffers[use.buffer] for use in step.scratch]
        scratch_bytes = sum([buffer.size_bytes for buffer in scratch if buffer.kind is BufferKind.SCRATCH])
        over = _takes_over(program, rules, step, place)
        rows.append(_Step(befores[time], tuple(unlocks[time]), touched[time], scratch_bytes, over))
    return _Model(tuple(rows), tuple(all_tenants), (1 << len(steps)) - 1)


def _touched(program: Program, step: Step, place: Mapping[int, int]) -> tuple[int, ...]:
    buffers = [program.views[view].buffer for view in (*step.reads, *step.writes) if view != ABSENT]
    return tuple(dict.fromkeys([place[buffer] for buffer in buffers if buffer in place]))


def _tenant(program: Program, index: int, users: int) -> _Tenant:
    buffer = program.buffers[index]
    # An input that the caller reads back, or that lowering keeps to the end for another reason, is not freed by its
    # last reader.
    unread_at_end = not users >> max(program.length - 1, 0)
    outlives = buffer.kind is BufferKind.INPUT and buffer.end == program.length and unread_at_end
    return _Tenant(
        buffer.size_bytes, users, buffer.kind is BufferKind.INPUT, outlives or buffer.kind is BufferKind.OUTPUT
    )


def _needed(graph: Graph, time_of: Mapping[int, int]) -> dict[int, int]:
    """Tensor -> the steps that write it, as bits; through nodes that are no steps, those that write their inputs."""
    needed: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        bits = 0
        if index in time_of:
            bits = 1 << time_of[index]
        else:
            for tensor in node.inputs:
                bits |= needed.get(tensor, 0)
        for tensor in node.outputs:
            needed[tensor] = bits
    return needed


def _takes_over(
    program: Program, rules: LoweringRules, step: Step, place: Mapping[int, int]
) -> tuple[tuple[int, int], ...]:
    """(tenant written, tenant whose storage it may take), in order of preference."""
    if step.signature.op not in OPS or not step.writes or step.writes[0] == ABSENT:
        return ()
    target = program.views[step.writes[0]].buffer
    pairs = []
    for position in overwritten(rules, step.signature, step.signature):
        source = program.views[step.reads[position]].buffer if step.reads[position] != ABSENT else ABSENT
        both = source in place and target in place
        # The same rule as in lowering: the new tensor must fit where the old one lies.
        if both and program.buffers[target].size_bytes <= program.buffers[source].size_bytes:
            pairs.append((place[target], place[source]))
    return tuple(pairs)


# ---------------------------------------------------------------------------------------------------------------------
# Search


class _Reached(NamedTuple):
    """A set of executed steps, best first in a heap.

    missing: steps still to run.   done, ready: steps that have run, and that may run next, as bits.
    alive_bytes: after the last step.   path: steps, newest first.
    """

    peak_bytes: int
    missing: int
    done: int
    ready: int
    alive_bytes: int
    path: _Path


_Path: TypeAlias = "tuple[int, _Path] | None"


def _search(model: _Model, old_peak: int, limit: int) -> tuple[list[int] | None, int]:
    """An order whose peak is below `old_peak`, or None, and a bound below which no order's peak is."""
    always = sum([tenant.size_bytes for tenant in model.tenants if tenant.always])
    ready = sum([1 << time for time, step in enumerate(model.steps) if not step.before])
    start = _Reached(0, len(model.steps), 0, ready, always, None)
    most_tried = min(STEPS_TRIED, BITS_KEPT // max(len(model.steps), 1))
    heap = [start]
    least: dict[int, int] = {0: 0}
    taken_up = tried = 0
    while heap:
        # Best first: sets leave the heap in rising order of their peak, so a complete one has the lowest peak of all.
        reached = heappop(heap)
        if not reached.missing:
            return _order(reached.path), reached.peak_bytes
        # Reached again by a better path since it was put in the heap.
        if least[reached.done] < reached.peak_bytes:
            continue
        if taken_up >= limit or tried >= most_tried:
            # Out of budget. The peak of the set at hand is the proved bound: all sets in the heap have at least that.
            deepest = min([reached, *heap], key=lambda r: (r.missing, r.peak_bytes, r.done))
            dives = [_dive(model, each, most_tried) for each in (deepest, start)]
            dived = min(dives, key=lambda r: r.peak_bytes)
            return (_order(dived.path) if dived.peak_bytes < old_peak else None), reached.peak_bytes
        taken_up += 1
        for following in _following(model, reached):
            tried += 1
            # A path whose peak is as high as the order that the file has cannot become an improvement.
            if following.peak_bytes < min(old_peak, least.get(following.done, old_peak)):
                least[following.done] = following.peak_bytes
                heappush(heap, following)
    return None, old_peak


def _following(model: _Model, reached: _Reached, most: int | None = None) -> list[_Reached]:
    """The sets one step further; only one where a step costs nothing.

    most: steps that are tried, beside those that wait for the last one.
    """
    following = []
    times: Iterable[int] = _bits(reached.ready)
    if most is not None:
        # Readers of the newest tensor come first: running them at once is what frees it soonest.
        freed = [] if reached.path is None else model.steps[reached.path[0]].unlocks
        times = [*[time for time in freed if reached.ready >> time & 1], *islice(times, most)]
    for time in times:
        after = _after(model, reached, time)
        # Such a step loses nothing: it needs no new peak and leaves no more alive, so the others can wait (see the
        # header).
        if after.alive_bytes <= reached.alive_bytes and after.peak_bytes <= reached.peak_bytes:
            return [after]
        following.append(after)
    return following


def _bits(mask: int) -> Iterator[int]:
    """The places of the ones, in rising order."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _after(model: _Model, reached: _Reached, time: int) -> _Reached:
    """What running step `time` leads to."""
    done, step = reached.done | 1 << time, model.steps[time]
    # `during` is alive while the step runs, its outputs and scratch included; `alive` is after it.
    alive = reached.alive_bytes
    if not reached.done:  # an input that nobody reads is gone after the first step
        during = alive
        alive -= sum([t.size_bytes for t in model.tenants if t.always and not t.users and not t.to_the_end])
    else:
        during = alive
    freed = 0
    for index in step.touches:
        tenant = model.tenants[index]
        if not tenant.always and not tenant.users & reached.done:
            alive += tenant.size_bytes
            during += tenant.size_bytes
        if not tenant.users & ~done and not tenant.to_the_end:
            freed += tenant.size_bytes
    for _, source in step.takes_over if reached.done else ():  # lowering keeps an input through the first step
        tenant = model.tenants[source]
        if not tenant.users & ~done and not tenant.to_the_end:
            during -= tenant.size_bytes
            break
    peak = max(reached.peak_bytes, during + step.scratch_bytes)
    ready = reached.ready & ~(1 << time)
    for later in step.unlocks:
        if not model.steps[later].before & ~done:
            ready |= 1 << later
    return _Reached(peak, reached.missing - 1, done, ready, alive - freed, (time, reached.path))


def _dive(model: _Model, reached: _Reached, most_tried: int) -> _Reached:
    """To the end from here, always by the step that keeps peak and memory lowest, of the first few that may come next.

    most_tried: steps that are tried in all.
    """
    each = max(most_tried // max(reached.missing, 1), 1)
    while reached.missing:
        reached = min(_following(model, reached, each), key=lambda r: (r.peak_bytes, r.alive_bytes, r.done))
    return reached


def _order(path: _Path) -> list[int]:
    backwards = []
    while path is not None:
        time, path = path
        backwards.append(time)
    return backwards[::-1]


def _with_skipped(graph: Graph, steps: Sequence[int]) -> list[int]:
    """The order of all nodes: those that are no steps come just before the first that needs them, or at the end."""
    order: list[int] = []
    seen: set[int] = set()
    for index in (*steps, *range(len(graph.nodes))):
        pending = [index]
        while pending:
            top = pending[-1]
            missing = [graph.producer.get(tensor, top) for tensor in graph.nodes[top].inputs]
            missing = [node for node in missing if node not in seen and node != top]
            if missing and top not in seen:
                pending.extend(missing)
                continue
            pending.pop()
            if top not in seen:
                seen.add(top)
                order.append(top)
    return order

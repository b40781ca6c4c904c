"""Program -> what each layer of it does and costs: the parts that a Report adds up.

A layer is a node of the graph; a step is what the runtime runs. The two differ in three ways, and each node gets a line
all the same: a node that another step absorbed ("folded into CONV_2D"), one that only renames bytes ("none: same
bytes"), and one that is left to the caller cost nothing. The other way round, a copy that only the runtime makes is no
node: its cycles count with the layer that reads the copy.

Facts about a node depend on its signature alone, so they are found once for each signature and looked up afterwards.
Where all nodes run whole, as in most networks of a sweep, whole columns are looked up at once (`_plain_breakdown`): the
general way and this one give the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache, partial
from itertools import chain, repeat
from typing import NamedTuple, cast

import numpy as np

from mcusim.columns import Kept, rows_of
from mcusim.graph import ABSENT, Flow, Graph, Signature
from mcusim.ops import OPS
from mcusim.ops.totals import whole_work
from mcusim.pricing.cycles import NO_CYCLES, Cycles, added, whole_cycles
from mcusim.pricing.efforts import PUBLISHED, EffortModel, Parts
from mcusim.pricing.prices import Coefficients, price_whole, price_work, step_work
from mcusim.program import PlainSteps, Program, Stage, Step
from mcusim.report import Basis, LayerInfo
from mcusim.runtimes import Kernel, Runtime
from mcusim.runtimes.refusals import add_refused, idle_nodes

__all__ = [
    "UNTOLD",
    "Breakdown",
    "StepCost",
    "breakdown",
    "step_cost",
]


class Breakdown(NamedTuple):
    """One entry a node of the graph, in its order.

    missing: why the runtime cannot run some nodes -> their names.   caveats: of its kernels -> the nodes they run.
    amounts: of each effort of the model that prices them, over all steps.   macs: of all layers.
    cycles: of each layer; None where they are not known.
    """

    layers: tuple[LayerInfo, ...]
    missing: dict[str, list[str]]
    caveats: dict[str, list[str]]
    amounts: tuple[float, ...]
    macs: int
    cycles: tuple[int | None, ...]


class StepCost(NamedTuple):
    """A step over all its pieces together. cycles: None where they are not known."""

    kernel: Kernel
    macs: int
    cycles: Cycles[int] | None


_SYSTEMS_KEPT = 1024
_UNKNOWN = (None, None, None, None, None)
UNTOLD = (Flow.CHOOSES, Flow.LOOPS)
"""Operators that run subgraphs, and nothing tells how often."""


class _LayerFacts(NamedTuple):
    """What a report says of a node, wherever it stands in a network: the same for all that are alike.

    cycles: None everywhere where they are not known.   efforts: see `EffortModel.parts`.
    troubled: whether the kernel cannot run it, or has a caveat.
    """

    op: str
    kernel: Kernel
    kernel_name: str
    output_shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    why: str
    hint: str
    cycles: Cycles[int] | None
    efforts: Parts
    troubled: bool
    total: int | None
    compute: int | None
    store: int | None
    memory: int | None
    overhead: int | None


def _facts(
    op: str,
    kernel: Kernel,
    shape: tuple[int, ...],
    macs: int,
    cycles: Cycles[int] | None,
    weight_bytes: int,
    efforts: Parts,
) -> _LayerFacts:
    troubled = not kernel.supported or bool(kernel.caveat)
    return _LayerFacts(
        op, kernel, kernel.name, shape, macs, weight_bytes, kernel.why, kernel.hint, cycles, efforts, troubled,
        *(cycles or _UNKNOWN),
    )  # fmt: skip


def _repriced(facts: _LayerFacts, cycles: Cycles[int] | None) -> _LayerFacts:
    total, compute, store, memory, overhead = cycles or _UNKNOWN
    return facts._replace(
        cycles=cycles, total=total, compute=compute, store=store, memory=memory, overhead=overhead
    )  # fmt: skip


@lru_cache(_SYSTEMS_KEPT)
def _layers_facts(runtime: Runtime, prices: Coefficients | None) -> Kept[Signature, _LayerFacts]:
    """What a report says of each signature where its node runs whole."""
    return Kept(partial(_layer_facts, runtime, prices))


def _layer_facts(runtime: Runtime, prices: Coefficients | None, signature: Signature) -> _LayerFacts:
    kernel = runtime.kernel(signature)
    op = OPS.get(signature.op)
    shape = signature.output.shape if signature.outputs else ()
    # How often a loop turns depends on its input, so the operator that runs it gets no cycles; its subgraph's layers
    # do.
    if op is not None and op.flow in UNTOLD:
        return _facts(signature.op, kernel, shape, 0, None, 0, ())
    # Without an output there is nothing to multiply or to store (VAR_HANDLE, ASSIGN_VARIABLE): known, and free.
    if op is None or not signature.outputs:
        return _facts(signature.op, kernel, shape, 0, NO_CYCLES if op and prices else None, 0, ())
    learned = [signature.inputs[i] for i in op.parameters if i < len(signature.inputs)]
    return _facts(
        signature.op,
        kernel,
        shape,
        whole_work(signature).macs,
        None if prices is None else whole_cycles(price_whole(prices, signature)),
        sum(kind.size_bytes for kind in learned if kind is not None and kind.is_constant),
        _model(prices).parts(signature, whole_work(signature)),
    )


@lru_cache(_SYSTEMS_KEPT)
def _effort_rows(runtime: Runtime, prices: Coefficients | None) -> Kept[Signature, bytes]:
    """The efforts of nodes that run whole, each an array row of float64 with an entry an effort of the model.

    Rows are added up by numpy one after the other, so that the sums are those of a loop, to the last bit. What names an
    effort twice takes two rows.
    """
    facts_of, size = _layers_facts(runtime, prices), len(_model(prices).causes)

    def find(call: Signature) -> bytes:
        rows = [np.zeros(size)]
        seen: set[int] = set()
        # An operator may name one effort twice (weights of two matrices). Added in one row, the sum would be rounded
        # otherwise.
        for place, amount in facts_of[call].efforts:
            if place in seen:
                rows.append(np.zeros(size))
                seen.clear()
            seen.add(place)
            rows[-1][place] = amount
        return b"".join([row.tobytes() for row in rows])

    return Kept(find)


_SAME_BYTES, _CALLERS = "none: same bytes", "none: left to the caller"


@lru_cache(_SYSTEMS_KEPT)
def _silent_facts(kernel: str, is_priced: bool) -> Kept[Signature, _LayerFacts]:
    """What a report says of nodes that the runtime never carries out: they cost nothing."""
    cycles = NO_CYCLES if is_priced else None
    return Kept(lambda call: _facts(call.op, Kernel(kernel), call.output.shape, 0, cycles, 0, ()))


@cache
def _absorbed_facts(is_priced: bool) -> Kept[tuple[Signature, Signature], _LayerFacts]:
    """What a report says of a node whose work another one does.   Key: (the signature of that one, the node's)."""
    return Kept(lambda pair: _silent_facts(_folded_into(pair[0].op), is_priced)[pair[1]])


@cache
def _folded_into(op: str) -> str:
    return f"folded into {op}"


def _model(prices: Coefficients | None) -> EffortModel:
    return PUBLISHED if prices is None else prices.model


def step_cost(stage: Stage, step: Step, runtime: Runtime, prices: Coefficients | None) -> StepCost:
    """What a step of a stage does and costs, as `breakdown` counts it."""
    if stage.part and step.node == ABSENT:
        return StepCost(Kernel(""), 0, NO_CYCLES)
    if not stage.is_cut:
        facts = _layers_facts(runtime, prices)[step.signature]
        return StepCost(facts.kernel, facts.macs, facts.cycles)
    work, kernel = step_work(step), runtime.kernel_in(stage.kind, step.signature)
    return StepCost(
        kernel, work.macs, None if prices is None else whole_cycles(price_work(prices, step.signature, work))
    )


def breakdown(
    program: Program, alive_bytes: list[int], held_bytes: int, runtime: Runtime, prices: Coefficients | None
) -> Breakdown:
    """Every layer: kernel, work, cycles, and the memory that is taken while it runs.

    Layers of a subgraph count as run through once, those of one that no inference runs as free.
    """
    if program.plain is not None:
        return _plain_breakdown(program, program.plain, alive_bytes, held_bytes, runtime, prices)
    nodes, is_priced = program.graph.nodes, prices is not None
    facts_of: list[_LayerFacts | None] = [None] * len(nodes)
    sram_bytes = [0] * len(nodes)
    amounts = [0.0] * len(_model(prices).causes)
    troubled: list[int] = []
    copying = NO_CYCLES  # of copies that only the runtime makes; they count with the layer that reads the copy
    time = 0
    for stage in program.stages:
        facts = _stage_facts(program, stage, runtime, prices)
        for place, amount in chain.from_iterable([fact.efforts for fact in facts]):
            amounts[place] += amount
        indices = [step[0] for step in stage.steps]
        for index, fact, alive in zip(indices, facts, alive_bytes[time : time + len(indices)], strict=True):
            if index == ABSENT:
                copying = added(copying, fact.cycles or NO_CYCLES)
                continue
            if copying is NO_CYCLES or fact.cycles is None:
                facts_of[index] = fact
            else:
                # The copy was made for this layer: it pays for it, and for its own work.
                facts_of[index], copying = _repriced(fact, added(fact.cycles, copying)), NO_CYCLES
            sram_bytes[index] = alive + held_bytes
        time += len(indices)
        troubled += [index for index, fact in zip(indices, facts, strict=True) if fact.troubled and index != ABSENT]
        for absorbed, op in [(step.absorbed, step[1].op) for step in stage.steps if step.absorbed]:
            for index in absorbed:
                facts_of[index] = _silent_facts(_folded_into(op), is_priced)[nodes[index].signature]
    for index in program.free:
        facts_of[index] = _silent_facts(_SAME_BYTES, is_priced)[nodes[index].signature]
    for index in program.caller:
        facts_of[index] = _silent_facts(_CALLERS, is_priced)[nodes[index].signature]
    known = [index for index, facts in enumerate(facts_of) if facts is not None]
    accounted = cast(Sequence[_LayerFacts], [facts_of[index] for index in known])
    notes = _kernel_notes(program, runtime, [(index, cast(_LayerFacts, facts_of[index]).kernel) for index in troubled])
    return _broken_down(program.graph, known, accounted, [sram_bytes[index] for index in known], notes, amounts, prices)


def _plain_breakdown(
    program: Program,
    plain: PlainSteps,
    alive_bytes: list[int],
    held_bytes: int,
    runtime: Runtime,
    prices: Coefficients | None,
) -> Breakdown:
    """The same of a Program whose nodes run whole, column by column."""
    graph, is_priced = program.graph, prices is not None
    facts = list(map(_layers_facts(runtime, prices).__getitem__, plain.calls))
    rows = b"".join(map(_effort_rows(runtime, prices).__getitem__, plain.calls))
    amounts = np.frombuffer(rows).reshape(-1, len(_model(prices).causes)).sum(axis=0).tolist()
    troubled = [(index, fact[1]) for index, fact in zip(plain.nodes, facts, strict=True) if fact[10]]
    absorbed = zip(plain.absorbers(plain.calls), plain.absorbed(graph.calls), strict=True)
    facts += map(_absorbed_facts(is_priced).__getitem__, absorbed)
    facts += [_silent_facts(_SAME_BYTES, is_priced)[graph.calls[index]] for index in program.free]
    facts += [_silent_facts(_CALLERS, is_priced)[graph.calls[index]] for index in program.caller]
    sram_bytes = [alive + held_bytes for alive in alive_bytes] + [0] * (len(facts) - len(alive_bytes))
    known, notes = range(len(graph.nodes)), _kernel_notes(program, runtime, troubled)
    return _broken_down(graph, known, plain.by_node(facts), plain.by_node(sram_bytes), notes, amounts, prices)


_KernelNotes = tuple[dict[str, list[str]], dict[str, list[str]]]
"""What is missing and caveats: see Breakdown."""


def _kernel_notes(program: Program, runtime: Runtime, troubled: Sequence[tuple[int, Kernel]]) -> _KernelNotes:
    missing: dict[str, list[str]] = {}
    caveats: dict[str, list[str]] = {}
    nodes, idle = program.graph.nodes, idle_nodes(program, runtime)
    for index, kernel in troubled:
        # What no inference comes to is set up and never run: that a kernel is missing for it does no harm.
        if index in idle:
            continue
        by_reason, why = (caveats, kernel.caveat) if kernel.supported else (missing, kernel.why)
        by_reason.setdefault(why, []).append(nodes[index].name)
    add_refused(missing, program, runtime)
    return missing, caveats


def _stage_facts(
    program: Program, stage: Stage, runtime: Runtime, prices: Coefficients | None
) -> Sequence[_LayerFacts]:
    """One entry a step."""
    if not stage.is_cut and not stage.part:
        return list(map(_layers_facts(runtime, prices).__getitem__, [step[1] for step in stage.steps]))
    is_once = program.flow_of(stage) is Flow.ONCE
    return [_step_facts(stage, step, runtime, prices, is_once) for step in stage.steps]


def _step_facts(stage: Stage, step: Step, runtime: Runtime, prices: Coefficients | None, is_once: bool) -> _LayerFacts:
    if stage.part and step.node == ABSENT:
        return _NOTHING
    facts = _layers_facts(runtime, prices)[step.signature]
    # Pieces have work of their own (halos, several calls), so the facts of the whole layer give names and shapes only.
    if stage.is_cut:
        work, cycles, efforts = step_work(step), facts.cycles, facts.efforts
        if prices is not None:
            cycles = whole_cycles(price_work(prices, step.signature, work))
            efforts = prices.model.parts(step.signature, work)
        kernel = runtime.kernel_in(stage.kind, step.signature)
        facts = _facts(facts.op, kernel, facts.output_shape, facts.macs, cycles, facts.weight_bytes, efforts)
    # CALL_ONCE runs before the first inference: its layers are listed, and cost an inference nothing.
    if is_once:
        cycles = NO_CYCLES if facts.cycles is not None else None
        facts = _repriced(facts, cycles)._replace(macs=0, efforts=())
    return facts


_NOTHING = _facts("", Kernel(""), (), 0, NO_CYCLES, 0, ())
"""Of a moment in which nothing runs."""


def _broken_down(
    graph: Graph,
    known: Sequence[int],
    facts: Sequence[_LayerFacts],
    sram_bytes: Sequence[int],
    notes: _KernelNotes,
    amounts: Sequence[float],
    prices: Coefficients | None,
) -> Breakdown:
    """known: nodes that something is known of.   facts, sram_bytes: an entry each."""
    missing, caveats = notes
    if not known:
        return Breakdown((), missing, caveats, tuple(amounts), 0, ())
    nodes, basis = graph.nodes, Basis.PROVISIONAL if prices is None else prices.basis
    ops, _, kernels, shapes, macs, weights, whys, hints, _, _, _, total, compute, store, memory, overhead = zip(
        *facts, strict=True
    )
    layers = rows_of(
        LayerInfo, known, [nodes[index].name for index in known], ops, kernels, shapes, macs, total, sram_bytes,
        weights, repeat(basis), whys, hints, compute, store, memory, overhead,
    )  # fmt: skip
    return Breakdown(tuple(layers), missing, caveats, tuple(amounts), sum(macs), total)

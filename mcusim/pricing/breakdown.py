"""Program -> what each layer and each stage of it does and costs: the parts that a Report adds up."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mcusim.graph import ABSENT, Flow, Graph, Signature
from mcusim.ops import OPS
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.ops.totals import whole_work
from mcusim.pricing.efforts import PUBLISHED, EffortModel, Parts
from mcusim.pricing.prices import Coefficients, Cost, price_whole, price_work, step_work
from mcusim.program import Program, Stage, Step, ViewKind
from mcusim.region import Span
from mcusim.report import Basis, LayerInfo, StageInfo
from mcusim.runtimes import Kernel, Runtime
from mcusim.runtimes.refusals import add_refused
from mcusim.schedule import StageKind

__all__ = [
    "UNTOLD",
    "Breakdown",
    "Cycles",
    "StepCost",
    "breakdown",
    "stage_infos",
    "step_cost",
]


class Breakdown(NamedTuple):
    """One entry a node of the graph, in its order.

    missing: why the runtime cannot run some nodes -> their names.   caveats: of its kernels -> the nodes they run.
    amounts: of each effort of the model that prices them, over all steps.
    """

    layers: tuple[LayerInfo, ...]
    missing: dict[str, list[str]]
    caveats: dict[str, list[str]]
    amounts: tuple[float, ...]


class StepCost(NamedTuple):
    """A step over all its pieces together. cycles: None where they are not known."""

    kernel: Kernel
    macs: int
    cycles: Cycles | None


class Cycles(NamedTuple):
    """Whole cycles of a step by cause; they add up to the whole total."""

    total: int
    compute: int
    store: int
    memory: int
    overhead: int

    @property
    def causes(self) -> tuple[int, int, int, int]:
        """All but the total."""
        return self.compute, self.store, self.memory, self.overhead

    def plus(self, other: Cycles) -> Cycles:
        """Both together, cause by cause."""
        return Cycles(*[mine + theirs for mine, theirs in zip(self, other, strict=True)])


NO_CYCLES = Cycles(0, 0, 0, 0, 0)
_UNKNOWN = (None, None, None, None)
UNTOLD = (Flow.CHOOSES, Flow.LOOPS)
"""Operators that run subgraphs, and nothing tells how often."""


def _whole_cycles(cost: Cost) -> Cycles:
    computed = round(cost.compute_cycles)
    stored = round(cost.compute_cycles + cost.store_cycles)
    total = round(cost.total_cycles)
    moved = min(round(cost.compute_cycles + cost.store_cycles + cost.memory_cycles), total)
    return Cycles(total, computed, stored - computed, moved - stored, total - moved)


class _LayerFacts(NamedTuple):
    """What a report says of a node that runs whole, wherever it stands in a network."""

    kernel: Kernel
    output_shape: tuple[int, ...]
    macs: int
    cycles: Cycles | None
    weight_bytes: int
    efforts: Parts


@lru_cache(SIGNATURES_KEPT)
def _layer_facts(runtime: Runtime, prices: Coefficients | None, signature: Signature) -> _LayerFacts:
    kernel = runtime.kernel(signature)
    op = OPS.get(signature.op)
    if op is not None and op.flow in UNTOLD:
        return _LayerFacts(kernel, signature.output.shape if signature.outputs else (), 0, None, 0, ())
    if op is None or not signature.outputs:
        shape = signature.output.shape if signature.outputs else ()
        return _LayerFacts(kernel, shape, 0, NO_CYCLES if op and prices else None, 0, ())
    learned = [signature.inputs[i] for i in op.parameters if i < len(signature.inputs)]
    return _LayerFacts(
        kernel,
        signature.output.shape,
        whole_work(signature).macs,
        None if prices is None else _whole_cycles(price_whole(prices, signature)),
        sum(kind.size_bytes for kind in learned if kind is not None and kind.is_constant),
        _model(prices).parts(signature, whole_work(signature)),
    )


def _model(prices: Coefficients | None) -> EffortModel:
    return PUBLISHED if prices is None else prices.model


def step_cost(stage: Stage, step: Step, runtime: Runtime, prices: Coefficients | None) -> StepCost:
    """What a step of a stage does and costs, as `breakdown` counts it."""
    if stage.part and step.node == ABSENT:
        return StepCost(Kernel(""), 0, NO_CYCLES)
    if stage.kind is StageKind.LAYER:
        facts = _layer_facts(runtime, prices, step.signature)
        return StepCost(facts.kernel, facts.macs, facts.cycles)
    work, kernel = step_work(step), runtime.kernel_in(stage.kind, step.signature)
    return StepCost(
        kernel, work.macs, None if prices is None else _whole_cycles(price_work(prices, step.signature, work))
    )


def breakdown(
    program: Program, alive_bytes: list[int], held_bytes: int, runtime: Runtime, prices: Coefficients | None
) -> Breakdown:
    """Every layer: kernel, work, cycles, and the memory that is taken while it runs.

    Layers of a subgraph count as run through once, those of one that no inference runs as free.
    """
    nodes = program.graph.nodes
    rows: list[LayerInfo | None] = [None] * len(nodes)
    basis = Basis.PROVISIONAL if prices is None else prices.basis
    missing: dict[str, list[str]] = {}
    caveats: dict[str, list[str]] = {}
    copying = NO_CYCLES  # of copies that only the runtime makes; they count with the layer that reads the copy
    amounts = [0.0] * len(_model(prices).causes)
    time = 0
    for stage in program.stages:
        is_once = program.flow_of(stage) is Flow.ONCE
        for step in stage.steps:
            index, signature = step.node, step.signature
            if stage.part and index == ABSENT:
                time += 1
                continue
            kernel, shape, macs, cycles, weight_bytes, parts = _layer_facts(runtime, prices, signature)
            if stage.kind is not StageKind.LAYER:
                kernel = runtime.kernel_in(stage.kind, signature)
            if stage.kind is not StageKind.LAYER and prices is not None:
                work = step_work(step)
                cycles = _whole_cycles(price_work(prices, signature, work))
                parts = prices.model.parts(signature, work)
            if is_once:
                macs, cycles, parts = 0, NO_CYCLES if cycles is not None else None, ()
            for place, amount in parts:
                amounts[place] += amount
            sram_bytes = alive_bytes[time] + held_bytes
            time += 1
            if index == ABSENT:
                copying = copying.plus(cycles or NO_CYCLES)
                continue
            if copying.total and cycles is not None:
                cycles, copying = cycles.plus(copying), NO_CYCLES
            name = nodes[index].name
            total, causes = (cycles.total, cycles.causes) if cycles is not None else (None, _UNKNOWN)
            rows[index] = LayerInfo(
                index, name, signature.op, kernel.name, shape, macs, total, sram_bytes, weight_bytes, basis,
                kernel.why, kernel.hint, *causes,
            )  # fmt: skip
            if not kernel.supported:
                missing.setdefault(kernel.why, []).append(name)
            elif kernel.caveat:
                caveats.setdefault(kernel.caveat, []).append(name)
            for absorbed in step.absorbed:
                rows[absorbed] = _silent(program.graph, absorbed, f"folded into {signature.op}", prices, basis)
    add_refused(missing, program, runtime)
    for index in program.free:
        rows[index] = _silent(program.graph, index, "none: same bytes", prices, basis)
    for index in program.caller:
        rows[index] = _silent(program.graph, index, "none: left to the caller", prices, basis)
    return Breakdown(tuple([row for row in rows if row is not None]), missing, caveats, tuple(amounts))


def _silent(graph: Graph, index: int, kernel: str, prices: Coefficients | None, basis: Basis) -> LayerInfo:
    """A node that the runtime never carries out."""
    node = graph.nodes[index]
    total, causes = (None, _UNKNOWN) if prices is None else (0, NO_CYCLES.causes)
    shape = node.signature.output.shape
    return LayerInfo(index, node.name, node.op, kernel, shape, 0, total, 0, 0, basis, "", "", *causes)


def stage_infos(program: Program) -> tuple[StageInfo, ...]:
    """What each stage computes again, and what its halos take."""
    found: list[Stage] = []
    for stage in program.stages:
        if stage.part:
            continue
        if found and found[-1].kind is stage.kind is StageKind.LAYER:  # what a subgraph between them has parted
            found[-1] = found[-1]._replace(steps=found[-1].steps + stage.steps)
        else:
            found.append(stage)
    return tuple([_stage_info(program, stage) for stage in found])


def _stage_info(program: Program, stage: Stage) -> StageInfo:
    nodes = [step.node for step in stage.steps if step.node != ABSENT]
    span = (min(nodes), max(nodes)) if nodes else (0, 0)
    grid = (stage.row_pieces, stage.col_pieces)
    if stage.kind is StageKind.LAYER:
        return StageInfo(stage.kind.value, grid, span, 0, 0, _input_piece(stage))
    again = halo_bytes = 0
    for step in stage.steps:
        done, once = step_work(step), whole_work(step.signature)
        again += done.macs - once.macs
        halo_bytes += max(done.written_bytes - once.written_bytes, 0)
    written = {view for step in stage.steps for view in step.writes} - {ABSENT}
    lines = {view for view in written if program.views[view].kind is ViewKind.LINES}
    halo_bytes += sum(program.buffers[program.views[w].buffer].size_bytes for w in lines)
    return StageInfo(stage.kind.value, grid, span, again, halo_bytes, _input_piece(stage))


def _input_piece(stage: Stage) -> tuple[int, int]:
    """Rows and columns of the input that one piece of the stage's first step reads at most."""
    if not stage.steps:
        return 1, 1
    step = stage.steps[0]
    call = step.signature
    # Where every piece is of one size the spans are clipped, and the priced rows are not.
    rows = max(*[span.length for span in step.rows], step.priced_rows // stage.row_pieces)
    cols = max(*[span.length for span in step.cols], step.priced_cols // stage.col_pieces)
    reads = [index for index, kind in enumerate(call.inputs) if kind is not None and not kind.is_constant]
    if call.op not in OPS or not reads:
        return rows, cols
    need = OPS[call.op].needs(call, reads[0], Span(0, rows), Span(0, cols))
    whole = call.input(reads[0])
    if need is None or stage.kind is StageKind.LAYER:
        return whole.rows, whole.cols
    return need.rows.length, need.cols.length

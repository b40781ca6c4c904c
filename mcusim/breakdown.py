"""Program -> what each layer and each stage of it does and costs: the parts that a Report adds up."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from mcusim.graph import ABSENT, Graph, Signature
from mcusim.ops import OPS, Work
from mcusim.ops.windows import SIGNATURES_KEPT
from mcusim.price import Coefficients, price_whole, price_work
from mcusim.program import Program, Stage, Step, ViewKind
from mcusim.region import Span
from mcusim.report import Basis, LayerInfo, StageInfo
from mcusim.runtimes import Kernel, Runtime
from mcusim.schedule import StageKind

__all__ = ["Breakdown", "breakdown", "count_macs", "count_parameters", "stage_infos"]


class Breakdown(NamedTuple):
    """One entry a node of the graph, in its order. missing: why the runtime cannot run some nodes -> their names."""

    layers: tuple[LayerInfo, ...]
    missing: dict[str, list[str]]


class _LayerFacts(NamedTuple):
    """What a report says of a node that runs whole, wherever it stands in a network."""

    kernel: Kernel
    output_shape: tuple[int, ...]
    macs: int
    cycles: int | None
    weight_bytes: int


@lru_cache(SIGNATURES_KEPT)
def _layer_facts(runtime: Runtime, prices: Coefficients | None, signature: Signature) -> _LayerFacts:
    kernel = runtime.kernel(signature)
    op = OPS.get(signature.op)
    if op is None or not signature.outputs:
        shape = signature.output.shape if signature.outputs else ()
        return _LayerFacts(kernel, shape, 0, 0 if op and prices else None, 0)
    learned = [signature.inputs[i] for i in op.parameters if i < len(signature.inputs)]
    return _LayerFacts(
        kernel,
        signature.output.shape,
        _whole_work(signature).macs,
        None if prices is None else round(price_whole(prices, signature).total_cycles),
        sum(kind.size_bytes for kind in learned if kind is not None and kind.is_constant),
    )


def breakdown(
    program: Program, alive_bytes: list[int], held_bytes: int, runtime: Runtime, prices: Coefficients | None
) -> Breakdown:
    """Every layer: kernel, work, cycles, and the memory that is taken while it runs."""
    nodes = program.graph.nodes
    rows: list[LayerInfo | None] = [None] * len(nodes)
    basis = Basis.PROVISIONAL if prices is None else prices.basis
    missing: dict[str, list[str]] = {}
    copying = 0  # cycles of copies that only the runtime makes; they count with the layer that reads the copy
    time = 0
    for stage in program.stages:
        for step in stage.steps:
            index, signature = step.node, step.signature
            kernel, shape, macs, cycles, weight_bytes = _layer_facts(runtime, prices, signature)
            if stage.kind is not StageKind.LAYER and prices is not None:
                cycles = round(price_work(prices, _work(step)).total_cycles)
            sram_bytes = alive_bytes[time] + held_bytes
            time += 1
            if index == ABSENT:
                copying += cycles or 0
                continue
            if copying and cycles is not None:
                cycles, copying = cycles + copying, 0
            name = nodes[index].name
            rows[index] = LayerInfo(
                index, name, signature.op, kernel.name, shape, macs, cycles, sram_bytes, weight_bytes, basis
            )
            if not kernel.supported:
                missing.setdefault(kernel.why, []).append(name)
            for absorbed in step.absorbed:
                rows[absorbed] = _silent(program.graph, absorbed, f"folded into {signature.op}", prices, basis)
    for index in program.free:
        rows[index] = _silent(program.graph, index, "none: same bytes", prices, basis)
    for index in program.caller:
        rows[index] = _silent(program.graph, index, "none: left to the caller", prices, basis)
    return Breakdown(tuple([row for row in rows if row is not None]), missing)


def _silent(graph: Graph, index: int, kernel: str, prices: Coefficients | None, basis: Basis) -> LayerInfo:
    """A node that the runtime never carries out."""
    node = graph.nodes[index]
    cycles = None if prices is None else 0
    return LayerInfo(index, node.name, node.op, kernel, node.signature.output.shape, 0, cycles, 0, 0, basis)


def stage_infos(program: Program) -> tuple[StageInfo, ...]:
    """What each stage computes again, and what its halos take."""
    return tuple([_stage_info(program, stage) for stage in program.stages])


def _stage_info(program: Program, stage: Stage) -> StageInfo:
    nodes = [step.node for step in stage.steps if step.node != ABSENT]
    span = (min(nodes), max(nodes)) if nodes else (0, 0)
    grid = (stage.row_pieces, stage.col_pieces)
    if stage.kind is StageKind.LAYER:
        return StageInfo(stage.kind.value, grid, span, 0, 0, _input_piece(stage))
    again = halo_bytes = 0
    for step in stage.steps:
        done, once = _work(step), _whole_work(step.signature)
        again += done.macs - once.macs
        halo_bytes += max(done.written_bytes - once.written_bytes, 0)
    lines = {w for step in stage.steps for w in step.writes if program.views[w].kind is ViewKind.LINES}
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


def _work(step: Step) -> Work:
    """What a step does over all pieces together."""
    return OPS[step.signature.op].work(step.signature, step.priced_rows, step.priced_cols, step.calls)


@lru_cache(SIGNATURES_KEPT)
def _whole_work(signature: Signature) -> Work:
    """What a node does that runs whole, once."""
    return OPS[signature.op].work(signature, signature.output.rows, signature.output.cols, 1)


def count_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference. Operators that mcusim does not know count none."""
    known = [node.signature for node in graph.nodes if node.op in OPS and node.outputs]
    return sum([_whole_work(signature).macs for signature in known])


def count_parameters(graph: Graph) -> tuple[int, int]:
    """Bytes and number of the learned parameters; a buffer that several tensors share counts once."""
    weight_bytes = params = 0
    seen: set[int] = set()
    tensors = graph.tensors
    for node in graph.nodes:
        op = OPS.get(node.signature.op)
        if op is None or not op.parameters:
            continue
        inputs = node.inputs
        for position in op.parameters:
            index = inputs[position] if position < len(inputs) else ABSENT
            if index == ABSENT:
                continue
            tensor = tensors[index]
            stored = index if tensor.constant is None else id(tensor.constant)
            if tensor.type.is_constant and stored not in seen:
                seen.add(stored)
                weight_bytes += tensor.type.size_bytes
                params += tensor.type.elements
    return weight_bytes, params

"""MCUNetV2's own search space and counting: one stage of p x p patches from the start, blocks as units.

Expand: input + output. Depthwise: in place, beside its shortcut. Project: input + output, its shortcut folded into the
output. In the patch stage the stage's whole output is added; the input image is not counted. Block 0 is the first
convolution. Source: MCUNetV2 (arXiv 2110.15352), Fig. 1 and Table 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from mcusim.conventions.layers import in_and_out_bytes, layers
from mcusim.errors import ScheduleError
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.ops import OPS
from mcusim.program import Program, Step, ViewKind
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import Schedule, StageKind, StageSpec

__all__ = ["PaperPlan", "block_ends", "count_patched", "patch_side", "search_paper_space"]


class PaperPlan(NamedTuple):
    """A plan of MCUNetV2's space. blocks: in the patch stage.   stage_bytes: the stage's own peak.

    macs: with patches of one size.   stage_macs: those of the stage.
    """

    blocks: int
    grid: int
    schedule: Schedule
    peak_bytes: int
    stage_bytes: int
    macs: int
    stage_macs: int


def block_ends(graph: Graph) -> tuple[int, ...]:
    """Computing nodes behind each block: the first convolution, then up to each projection and its ADD."""
    steps = list(_program(graph, Schedule()).body())
    ops = [step.signature.op for step in steps]
    ends = [1] if ops else []
    for index, op in enumerate(ops[:-1]):
        if op == "CONV_2D" and index and ops[index - 1] == "DEPTHWISE_CONV_2D":
            ends.append(index + 2 if ops[index + 1] == "ADD" else index + 1)
    return tuple(ends)


def count_patched(graph: Graph, blocks: int, grid: int) -> PaperPlan:
    """What MCUNetV2 counts with the first `blocks` blocks in `grid` x `grid` patches of one size.

    Raises ScheduleError where the grid is finer than the stage's output.
    """
    nodes = block_ends(graph)[blocks - 1]
    schedule = Schedule((StageSpec(StageKind.PATCH, nodes, grid, grid),))
    program = _program(graph, schedule)
    steps = program.stages[0].steps
    whole = program.graph.tensors[program.views[steps[-1].writes[0]].tensor].size_bytes
    stage = max(_patched_bytes(program, step) for step in steps) + whole
    rest = [
        in_and_out_bytes(layer) + (layer.beside_bytes if layer.is_depthwise else 0) for layer in layers(graph)[nodes:]
    ]
    macs = [_macs(step) for step in program.body()]
    return PaperPlan(blocks, grid, schedule, max([stage, *rest]), stage, sum(macs), sum(macs[: len(steps)]))


def patch_side(graph: Graph, schedule: Schedule) -> int:
    """Rows of the image that a patch of the first stage reads, borders padded: one number, as all are of one size."""
    stage = _program(graph, schedule).stages[0]
    return stage.steps[0].priced_rows // stage.row_pieces


def search_paper_space(graph: Graph, most: int = 4) -> PaperPlan:
    """The plan with least SRAM, then least MACs: even square grids of 2 to `most`, one stage from the start."""
    plans = []
    for blocks in range(1, len(block_ends(graph)) + 1):
        for grid in range(2, most + 1):
            try:
                plan = count_patched(graph, blocks, grid)
            except ScheduleError:
                continue
            output = _program(graph, plan.schedule).stages[0].steps[-1].signature.output
            if output.rows % grid == output.cols % grid == 0:
                plans.append(plan)
    if not plans:
        fix = "give it a network of inverted residual blocks"
        raise ScheduleError("has no plan in MCUNetV2's space", where=f"network '{graph.name}'", fix=fix)
    return min(plans, key=lambda plan: (plan.peak_bytes, plan.macs))


def _program(graph: Graph, schedule: Schedule) -> Program:
    rules = replace(RUNTIMES["tinyengine"].rules, alignment=1)
    return lower(graph, schedule, rules, InputPlace.EXTERNAL)


def _patched_bytes(program: Program, step: Step) -> int:
    """Pieces of one step of the stage; a depthwise convolution writes over its input, beside its shortcut."""
    if step.signature.op in ("ADD", "COPY"):
        return 0
    read, written = [sum(_piece_bytes(program, v) for v in set(views)) for views in (step.reads, step.writes)]
    if step.signature.op != "DEPTHWISE_CONV_2D":
        return read + written
    time = list(program.body()).index(step)
    touched = {program.views[v].buffer for v in (*step.reads, *step.writes) if v != ABSENT}
    beside = [
        buffer.size_bytes
        for index, buffer in enumerate(program.buffers)
        if buffer.first < time < buffer.end - 1 and index not in touched and _is_piece(program, index)
    ]
    return read + sum(beside)


def _piece_bytes(program: Program, view: int) -> int:
    """Bytes of a piece that the stage makes; 0 for the image and for what is whole."""
    found = program.views[view] if view != ABSENT else None
    if found is None or found.kind is not ViewKind.PIECE or found.tensor in program.graph.inputs:
        return 0
    return program.buffers[found.buffer].size_bytes


def _is_piece(program: Program, buffer: int) -> bool:
    return any(
        v.buffer == buffer and v.kind is ViewKind.PIECE and v.tensor not in program.graph.inputs for v in program.views
    )


def _macs(step: Step) -> int:
    return OPS[step.signature.op].work(step.signature, step.priced_rows, step.priced_cols, step.calls).macs

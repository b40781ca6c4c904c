"""MCUNetV2's own search space and counting: one stage of p x p patches from the start, blocks as units.

Counted by the convention `mcunetv2`. Block 0 is the first convolution.
Source: MCUNetV2 (arXiv 2110.15352), Fig. 1 and Table 1.
"""

from __future__ import annotations

from typing import NamedTuple

from mcusim.conventions import count
from mcusim.conventions.mcunetv2 import paper_program, patch_stage
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.pricing.prices import step_work
from mcusim.schedule import LAYER, Schedule, StageKind, StageSpec

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
    steps = list(paper_program(graph, LAYER).body())
    ops = [step.signature.op for step in steps]
    ends = [1] if ops else []
    for index, op in enumerate(ops[:-1]):
        # A block ends with its projection (the convolution behind a depthwise one), or with the ADD of its shortcut.
        if op == "CONV_2D" and index and ops[index - 1] == "DEPTHWISE_CONV_2D":
            ends.append(index + 2 if ops[index + 1] == "ADD" else index + 1)
    return tuple(ends)


def count_patched(graph: Graph, blocks: int, grid: int) -> PaperPlan:
    """What MCUNetV2 counts with the first `blocks` blocks in `grid` x `grid` patches of one size.

    Raises ScheduleError where the grid is finer than the stage's output.
    """
    nodes = block_ends(graph)[blocks - 1]
    schedule = Schedule((StageSpec(StageKind.PATCH, nodes, grid, grid),))
    program = paper_program(graph, schedule)
    macs = [step_work(step).macs for step in program.body()]
    peak, stage = count("mcunetv2", graph, schedule).total_bytes, patch_stage(program).total_bytes
    return PaperPlan(blocks, grid, schedule, peak, stage, sum(macs), sum(macs[: len(program.stages[0].steps)]))


def patch_side(graph: Graph, schedule: Schedule) -> int:
    """Rows of the image that a patch of the first stage reads, borders padded: one number, as all are of one size."""
    stage = paper_program(graph, schedule).stages[0]
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
            # The paper cuts into equal patches only, so the output must be divisible by the grid.
            output = paper_program(graph, plan.schedule).stages[0].steps[-1].signature.output
            if output.rows % grid == output.cols % grid == 0:
                plans.append(plan)
    if not plans:
        fix = "give it a network of inverted residual blocks"
        raise ScheduleError("has no plan in MCUNetV2's space", where=f"network '{graph.name}'", fix=fix)
    return min(plans, key=lambda plan: (plan.peak_bytes, plan.macs))

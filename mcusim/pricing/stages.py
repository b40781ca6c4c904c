"""What each stage of a Program computes again, and what its halos take. No prices: work and bytes alone."""

from __future__ import annotations

from mcusim.columns import Kept
from mcusim.graph import ABSENT, Signature
from mcusim.ops import OPS
from mcusim.ops.totals import whole_work
from mcusim.pricing.prices import step_work
from mcusim.program import Program, Stage, ViewKind
from mcusim.region import Span
from mcusim.report import StageInfo
from mcusim.schedule import StageKind

__all__ = ["stage_info", "stage_infos"]


def stage_infos(program: Program) -> tuple[StageInfo, ...]:
    """What each stage of the schedule computes again, and what its halos take.

    They are not numbered as `Program.stages`: that has the stages of subgraphs too. Of one of its own: `stage_info`.
    """
    plain = program.plain
    if plain is not None:
        span = min(plain.nodes), max(plain.nodes)
        return (StageInfo(StageKind.LAYER.value, (1, 1), span, 0, 0, _WHOLE_INPUTS[plain.calls[0]]),)
    stages: list[Stage] = []
    for stage in program.stages:
        if stage.part:
            continue
        if stages and not stages[-1].is_cut and not stage.is_cut:  # what a subgraph between them has parted
            stages[-1] = stages[-1]._replace(steps=stages[-1].steps + stage.steps)
        else:
            stages.append(stage)
    return tuple([stage_info(program, stage) for stage in stages])


def stage_info(program: Program, stage: Stage) -> StageInfo:
    """What one of a program's stages computes again, and what its halos take."""
    nodes = [step[0] for step in stage.steps if step[0] != ABSENT]
    span = (min(nodes), max(nodes)) if nodes else (0, 0)
    grid = (stage.row_pieces, stage.col_pieces)
    if not stage.is_cut:
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


def _whole_input(call: Signature) -> tuple[int, int]:
    """Rows and columns of what a node that runs whole reads first."""
    output = call.outputs[0] if call.outputs else None
    reads = [kind for kind in call.inputs if kind is not None and not kind.is_constant]
    if call.op not in OPS or not reads:
        return (output.rows, output.cols) if output is not None else (1, 1)
    return reads[0].rows, reads[0].cols


_WHOLE_INPUTS = Kept(_whole_input)


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
    if need is None or not stage.is_cut:
        return whole.rows, whole.cols
    return need.rows.length, need.cols.length

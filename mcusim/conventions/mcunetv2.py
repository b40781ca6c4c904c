"""The analytic counting of the MCUNetV2 paper, layer by layer and with one stage of patches from the start.

Expand: input + output. Depthwise: in place, beside its shortcut. Project: input + output, its shortcut folded into the
output. In the patch stage the stage's whole output is added; the input image is not counted.
Source: MCUNetV2 (arXiv 2110.15352), Fig. 1 and Table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from mcusim.conventions.registry import Convention, register
from mcusim.conventions.shared.layers import Layer, in_and_out_bytes, layers
from mcusim.errors import ScheduleError
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.program import Program, Step, ViewKind
from mcusim.report import Basis
from mcusim.runtimes import RUNTIMES, LedgerItem
from mcusim.schedule import Schedule, StageKind, StageSpec

__all__ = ["MCUNETV2", "PatchStage", "paper_program", "patch_stage"]


class PatchStage(NamedTuple):
    """What the stage of patches takes. piece_bytes: of the neediest layer, `name`.   output_bytes: of the whole stage.

    end: layers of the network up to its end.
    """

    piece_bytes: int
    output_bytes: int
    name: str
    end: int

    @property
    def total_bytes(self) -> int:
        return self.piece_bytes + self.output_bytes


def paper_program(graph: Graph, schedule: Schedule) -> Program:
    """The network in patches of one size, nothing rounded up, its image outside the arena."""
    rules = replace(RUNTIMES["tinyengine"].rules, alignment=1)
    return lower(graph, schedule, rules, InputPlace.EXTERNAL)


def patch_stage(program: Program) -> PatchStage:
    """The one stage of a program that runs patch by patch."""
    number = next(number for number, stage in enumerate(program.stages) if stage.kind is StageKind.PATCH)
    before = sum(len(stage.steps) for stage in program.stages[:number])
    steps = program.stages[number].steps
    output = program.graph.tensors[program.views[steps[-1].writes[0]].tensor]
    counted = [_patched_bytes(program, time, step) for time, step in enumerate(steps, before)]
    neediest = steps[counted.index(max(counted))].node
    name = program.graph.nodes[neediest].name if neediest != ABSENT else "input patch"
    own = sum([step.node != ABSENT for step in steps])
    return PatchStage(max(counted), output.size_bytes, name, before + own)


def _patched_bytes(program: Program, time: int, step: Step) -> int:
    """Pieces of one step of the stage."""
    if step.signature.op in ("ADD", "COPY"):
        return 0
    read, written = [sum(_piece_bytes(program, v) for v in set(views)) for views in (step.reads, step.writes)]
    if step.signature.op != "DEPTHWISE_CONV_2D":
        return read + written
    touched = {program.views[v].buffer for v in (*step.reads, *step.writes) if v != ABSENT}
    beside = [
        _piece_bytes(program, view)
        for view, held in enumerate(program.views)
        if held.buffer not in touched
        and held.buffer != ABSENT
        and program.buffers[held.buffer].first < time < program.buffers[held.buffer].end - 1
    ]
    return read + sum(beside)


def _piece_bytes(program: Program, view: int) -> int:
    """Bytes of a piece that the stage makes; 0 for the image and for what is whole."""
    written = program.views[view] if view != ABSENT else None
    if written is None or written.kind is not ViewKind.PIECE or written.tensor in program.graph.inputs:
        return 0
    return program.buffers[written.buffer].size_bytes


# ---------------------------------------------------------------------------------------------------------------------
# The convention


def _bytes(layer: Layer) -> int:
    """A projection's shortcut is folded into its output, an expansion's is its input."""
    return in_and_out_bytes(layer) + (layer.beside_bytes if layer.is_depthwise else 0)


def _largest(rows: Sequence[Layer]) -> tuple[LedgerItem, ...]:
    largest = max(rows, key=_bytes, default=None)
    if largest is None:
        return ()
    what = "in place, with its shortcut" if largest.is_depthwise else "input and output"
    return (LedgerItem("activations", _bytes(largest), f"'{largest.name}': {what}"),)


def _parts(graph: Graph, schedule: Schedule) -> tuple[LedgerItem, ...]:
    rows = layers(graph)
    if schedule.is_layer:
        return _largest(rows)
    first, *others = schedule.stages
    if first.kind is not StageKind.PATCH or any(stage.is_cut for stage in others):
        raise ScheduleError(
            "the paper counts one stage of patches, from the first layer on",
            where=f"convention mcunetv2, schedule '{schedule}'",
            fix=f"use {_nearest(schedule) or 'layer'}",
        )
    stage = patch_stage(paper_program(graph, schedule))
    rest = _largest(rows[stage.end :])
    if rest and rest[0].size_bytes >= stage.total_bytes:
        return rest
    return (
        LedgerItem("activations", stage.piece_bytes, f"pieces of '{stage.name}'"),
        LedgerItem("stage output", stage.output_bytes, "of all patches, whole"),
    )


def _nearest(schedule: Schedule) -> StageSpec | None:
    """The first patch stage of `schedule`, begun with the network."""
    end = 0
    for stage in schedule.stages:
        end += stage.nodes or 0
        if stage.kind is StageKind.PATCH:
            return replace(stage, nodes=end)
    return None


MCUNETV2 = register(
    Convention(
        name="mcunetv2",
        what="the largest layer: convolutions input + output, depthwise ones in place beside their shortcut; with the "
        "stage's output in patches",
        basis=Basis.DERIVED,
        evidence="MobileNetV2 at 224: 1372.0 KiB layer by layer, published 1372; 171.5 in 4x4 patches over 5 blocks, "
        "published 172",
        parts=_parts,
        takes_pieces=True,
    )
)

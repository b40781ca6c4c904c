"""Why a schedule: memory before and after, what is computed again, what its halos take, and which layer counts now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mcusim.breakdown import stage_infos
from mcusim.graph import ABSENT
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.planners import live_bytes
from mcusim.program import BufferKind, Program, Step
from mcusim.region import Span
from mcusim.report import AliveInfo, StageInfo
from mcusim.schedule import LAYER
from mcusim.searching import Front, Point

__all__ = ["Explanation", "Fullest", "Recomputed", "explain"]


class Fullest(NamedTuple):
    """The step at which most is alive. live_bytes: then, in the arena alone.   layer: its node's name."""

    layer: str
    op: str
    live_bytes: int
    alive: tuple[AliveInfo, ...]


class Recomputed(NamedTuple):
    """A layer of a cut stage.

    once_macs, done_macs: of the layer run whole, and as scheduled.   halo_bytes: written more than once.
    node: its index.   rows, cols: of the output in each piece: what a picture of patches draws.
    """

    node: int
    name: str
    op: str
    stage: int
    output_shape: tuple[int, ...]
    once_macs: int
    done_macs: int
    halo_bytes: int
    rows: tuple[Span, ...]
    cols: tuple[Span, ...]

    @property
    def factor(self) -> float:
        """How often the layer is computed, on average over its output."""
        return self.done_macs / self.once_macs if self.once_macs else 1.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """before: layer by layer.   after: under the schedule.   stages, layers: of the schedule; cut ones only."""

    before: Point
    after: Point
    fullest_before: Fullest
    fullest_after: Fullest
    stages: tuple[StageInfo, ...]
    layers: tuple[Recomputed, ...]


def explain(front: Front, point: Point) -> Explanation:
    """What `point` of a front does to the network, and why it takes the memory that it takes."""
    rules = front.runtime.rules
    before = lower(front.graph, LAYER, rules, front.layer.input_place)
    after = lower(front.graph, point.schedule, rules, point.input_place)
    layers = [
        _recomputed(after, number, step)
        for number, stage in enumerate(after.stages)
        if stage.kind != "layer"
        for step in stage.steps
        if step.node != ABSENT
    ]
    stages = tuple([stage for stage in stage_infos(after) if stage.kind != "layer"])
    return Explanation(front.layer, point, _fullest(before), _fullest(after), stages, tuple(layers))


def _recomputed(program: Program, stage: int, step: Step) -> Recomputed:
    node, call = program.graph.nodes[step.node], step.signature
    work, output = OPS[call.op].work, call.output
    done = work(call, step.priced_rows, step.priced_cols, step.calls)
    once = work(call, output.rows, output.cols, 1)
    return Recomputed(
        step.node,
        node.name,
        call.op,
        stage,
        output.shape,
        once.macs,
        done.macs,
        max(done.written_bytes - once.written_bytes, 0),
        step.rows,
        step.cols,
    )


def _fullest(program: Program) -> Fullest:
    alive = live_bytes(program.buffers, program.length)
    most = max(alive, default=0)
    if not alive:
        return Fullest("", "", 0, ())
    time = alive.index(most)
    step = list(program.body())[time]
    name = program.graph.nodes[step.node].name if step.node != ABSENT else "input patch"
    here = [
        AliveInfo(buffer.name, buffer.size_bytes)
        for buffer in program.buffers
        if buffer.first <= time < buffer.end and buffer.kind is not BufferKind.HELD
    ]
    return Fullest(name, step.signature.op, most, tuple(sorted(here, key=lambda item: -item.bytes)))

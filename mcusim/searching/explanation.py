"""Why a schedule: memory before and after, what is computed again, what its halos take, and which layer counts now.

Patches of a 3x3 convolution overlap: of a map of 8 rows in two patches each computes 4 rows of the output, but reads
rows 0..4 and 3..7 of its input. Rows 3 and 4 are the halo. The layer that makes them computes 5 + 5 rows instead of 8,
which is a `factor` of 1.25; it grows with every kernel between a layer and the stage's end. Bands compute nothing
twice; they keep the rows in line buffers instead, and `halo_bytes` is what those take.

Memory is told as two steps, the fullest before and the fullest after: often it is another layer that counts now, and
then a finer grid would gain nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.graph import ABSENT
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.planners import live_bytes
from mcusim.pricing.prices import Coefficients, price_whole, price_work, step_work
from mcusim.pricing.stages import stage_info
from mcusim.program import Program, Stage, Step
from mcusim.region import Span
from mcusim.report import AliveInfo
from mcusim.schedule import LAYER
from mcusim.searching import Front, Point, prices_of
from mcusim.units import cycles_to_ms

__all__ = ["CutStage", "Explanation", "Fullest", "Recomputed", "explain"]


class Fullest(NamedTuple):
    """The step at which most is alive. live_bytes: then, in the arena alone.   layer: its node's name."""

    layer: str
    op: str
    live_bytes: int
    alive: tuple[AliveInfo, ...]


class Recomputed(NamedTuple):
    """A layer of a cut stage.

    node: its index.   stage: of `Explanation.stages`, from 0.   halo_bytes: written more than once.
    once_macs, done_macs: of the layer run whole, and as scheduled.
    rows, cols: of the output in each piece.
    more_ms: what being cut costs it; None where nobody has measured the runtime on this core.
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
    more_ms: float | None

    @property
    def factor(self) -> float:
        """How often the layer is computed, on average over its output."""
        return self.done_macs / self.once_macs if self.once_macs else 1.0


class CutStage(NamedTuple):
    """A cut stage: what its halos cost.

    grid: pieces by rows and columns.   nodes: first and last.   once_macs: of its layers run whole.
    halo_bytes: written more than once, or line buffers of bands.   more_ms: than its layers run whole.
    """

    spec: str
    kind: str
    grid: tuple[int, int]
    nodes: tuple[int, int]
    once_macs: int
    recomputed_macs: int
    halo_bytes: int
    more_ms: float | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """before: layer by layer.   after: under the schedule.   stages, layers: of the schedule; cut ones only."""

    before: Point
    after: Point
    fullest_before: Fullest
    fullest_after: Fullest
    stages: tuple[CutStage, ...]
    layers: tuple[Recomputed, ...]


def explain(front: Front, point: Point) -> Explanation:
    """What `point` of a front does to the network, and why it takes the memory that it takes."""
    rules = front.runtime.rules
    before = lower(front.graph, LAYER, rules, front.layer.input_place)
    after = lower(front.graph, point.schedule, rules, point.input_place)
    clock = _Clock(prices_of(front.graph, front.runtime, front.board), front.board.clock_hz)
    # Names of stages come from the schedule, figures from the Program: layers in between have no entry of their own.
    cut = [number for number, stage in enumerate(after.stages) if stage.is_cut]
    specs = [str(spec) for spec in point.schedule.stages if spec.is_cut]
    stages = [_cut_stage(after, after.stages[number], spec, clock) for number, spec in zip(cut, specs, strict=True)]
    layers = [
        _recomputed(after, place, step, clock)
        for place, number in enumerate(cut)
        for step in after.stages[number].steps
        if step.node != ABSENT
    ]
    return Explanation(front.layer, point, _fullest(before), _fullest(after), tuple(stages), tuple(layers))


class _Clock(NamedTuple):
    """prices: None where nobody has measured them."""

    prices: Coefficients | None
    hz: int

    def more_ms(self, steps: Iterable[Step]) -> float | None:
        """What steps take beyond the same nodes run whole; copies that only a cut stage makes included."""
        if self.prices is None:
            return None
        more = sum(self._done(step) - (self._once(step) if step.node != ABSENT else 0) for step in steps)
        return cycles_to_ms(more, self.hz)

    def _done(self, step: Step) -> int:
        assert self.prices is not None
        return round(price_work(self.prices, step.signature, step_work(step)).total)

    def _once(self, step: Step) -> int:
        assert self.prices is not None
        return round(price_whole(self.prices, step.signature).total)


def _cut_stage(program: Program, stage: Stage, spec: str, clock: _Clock) -> CutStage:
    info = stage_info(program, stage)
    once = sum(step_work(step).macs for step in stage.steps) - info.recomputed_macs
    more_ms = clock.more_ms(stage.steps)
    return CutStage(spec, info.kind, info.grid, info.nodes, once, info.recomputed_macs, info.halo_bytes, more_ms)


def _recomputed(program: Program, stage: int, step: Step, clock: _Clock) -> Recomputed:
    node, call = program.graph.nodes[step.node], step.signature
    # What pieces write beyond the layer's own output is what the halo costs in memory traffic.
    done, output = step_work(step), call.output
    once = OPS[call.op].work(call, output.rows, output.cols, 1)
    halo_bytes = max(done.written_bytes - once.written_bytes, 0)
    shape, macs = output.shape, (once.macs, done.macs)
    return Recomputed(
        step.node, node.name, call.op, stage, shape, *macs, halo_bytes, step.rows, step.cols, clock.more_ms([step])
    )


def _fullest(program: Program) -> Fullest:
    alive = live_bytes(program.buffers, program.length)
    most = max(alive, default=0)
    steps = list(program.body())
    if not steps:
        return Fullest("", "", 0, ())
    time = alive.index(most)
    step = steps[time]
    name = program.name_of(step)
    here = [
        AliveInfo(buffer.name, buffer.size_bytes)
        for buffer in program.buffers
        if buffer.first <= time < buffer.end and buffer.kind.is_planned
    ]
    return Fullest(name, step.signature.op, most, tuple(sorted(here, key=lambda item: -item.bytes)))

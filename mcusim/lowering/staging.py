"""Which steps a stage holds, and which region of each tensor every one of its pieces computes.

One backward sweep along each axis: a stage's outputs are shared out among the pieces, and each operator says what its
inputs must hold for that. A region is the bounding box of what all consumers need.

    pieces of the output     |   0   |   1   |   2   |
    what they need before  |    0    |
                                 |    1    |            halo: computed by two pieces, or kept between bands
                                         |    2    |
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from mcusim.errors import ScheduleError
from mcusim.graph import ABSENT, Graph, Signature, signature, tensor_type
from mcusim.lowering.folding import Folding, fold
from mcusim.lowering.rules import LoweringRules
from mcusim.ops import OPS, Movement
from mcusim.ops.shared.windows import SIGNATURES_KEPT
from mcusim.region import Span, clip, hull
from mcusim.schedule import Schedule, StageSpec

__all__ = [
    "AxisRow",
    "Network",
    "StagePlan",
    "StepNode",
    "Sweep",
    "bands",
    "computes",
    "copied_inputs",
    "is_tileable",
    "network_of",
    "overwritten",
    "patches",
    "resized",
    "split",
]


NETWORKS_KEPT = 4
"""A network is asked about under a few runtimes in a row."""
SWEEPS_KEPT = 256
"""Schedules of one network share many of their stages."""


class StepNode(NamedTuple):
    """A node that becomes a step: its signature after folding, and the storage it reads and writes.

    reads: storage of each input, ABSENT for constants and absent ones.   writes: storage of each output.
    is_kept: whether it writes a variable. A step in front may read that variable, as the inference before left it.
    """

    node: int
    signature: Signature
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    is_kept: bool = False


class Network(NamedTuple):
    """A graph as a runtime carries it out: the nodes that become steps, and the storage that they share.

    root: tensor -> the tensor whose storage holds it, aliases followed; the last entry stands for ABSENT.
    inputs, outputs: storage of the network's inputs and outputs.
    """

    folding: Folding
    root: tuple[int, ...]
    steps: tuple[StepNode, ...]
    inputs: frozenset[int]
    outputs: frozenset[int]


@lru_cache(NETWORKS_KEPT)
def network_of(graph: Graph, rules: LoweringRules) -> Network:
    """What `rules` leave of a graph. Every schedule of the graph asks for it."""
    folding, tensors = fold(graph, rules), graph.tensors
    root = _roots(len(tensors), folding.alias)
    steps = []
    for index, node in enumerate(graph.nodes):
        if index not in folding.skipped:
            # `root` has one entry more than there are tensors, so that ABSENT (-1) finds ABSENT.
            reads = [root[t] if t >= 0 and not tensors[root[t]].type.is_constant else ABSENT for t in node.inputs]
            call = folding.signatures.get(index, node.signature)
            is_kept = any(tensors[t].is_variable for t in node.outputs)
            steps.append(StepNode(index, call, tuple(reads), tuple([root[t] for t in node.outputs]), is_kept))
    inputs, outputs = frozenset([root[t] for t in graph.inputs]), frozenset([root[t] for t in graph.outputs])
    return Network(folding, tuple(root), tuple(steps), inputs, outputs)


def _roots(tensors: int, alias: dict[int, int]) -> list[int]:
    roots = [*range(tensors), ABSENT]
    for tensor in alias:
        passed = [tensor]
        while roots[passed[-1]] == passed[-1] and passed[-1] in alias:
            passed.append(alias[passed[-1]])
        root = roots[passed[-1]]
        for one in passed:  # so that a long chain of views is walked once
            roots[one] = root
    return roots


@lru_cache(SIGNATURES_KEPT)
def resized(call: Signature, rows: int, cols: int) -> Signature:
    """`call` for an output of `rows` x `cols`, its inputs as large as they must be for that, borders included."""
    needs, out_rows, out_cols = OPS[call.op].needs, Span(0, rows), Span(0, cols)
    inputs = list(call.inputs)
    for index, kind in enumerate(call.inputs):
        region = needs(call, index, out_rows, out_cols) if kind is not None and not kind.is_constant else None
        if kind is not None and region is not None and len(kind.shape) == 4:  # others are read whole
            shape = (kind.shape[0], region.rows.length, region.cols.length, *kind.shape[3:])
            # Inputs that are no feature maps (weights that the network computes, a vector to add) are read whole by
            # each piece.
            inputs[index] = tensor_type(shape, kind.dtype)
    outputs = [
        tensor_type((o.shape[0], rows, cols, *o.shape[3:]), o.dtype) if len(o.shape) == 4 else o for o in call.outputs
    ]
    return signature(call.op, call.attributes, tuple(inputs), tuple(outputs))


def overwritten(rules: LoweringRules, call: Signature, piece: Signature, *, is_cut: bool = False) -> tuple[int, ...]:
    """Inputs on top of which a step may be computed: by its operator, by the runtime and by the kernel that serves it.

    piece: `call` with the shapes of what is computed at once. A kernel's answer does not depend on how large that is.
    is_cut: a piece holds the images of a batch row by row, and a step computes one image after the other. Where rows
    become shorter, those of the first image would come to lie on what the second still has to read.
    """
    if call.op not in rules.in_place or (is_cut and call.output.shape[:1] > (1,)):
        return ()
    allowed = OPS[call.op].overwrites(call)
    if rules.overwrites is None or not allowed:
        return allowed
    by_kernel = rules.overwrites(piece)
    return tuple([position for position in allowed if position in by_kernel])


class StagePlan(NamedTuple):
    """Steps [first, end) of the network run as `spec` says."""

    spec: StageSpec
    first: int
    end: int


def split(graph: Graph, steps: Sequence[StepNode], schedule: Schedule) -> list[StagePlan]:
    """The stages of a schedule over the steps of a network.

    A stage ends with its last computing node. Nodes that only move data go with the computing node that follows them,
    unless one of them cannot be cut: then all up to it run whole before.
    Raises ScheduleError where the network has fewer computing nodes than the schedule covers.
    """
    if schedule.is_auto:
        fix = "name the stages; `mcusim patch MODEL --profile BOARD` finds them for a board"
        raise ScheduleError("there is no board to find it for", where="schedule 'auto'", fix=fix)
    plans: list[StagePlan] = []
    at = 0
    for number, spec in enumerate(schedule.stages, start=1):
        computing = [t for t in range(at, len(steps)) if computes(steps[t])]
        if spec.nodes is None or spec.nodes > len(computing):
            left = f", and {len(computing)} are left for stage {number}" if number > 1 else ""
            raise ScheduleError(
                f"the network has {sum(map(computes, steps))} computing nodes{left}, not {spec.nodes}",
                where=f"schedule '{schedule}'",
                fix="cover fewer nodes",
            )
        first, end = at, computing[spec.nodes - 1] + 1
        # The stage begins as early as its data movement allows: a PAD in front of its first convolution is cut with it.
        if spec.is_cut:
            first = computing[0]
            while first > at and is_tileable(steps[first - 1]):
                first -= 1
            # A variable that is written piece by piece would be read half old and half new by the next piece.
            kept = next((t for t in range(first, end) if steps[t].is_kept), None)
            if kept is not None:
                raise _not_tileable(steps, kept, f"schedule '{schedule}'", "keeps its output from call to call")
        if first > at:
            plans.append(StagePlan(StageSpec(), at, first))
        plans.append(StagePlan(spec, first, end))
        at = end
    if at < len(steps) or not plans:
        plans.append(StagePlan(StageSpec(), at, len(steps)))
    return plans


def copied_inputs(graph: Graph, steps: Sequence[StepNode], end: int, inputs: Set[int]) -> list[int]:
    """Of external `inputs`, those that a first stage of steps [0, end) can copy piece by piece into the arena.

    They are feature maps, every reader takes them for what they are, and nothing behind the stage reads them.
    """
    later = {storage for step in steps[end:] for storage in step.reads}
    reads = [(s, step.signature.input(i)) for step in steps[:end] for i, s in enumerate(step.reads) if s in inputs]
    # An input that a later stage reads must be whole somewhere, and a copy of a patch is gone with its patch.
    otherwise = {s for s, kind in reads if kind.shape != graph.tensors[s].shape or len(kind.shape) != 4}
    return sorted({storage for storage, _ in reads} - later - otherwise)


def computes(step: StepNode) -> bool:
    """Whether schedules count this step."""
    op = OPS.get(step.signature.op)
    return op is None or op.movement is Movement.COMPUTES


def is_tileable(step: StepNode) -> bool:
    """Whether an output region of this step needs no more than a region of each input."""
    op, output = OPS.get(step.signature.op), step.signature.outputs
    if op is None or not output or step.is_kept:
        return False
    whole = Span(0, output[0].rows), Span(0, output[0].cols)
    return all(
        op.needs(step.signature, position, *whole) is not None
        for position, storage in enumerate(step.reads)
        if storage != ABSENT
    )


class AxisRow(NamedTuple):
    """One step along one axis.

    spans: its output interval in each piece, as executed; empty where a piece has nothing to do.
    held: elements of the axis that the output must hold at once while a piece runs.
    carried: whether some of them are kept from one piece to the next.
    uniform: the longest interval before clipping, which is what a runtime with patches of one size computes in each.
    starts: where each interval starts before clipping.
    """

    spans: tuple[Span, ...]
    held: int
    carried: bool
    uniform: int
    starts: tuple[int, ...]

    @property
    def padded(self) -> tuple[Span, ...]:
        """The intervals of a runtime with patches of one size: they reach past the border."""
        pairs = zip(self.starts, self.spans, strict=True)
        return tuple([Span(start, start + self.uniform) if span.length else span for start, span in pairs])


def patches(size: int, pieces: int) -> tuple[Span, ...]:
    """`size` shared out among `pieces`, as evenly as whole numbers allow."""
    return tuple([Span(i * size // pieces, (i + 1) * size // pieces) for i in range(pieces)])


def bands(size: int, whole: int, band: int) -> tuple[Span, ...]:
    """A tensor of `size` in as many bands as `band` at a time cut `whole` into, at the same rate."""
    pieces = -(-whole // band)
    # A band of the stage's output stands for so many rows of each map before it: 2 of 8 are 4 of 16. The last band
    # takes what is left, as `whole` need not be a multiple of `band`.
    ends = [min((i + 1) * band * size // whole, size) for i in range(pieces - 1)] + [size]
    return tuple([Span(start, end) for start, end in zip([0, *ends], ends, strict=False)])


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a stage is cut along one axis.

    by_rows: rows, or columns.   kept: storage that leaves the stage, so that all of it must be delivered.
    pieces: of a grid.   band, whole: instead of it, rows of a band, and how many the stage's output has.
    """

    by_rows: bool
    kept: frozenset[int]
    where: str = field(compare=False)
    pieces: int = 1
    band: int = 0
    whole: int = 0

    @property
    def carries(self) -> bool:
        """Whether what one piece computed is still there for the next (bands), or computed again (patches)."""
        return self.band > 0

    def share(self, size: int) -> tuple[Span, ...]:
        """The part of an axis of `size` that each piece must deliver."""
        return bands(size, self.whole, self.band) if self.band else patches(size, self.pieces)

    def rows(self, steps: Sequence[StepNode]) -> list[AxisRow]:
        """One AxisRow a step. Raises ScheduleError at an operator that cannot be cut."""
        return _swept(self, tuple(steps))

    def sweep(self, steps: tuple[StepNode, ...]) -> list[AxisRow]:
        """`rows`, not remembered."""
        # An empty interval for each piece: where nobody asks for a tensor, no piece computes it.
        nothing = [_NOTHING] * len(self.share(1))
        needed: dict[int, _Pieces] = {}
        backwards: list[AxisRow] = []
        # Backwards: what a step must compute is what those behind it read of it, and what leaves the stage.
        for position in range(len(steps) - 1, -1, -1):
            step = steps[position]
            if not step.signature.outputs:
                raise _not_tileable(steps, position, self.where)
            output = step.signature.outputs[0]
            size = output.rows if self.by_rows else output.cols
            asked = _Pieces(nothing, nothing)
            for storage in step.writes:
                asked = asked.hull(needed.get(storage))
                if storage in self.kept:
                    own = [*self.share(size)]
                    asked = asked.hull(_Pieces(own, own))
            clipped = [clip(span, size) for span in asked.inside]
            row = _carried(clipped) if self.carries else _recomputed(clipped, asked.outside)
            backwards.append(row)
            computed = [*row.spans]
            # Inside is what is computed, outside what a runtime with patches of one size computes: it never clips, so
            # that the interval of a step in front grows by the whole halo even at the border.
            pieces = _Pieces(computed, computed if self.carries else asked.outside)
            for index, storage in enumerate(step.reads):
                if storage != ABSENT:
                    needs, known = self._need(steps, position, index, pieces), needed.get(storage)
                    needed[storage] = needs if known is None else known.hull(needs)
        return backwards[::-1]

    def _need(self, steps: Sequence[StepNode], position: int, index: int, pieces: _Pieces) -> _Pieces:
        """What output intervals ask of an input: clipped from those inside, not clipped from the others."""
        signature = steps[position].signature
        source = signature.input(index)
        size = source.rows if self.by_rows else source.cols
        needed = [self._interval(signature, index, span) for span in pieces.inside]
        loose = needed
        if pieces.inside != pieces.outside:
            loose = [self._interval(signature, index, span) for span in pieces.outside]
        inside = [clip(span, size) for span in needed if span is not None]
        outside = [span for span in loose if span is not None]
        # One interval of None is enough: an operator that needs its whole input for one piece cannot be cut at all.
        if len(inside) < len(needed) or len(outside) < len(loose):
            raise _not_tileable(steps, position, self.where)
        return _Pieces(inside, inside if self.carries else outside)

    def _interval(self, signature: Signature, index: int, span: Span) -> Span | None:
        if span.stop <= span.start:
            return Span(0, 0)
        op, output = OPS.get(signature.op), signature.outputs[0]
        if op is None:
            return None
        if self.by_rows:
            # The other axis is asked for whole. Operators for which rows and columns depend on each other answer None.
            region = op.needs(signature, index, span, Span(0, output.cols))
            return region.rows if region is not None else None
        region = op.needs(signature, index, Span(0, output.rows), span)
        return region.cols if region is not None else None


@lru_cache(SWEEPS_KEPT)
def _swept(sweep: Sweep, steps: tuple[StepNode, ...]) -> list[AxisRow]:
    return sweep.sweep(steps)


_NOTHING = Span(0, 0)


class _Pieces(NamedTuple):
    """An interval for each piece, clipped at the border and not. Bands do not ask for the second: the lists are one."""

    inside: list[Span]
    outside: list[Span]

    def hull(self, other: _Pieces | None) -> _Pieces:
        """What holds both."""
        if other is None:
            return self
        inside = [*map(hull, self.inside, other.inside)]
        if self.inside is self.outside and other.inside is other.outside:
            return _Pieces(inside, inside)
        return _Pieces(inside, [*map(hull, self.outside, other.outside)])


def _recomputed(spans: list[Span], unclipped: list[Span]) -> AxisRow:
    held = max([span.length for span in spans])
    uniform, starts = max([span.length for span in unclipped]), tuple([span.start for span in unclipped])
    return AxisRow(tuple(spans), held, False, uniform, starts)


def _carried(asked: list[Span]) -> AxisRow:
    """Each piece computes only what no piece before it has; what this or a later one still asks for is held.

    Bands of 2 rows of a 3x3 convolution ask for rows 0..2, 1..4 and 3..5 (both ends included) of an input of 6. The
    bands compute rows 0..2, 3..4 and 5. Before the second, row 0 is given up, as no one asks for it again: rows 1..4
    are held, and 4 rows are the most that the line buffer must hold at once.
    """
    # From the last piece to the first: an element may be dropped once no later piece asks for it.
    oldest = []  # first element that this piece or a later one asks for
    still = max([span.stop for span in asked])
    for span in reversed(asked):
        still = min(still, span.start) if span.length else still
        oldest.append(still)
    oldest.reverse()
    spans, done, held, carried = [], 0, 0, False
    for span, first in zip(asked, oldest, strict=True):
        carried = carried or first < done
        # Something carried is something that was computed before this piece and that this piece or a later one still
        # reads.
        # A kernel with a stride above its size leaves rows out: what lies before `first` is never computed.
        new = Span(max(done, first), span.stop)
        spans.append(new if new.stop > new.start else _NOTHING)
        done = max(done, span.stop)
        # Rows [first, done) are in the line buffer while this piece runs.
        held = max(held, done - first)
    return AxisRow(tuple(spans), held, carried, held, tuple([span.start for span in spans]))


def _not_tileable(
    steps: Sequence[StepNode], position: int, where: str, why: str = "needs its whole input"
) -> ScheduleError:
    signature = steps[position].signature
    shape = "x".join(map(str, signature.output.shape)) if signature.outputs else "nothing"
    return ScheduleError(
        f"cuts through {signature.op} (output {shape}), which {why}",
        where=where,
        fix="let the stage end before it, or start behind it",
    )

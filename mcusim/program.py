"""How a network runs: stages that are loop nests over steps, the buffers that they need and the views they read.

    Program
    `- Stage      row pieces x column pieces around a body
       `- Step    one node: region of its output in each piece, views read and written, scratch
    Buffer        bytes with a lifetime; the planners place it
    View          how the bytes of a buffer hold (a region of) a tensor

Time is counted in steps of the bodies, one after the other: step t of the program is alive on [t, t + 1). A buffer
that is carried around a loop lives for its whole stage. The region of a step in iteration (i, j) is
`rows[i] x cols[j]`: two tables of half-open intervals, empty allowed. Layer by layer is 1 x 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple

from mcusim.columns import Kept
from mcusim.graph import ABSENT, Flow, Graph, Signature
from mcusim.region import Region, Span
from mcusim.schedule import StageKind

__all__ = [
    "BESIDE",
    "Buffer",
    "BufferKind",
    "Buffers",
    "Home",
    "Iteration",
    "Lives",
    "Part",
    "Pick",
    "PlainSteps",
    "Program",
    "ScratchUse",
    "Stage",
    "Step",
    "Variable",
    "View",
    "ViewKind",
    "scratch_name",
]


class BufferKind(StrEnum):
    """What a buffer is for."""

    INPUT = "input"
    OUTPUT = "output"
    ACTIVATION = "activation"
    SCRATCH = "scratch"
    """Working memory of one step, planned among the activations."""
    HELD = "held"
    """Working memory that the runtime holds beside the arena from start to end."""
    VARIABLE = "variable"
    """A value that outlives an inference, placed in the arena from start to end: a state, or an input's address."""
    PERSISTENT = "persistent"
    """The same, in memory that the runtime counts with its other persistent bytes."""

    @property
    def is_planned(self) -> bool:
        """Whether a planner places it in the arena."""
        return self not in BESIDE


BESIDE = frozenset({BufferKind.HELD, BufferKind.PERSISTENT})
"""Kinds of buffers that no planner places."""


class Buffer(NamedTuple):
    """Bytes that live on steps [first, end).

    alignment: of its offset, in bytes; a power of two.
    tensor: the tensor it holds, ABSENT for scratch and for variables.
    over: index of the buffer whose storage it takes over from step `first` on, ABSENT if it has storage of its own.
        It lies at the same offset and may be smaller: what is left of the old storage is then free.
    """

    name: str
    size_bytes: int
    first: int
    end: int
    kind: BufferKind = BufferKind.ACTIVATION
    alignment: int = 1
    tensor: int = ABSENT
    over: int = ABSENT


@dataclass(frozen=True, eq=False)
class Lives:
    """All that buffers have beside names, sizes and tensors, an entry a buffer: the same for networks wired alike.

    What depends on nothing else is found once for an object of this class.
    """

    firsts: tuple[int, ...]
    ends: tuple[int, ...]
    kinds: tuple[BufferKind, ...]
    alignments: tuple[int, ...]
    overs: tuple[int, ...]

    @cached_property
    def planned(self) -> int:
        """How many a planner places."""
        return sum([kind not in BESIDE for kind in self.kinds])

    @cached_property
    def alive_at(self) -> Kept[int, tuple[int, ...]]:
        """Buffers that are alive at a step."""

        def find(time: int) -> tuple[int, ...]:
            lives = enumerate(zip(self.firsts, self.ends, strict=True))
            return tuple([index for index, (first, end) in lives if first <= time < end])

        return Kept(find)


class Buffers(tuple[Buffer, ...]):
    """Buffers with their columns. Those that a planner places come first."""

    lives: Lives
    size_bytes: Sequence[int]


class ViewKind(StrEnum):
    """Which part of the tensor a view holds."""

    WHOLE = "whole"
    """All of it."""
    PIECE = "piece"
    """The region of the current iteration, from the view's start."""
    LINES = "lines"
    """Its latest rows, row r at r modulo `row_capacity`."""
    OUTSIDE = "outside"
    """All of it, in memory of the caller: an external input."""


class View(NamedTuple):
    """How a buffer holds a tensor.

    buffer: index, ABSENT for OUTSIDE.   row_capacity: rows held.
    pointer: of OUTSIDE, the buffer that keeps its address, where the runtime keeps it.
    row_pitch_bytes: from one row to the next; of a whole tensor of packed elements its rows need not start at bytes.
    """

    tensor: int
    buffer: int
    kind: ViewKind = ViewKind.WHOLE
    offset_bytes: int = 0
    row_pitch_bytes: int = 0
    row_capacity: int = 0
    pointer: int = ABSENT


class ScratchUse(NamedTuple):
    """Working memory that a step uses, and for what.

    role: as the kernel that asks for it calls it (`im2col`, `kernel`).   buffer: index.
    size_bytes: what this step asks. A buffer that is held throughout is as large as the neediest step asks.
    """

    role: str
    buffer: int
    size_bytes: int


def scratch_name(node: str, role: str) -> str:
    """Of a node's working memory. Of fused nodes, whose names are joined by `;`, the first: the role stays in sight."""
    return f"{node.split(';')[0] or node} {role}"


class Variable(NamedTuple):
    """A value that outlives an inference: the state of an operator, or a resource.

    buffer: index. It lives from start to end.   fill: every byte of it at first, as two's complement; a resource may
        be assigned another value once, by a subgraph.
    tensors: that stand for it: the state itself, or the handles of a resource.
    node: whose operator keeps it for itself; ABSENT for what tensors stand for.
    """

    name: str
    buffer: int
    size_bytes: int
    fill: int
    tensors: tuple[int, ...]
    node: int = ABSENT


class Home(NamedTuple):
    """Where an input or output of the network lies while it runs.

    tensor: of the network.   held: the tensor that the runtime itself takes or gives. It is another one where the
        caller converts (`Program.caller`): then `tensor` never lies anywhere in that form.
    view: that holds `held`; ABSENT for an output that is a constant.
    """

    tensor: int
    held: int
    view: int


class Step(NamedTuple):
    """One node in the body of a stage; `node` is ABSENT for a copy that only the runtime makes.

    signature: of what is executed. It differs from the node's where lowering folded neighbours into it.
    reads: view indices in the order of the node's inputs, ABSENT for constants and absent inputs.
    writes: view indices in the order of the node's outputs.   updates: views among `reads` that it changes too:
        variables.
    rows, cols: region of the output in each row piece and in each column piece.
    computed_rows, computed_cols: what the runtime computes in each. Where it pads border patches to full size, these
        reach past the border, and the buffer of a piece starts where they start; elsewhere they are `rows` and `cols`.
    scratch: its working memory, planned among the activations or held beside them.
    absorbed: nodes whose work this step does too (a folded PAD).
    priced_rows, priced_cols: rows and columns that the runtime computes over all pieces together; more than the spans
        add up to where it pads border patches to full size.   calls: how often the kernel is entered.
    label: what it is called where it has no node.
    """

    node: int
    signature: Signature
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    rows: tuple[Span, ...]
    cols: tuple[Span, ...]
    computed_rows: tuple[Span, ...]
    computed_cols: tuple[Span, ...]
    updates: tuple[int, ...] = ()
    scratch: tuple[ScratchUse, ...] = ()
    absorbed: tuple[int, ...] = ()
    priced_rows: int = 1
    priced_cols: int = 1
    calls: int = 1
    label: str = "input patch"


class Stage(NamedTuple):
    """A loop nest: for each row piece, for each column piece, the steps of the body in order.

    part: the subgraph whose steps these are, by its number in the file: 0 is the network itself. Those of another run
        when a step of the network enters it. ABSENT: nothing runs, what lives then is only planned.
    """

    kind: StageKind
    row_pieces: int
    col_pieces: int
    steps: tuple[Step, ...]
    part: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether its steps run in pieces."""
        return self.kind is not StageKind.LAYER


class Iteration(NamedTuple):
    """One step in one iteration of its stage: what `Program.steps()` unrolls."""

    stage: int
    row: int
    col: int
    step: Step
    region: Region


class Part(NamedTuple):
    """One subgraph of the file inside the graph of a Program.

    inputs, outputs: its tensors, by their numbers there.
    flow: how it is run: NONE of one that no step enters, and of the network itself; ONCE where no inference runs it;
        LOOPS where nothing tells how often.
    nodes: its nodes there.   is_idle: whether it is set up, and no inference comes to it.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    flow: Flow = Flow.NONE
    nodes: range = range(0)
    is_idle: bool = False


Pick = Callable[[Sequence[Any]], Sequence[Any]]
"""Takes some entries out of a column."""


class PlainSteps(NamedTuple):
    """The steps of a Program that runs every node whole, as columns.

    nodes: none is ABSENT.   absorbers, absorbed: take the steps that do the work of other nodes too out of an entry a
        step, and these nodes out of an entry a node.
    by_node: takes an entry a node out of one a step, one of each that is absorbed, one of each that is free and one of
        each that is the caller's.
    """

    nodes: tuple[int, ...]
    calls: Sequence[Signature]
    absorbers: Pick
    absorbed: Pick
    by_node: Pick


@dataclass(frozen=True)
class Program:
    """A graph, cut and ordered, with the buffers that running it needs.

    graph: of a file with subgraphs, all of them as one (`lowering.linking`): those of the network first.
    parts: of a network that enters subgraphs, each of them by its number; the first is the network.
    inputs, outputs: of the network, in the graph's order, and where they lie.
    homes: for each tensor of the graph the view that holds it; ABSENT for constants and for what no step makes.
    variables: what outlives an inference, and where it lies.
    free: nodes that cost nothing and move nothing under this runtime (a RESHAPE that only relabels), which no step
        carries out.
    caller: nodes at the border of the network that the caller carries out (quantising the input, for instance).
    """

    graph: Graph
    stages: tuple[Stage, ...]
    buffers: tuple[Buffer, ...]
    views: tuple[View, ...]
    inputs: tuple[Home, ...]
    outputs: tuple[Home, ...]
    homes: tuple[int, ...]
    variables: tuple[Variable, ...] = ()
    free: tuple[int, ...] = ()
    caller: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def plain(self) -> PlainSteps | None:
        """Its steps as columns, where it was made of such; None elsewhere."""
        return None

    def flow_of(self, stage: Stage) -> Flow:
        """How the subgraph is run whose steps a stage holds."""
        return self.parts[stage.part].flow if stage.part > 0 else Flow.NONE

    @property
    def idle_nodes(self) -> frozenset[int]:
        """Nodes that are set up, and that no inference comes to: of subgraphs that nothing enters."""
        return frozenset([node for part in self.parts if part.is_idle for node in part.nodes])

    @property
    def length(self) -> int:
        """Steps in the bodies: the time axis of buffer lifetimes. At least 1, where inputs are outputs at once."""
        return max(sum(len(stage.steps) for stage in self.stages), 1)

    @property
    def input_bytes(self) -> int:
        """Of the network's inputs as the runtime sees them: after conversions left to the caller."""
        inputs = self._outside()
        kind = BufferKind.INPUT
        inputs.update([buffer[6] for buffer in self.buffers if buffer[4] is kind])
        return sum([self.graph.tensors[tensor].size_bytes for tensor in inputs])

    @property
    def outside_bytes(self) -> int:
        """Of the inputs that lie in memory of the caller."""
        return sum([self.graph.tensors[tensor].size_bytes for tensor in self._outside()])

    def _outside(self) -> set[int]:
        kind = ViewKind.OUTSIDE
        return {view[0] for view in self.views if view[2] is kind}

    def body(self) -> Iterator[Step]:
        """Every step once, in the order of time: those of a subgraph behind the first that enters it."""
        for stage in self.stages:
            yield from stage.steps

    def name_of(self, step: Step) -> str:
        """What a step is called: as its node, or by what only the runtime does."""
        return step.label if step.node == ABSENT else self.graph.nodes[step.node].name

    def steps(self, part: int = 0) -> Iterator[Iteration]:
        """Every step of every iteration, in execution order; those with nothing to do are left out.

        part: whose steps: of the network, or of one of the subgraphs that it enters.
        """
        for index, stage in enumerate(self.stages):
            if stage.part != part:
                continue
            for row in range(stage.row_pieces):
                for col in range(stage.col_pieces):
                    for step in stage.steps:
                        region = Region(step.rows[row], step.cols[col])
                        if region.rows.length and region.cols.length:
                            yield Iteration(index, row, col, step, region)

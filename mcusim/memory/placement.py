"""Program + planner -> Placement: the offset of every buffer, and the bytes that this takes.

    0          arena_bytes      + held_bytes        + kept_bytes
    | planned ... | held: kernels' working memory | variables that the runtime keeps |
      the planner's      one after the other, each at its own alignment

A planner sees lifetimes and shares bytes; what is held is there during every step, so it shares with nobody and needs
no planner. The bytes of the third part are counted once, among what the runtime keeps (`persistent_bytes`), not here.

Two things replace the planner's answer. A model file may carry its own plan, which TFLM follows without a look at
lifetimes: `shared_bytes` says when that computes nonsense. And of a runtime that publishes no planner only the bytes
that are alive at once are known: a lower bound, at which nothing could run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from mcusim.errors import PlanError
from mcusim.graph import ABSENT, Graph
from mcusim.ops import OPS, Movement
from mcusim.planners import Planner, live_bytes, peak_bytes, tflm_place_rest
from mcusim.program import Buffer, BufferKind, Program
from mcusim.runtimes import Runtime

__all__ = [
    "ARENA_ALIGNMENT_BYTES",
    "Placement",
    "carries_plan",
    "known_for",
    "place",
    "place_for",
    "refuse_shared_bytes",
    "setup_bytes",
    "shared_bytes",
]

ARENA_ALIGNMENT_BYTES = 16
"""An interpreter is given an arena whose size is a multiple of this."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every buffer of a Program lies.

    offset_bytes: by buffer; held buffers follow the arena, and variables that the runtime keeps follow those.
    arena_bytes: what the planner placed.   held_bytes: working memory beside it.
    kept_bytes: of the variables beside it, which the runtime counts among its persistent bytes.
    """

    offset_bytes: tuple[int, ...]
    arena_bytes: int
    held_bytes: int
    kept_bytes: int = 0


def setup_bytes(graph: Graph, runtime: Runtime, placement: Placement, persistent_bytes: int) -> int:
    """What an arena needs on top of what is used in it: room to set up in, and a whole number of its alignment.

    0 for a runtime that sets nothing up.   persistent_bytes: of the runtime.
    """
    if runtime.setup is None:
        return 0
    used = placement.arena_bytes + placement.held_bytes + persistent_bytes
    # TFLM refuses an arena below what its set-up takes, even if an inference would need less.
    least = max(used, runtime.setup(graph))
    return -(-least // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES - used


def place(program: Program, planner: Planner) -> Placement:
    """The buffers of a Program where `planner` puts them, held buffers behind the arena."""
    return _placed(program, list(planner(program.buffers)))


def place_for(program: Program, runtime: Runtime) -> Placement:
    """The buffers of a Program where `runtime` puts them: by the plan that the model carries, if it reads one.

    TFLM follows any such plan, whatever it lets overlap: see `shared_bytes`.
    """
    if carries_plan(program, runtime):
        return _as_the_model_says(program)
    return place(program, runtime.planner)


def known_for(program: Program, runtime: Runtime) -> Placement:
    """As `place_for`; of a runtime that publishes no planner the arena is a lower bound.

    The bound is what is alive at once. How many gaps the runtime's own planner leaves is not known, so the network may
    need more than that.
    """
    placement = place_for(program, runtime)
    if not runtime.bounds_memory:
        return placement
    return replace(placement, arena_bytes=max(live_bytes(program.buffers, program.length), default=0))


def carries_plan(program: Program, runtime: Runtime) -> bool:
    """Whether the model carries a plan that `runtime` follows: such a plan knows whole tensors only."""
    source = program.graph.source
    follows = runtime.reads_offline_plan and bool(source.offline_offsets)
    if not follows and not (runtime.runs_compiled and source.compiled is not None):
        return False
    # A file's plan has one offset a tensor. Pieces and line buffers of a cut stage are none.
    return all(not stage.is_cut for stage in program.stages)


def _as_the_model_says(program: Program) -> Placement:
    compiled = program.graph.source.compiled
    planned = program.graph.source.offline_offsets if compiled is None else compiled.offset_bytes
    among = _planned_variables(program, planned) if compiled is None else []
    buffers = (*program.buffers, *among)
    known = [planned[buffer.tensor] if buffer.tensor != ABSENT else -1 for buffer in buffers]
    # Scratch has no offset in the file. TFLM places it around the tensors.
    offsets = tflm_place_rest(buffers, known)
    placement = _placed(program, list(offsets[: len(program.buffers)]))
    # Variables with an offset may lie above all else: then they, and no activation, set the size of the arena.
    least = peak_bytes(among, offsets[len(program.buffers) :]) if compiled is None else compiled.planned_bytes
    return replace(placement, arena_bytes=max(placement.arena_bytes, least))


def _planned_variables(program: Program, planned: Sequence[int]) -> list[Buffer]:
    """Variables that have an offset lie among the activations, till they are read last; the others lie beside them."""
    graph = program.graph
    wanted = [index for index, tensor in enumerate(graph.tensors) if tensor.is_variable and planned[index] >= 0]
    last = dict.fromkeys(wanted, 0)
    for time, step in enumerate(program.body()) if wanted else ():
        last.update({tensor: time for tensor in graph.nodes[step.node].inputs if tensor in last})
    return [
        Buffer(tensor.name, size_bytes, 0, last[index] + 1, BufferKind.VARIABLE, ARENA_ALIGNMENT_BYTES, index)
        for index in wanted
        for tensor in [graph.tensors[index]]
        for size_bytes in [-(-tensor.size_bytes // ARENA_ALIGNMENT_BYTES) * ARENA_ALIGNMENT_BYTES]
    ]


def shared_bytes(program: Program, runtime: Runtime, placement: Placement) -> str:
    """What is wrong with the plan that the model carries, in a sentence; "" where it is right or there is none."""
    if not carries_plan(program, runtime):
        return ""
    placed = [
        # Rounded-up tails overlap in many good plans; only bytes that hold elements count.
        (buffer, offset, offset + _held_bytes(program, runtime, buffer))
        for buffer, offset in zip(program.buffers, placement.offset_bytes, strict=True)
        if buffer.kind.is_planned and buffer.size_bytes
    ]
    for (a, a_low, a_top), (b, b_low, b_top) in combinations(placed, 2):
        together = a.first < b.end and b.first < a.end
        if together and a_low < b_top and b_low < a_top:
            # A kernel that reads an element before it writes over it may have both tensors there.
            if _takes_over(program, a, b, a_low - b_low) or _takes_over(program, b, a, b_low - a_low):
                continue
            sentence = (
                f"the plan that the model carries lets '{a.name}' and '{b.name}' share bytes while both are needed"
            )
            return f"{runtime.name} may answer nonsense: {sentence}"
    return ""


def _held_bytes(program: Program, runtime: Runtime, buffer: Buffer) -> int:
    """Bytes of a buffer that hold something: its size is rounded up, and offsets of a file's plan need not be."""
    if buffer.tensor == ABSENT:
        return buffer.size_bytes
    return runtime.rules.stored_bytes(program.graph.tensors[buffer.tensor].type)


def _takes_over(program: Program, source: Buffer, output: Buffer, distance: int) -> bool:
    """Whether a node reads each element of `source` for the last time before it writes over it.

    distance: by how many bytes `output` begins before `source`. Element by element, from the first to the last, what is
        written lies behind what is read then.
    """
    if distance < 0 or source.end != output.first + 1 or ABSENT in (source.tensor, output.tensor):
        # Alive together for exactly the one step that reads the source and writes the output.
        return False
    node = next((node for node in program.graph.nodes if node.outputs == (output.tensor,)), None)
    if node is None or source.tensor not in node.inputs or node.op not in OPS:
        return False
    if OPS[node.op].movement is Movement.RELABELS:
        return distance == 0
    own, made = program.graph.tensors[source.tensor].type, program.graph.tensors[output.tensor].type
    return node.op in _ELEMENT_BY_ELEMENT and (own.shape, own.dtype) == (made.shape, made.dtype)


_ELEMENT_BY_ELEMENT = frozenset(
    [
        *("ABS", "ADD", "CEIL", "COS", "DIV", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC"),
        *("MAXIMUM", "MINIMUM", "MUL", "NEG", "PRELU", "RELU", "RELU6", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE"),
        *("SQUARED_DIFFERENCE", "SUB", "TANH"),
    ]
)
"""Operators whose kernel reads an element of each operand and writes that of the output before it reads another."""


def refuse_shared_bytes(program: Program, runtime: Runtime, placement: Placement) -> None:
    """Raise PlanError where the plan that the model carries lets two tensors overlap: TFLM computes nonsense then."""
    sentence = shared_bytes(program, runtime, placement)
    if sentence:
        raise PlanError(
            sentence,
            where=f"network '{program.graph.name}'",
            fix="`mcusim plan MODEL --planner tflm-greedy --emit tflm FILE` writes one that is right",
        )


def _placed(program: Program, offsets: list[int]) -> Placement:
    buffers = program.buffers
    # First the arena, then the held buffers on top of it, then the variables: each group starts where the last one
    # ends.
    tops = [peak_bytes(buffers, offsets)]
    kinds = [buffer[4] for buffer in buffers]  # by number: a named field of a hundred thousand tuples is slow
    for kind in (BufferKind.HELD, BufferKind.PERSISTENT):
        top = tops[-1]
        for index in [index for index, each in enumerate(kinds) if each is kind] if kind in kinds else ():
            buffer = buffers[index]
            offsets[index] = -(-top // buffer.alignment) * buffer.alignment
            top = offsets[index] + buffer.size_bytes
        tops.append(top)
    arena_bytes, held_end, kept_end = tops
    return Placement(tuple(offsets), arena_bytes, held_end - arena_bytes, kept_end - held_end)

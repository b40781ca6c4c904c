"""Networks that are wired alike: the Program of one is the mould of the others, and only sizes and names are new.

    wiring          which tensors each node reads and writes, its operator, which tensors are constants
    `- pads         which PADs their readers can take over        depends on signatures
       `- beneath   which outputs lie on top of their inputs      depends on sizes

What lowering decides depends on these and on nothing else, as long as every node runs whole, nothing outlives an
inference and no subgraph is entered. All else of a Program is a column of numbers that differ from network to network.
Neighbours in a search share their wiring: most of them change kernels, widths and resolution only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain, repeat
from operator import add, itemgetter
from typing import Any, NamedTuple

from mcusim.columns import rows_of
from mcusim.graph import ABSENT, Graph, Signature, TensorType, WiringKey
from mcusim.kept import Kept
from mcusim.lowering.folding import Folding, with_padding
from mcusim.lowering.rules import InputPlace, LoweringRules, Scratch
from mcusim.lowering.staging import overwritten
from mcusim.ops import OPS
from mcusim.program import Buffer, BufferKind, Home, Program, ScratchUse, Stage, Step, View, scratch_name
from mcusim.region import Span
from mcusim.schedule import StageKind

__all__ = ["Frame", "StepFacts", "frame_of", "row_pitch_bytes", "steps_facts"]

_FRAMES_KEPT = 256
_RULES_KEPT = 256
_VARIANTS_KEPT = 64
_MOST_NODES = 1024
"""Longer networks are not searched by the thousand."""

_Spans = tuple[Span, ...]


class StepFacts(NamedTuple):
    """What a step asks of its runtime, and its whole output as one row piece and one column piece.

    height, width: of its output.
    """

    planned: Scratch
    held: Scratch
    rows: _Spans
    cols: _Spans
    height: int
    width: int


@lru_cache(_RULES_KEPT)
def steps_facts(rules: LoweringRules) -> Kept[Signature, StepFacts]:
    """Of steps that run whole."""
    return Kept(partial(_step_facts, rules))


def _step_facts(rules: LoweringRules, call: Signature) -> StepFacts:
    rows, cols = (call.outputs[0].rows, call.outputs[0].cols) if call.outputs else (1, 1)
    return StepFacts(
        rules.planned_scratch(call), rules.held_scratch(call), (Span(0, rows),), (Span(0, cols),), rows, cols
    )


def row_pitch_bytes(kind: TensorType) -> int:
    """From one row to the next of a whole tensor."""
    return kind.size_bytes // (kind.rows or 1)


def frame_of(graph: Graph, rules: LoweringRules, place: InputPlace) -> Frame | None:
    """The frame of all networks that are wired as `graph` is; None where such a thing is not enough to know."""
    if graph.subgraphs or not 0 < len(graph.nodes) <= _MOST_NODES or not graph.has_plain_tensors:
        return None
    key = graph.wiring.key
    return None if ABSENT in key.inputs or ABSENT in key.outputs else _frame(key, rules, place)


@lru_cache(_FRAMES_KEPT)
def _frame(key: WiringKey, rules: LoweringRules, place: InputPlace) -> Frame:
    return Frame(rules)


class Frame:
    """The moulds of one wiring under one set of rules.

    pads: (node, reader) wherever a node pads what another reads; None till a first network was lowered.
    """

    def __init__(self, rules: LoweringRules) -> None:
        self.rules, self.facts = rules, steps_facts(rules)
        self.pads: tuple[tuple[int, int], ...] | None = None
        self.padded: dict[tuple[bool, ...], _Padded] = {}

    def cast(self, graph: Graph) -> Program | None:
        """The Program of a network; None where no mould fits it yet."""
        if self.pads is None:
            return None
        folded = self._folded(graph.calls)
        padded = self.padded.get(tuple([call is None for call in folded]))
        if padded is None:
            return None
        calls = padded.calls((*graph.calls, *folded))
        facts = list(map(self.facts.__getitem__, calls))
        if self.rules.in_place and any(map(itemgetter(0), facts)):
            return None  # what is planned beside an output on top of its input depends on both sizes
        mould = padded.moulds.get(padded.variant(graph, self.rules, calls))
        return None if mould is None else mould.cast(graph, self.rules, calls, facts)

    def learn(self, program: Program, folding: Folding) -> None:
        """Keep the mould of a network that was lowered step by step, if there can be one."""
        graph, rules = program.graph, self.rules
        if not _is_plain(program, rules):
            return
        if self.pads is None:
            self.pads = _pads(graph, rules)
        folded = self._folded(graph.calls)
        key = tuple([call is None for call in folded])
        padded = self.padded.setdefault(key, _Padded(program, folding, self.pads, rules))
        if len(padded.moulds) < _VARIANTS_KEPT:
            steps = program.stages[0].steps
            variant = padded.variant(graph, rules, [step.signature for step in steps])
            padded.moulds[variant] = _Mould(program)

    def _folded(self, calls: Sequence[Signature]) -> list[Any]:
        """What each reader of a padding node becomes with that; None where it cannot."""
        pads = self.pads or ()
        return list(map(with_padding, [calls[reader] for _, reader in pads], [calls[pad] for pad, _ in pads]))


def _is_plain(program: Program, rules: LoweringRules) -> bool:
    """Whether all that a Program holds follows from the wiring and from columns of sizes."""
    stages, kinds = program.stages, {buffer.kind for buffer in program.buffers}
    if len(stages) != 1 or stages[0].kind is not StageKind.LAYER or not stages[0].steps or stages[0].part:
        return False
    if program.parts or program.variables or kinds & {BufferKind.VARIABLE, BufferKind.PERSISTENT}:
        return False
    if any(step.node == ABSENT for step in stages[0].steps):
        return False
    return not (rules.in_place and (rules.unpacks or BufferKind.SCRATCH in kinds))


def _pads(graph: Graph, rules: LoweringRules) -> tuple[tuple[int, int], ...]:
    if not rules.folds_padding:
        return ()
    padding = [index for index, node in enumerate(graph.nodes) if node.op in OPS and OPS[node.op].padding is not None]
    return tuple([(pad, r) for pad in padding for r in graph.consumers.get(graph.nodes[pad].outputs[0], ())])


class _Padded:
    """What is the same once it is known which PADs are folded.

    calls: of nodes and of folded readers, those that the steps run.   beneath: of each step that may be computed on
    top of an input: (step, the tensor it writes, those it reads).
    """

    def __init__(
        self, program: Program, folding: Folding, pads: Sequence[tuple[int, int]], rules: LoweringRules
    ) -> None:
        steps, nodes = program.stages[0].steps, len(program.graph.nodes)
        folded_at = {pair: nodes + place for place, pair in enumerate(pads)}
        sources = [
            folded_at[folding.absorbed[step.node][0], step.node] if step.node in folding.signatures else step.node
            for step in steps
        ]
        self.calls = _picker(sources)
        ordinals = program.graph.wiring.ordinals
        ordinal_of = [*[ordinals[view.tensor] for view in program.views], ABSENT]
        self.beneath = tuple([
            (time, ordinal_of[step.writes[0]], [ordinal_of[view] for view in step.reads])
            for time, step in enumerate(steps)
            if step.signature.op in rules.in_place and step.writes
        ])  # fmt: skip
        self.moulds: dict[object, _Mould] = {}

    def variant(self, graph: Graph, rules: LoweringRules, calls: Sequence[Signature]) -> object:
        """All that lowering decides by sizes: on top of which inputs steps may run."""
        tensors, stored, on_top, positions = graph.tensors, graph.wiring.stored, _on_top(rules), []
        for time, target, sources in self.beneath:
            size_bytes = tensors[stored[target]].type.size_bytes
            allowed = on_top[calls[time]]
            positions.append(tuple([p for p in allowed if size_bytes <= tensors[stored[sources[p]]].type.size_bytes]))
        return tuple(positions)


@lru_cache(_RULES_KEPT)
def _on_top(rules: LoweringRules) -> Kept[Signature, tuple[int, ...]]:
    """Inputs on top of which steps that run whole may be computed."""
    return Kept(lambda call: overwritten(rules, call, call))


def _most(held: Sequence[Scratch]) -> dict[str, int]:
    """The most that any step asks for to be held, by role, in the order of lowering."""
    sizes: dict[str, int] = {}
    for role, size_bytes in chain.from_iterable(held):
        if size_bytes > sizes.get(role, 0):
            sizes[role] = size_bytes
    return sizes


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], list[Any]]:
    """Takes the entries at `places` out of a list."""
    if len(places) < 2:
        return lambda entries: [entries[place] for place in places]
    pick = itemgetter(*places)
    return lambda entries: list(pick(entries))


class _Mould:
    """The columns of a Program that are the same for all networks that it fits.

    tensors: ordinals of those that have a buffer (see `Wiring`); those buffers come first, then planned working memory,
    then what is held.   viewed: of each view.   homes: by ordinal; the last is of any other tensor.
    """

    def __init__(self, program: Program) -> None:
        self.program, buffers, steps = program, program.buffers, program.stages[0].steps
        stored, ordinals = program.graph.wiring.stored, program.graph.wiring.ordinals
        self.tensors = [ordinals[buffer.tensor] for buffer in buffers if buffer.tensor != ABSENT]
        stored_buffers = buffers[: len(self.tensors)]
        self.firsts = [buffer.first for buffer in stored_buffers]
        self.ends = [buffer.end for buffer in stored_buffers]
        self.kinds = [buffer.kind for buffer in stored_buffers]
        self.overs = [buffer.over for buffer in stored_buffers]
        view_columns: Iterable[Any] = zip(*program.views, strict=True) if program.views else [()] * len(View._fields)
        viewed, self.buffer_of, self.view_kinds, self.offsets, _, self.capacities, self.pointers = view_columns
        self.viewed = [ordinals[index] for index in viewed]
        self.nodes, _, self.reads, self.writes, *_ = zip(*steps, strict=True)
        self.absorbed = [step.absorbed for step in steps]
        self.homes = [program.homes[index] for index in stored] + [ABSENT]
        ends = program.inputs, program.outputs
        self.inputs, self.outputs = ([(ordinals[end.tensor], ordinals[end.held], end.view) for end in e] for e in ends)

    def cast(
        self, graph: Graph, rules: LoweringRules, calls: Sequence[Signature], facts: Sequence[StepFacts]
    ) -> Program:
        """The Program of another network."""
        tensors, (_, stored, ordinals), mould = graph.tensors, graph.wiring, self.program
        indices = [stored[ordinal] for ordinal in self.tensors]
        held_tensors = [tensors[index] for index in indices]
        names = [tensor.name for tensor in held_tensors]
        sizes = list(map(_rooms(rules).__getitem__, [tensor.type for tensor in held_tensors]))
        asked, held, rows, cols, heights, widths = zip(*facts, strict=True)
        uses: Sequence[tuple[ScratchUse, ...]] = [()] * len(calls)
        times: list[int] = []
        if any(asked):
            uses, times = self._planned(graph, rules, asked, names, sizes)
        most, first_held = _most(held), len(names)
        if most:
            roles = tuple(most)
            held_uses = map(_held_uses(rules, roles, first_held).__getitem__, calls)
            uses = list(map(add, uses, held_uses)) if times else list(held_uses)
            names += roles
            sizes += [rules.aligned(size_bytes) for size_bytes in most.values()]
        buffers = tuple(
            rows_of(
                Buffer,
                names,
                sizes,
                chain(self.firsts, times, repeat(0)),
                chain(self.ends, [time + 1 for time in times], repeat(len(calls))),
                chain(self.kinds, repeat(BufferKind.SCRATCH, len(times)), repeat(BufferKind.HELD)),
                repeat(rules.alignment),
                chain(indices, repeat(ABSENT)),
                chain(self.overs, repeat(ABSENT)),
            )
        )
        viewed = [stored[ordinal] for ordinal in self.viewed]
        kinds = [tensors[index].type for index in viewed]
        pitches = [kind.size_bytes // (kind.rows or 1) for kind in kinds]
        views = tuple(
            rows_of(
                View, viewed, self.buffer_of, self.view_kinds, self.offsets, pitches, self.capacities,
                self.pointers,
            )
        )  # fmt: skip
        steps = rows_of(
            Step, self.nodes, calls, self.reads, self.writes, rows, cols, rows, cols, repeat(()), uses,
            self.absorbed, heights, widths, repeat(1), repeat("input patch"),
        )  # fmt: skip
        stages = (Stage(StageKind.LAYER, 1, 1, tuple(steps)),)
        inputs, outputs = (
            tuple([Home(stored[tensor], stored[held], view) for tensor, held, view in ends])
            for ends in (self.inputs, self.outputs)
        )
        homes = tuple(map(self.homes.__getitem__, ordinals[:-1]))
        return Program(graph, stages, buffers, views, inputs, outputs, homes, (), mould.free, mould.caller)

    def _planned(
        self, graph: Graph, rules: LoweringRules, asked: Sequence[Scratch], names: list[str], sizes: list[int]
    ) -> tuple[list[tuple[ScratchUse, ...]], list[int]]:
        """Working memory among the activations: what each step uses, and the step of each buffer.

        Appends the buffers' names and sizes.
        """
        uses: list[tuple[ScratchUse, ...]] = []
        times: list[int] = []
        nodes = graph.nodes
        for time, requests in enumerate(asked):
            if not requests:
                uses.append(())
                continue
            working = [ScratchUse(role, len(names) + place, size) for place, (role, size) in enumerate(requests)]
            uses.append(tuple(working))
            names += [scratch_name(nodes[self.nodes[time]].name, use.role) for use in working]
            sizes += [rules.aligned(use.size_bytes) for use in working]
            times += [time] * len(working)
        return uses, times


@lru_cache(_RULES_KEPT)
def _rooms(rules: LoweringRules) -> Kept[TensorType, int]:
    """Bytes of the buffers of whole tensors."""
    return Kept(lambda kind: rules.aligned(rules.stored_bytes(kind)))


@lru_cache(_RULES_KEPT)
def _held_uses(rules: LoweringRules, roles: tuple[str, ...], first: int) -> Kept[Signature, tuple[ScratchUse, ...]]:
    """What each step uses of what is held.   first: the first buffer that is."""

    def find(call: Signature) -> tuple[ScratchUse, ...]:
        return tuple(
            [ScratchUse(role, first + roles.index(role), size) for role, size in rules.held_scratch(call) if size]
        )

    return Kept(find)

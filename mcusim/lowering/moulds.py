"""Networks that are wired alike: the Program of one is the mould of the others, and only sizes and names are new.

    wiring          which tensors each node reads and writes, its operator, which tensors are constants
    `- pads         which PADs their readers can take over        depends on signatures
       `- beneath   which outputs lie on top of their inputs      depends on sizes

What lowering decides depends on these and on nothing else, as long as every node runs whole, nothing outlives an
inference and no subgraph is entered. All else of a Program is a column of numbers that differ from network to network.
Neighbours in a search share their wiring: most of them change kernels, widths and resolution only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cached_property, lru_cache, partial
from itertools import chain, repeat
from operator import add, itemgetter
from typing import Any, NamedTuple

from mcusim.columns import Kept, picker, rows_of
from mcusim.graph import ABSENT, Graph, Signature, TensorType, WiringKey
from mcusim.lowering.folding import Folding, with_padding
from mcusim.lowering.rules import InputPlace, LoweringRules, Scratch
from mcusim.lowering.staging import overwritten
from mcusim.ops import OPS
from mcusim.program import (
    Buffer,
    BufferKind,
    Buffers,
    Home,
    Lives,
    Pick,
    PlainSteps,
    Program,
    ScratchUse,
    Stage,
    Step,
    View,
    ViewKind,
    scratch_name,
)
from mcusim.region import Span
from mcusim.schedule import StageKind

__all__ = ["Frame", "StepFacts", "frame_of", "most_held", "row_pitch_bytes", "steps_facts"]

_FRAMES_KEPT = 1024
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
    """What each signature asks of the runtime where its step runs whole."""
    return Kept(partial(_step_facts, rules))


def _step_facts(rules: LoweringRules, call: Signature) -> StepFacts:
    rows, cols = (call.outputs[0].rows, call.outputs[0].cols) if call.outputs else (1, 1)
    held = tuple([(role, size_bytes) for role, size_bytes in rules.held_scratch(call) if size_bytes])
    return StepFacts(rules.planned_scratch(call), held, (Span(0, rows),), (Span(0, cols),), rows, cols)


def row_pitch_bytes(kind: TensorType) -> int:
    """From one row to the next of a whole tensor."""
    return kind.size_bytes // (kind.rows or 1)


def frame_of(graph: Graph, rules: LoweringRules, place: InputPlace) -> Frame | None:
    """The frame of all networks wired as `graph` is; None where wiring does not decide how they are lowered."""
    # Subgraphs, variables and tensors without elements: for those the wiring does not tell enough. See `Wiring`.
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
        self.folding = picker(()), picker(())
        self.padded: dict[tuple[bool, ...], _Padded] = {}

    def cast(self, graph: Graph) -> Program | None:
        """The Program of a network; None where no mould fits it yet."""
        if self.pads is None:
            return None
        folded = self._folded(graph.calls)
        # Which pads could be folded is a vector of booleans: networks that agree in it run the same steps.
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
            self.folding = picker([reader for _, reader in self.pads]), picker([pad for pad, _ in self.pads])
        folded = self._folded(graph.calls)
        key = tuple([call is None for call in folded])
        padded = self.padded.setdefault(key, _Padded(program, folding, self.pads, rules))
        if len(padded.moulds) < _VARIANTS_KEPT:
            steps = program.stages[0].steps
            variant = padded.variant(graph, rules, [step.signature for step in steps])
            padded.moulds[variant] = _Mould(program)

    def _folded(self, calls: Sequence[Signature]) -> list[Any]:
        """What each reader of a padding node becomes with that; None where it cannot."""
        pick_readers, pick_pads = self.folding
        return list(map(with_padding, pick_readers(calls), pick_pads(calls)))


def _is_plain(program: Program, rules: LoweringRules) -> bool:
    """Whether all that a Program holds follows from the wiring and from columns of sizes."""
    stages, kinds = program.stages, {buffer.kind for buffer in program.buffers}
    if len(stages) != 1 or stages[0].is_cut or not stages[0].steps or stages[0].part:
        return False
    if program.parts or program.variables or kinds & {BufferKind.VARIABLE, BufferKind.PERSISTENT}:
        return False
    if any(step.node == ABSENT for step in stages[0].steps):
        return False
    # In-place steps beside planned scratch are left out: `_kept_beneath` compares sizes there, which differ.
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
        # Signatures of readers with a folded PAD are listed behind those of the nodes, so that one pick yields all
        # steps.
        folded_at = {pair: nodes + place for place, pair in enumerate(pads)}
        sources = [
            folded_at[folding.absorbed[step.node][0], step.node] if step.node in folding.signatures else step.node
            for step in steps
        ]
        self.calls = picker(sources)
        ordinals = program.graph.wiring.ordinals
        # The entry behind the last view stands for ABSENT, which is -1.
        ordinal_of = [*[ordinals[view.tensor] for view in program.views], ABSENT]
        self.beneath = tuple([
            (time, ordinal_of[step.writes[0]], [ordinal_of[view] for view in step.reads])
            for time, step in enumerate(steps)
            if step.signature.op in rules.in_place and step.writes
        ])  # fmt: skip
        self.times: Pick = picker([time for time, _, _ in self.beneath])
        self.operands = self._operands()
        self.moulds: dict[object, _Mould] = {}

    def variant(self, graph: Graph, rules: LoweringRules, calls: Sequence[Signature]) -> object:
        """All that lowering decides by sizes: on top of which inputs steps may run."""
        if not self.beneath:
            return ()
        columns = [pick(graph.stored_types) for pick in self.operands]
        return tuple(map(_on_top(rules).__getitem__, zip(self.times(calls), *columns, strict=True)))

    def _operands(self) -> list[Pick]:
        """Pickers of types: of what each such step writes, then of each of its inputs. The first stands for none."""
        most = max([len(sources) for _, _, sources in self.beneath], default=0)
        columns = [[target for _, target, _ in self.beneath]]
        for place in range(most):
            columns.append([sources[place] if place < len(sources) else 0 for _, _, sources in self.beneath])
        return [picker(column) for column in columns]


@lru_cache(_RULES_KEPT)
def _on_top(rules: LoweringRules) -> Kept[tuple[Any, ...], tuple[int, ...]]:
    """Inputs on top of which a step that runs whole may be computed, by (call, type of its output, of each input)."""

    def find(key: tuple[Any, ...]) -> tuple[int, ...]:
        call, target, *sources = key
        positions = overwritten(rules, call, call)
        return tuple([p for p in positions if target.size_bytes <= sources[p].size_bytes])

    return Kept(find)


def most_held(held: Sequence[Scratch]) -> dict[str, int]:
    """The most that any step asks for to be held, by role, in the order of lowering."""
    sizes: dict[str, int] = {}
    for role, size_bytes in chain.from_iterable(held):
        if size_bytes > sizes.get(role, 0):
            sizes[role] = size_bytes
    return sizes


class _Mould:
    """The columns of a Program that are the same for all networks that it fits.

    tensors: ordinals of those that have a buffer (see `Wiring`); those buffers come first, then planned working memory,
    then what is held.   viewed: of each view.   homes: by ordinal; the last is of any other tensor.
    """

    def __init__(self, program: Program) -> None:
        buffers, steps = program.buffers, program.stages[0].steps
        stored, ordinals = program.graph.wiring.stored, program.graph.wiring.ordinals
        self.free, self.caller = program.free, program.caller
        self.tensors = [ordinals[buffer.tensor] for buffer in buffers if buffer.tensor != ABSENT]
        stored_buffers = buffers[: len(self.tensors)]
        self.firsts = tuple([buffer.first for buffer in stored_buffers])
        self.ends = tuple([buffer.end for buffer in stored_buffers])
        self.kinds = tuple([buffer.kind for buffer in stored_buffers])
        self.overs = tuple([buffer.over for buffer in stored_buffers])
        view_columns: Iterable[Any] = zip(*program.views, strict=True) if program.views else [()] * len(View._fields)
        viewed, self.buffer_of, self.view_kinds, self.offsets, _, self.capacities, self.pointers = view_columns
        self.viewed = [ordinals[index] for index in viewed]
        self.nodes, _, self.reads, self.writes, *_ = zip(*steps, strict=True)
        self.absorbed = [step.absorbed for step in steps]
        absorbed = [(time, node) for time, nodes in enumerate(self.absorbed) for node in nodes]
        self.absorbing = picker([time for time, _ in absorbed]), picker([node for _, node in absorbed])
        accounted = [*self.nodes, *[node for _, node in absorbed], *self.free, *self.caller]
        place_of = {node: place for place, node in enumerate(accounted)}
        self.is_accounted = len(place_of) == len(program.graph.nodes)
        self.by_node: Pick = picker([place_of[node] for node in sorted(place_of)])
        self.homes = [program.homes[index] for index in stored] + [ABSENT]
        ends = program.inputs, program.outputs
        self.inputs, self.outputs = ([(ordinals[end.tensor], ordinals[end.held], end.view) for end in e] for e in ends)
        outside = [view.tensor for view in program.views if view.kind is ViewKind.OUTSIDE]
        given = [buffer.tensor for buffer in buffers if buffer.kind is BufferKind.INPUT]
        self.outside = [ordinals[tensor] for tensor in dict.fromkeys(outside)]
        self.given = [ordinals[tensor] for tensor in dict.fromkeys([*outside, *given])]
        self.pick = picker(self.tensors)
        self.lives = Kept(self._lives, _VARIANTS_KEPT)

    def _lives(self, key: tuple[LoweringRules, tuple[int, ...], int]) -> Lives:
        """key: the rules, the steps of working memory that is planned, and how many buffers are held."""
        rules, times, held = key
        steps, count = len(self.nodes), len(self.firsts) + len(times) + held
        return Lives(
            (*self.firsts, *times, *[0] * held),
            (*self.ends, *[time + 1 for time in times], *[steps] * held),
            (*self.kinds, *[BufferKind.SCRATCH] * len(times), *[BufferKind.HELD] * held),
            (rules.alignment,) * count,
            (*self.overs, *[ABSENT] * (len(times) + held)),
        )

    def cast(
        self, graph: Graph, rules: LoweringRules, calls: Sequence[Signature], facts: Sequence[StepFacts]
    ) -> Program:
        """The Program of another network."""
        tensors, indices = graph.tensors, self.pick(graph.wiring.stored)
        names = [tensors[index].name for index in indices]
        sizes = list(map(_rooms(rules).__getitem__, self.pick(graph.stored_types)))
        asked: list[Scratch] = [fact[0] for fact in facts]
        uses: list[tuple[ScratchUse, ...]] = []
        times: list[int] = []
        if any(asked):
            uses, times = self._planned(graph, rules, asked, names, sizes)
        most, first_held = most_held([fact[1] for fact in facts]), len(names)
        roles = tuple(most)
        names += roles
        sizes += [rules.aligned(size_bytes) for size_bytes in most.values()]
        lives = self.lives[rules, tuple(times), len(most)]
        buffers = Buffers(
            rows_of(
                Buffer, names, sizes, lives.firsts, lives.ends, lives.kinds, lives.alignments,
                chain(indices, repeat(ABSENT)), lives.overs,
            )
        )  # fmt: skip
        buffers.lives, buffers.size_bytes = lives, sizes
        return _CastProgram(self, graph, rules, calls, facts, buffers, uses, roles, first_held)

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


class _CastProgram(Program):
    """A Program whose steps and views are made when somebody asks for them: a Report needs their columns only.

    _planned: working memory among the activations that each step uses.   _held: roles of what is held, and the first
    buffer of it.
    """

    _mould: _Mould
    _rules: LoweringRules
    _calls: Sequence[Signature]
    _facts: Sequence[StepFacts]
    _planned: Sequence[tuple[ScratchUse, ...]]
    _held: tuple[tuple[str, ...], int]

    def __init__(
        self,
        mould: _Mould,
        graph: Graph,
        rules: LoweringRules,
        calls: Sequence[Signature],
        facts: Sequence[StepFacts],
        buffers: Buffers,
        planned: Sequence[tuple[ScratchUse, ...]],
        roles: tuple[str, ...],
        first_held: int,
    ) -> None:
        vars(self).update(
            graph=graph,
            buffers=buffers,
            free=mould.free,
            caller=mould.caller,
            _mould=mould,
            _rules=rules,
            _calls=calls,
            _facts=facts,
            _planned=planned,
            _held=(roles, first_held),
        )

    @property
    def plain(self) -> PlainSteps | None:
        mould = self._mould
        return PlainSteps(mould.nodes, self._calls, *mould.absorbing, mould.by_node) if mould.is_accounted else None

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        mould, calls, uses = self._mould, self._calls, self._planned
        roles, first_held = self._held
        _, _, rows, cols, heights, widths = zip(*self._facts, strict=True)
        if roles:
            held = map(_held_uses(self._rules, roles, first_held).__getitem__, calls)
            uses = list(map(add, uses, held)) if uses else list(held)
        steps = rows_of(
            Step, mould.nodes, calls, mould.reads, mould.writes, rows, cols, rows, cols, repeat(()),
            uses or repeat(()), mould.absorbed, heights, widths, repeat(1), repeat("input patch"),
        )  # fmt: skip
        return (Stage(StageKind.LAYER, 1, 1, tuple(steps)),)

    @cached_property
    def views(self) -> tuple[View, ...]:
        mould, stored = self._mould, self.graph.wiring.stored
        viewed = [stored[ordinal] for ordinal in mould.viewed]
        pitches = [row_pitch_bytes(self.graph.types[index]) for index in viewed]
        return tuple(
            rows_of(
                View, viewed, mould.buffer_of, mould.view_kinds, mould.offsets, pitches, mould.capacities,
                mould.pointers,
            )
        )  # fmt: skip

    @cached_property
    def inputs(self) -> tuple[Home, ...]:
        return self._ends(self._mould.inputs)

    @cached_property
    def outputs(self) -> tuple[Home, ...]:
        return self._ends(self._mould.outputs)

    def _ends(self, ends: Sequence[tuple[int, int, int]]) -> tuple[Home, ...]:
        stored = self.graph.wiring.stored
        return tuple([Home(stored[tensor], stored[held], view) for tensor, held, view in ends])

    @cached_property
    def homes(self) -> tuple[int, ...]:
        return tuple(map(self._mould.homes.__getitem__, self.graph.wiring.ordinals[:-1]))

    @property
    def length(self) -> int:
        return len(self._calls)

    @property
    def input_bytes(self) -> int:
        return sum([self.graph.stored_types[ordinal].size_bytes for ordinal in self._mould.given])

    @property
    def outside_bytes(self) -> int:
        return sum([self.graph.stored_types[ordinal].size_bytes for ordinal in self._mould.outside])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self))

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[object, ...]:
        return Program, tuple([getattr(self, field.name) for field in fields(self)])


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

"""The subgraphs of a file, planned with the network that enters them: as TFLM does it.

A step of the network that enters a subgraph is followed by the steps of that subgraph, each at a time of its own. What
is alive at the entering step stays alive all through them, so nothing of the network lies where a loop works:

    network    ADD   WHILE                                         RELU
    condition              enter   LESS
    body                                  enter   PAD   SLICE
    time        0      1     2      3       4      5      6          7

A subgraph has one set of buffers, however many steps enter it: they live from the first entry to the last. Entered
again, it takes one more moment.

Two moments may stand before all: in the first lives what nothing ever touches (subgraphs that nobody enters), in the
second what is given and never read. TFLM finds room for both, on top of anything that is used.

Source: tensorflow/tflite-micro, tensorflow/lite/micro/micro_allocation_info.cc; times there are "allocation scopes".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import ABSENT, Attributes, DType, Flow, Graph, Node, signature, tensor_type
from mcusim.lowering.entering import entered_parts
from mcusim.lowering.rules import LoweringRules
from mcusim.lowering.variables import changed_variables, handles, states
from mcusim.ops.registry import OPS, entered_subgraphs
from mcusim.program import Buffer, BufferKind, Part, Program, ScratchUse, Stage, Step, Variable, View
from mcusim.region import Span
from mcusim.schedule import StageKind

__all__ = ["flat_graph", "link"]

_UNTOUCHED, _GIVEN = "what nothing uses", "inputs"
_BYTE = tensor_type((1,), DType.INT8)
_NO_CALL = signature("COPY", Attributes(), (_BYTE,), (_BYTE,))
"""What a moment is said to run in which nothing runs."""


def link(program: Program, rules: LoweringRules) -> Program:
    """`program` with the subgraphs of its graph, and with what no step touches where the rules plan that.

    Raises ModelError where a subgraph enters itself.
    """
    graph = program.graph
    loose = rules.plans_untouched and any(graph.loose)
    # The usual case, a network without control flow: the Program stays as it is, and equal to one from a mould.
    if not loose and not any(_takes_space(part) for part in graph.subgraphs) and not _branches(graph):
        return program
    return _Linking(program, rules).linked()


def _takes_space(part: Graph) -> bool:
    return any(t.size_bytes and not t.is_constant and not t.is_variable for t in part.tensors)


def _branches(graph: Graph) -> bool:
    """Whether a node of the network runs a subgraph in each inference."""
    return any(OPS[node.op].flow in (Flow.CHOOSES, Flow.LOOPS) for node in graph.nodes if node.op in OPS)


def flat_graph(graph: Graph) -> Graph:
    """All subgraphs of a file in one: their tensors and nodes one after the other, in the file's order.

    Those of the network itself keep their numbers. Inputs and outputs are the network's.
    """
    parts = (graph, *graph.subgraphs)
    nodes: list[Node] = []
    for part, base in zip(parts, _bases([len(part.tensors) for part in parts]), strict=True):
        nodes += [_moved(node, base, part.name if part is not graph else "") for node in part.nodes]
    tensors = tuple([tensor for part in parts for tensor in part.tensors])
    return replace(graph, tensors=tensors, nodes=tuple(nodes), subgraphs=())


def _bases(lengths: Sequence[int]) -> list[int]:
    """Where each part begins."""
    return list(accumulate(lengths, initial=0))[:-1]


def _moved(node: Node, base: int, part: str) -> Node:
    """A node whose tensors are numbered from `base` on, named after its subgraph."""
    return replace(
        node,
        name=f"{part}/{node.name}" if part else node.name,
        inputs=_shifted(node.inputs, base),
        outputs=_shifted(node.outputs, base),
        intermediates=_shifted(node.intermediates, base),
    )


def _shifted(tensors: tuple[int, ...], base: int) -> tuple[int, ...]:
    return tuple([tensor if tensor == ABSENT else tensor + base for tensor in tensors])


class _Moment(NamedTuple):
    """One unit of time.

    part: whose; ABSENT before all.   node: of the flat graph, ABSENT where nothing runs.
    stage, step: of the network, where it is one of its own steps.
    """

    part: int
    node: int
    label: str = ""
    stage: int = ABSENT
    step: Step | None = None


class _Linking:
    """Walks the network as TFLM does, and notes what happens when.

    moments: all of time.   first, end: lives of the tensors that the walk found, by number in the flat graph.
    asked: node of a subgraph -> the life of its scratch.   starts: time of each step of the network, and the end.
    """

    def __init__(self, program: Program, rules: LoweringRules) -> None:
        self.program, self.rules = program, rules
        self.parts = (program.graph, *program.graph.subgraphs)
        self.tensor_base = _bases([len(part.tensors) for part in self.parts])
        self.node_base = _bases([len(part.nodes) for part in self.parts])
        self.graph = flat_graph(program.graph)
        self.moments: list[_Moment] = []
        self.first: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.asked: dict[int, tuple[int, int]] = {}
        self.starts: list[int] = []
        self.flows: dict[int, Flow] = {}
        self.inside: list[int] = [0]

    def linked(self) -> Program:
        self._begin()
        for number, stage in enumerate(self.program.stages):
            for step in stage.steps:
                # Each step of the network is one moment; `starts` maps its old time to the new one.
                self.starts.append(len(self.moments))
                self.moments.append(_Moment(0, step.node, step.label, number, step))
                if step.node != ABSENT:
                    self._enter_from(step.node, Flow.NONE)
        self.starts.append(len(self.moments))
        self._finish()
        buffers, views = self._homes()
        variables, lasting = self._variables(buffers, views)
        stages = self._stages(buffers, views, lasting)
        homes = [*self.program.homes, *[ABSENT] * (len(self.graph.tensors) - len(self.program.homes))]
        for index, view in enumerate(views[len(self.program.views) :], len(self.program.views)):
            homes[view.tensor] = index
        for tensor, index in lasting.items():
            homes[tensor] = index
        entered = entered_parts(self.parts[0])
        parts = [
            Part(
                part.name,
                _shifted(part.inputs, base),
                _shifted(part.outputs, base),
                self.flows.get(number, Flow.NONE),
                range(first, first + len(part.nodes)),
                number not in entered,
            )
            for number, (part, base, first) in enumerate(zip(self.parts, self.tensor_base, self.node_base, strict=True))
        ]
        return replace(
            self.program,
            graph=self.graph,
            stages=stages,
            buffers=tuple(buffers),
            views=tuple(views),
            homes=tuple(homes),
            variables=variables,
            parts=tuple(parts),
        )

    # -- time ---------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The moments before the first step."""
        if not self.rules.plans_untouched:
            # Only TFLM gives room to tensors that no operator touches. Elsewhere time begins with the first step.
            return
        loose = self.parts[0].loose
        outputs = set(self.parts[0].outputs)
        read = [tensor for tensor in loose.unwritten if tensor not in outputs]
        if self._untouched() or read:
            self.moments.append(_Moment(ABSENT, ABSENT, _UNTOUCHED))
            self.first.update(dict.fromkeys(read, 0))
        if loose.unread or not self.parts[0].nodes:
            self.moments.append(_Moment(ABSENT, ABSENT, _GIVEN))

    def _untouched(self) -> list[int]:
        """Tensors that nothing reaches, by number in the flat graph."""
        reached, waiting = {0}, [0]
        while waiting:
            for node in self.parts[waiting.pop()].nodes:
                new = set(entered_subgraphs(node.signature)) - reached
                reached |= new
                waiting += new
        numbers: list[int] = []
        for number, (part, base) in enumerate(zip(self.parts, self.tensor_base, strict=True)):
            if number in reached:
                numbers += [base + tensor for tensor in part.loose.untouched]
            else:
                numbers += [base + i for i in range(len(part.tensors)) if self._has_storage(base + i)]
        return numbers

    def _enter_from(self, node: int, outer: Flow) -> None:
        call = self.graph.nodes[node].signature
        for number in entered_subgraphs(call):
            own = OPS[call.op].flow
            # A loop or a once-only call colours what it encloses: an IF inside the body of a WHILE runs in every turn.
            self._enter(number, outer if outer in (Flow.ONCE, Flow.LOOPS) else own)

    def _enter(self, number: int, flow: Flow) -> None:
        """The moments of a subgraph, and the lives of its tensors so far.   flow: how it is run here."""
        part, base = self.parts[number], self.tensor_base[number]
        if number in self.inside:
            raise ModelError(
                f"subgraph {number} ('{part.name[:60]}') enters itself",
                where=f"network '{self.parts[0].name}'",
                fix="export the model again",
            )
        self.inside.append(number)
        is_new = number not in self.flows
        # Entered in two ways, the stronger one counts; `Flow` lists them in rising order.
        self.flows[number] = max(flow, self.flows.get(number, flow), key=list(Flow).index)
        # TFLM's planner counts the entry as a scope of its own, even where the subgraph has no operator.
        self.moments.append(_Moment(number, ABSENT, f"enter {part.name}"))
        self._touch(_shifted(part.inputs, base))
        for index, node in enumerate(part.nodes):
            start = len(self.moments)
            whole = self.node_base[number] + index
            if is_new:
                # Entered again, the operators take no new moments: the buffers of the first visit are extended instead.
                self.moments.append(_Moment(number, whole))
            for tensor in node.outputs:
                self.first.setdefault(base + tensor, start)  # of the first time that the subgraph runs
            self._enter_from(whole, flow)
            # Scratch of the operator lives from its first run to the end of what it enters in turn.
            self.asked[whole] = (self.asked.get(whole, (start,))[0], len(self.moments))
            for tensor in (*node.inputs, *node.outputs):
                if tensor != ABSENT:
                    self.end[base + tensor] = len(self.moments)
        self._touch(_shifted(part.outputs, base))
        self.inside.pop()

    def _touch(self, tensors: Sequence[int]) -> None:
        """Note that these tensors hold something at the latest moment."""
        for tensor in tensors:
            self.first.setdefault(tensor, len(self.moments) - 1)
            self.end[tensor] = len(self.moments)

    def _finish(self) -> None:
        """Lives of the tensors that no step writes and reads in the ordinary way: untouched, unread, unwritten ones."""
        if not self.rules.plans_untouched:
            return
        loose, given = self.parts[0].loose, self._given()
        for tensor in self._untouched():
            self.first[tensor], self.end[tensor] = 0, 1
        for tensor in loose.unread:
            self.first[tensor], self.end[tensor] = given, given + 1
        for tensor in loose.unwritten:
            if tensor in self.parts[0].outputs:
                # An output that nothing writes is returned as it is: TFLM keeps room for it to the end.
                self.first.setdefault(tensor, len(self.moments) - 1)
                self.end[tensor] = len(self.moments)

    def _given(self) -> int:
        """When the network's inputs are there."""
        early = [moment.label for moment in self.moments[:2] if moment.part == ABSENT]
        return early.index(_GIVEN) if _GIVEN in early else len(early)

    def _has_storage(self, tensor: int) -> bool:
        described = self.graph.tensors[tensor]
        return bool(described.size_bytes) and not described.is_constant and not described.is_variable

    # -- homes --------------------------------------------------------------------------------------------------------

    def _homes(self) -> tuple[list[Buffer], list[View]]:
        """The network's buffers at their new times, then those of the subgraphs, with a view each."""
        buffers, views = [self._moved(buffer) for buffer in self.program.buffers], list(self.program.views)
        homes = {buffer.tensor for buffer in buffers}
        for tensor in sorted(self.first):
            if tensor in homes or not self._has_storage(tensor):
                continue
            kind = self.graph.tensors[tensor].type
            views.append(View(tensor, len(buffers), row_pitch_bytes=kind.size_bytes // (kind.rows or 1)))
            life = self.first[tensor], self.end[tensor]
            buffers.append(self._buffer(self._name(tensor), self.rules.stored_bytes(kind), life, tensor))
        return buffers, views

    def _name(self, tensor: int) -> str:
        """Of a tensor: in a subgraph, as that subgraph's."""
        number = bisect_right(self.tensor_base, tensor) - 1
        name = self.graph.tensors[tensor].name
        return f"{self.parts[number].name}/{name}" if number else name

    def _moved(self, buffer: Buffer) -> Buffer:
        if buffer.kind in (BufferKind.HELD, BufferKind.VARIABLE, BufferKind.PERSISTENT):
            return buffer._replace(end=len(self.moments))
        first, end = self.starts[buffer.first], self.starts[min(buffer.end, len(self.starts) - 1)]
        # A caller may fill the input once the moment for the untouched tensors has passed, not before.
        if buffer.kind is BufferKind.INPUT:
            first = self._given()
        if buffer.tensor in self.first and buffer.tensor != ABSENT:  # no ordinary life
            first = self.first[buffer.tensor]
            end = self.end.get(buffer.tensor, end)
        return buffer._replace(first=first, end=max(end, first + 1))

    def _buffer(self, name: str, size_bytes: int, life: tuple[int, int], tensor: int = ABSENT) -> Buffer:
        alignment = self.rules.alignment
        aligned_bytes = self.rules.aligned(size_bytes)
        kind = BufferKind.SCRATCH if tensor == ABSENT else BufferKind.ACTIVATION
        return Buffer(name, aligned_bytes, *life, kind, alignment, tensor)

    def _variables(self, buffers: list[Buffer], views: list[View]) -> tuple[tuple[Variable, ...], dict[int, int]]:
        """The network's variables and the states of the subgraphs, and the view of each tensor that stands for one.

        Appends a buffer and a view for each state. A resource is one, whichever subgraph names it.
        """
        variables = list(self.program.variables)
        view_of_buffer = {view.buffer: index for index, view in enumerate(views)}
        kind = BufferKind.VARIABLE if self.rules.plans_variables else BufferKind.PERSISTENT
        for part, base in zip(self.parts[1:], self.tensor_base[1:], strict=True):
            named = handles(part)
            for place, variable in enumerate(self.program.variables):
                more = tuple([base + tensor for tensor, name in named.items() if name == variable.name])
                variables[place] = variables[place]._replace(tensors=(*variables[place].tensors, *more))
            for name, size_bytes, fill, (tensor,), _ in states(part):
                variables.append(Variable(name, len(buffers), size_bytes, fill, (base + tensor,)))
                # The states of a subgraph are like those of the network: alive throughout, whether it is entered or
                # not.
                buffers.append(
                    Buffer(name, self.rules.aligned(size_bytes), 0, len(self.moments), kind, self.rules.alignment)
                )
        for variable in variables:
            if variable.tensors and variable.buffer not in view_of_buffer:
                view_of_buffer[variable.buffer] = len(views)
                views.append(View(variable.tensors[0], variable.buffer))
        lasting = {tensor: view_of_buffer[variable.buffer] for variable in variables for tensor in variable.tensors}
        return tuple(variables), lasting

    # -- stages -------------------------------------------------------------------------------------------------------

    def _stages(self, buffers: list[Buffer], views: Sequence[View], lasting: Mapping[int, int]) -> tuple[Stage, ...]:
        """The moments as stages; appends the scratch of the subgraphs to `buffers`, in the file's order."""
        scratch: dict[int, tuple[ScratchUse, ...]] = {}
        for node in sorted(self.asked):
            requests = self.rules.planned_scratch(self.graph.nodes[node].signature)
            uses = [ScratchUse(role, len(buffers) + i, size) for i, (role, size) in enumerate(requests)]
            scratch[node] = tuple(uses)
            name = self.graph.nodes[node].name
            buffers += [self._buffer(f"{name} {what}", size, self.asked[node]) for what, size in requests]
        view_of = {**{view.tensor: index for index, view in enumerate(views)}, **lasting}
        stages: list[Stage] = []
        before: tuple[int, int] | None = None
        for moment in self.moments:
            # A new stage begins where the walk changes between network and subgraph, or from one stage of the network
            # to the next.
            step = moment.step or self._step(moment, view_of, lasting, scratch)
            key = moment.part, moment.stage
            if key == before:
                stages[-1] = stages[-1]._replace(steps=(*stages[-1].steps, step))
            elif moment.step is not None:
                stages.append(self.program.stages[moment.stage]._replace(steps=(step,)))
            else:
                stages.append(Stage(StageKind.LAYER, 1, 1, (step,), moment.part))
            before = key
        return tuple(stages)

    def _step(
        self,
        moment: _Moment,
        view_of: Mapping[int, int],
        lasting: Mapping[int, int],
        scratch: dict[int, tuple[ScratchUse, ...]],
    ) -> Step:
        if moment.node == ABSENT:
            nothing = (Span(0, 1),)
            return Step(ABSENT, _NO_CALL, (ABSENT,), (ABSENT,), *(nothing,) * 4, label=moment.label)
        node = self.graph.nodes[moment.node]
        rows, cols = (node.signature.output.rows, node.signature.output.cols) if node.outputs else (1, 1)
        return Step(
            moment.node,
            node.signature,
            tuple([view_of.get(tensor, ABSENT) for tensor in node.inputs]),
            tuple([ABSENT if tensor in lasting else view_of.get(tensor, ABSENT) for tensor in node.outputs]),
            *((Span(0, rows),), (Span(0, cols),)) * 2,
            updates=changed_variables(node.signature, node.inputs, lasting),
            scratch=scratch.get(moment.node, ()),
            priced_rows=rows,
            priced_cols=cols,
        )

"""Graph + schedule + the rules of a runtime -> Program."""

from __future__ import annotations

from functools import lru_cache

from mcusim.errors import ScheduleError
from mcusim.folding import Folding, fold
from mcusim.graph import ABSENT, Graph, Signature
from mcusim.ops import OPS
from mcusim.ops.windows import SIGNATURES_KEPT
from mcusim.program import Buffer, BufferKind, Program, Stage, Step, View, ViewKind
from mcusim.region import Span
from mcusim.rules import InputPlace, LoweringRules, Scratch
from mcusim.schedule import Schedule, StageKind

__all__ = ["lower"]


def lower(graph: Graph, schedule: Schedule, rules: LoweringRules, input_place: InputPlace | None = None) -> Program:
    """The Program that runs `graph` under `schedule` as a runtime with `rules` would.

    Raises ScheduleError for a schedule that does not go with the network.
    """
    if not schedule.is_layer:
        raise ScheduleError(
            "patch and stream stages are not lowered by this version",
            where=f"schedule '{schedule}'",
            fix="use --schedule layer",
        )
    return _LayerByLayer(graph, rules, input_place or rules.input_place).program()


class _LayerByLayer:
    """One stage of 1 x 1, every tensor whole. Holds what the passes below share while a Program is made.

    root: tensor -> the tensor whose storage holds it, aliases followed.
    executed: the nodes that are steps.   inputs, outputs: storage of the network's inputs and outputs.
    """

    def __init__(self, graph: Graph, rules: LoweringRules, input_place: InputPlace) -> None:
        self.graph, self.rules, self.input_place = graph, rules, input_place
        self.folding: Folding = fold(graph, rules)
        self.root = _roots(len(graph.tensors), self.folding.alias)
        skipped = self.folding.skipped
        self.executed = [index for index in range(len(graph.nodes)) if index not in skipped]
        self.inputs = {self.root[t] for t in graph.inputs}
        self.outputs = {self.root[t] for t in graph.outputs}

    def program(self) -> Program:
        lifetimes = self._lifetimes()
        buffers, views, view_of = self._homes(lifetimes)
        if self.input_place is InputPlace.EXTERNAL:
            for root in self.inputs:
                view_of[root] = len(views)
                pitch_bytes = _row_pitch_bytes(
                    self.graph.tensors[root].type.size_bytes, self.graph.tensors[root].type.rows
                )
                views.append(View(root, ABSENT, ViewKind.OUTSIDE, 0, pitch_bytes))
        steps = self._steps(buffers, view_of)
        stage = Stage(StageKind.LAYER, 1, 1, tuple(steps))
        free, caller = tuple(self.folding.free), tuple(self.folding.caller)
        return Program(self.graph, (stage,), tuple(buffers), tuple(views), free, caller)

    def _lifetimes(self) -> dict[int, tuple[int, int]]:
        """Storage -> [first, end) in steps, in order of first appearance (an op's inputs before its outputs).

        Inputs live from the first step on and outputs to the last; a tensor that nobody reads lives during its own
        step. Constants, variables, resources and an external input have no storage here.
        """
        tensors, nodes, root = self.graph.tensors, self.graph.nodes, self.root
        external = self.inputs if self.input_place is InputPlace.EXTERNAL else frozenset()
        first: dict[int, int] = {}
        end: dict[int, int] = {}
        for time, index in enumerate(self.executed):
            node = nodes[index]
            for tensor in node.inputs + node.outputs:
                storage = root[tensor]
                if storage in first:
                    end[storage] = time + 1
                elif tensor != ABSENT and storage not in external:
                    found = tensors[storage]
                    if found.type.size_bytes and not found.type.is_constant and not found.is_variable:
                        first[storage] = time
                        end[storage] = time + 1
        for storage in self.inputs - external:
            first[storage] = 0
            end.setdefault(storage, 1)
        for storage in self.outputs:
            if storage in first:
                end[storage] = len(self.executed)
        return {storage: (start, end[storage]) for storage, start in first.items()}

    def _homes(self, lifetimes: dict[int, tuple[int, int]]) -> tuple[list[Buffer], list[View], dict[int, int]]:
        """One buffer and one view for each storage, and storage -> view."""
        under = self._taken_over(lifetimes)
        tensors, alignment = self.graph.tensors, self.rules.alignment
        buffers: list[Buffer] = []
        views: list[View] = []
        view_of: dict[int, int] = {}
        for storage, (first, end) in lifetimes.items():
            tensor = tensors[storage]
            size_bytes = tensor.type.size_bytes
            kind = BufferKind.ACTIVATION
            if storage in self.inputs:
                kind = BufferKind.INPUT
            elif storage in self.outputs:
                kind = BufferKind.OUTPUT
            over = ABSENT
            if storage in under:  # the old buffer ends where the new one takes over
                over = view_of[under[storage]]
                buffers[over] = buffers[over]._replace(end=first)
            view_of[storage] = index = len(views)
            pitch_bytes = _row_pitch_bytes(size_bytes, tensor.type.rows)
            views.append(View(storage, index, ViewKind.WHOLE, 0, pitch_bytes))
            aligned_bytes = -(-size_bytes // alignment) * alignment
            buffers.append(Buffer(tensor.name, aligned_bytes, first, end, kind, alignment, storage, over))
        return buffers, views, view_of

    def _taken_over(self, lifetimes: dict[int, tuple[int, int]]) -> dict[int, int]:
        """Output storage -> input storage that it is computed on top of, where nobody else needs that any more."""
        found: dict[int, int] = {}
        in_place, tensors, root = self.rules.in_place, self.graph.tensors, self.root
        if not in_place:
            return found
        for time, index in enumerate(self.executed):
            node = self.graph.nodes[index]
            if node.signature.op not in in_place:
                continue
            target = root[node.outputs[0]]
            for position in OPS[node.signature.op].overwrites:
                source = root[node.inputs[position]]
                fits = tensors[target].type.size_bytes <= tensors[source].type.size_bytes
                ends = source in lifetimes and lifetimes[source][1] == time + 1 and source not in self.outputs
                if fits and ends and target in lifetimes:
                    found[target] = source
                    break
        return found

    def _steps(self, buffers: list[Buffer], view_of: dict[int, int]) -> list[Step]:
        """The steps; appends their scratch to `buffers`."""
        folding, root = self.folding, self.root
        view = view_of.get
        held: dict[str, int] = {}
        steps: list[Step] = []
        for time, index in enumerate(self.executed):
            node = self.graph.nodes[index]
            signature = folding.signatures.get(index, node.signature)
            planned, held_here, rows, cols = _step_facts(self.rules, signature)
            scratch = tuple([self._scratch(buffers, f"{node.name} {name}", size, time) for name, size in planned])
            for name, size_bytes in held_here:
                if size_bytes > held.get(name, 0):
                    held[name] = size_bytes
            steps.append(
                Step(
                    index,
                    signature,
                    tuple([view(root[t], ABSENT) if t >= 0 else ABSENT for t in node.inputs]),
                    tuple([view(root[t], ABSENT) for t in node.outputs]),
                    rows,
                    cols,
                    scratch,
                    folding.absorbed.get(index, ()),
                )
            )
        buffers.extend([Buffer(name, size, 0, len(steps), BufferKind.HELD) for name, size in held.items()])
        return steps

    def _scratch(self, buffers: list[Buffer], name: str, size_bytes: int, time: int) -> int:
        alignment = self.rules.alignment
        aligned_bytes = -(-size_bytes // alignment) * alignment
        buffers.append(Buffer(name, aligned_bytes, time, time + 1, BufferKind.SCRATCH, alignment))
        return len(buffers) - 1


def _roots(tensors: int, alias: dict[int, int]) -> list[int]:
    """For each tensor, the one whose storage holds it. The last entry stands for ABSENT and is never used."""
    roots = [*range(tensors), ABSENT]
    for tensor in alias:
        root = tensor
        while root in alias:
            root = alias[root]
        roots[tensor] = root
    return roots


_Spans = tuple[Span, ...]


@lru_cache(SIGNATURES_KEPT)
def _step_facts(rules: LoweringRules, signature: Signature) -> tuple[Scratch, Scratch, _Spans, _Spans]:
    """Planned scratch, held scratch, and the whole output as one row piece and one column piece."""
    rows, cols = (signature.output.rows, signature.output.cols) if signature.outputs else (1, 1)
    return rules.planned_scratch(signature), rules.held_scratch(signature), (Span(0, rows),), (Span(0, cols),)


def _row_pitch_bytes(size_bytes: int, rows: int) -> int:
    return size_bytes // rows if rows else size_bytes

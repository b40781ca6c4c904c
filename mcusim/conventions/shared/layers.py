"""A network as the counting conventions see it: its layers one by one, PADs folded, with the bytes around each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mcusim.graph import ABSENT, Graph, Signature
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.program import BufferKind, Home, Program, Step
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER

__all__ = [
    "Around",
    "Borders",
    "Layer",
    "float_borders",
    "held_bytes",
    "in_and_out_bytes",
    "layers",
    "shortcut_bytes",
    "tensors_around",
]


class Layer(NamedTuple):
    """One step. in_bytes, out_bytes: of its activations.

    beside_bytes: tensors that it does not touch but that are needed later: a shortcut around it, an early output.
    input_stays: whether its input is needed later too, so that nothing can be written over it.
    """

    name: str
    signature: Signature
    in_bytes: int
    out_bytes: int
    beside_bytes: int
    input_stays: bool

    @property
    def is_depthwise(self) -> bool:
        return self.signature.op == "DEPTHWISE_CONV_2D"

    @property
    def is_add(self) -> bool:
        return self.signature.op == "ADD"


def layers(graph: Graph, *, with_input: bool = True) -> tuple[Layer, ...]:
    """The layers in order of execution.   with_input: whether the network's input is counted."""
    program = _program(graph)
    outside = frozenset() if with_input else frozenset(home.held for home in program.inputs)
    first, last = _lives(program)
    alive_bytes = _bytes(program, _alive_at_first(first, last) - outside)  # a running sum: thousands may be alive
    rows = []
    for time, step in enumerate(program.body()):
        read, written = _tensors(program, step.reads), _tensors(program, step.writes)
        touched = (read | written) - outside
        beside_bytes = alive_bytes - _bytes(program, [tensor for tensor in touched if first[tensor] < time])
        alive_bytes = beside_bytes + _bytes(program, [tensor for tensor in touched if last[tensor] > time])
        rows.append(
            Layer(
                program.graph.nodes[step.node].name,
                step.signature,
                _bytes(program, read - outside),
                _bytes(program, written),
                beside_bytes,
                any(last[tensor] > time for tensor in read),
            )
        )
    return tuple(rows)


class Borders(NamedTuple):
    """Bytes of the inputs and outputs that the caller would convert: as they stand in the model, before or after."""

    in_bytes: int
    out_bytes: int


def float_borders(graph: Graph) -> Borders:
    """What inputs and outputs in floating point take around a network of integers."""
    program = _program(graph)

    def taken(homes: Iterable[Home]) -> int:
        outer = [graph.tensors[home.tensor] for home in homes if home.tensor != home.held]
        return sum([tensor.size_bytes for tensor in outer if tensor.dtype.is_float])

    return Borders(taken(program.inputs), taken(program.outputs))


class Around(NamedTuple):
    """The tensors in memory while a step runs, each storage by one name.   beside: see `Layer`."""

    read: frozenset[int]
    written: frozenset[int]
    beside: frozenset[int]


def tensors_around(program: Program) -> Iterator[tuple[Step, Around]]:
    """Every step with the tensors around it, in order of execution."""
    first, last = _lives(program)
    alive = _alive_at_first(first, last)
    for time, step in enumerate(program.body()):
        read, written = frozenset(_tensors(program, step.reads)), frozenset(_tensors(program, step.writes))
        beside = alive - read - written
        yield step, Around(read, written, beside)
        alive = beside.union([tensor for tensor in read | written if last[tensor] > time])


def held_bytes(graph: Graph, name: str) -> int:
    """TinyEngine's buffer `name` (im2col or kernel): one maximum over the network."""
    asked = [use.size_bytes for step in _program(graph).body() for use in step.scratch if use.role == name]
    return max(asked, default=0)


def in_and_out_bytes(layer: Layer) -> int:
    """Input and output of a layer; a depthwise convolution writes over its input, an ADD over one of its own."""
    if layer.is_add:
        return 0
    return layer.in_bytes if layer.is_depthwise else layer.in_bytes + layer.out_bytes


def shortcut_bytes(graph: Graph) -> int:
    """The largest input of a block that has a shortcut: the tensor that an ADD reads and that was read before."""
    program = _program(graph)
    largest = 0
    seen: set[int] = set()
    for step in program.body():
        read = _tensors(program, step.reads)
        if step.signature.op == "ADD":
            largest = max([largest, *(_bytes(program, {tensor}) for tensor in read & seen)])
        seen |= read
    return largest


def _program(graph: Graph) -> Program:
    """Layer by layer as TinyEngine runs it: PADs folded, RESHAPEs free, borders converted by the caller."""
    return lower(graph, LAYER, RUNTIMES["tinyengine"].rules, InputPlace.ARENA)


def _tensors(program: Program, views: tuple[int, ...]) -> set[int]:
    """The activations that these views hold, each storage by one name. Variables are not counted."""
    held = [program.views[view] for view in views if view != ABSENT]
    return {view.tensor for view in held if view.buffer == ABSENT or program.buffers[view.buffer].tensor != ABSENT}


def _bytes(program: Program, tensors: Iterable[int]) -> int:
    return sum(program.graph.tensors[tensor].size_bytes for tensor in tensors)


def _lives(program: Program) -> tuple[dict[int, int], dict[int, int]]:
    """Tensor -> first and last step at which it is there; inputs from before the first, outputs to after the last."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for time, step in enumerate(program.body()):
        for tensor in _tensors(program, step.reads) | _tensors(program, step.writes):
            first.setdefault(tensor, time)
            last[tensor] = time
    for buffer in program.buffers:
        if buffer.kind is BufferKind.INPUT:
            first[buffer.tensor] = -1
            last.setdefault(buffer.tensor, -1)  # nobody reads it
        elif buffer.kind is BufferKind.OUTPUT:
            last[buffer.tensor] = program.length
    return first, last


def _alive_at_first(first: Mapping[int, int], last: Mapping[int, int]) -> frozenset[int]:
    """The inputs that something needs."""
    return frozenset([tensor for tensor, time in first.items() if time < 0 <= last[tensor]])

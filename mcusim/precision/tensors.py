"""What of a network may be cut to fewer bits: its layers as memory sees them, its tensors and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mcusim.conventions.shared.layers import tensors_around
from mcusim.graph import ABSENT, DType, Graph
from mcusim.lowering.lower import lower_alone
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.ops import OPS

__all__ = ["BITS", "DTYPES", "Layer", "Tensors", "packed_bytes", "tensors_of"]

DTYPES: Mapping[int, DType] = {8: DType.INT8, 4: DType.INT4, 2: DType.INT2}
BITS = tuple(DTYPES)
"""Widths of the kernels that exist for microcontrollers (CMix-NN), widest first."""

WEIGHTS = 1
"""Which input holds the weights of an operator with parameters that packs."""


class Layer(NamedTuple):
    """One step of a runtime.   reads, writes, beside: activation tensors that it reads, writes, and leaves alone."""

    node: int
    name: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    beside: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensors:
    """A network as bit allocation sees it.

    group: activation tensor -> its group; all tensors of a group have one width, as an operator between them may not
        rescale (pools, PAD, RESHAPE, CONCATENATION).
    elements: of each tensor.   bits: of each group that may be cut, as they are.
    kept_bits: of each activation tensor, as they are: what counts where its group may not be cut.
    weights: weight tensor -> bits, as they are, of those that may be cut, in the order of layers.
    """

    layers: tuple[Layer, ...]
    group: Mapping[int, int]
    elements: Mapping[int, int]
    bits: Mapping[int, int]
    kept_bits: Mapping[int, int]
    weights: Mapping[int, int]

    def bits_of(self, tensor: int, bits: Mapping[int, int]) -> int:
        """Width of an activation tensor when the groups have `bits`."""
        return bits.get(self.group[tensor], self.kept_bits[tensor])

    def bytes_of(self, tensor: int, bits: Mapping[int, int]) -> int:
        """Bytes of an activation tensor when the groups have `bits`."""
        return packed_bytes(self.elements[tensor], self.bits_of(tensor, bits))

    def layer_bytes(self, layer: Layer, bits: Mapping[int, int]) -> int:
        """Bytes of all tensors around a layer when the groups have `bits`."""
        return sum(self.bytes_of(tensor, bits) for tensor in layer.reads + layer.writes + layer.beside)


def packed_bytes(elements: int, bits: int) -> int:
    """Bytes of a tensor of so many elements."""
    return -(-elements * bits // 8)


def tensors_of(graph: Graph, rules: LoweringRules) -> Tensors:
    """What of `graph` may be cut, with the steps of a runtime that has these rules.

    int8 and narrower activations may, between operators that take packed ones; the network's inputs and outputs keep
    their width, and so do state, floats and int16.
    """
    group = _groups(graph)
    fixed = {group[tensor] for tensor in _kept(graph, group)}
    weights = {t: graph.tensors[t].dtype.bits for index in range(len(graph.nodes)) for t in _weights(graph, index)}
    activations = sorted(group)
    return Tensors(
        tuple(_layers(graph, rules)),
        group,
        {tensor: graph.tensors[tensor].type.elements for tensor in (*activations, *weights)},
        {group[t]: graph.tensors[t].dtype.bits for t in activations if group[t] not in fixed},
        {tensor: graph.tensors[tensor].dtype.bits for tensor in activations},
        weights,
    )


def _layers(graph: Graph, rules: LoweringRules) -> Iterator[Layer]:
    program = lower_alone(graph, rules, InputPlace.ARENA)
    for step, around in tensors_around(program):
        if step.node != ABSENT and step.node < len(graph.nodes):  # not of a subgraph
            name = graph.nodes[step.node].name
            yield Layer(step.node, name, *(tuple(sorted(s)) for s in (around.read, around.written, around.beside)))


def _groups(graph: Graph) -> dict[int, int]:
    """Activation tensor -> the smallest tensor that must have its width."""
    parent = {
        tensor: tensor
        for node in graph.nodes
        for tensor in (*node.inputs, *node.outputs)
        if tensor != ABSENT and not graph.tensors[tensor].is_constant
    }
    parent |= {tensor: tensor for tensor in graph.inputs}

    def root(tensor: int) -> int:
        while parent[tensor] != tensor:
            tensor = parent[tensor]
        return tensor

    for node in graph.nodes:
        alike = OPS[node.op].drawing.alike if node.op in OPS else None
        if alike is not None:
            tied = [root(t) for t in (*node.inputs[alike], *node.outputs) if t in parent]
            for tensor in tied:
                parent[root(tensor)] = min(map(root, tied))
    return {tensor: root(tensor) for tensor in parent}


def _kept(graph: Graph, activations: Mapping[int, int]) -> Iterator[int]:
    """Tensors whose width must stay."""
    yield from (tensor for tensor in (*graph.inputs, *graph.outputs) if tensor in activations)
    for tensor in activations:
        candidate = graph.tensors[tensor]
        if candidate.dtype.unpacked is not DType.INT8 or candidate.is_variable:
            yield tensor
    for node in graph.nodes:
        op = OPS.get(node.op)
        if op is None or not op.packs:
            yield from (tensor for tensor in (*node.inputs, *node.outputs) if tensor in activations)


def _weights(graph: Graph, node: int) -> Iterator[int]:
    """The weight tensor of a node, if it has one that may be cut."""
    op, inputs = OPS.get(graph.nodes[node].op), graph.nodes[node].inputs
    if op is not None and op.packs and WEIGHTS in op.parameters and len(inputs) > WEIGHTS:
        tensor = graph.tensors[inputs[WEIGHTS]]
        if tensor.is_constant and tensor.dtype.unpacked is DType.INT8:
            yield inputs[WEIGHTS]

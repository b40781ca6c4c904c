"""What a whole network computes and learns: multiply-accumulates and parameters, summed over its operators.

This module registers no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache

from mcusim.columns import picker
from mcusim.graph import ABSENT, Graph, Signature, TensorType, WiringKey
from mcusim.ops.registry import OPS, Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["count_macs", "count_parameters", "whole_work"]

_WIRINGS_KEPT = 1024
_GRAPHS_KEPT = 4
"""Networks whose parameters are found again: one is asked about on many boards in a row."""


@lru_cache(SIGNATURES_KEPT)
def whole_work(signature: Signature) -> Work:
    """What a node does that runs whole, once."""
    return OPS[signature.op].work(signature, signature.output.rows, signature.output.cols, 1)


def count_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference. Operators that mcusim does not know count none."""
    known = [node.signature for node in graph.nodes if node.op in OPS and node.outputs]
    return sum([whole_work(signature).macs for signature in known])


@lru_cache(_GRAPHS_KEPT)
def count_parameters(graph: Graph) -> tuple[int, int]:
    """Bytes and number of the learned parameters; a buffer that several tensors share counts once."""
    if not graph.subgraphs:
        wiring, tensors, types = graph.wiring, graph.tensors, graph.types
        indices = [index for index in dict.fromkeys(_learned_in(wiring.key)(wiring.reads)) if index != ABSENT]
        if False not in [tensors[index].constant is None for index in indices]:
            known = [types[index] for index in indices if types[index].is_constant]
            return sum([kind.size_bytes for kind in known]), sum([kind.elements for kind in known])
    kinds: list[TensorType] = []
    shared: dict[object, TensorType] = {}
    for part in (graph, *graph.subgraphs):
        learned = [part.tensors[index] for index in dict.fromkeys(_learned(part)) if index != ABSENT]
        kinds += [tensor.type for tensor in learned if tensor.constant is None]
        shared.update([(id(tensor.constant), tensor.type) for tensor in learned if tensor.constant is not None])
    kinds += shared.values()
    kinds = [kind for kind in kinds if kind.is_constant]
    return sum([kind.size_bytes for kind in kinds]), sum([kind.elements for kind in kinds])


def _learned(graph: Graph) -> Sequence[int]:
    """Tensors that stand where operators have parameters; ABSENT where one is left out."""
    return _learned_in(graph.wiring.key)(graph.wiring.reads)


@lru_cache(_WIRINGS_KEPT)
def _learned_in(key: WiringKey) -> Callable[[Sequence[int]], Sequence[int]]:
    """Takes those that stand where operators have parameters out of the tensors that all nodes read."""
    places: list[int] = []
    start = 0
    for op, count in zip(key.ops, key.read_counts, strict=True):
        places += [start + place for place in _learning().get(op, ()) if place < count]
        start += count
    return picker(places)


@cache
def _learning() -> dict[str, tuple[int, ...]]:
    return {name: op.parameters for name, op in OPS.items() if op.parameters}

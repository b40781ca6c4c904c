"""What a whole network computes and learns: multiply-accumulates and parameters, summed over its operators.

This module registers no operator.
"""

from __future__ import annotations

from functools import cache, lru_cache

from mcusim.graph import ABSENT, Graph, Signature, TensorType
from mcusim.ops.registry import OPS, Work
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["count_macs", "count_parameters", "whole_work"]

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
    kinds: list[TensorType] = []
    shared: dict[object, TensorType] = {}
    for part in (graph, *graph.subgraphs):
        learned = [part.tensors[index] for index in dict.fromkeys(_learned(part)) if index != ABSENT]
        kinds += [tensor.type for tensor in learned if tensor.constant is None]
        shared.update([(id(tensor.constant), tensor.type) for tensor in learned if tensor.constant is not None])
    kinds += shared.values()
    kinds = [kind for kind in kinds if kind.is_constant]
    return sum([kind.size_bytes for kind in kinds]), sum([kind.elements for kind in kinds])


def _learned(graph: Graph) -> list[int]:
    """Tensors that stand where operators have parameters; ABSENT where one is left out."""
    learning = _learning()
    pairs = [
        (node.inputs, learning[call.op])
        for node, call in zip(graph.nodes, graph.calls, strict=True)
        if call.op in learning
    ]
    return [inputs[place] for inputs, places in pairs for place in places if place < len(inputs)]


@cache
def _learning() -> dict[str, tuple[int, ...]]:
    return {name: op.parameters for name, op in OPS.items() if op.parameters}

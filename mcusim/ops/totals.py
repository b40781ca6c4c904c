"""What a whole network computes and learns: multiply-accumulates and parameters, summed over its operators.

This module registers no operator.
"""

from __future__ import annotations

from functools import lru_cache

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
    stored: dict[object, TensorType] = {}
    for number, part in enumerate((graph, *graph.subgraphs)):
        tensors = part.tensors
        for node in part.nodes:
            op = OPS.get(node.signature.op)
            inputs = node.inputs
            for position in op.parameters if op is not None else ():
                index = inputs[position] if position < len(inputs) else ABSENT
                if index != ABSENT and tensors[index].type.is_constant:
                    elements = tensors[index].constant
                    stored[(number, index) if elements is None else id(elements)] = tensors[index].type
    return sum([kind.size_bytes for kind in stored.values()]), sum([kind.elements for kind in stored.values()])

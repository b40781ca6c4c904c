"""Which subgraphs an inference comes to, where constants tell: a branch never chosen, a loop that never turns.

An interpreter sets all of a file up, and finds out what it cannot run when it comes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mcusim.graph import ABSENT, Flow, Graph, Node, Tensor
from mcusim.ops.registry import OPS, entered_subgraphs

__all__ = ["entered_parts", "taken"]

Entered = TypeVar("Entered")


def entered_parts(graph: Graph) -> frozenset[int]:
    """The subgraphs that an inference may come to, by their number in the file; 0 is the network itself."""
    parts = (graph, *graph.subgraphs)
    entered, waiting = {0}, [0]
    # From the network through every subgraph that can be reached from it, each looked into once.
    while waiting:
        part = parts[waiting.pop()]
        for node in part.nodes:
            known = [number for number in entered_subgraphs(node.signature) if 0 <= number < len(parts)]
            if known:
                new = {number for number in _taken_by(part, node, known, parts) if number not in entered}
                entered |= new
                waiting += new
    return frozenset(entered)


def _taken_by(part: Graph, node: Node, numbers: Sequence[int], parts: Sequence[Graph]) -> Sequence[int]:
    flow = OPS[node.op].flow
    if flow is Flow.CHOOSES:
        decides = part.tensors[node.inputs[0]] if node.inputs and node.inputs[0] != ABSENT else None
    # A loop is decided by what its condition answers, output 0 of the first subgraph; a constant `false` rules out the
    # body.
    else:
        asked = parts[numbers[0]]
        decides = asked.tensors[asked.outputs[0]] if flow is Flow.LOOPS and asked.outputs else None
    return taken(flow, numbers, decides)


def taken(flow: Flow, entered: Sequence[Entered], decides: Tensor | None) -> Sequence[Entered]:
    """Those of the subgraphs of a node that it may enter.

    decides: the condition of an IF, or what the condition of a WHILE answers; only a constant rules one out.
    """
    value = None if decides is None else decides.constant
    if value is None or not value.size or len(entered) != 2:
        return entered
    if flow is Flow.CHOOSES:
        return entered[:1] if value.reshape(-1)[0] else entered[1:]
    return entered[:1] if flow is Flow.LOOPS and not value.tobytes()[0] else entered

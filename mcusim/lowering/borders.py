"""Where a node and the subgraphs that it enters do not go together: what IF and WHILE copy in and out.

An interpreter copies bytes, whatever their types and shapes. It refuses where source and target have not as many of
them, at set-up or when it comes to copy. The condition of an IF is one boolean, that of a WHILE the first
byte answered.
Source: TFLM if.cc, while.cc, micro/kernels/kernel_util.cc (CopyOpInputsToSubgraphInputs and its kin).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mcusim.graph import ABSENT, Flow, Graph, Node
from mcusim.lowering.entering import taken
from mcusim.ops.registry import OPS, entered_subgraphs
from mcusim.program import Part, Program

__all__ = ["Clash", "clashes"]


class Clash(NamedTuple):
    """node: its index in the graph.   why: a sentence without its full stop."""

    node: int
    why: str


def clashes(program: Program) -> Iterator[Clash]:
    """The first clash of each node that an inference may come to."""
    for index in dict.fromkeys(step.node for step in program.body() if step.node != ABSENT):
        node = program.graph.nodes[index]
        flow = OPS[node.op].flow if node.op in OPS else Flow.NONE
        if flow in (Flow.CHOOSES, Flow.LOOPS) and index not in program.idle_nodes:
            entered = [program.parts[number] for number in entered_subgraphs(node.signature)]
            check = _of_choice if flow is Flow.CHOOSES else _of_loop
            why = next(check(program.graph, node, *entered), "")
            if why:
                yield Clash(index, f"{node.op}: {why}")


def _of_choice(graph: Graph, node: Node, first: Part, second: Part) -> Iterator[str]:
    condition = graph.tensors[node.inputs[0]]
    if condition.type.elements != 1:
        yield f"its condition, input 0, has {condition.type.elements} elements, and must have 1"
    # A constant condition rules one branch out, and TFLM then never comes to copy into it. One subgraph may serve as
    # both.
    for part in dict.fromkeys(taken(Flow.CHOOSES, (first, second), condition)):
        yield from _given(graph, node, part, "input", node.inputs[1:], first_number=1)
        yield from _answered(graph, node, part)


def _of_loop(graph: Graph, node: Node, condition: Part, body: Part) -> Iterator[str]:
    answer = graph.tensors[condition.outputs[0]]
    if answer.constant is not None and not answer.constant.size:
        yield f"its condition, output 0 of subgraph '{condition.name[:60]}', has no elements"
    yield from _given(graph, node, condition, "input", node.inputs)
    for number, (source, target) in enumerate(zip(node.inputs, node.outputs, strict=True)):
        # A WHILE first copies its inputs to its outputs, which then hold the state of the loop between its turns.
        if _size_bytes(graph, source) != _size_bytes(graph, target):
            sizes = f"{_size_bytes(graph, source):,} bytes, and the output {_size_bytes(graph, target):,}"
            yield f"input {number} has {sizes}"
    if body not in taken(Flow.LOOPS, (condition, body), answer):
        return
    yield from _given(graph, node, body, "output", node.outputs)
    yield from _answered(graph, node, body)


def _given(
    graph: Graph, node: Node, part: Part, word: str, sources: tuple[int, ...], first_number: int = 0
) -> Iterator[str]:
    """What a subgraph is given: the node's inputs, or in a loop its outputs."""
    for number, (source, target) in enumerate(zip(sources, part.inputs, strict=True)):
        own, inner = _size_bytes(graph, source), _size_bytes(graph, target)
        if own != inner:
            taken = f"input {number} of subgraph '{part.name[:60]}' has {inner:,}"
            yield f"{word} {number + first_number} has {own:,} bytes, and {taken}"


def _answered(graph: Graph, node: Node, part: Part) -> Iterator[str]:
    """What a subgraph answers."""
    for number, (source, target) in enumerate(zip(part.outputs, node.outputs, strict=True)):
        own, inner = _size_bytes(graph, target), _size_bytes(graph, source)
        if own != inner:
            yield f"output {number} has {own:,} bytes, and that of subgraph '{part.name[:60]}' has {inner:,}"


def _size_bytes(graph: Graph, tensor: int) -> int:
    return 0 if tensor == ABSENT else graph.tensors[tensor].size_bytes

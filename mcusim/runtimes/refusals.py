"""What a runtime cannot run, in a sentence for each reason. Whether it would fit is another question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.graph import ABSENT, Graph
from mcusim.program import Program
from mcusim.runtimes.conditions import Numbers
from mcusim.runtimes.registry import Runtime

__all__ = [
    "Refusal",
    "add_number_refusals",
    "cannot_run",
    "missing_kernels",
    "missing_nodes",
    "number_refusals",
    "refusals",
    "refusals_of",
]


class Refusal(NamedTuple):
    """node: its index in the graph.   why: a sentence without its full stop."""

    node: int
    why: str


def number_refusals(graph: Graph, runtime: Runtime) -> Iterator[Refusal]:
    """Nodes that have a kernel, and scales or zero points that it does not take.

    Of a network that was described by its architecture there is nothing to say: it has no scales yet.
    """
    is_stored = graph.source.file_bytes is not None
    if not is_stored and not any(tensor.quantization for tensor in graph.tensors):
        return
    tensors = graph.tensors
    for index, node in enumerate(graph.nodes):
        inputs = tuple([None if place == ABSENT else tensors[place] for place in node.inputs])
        outputs = tuple([tensors[place] for place in node.outputs])
        why = runtime.asks_of_numbers(Numbers(node.signature, inputs, outputs, is_stored))
        if why:
            yield Refusal(index, why)


def refusals_of(graph: Graph, runtime: Runtime) -> Iterator[Refusal]:
    """Every node that the runtime has no kernel for, run whole and one by one; then those whose numbers it refuses.

    What lowering folds into other nodes or leaves to the caller is not asked about here (`pricing.breakdown` is).
    """
    for index, node in enumerate(graph.nodes):
        kernel = runtime.kernel(node.signature)
        if not kernel.supported:
            yield Refusal(index, kernel.why)
    yield from number_refusals(graph, runtime)


def cannot_run(runtime: Runtime, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why the runtime cannot run some nodes. missing: of a Breakdown."""
    found = []
    for why, names in missing.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"{runtime.name} cannot run '{names[0]}'{more}: {why}.")
    return found


def add_number_refusals(missing: dict[str, list[str]], program: Program, runtime: Runtime) -> None:
    """Add nodes whose scales or zero points the runtime does not take to those without a kernel."""
    for index, why in number_refusals(program.graph, runtime):
        missing.setdefault(why, []).append(program.graph.nodes[index].name)


def missing_nodes(program: Program, runtime: Runtime) -> Iterator[Refusal]:
    """The nodes of a program that the runtime has no kernel for, then those whose numbers it refuses."""
    for stage in program.stages:
        for step in stage.steps:
            kernel = runtime.kernel_in(stage.kind, step.signature)
            if step.node != ABSENT and not kernel.supported:
                yield Refusal(step.node, kernel.why)
    yield from number_refusals(program.graph, runtime)


def missing_kernels(program: Program, runtime: Runtime) -> dict[str, list[str]]:
    """Why the runtime cannot run some nodes -> their names, as `breakdown` finds them."""
    missing: dict[str, list[str]] = {}
    for index, why in missing_nodes(program, runtime):
        missing.setdefault(why, []).append(program.graph.nodes[index].name)
    return missing


def refusals(program: Program, board: Board, runtime: Runtime, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """Why the runtime cannot run a program on a board, a sentence each. missing: of its Breakdown."""
    found = cannot_run(runtime, missing)
    foreign = sorted({stage.kind.value for stage in program.stages} - {kind.value for kind in runtime.stages})
    if foreign:
        found.append(f"{runtime.name} has no {' or '.join(foreign)} stages: this is what they would need of it.")
    if not runtime.serves(board):
        found.append(f"{runtime.name} cannot run on {board.name}: its makers offer it for {runtime.parts} parts only.")
    return found

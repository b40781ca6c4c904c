"""What a runtime cannot run, in a sentence for each reason. Whether it would fit is another question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mcusim.boards.board import Board
from mcusim.graph import ABSENT, Graph
from mcusim.program import Program
from mcusim.runtimes.conditions import Refusal
from mcusim.runtimes.registry import Runtime

__all__ = [
    "add_refused",
    "cannot_run",
    "missing_kernels",
    "missing_nodes",
    "refusals",
    "refusals_of",
]


def refusals_of(graph: Graph, runtime: Runtime) -> Iterator[Refusal]:
    """Every node that the runtime has no kernel for, run whole and one by one; then those that it refuses all the same.

    What lowering folds into other nodes or leaves to the caller is not asked about here (`pricing.breakdown` is).
    """
    for index, node in enumerate(graph.nodes):
        kernel = runtime.kernel(node.signature)
        if not kernel.supported:
            yield Refusal(index, kernel.why)
    yield from runtime.refuses(graph)


def cannot_run(runtime: Runtime, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why the runtime cannot run some nodes. missing: of a Breakdown."""
    found = []
    for why, names in missing.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"{runtime.name} cannot run '{names[0]}'{more}: {why}.")
    return found


def add_refused(missing: dict[str, list[str]], program: Program, runtime: Runtime) -> None:
    """Add nodes that have a kernel, and that the runtime refuses all the same, to those without one."""
    for index, why in runtime.refuses(program.graph):
        missing.setdefault(why, []).append(program.graph.nodes[index].name)


def missing_nodes(program: Program, runtime: Runtime) -> Iterator[Refusal]:
    """The nodes of a program that the runtime has no kernel for, then those that it refuses all the same."""
    for stage in program.stages:
        for step in stage.steps:
            kernel = runtime.kernel_in(stage.kind, step.signature)
            if step.node != ABSENT and not kernel.supported:
                yield Refusal(step.node, kernel.why)
    yield from runtime.refuses(program.graph)


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

"""What a runtime cannot run, in a sentence for each reason. Whether it would fit is another question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mcusim.boards.board import Board
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.borders import clashes
from mcusim.program import Program
from mcusim.runtimes.conditions import Refusal
from mcusim.runtimes.registry import Runtime
from mcusim.schedule import StageKind

__all__ = [
    "add_refused",
    "beside_steps",
    "cannot_run",
    "cannot_start",
    "idle_nodes",
    "left_out",
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
    sentences = []
    for why, names in missing.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        sentences.append(f"{runtime.name} cannot run '{names[0].split(';')[0] or names[0]}'{more}: {why}.")
    return sentences


def cannot_start(program: Program, runtime: Runtime) -> list[str]:
    """Why the runtime cannot set a network up at all, whatever its kernels can do, a sentence each."""
    sentences = []
    source = program.graph.source
    if runtime.reads_offline_plan and source.offline_refusal:
        sentences.append(f"{runtime.name} refuses the file: {source.offline_refusal}.")
    if runtime.rules.plans_untouched:
        for index in _unentered(program):
            node = program.graph.nodes[index]
            if runtime.rules.planned_scratch(node.signature):
                what = f"'{node.name}' asks for working memory, and nothing enters its subgraph"
                sentences.append(f"{runtime.name} crashes while it sets up: {what}.")
                break
    return sentences


def idle_nodes(program: Program, runtime: Runtime) -> frozenset[int]:
    """Nodes of which the runtime asks only that they can be set up: no inference comes to them."""
    return program.idle_nodes if runtime.prepares is not None else frozenset()


def beside_steps(program: Program, runtime: Runtime) -> Iterator[Refusal]:
    """What no step shows: nodes that cannot be set up though they never run, subgraphs that do not go together with
    what enters them, nodes refused anyway."""
    idle = idle_nodes(program, runtime)
    if runtime.prepares is not None and idle:
        yield from runtime.prepares(program.graph, idle)
    yield from border_refusals(program, runtime)
    yield from [refusal for refusal in runtime.refuses(program.graph) if refusal.node not in idle]


def border_refusals(program: Program, runtime: Runtime) -> Iterator[Refusal]:
    """Nodes that do not go together with the subgraphs that they enter, if the runtime has a kernel for them at all."""
    for node, why in clashes(program):
        if runtime.kernel(program.graph.nodes[node].signature).supported:
            yield Refusal(node, why)


def left_out(program: Program, runtime: Runtime) -> list[str]:
    """What a runtime that takes one entry of a file says nothing of: operators that only other signatures come to."""
    if runtime.rules.plans_untouched:
        return []
    idle = sorted(program.idle_nodes)
    names = [program.graph.nodes[index].name for index in idle]
    if not names:
        return []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    what = "operators that no inference of the first signature comes to"
    return [f"{runtime.name} is told without '{names[0]}'{more}: {what} are left out."]


def _unentered(program: Program) -> list[int]:
    """Nodes of subgraphs that nothing enters, by their number in the flat graph."""
    if not program.parts:
        return []
    carried = {node for step in program.body() for node in (step.node, *step.absorbed)}
    carried.update(program.free, program.caller)
    return [index for index in range(len(program.graph.nodes)) if index not in carried]


def add_refused(missing: dict[str, list[str]], program: Program, runtime: Runtime) -> None:
    """Add to the nodes without a kernel what no step shows."""
    for index, why in beside_steps(program, runtime):
        missing.setdefault(why, []).append(program.graph.nodes[index].name)


def missing_nodes(program: Program, runtime: Runtime) -> Iterator[Refusal]:
    """The nodes of a program that the runtime has no kernel for, then those that it refuses all the same."""
    idle = idle_nodes(program, runtime)
    for stage in program.stages:
        for step in stage.steps:
            kernel = runtime.kernel_in(stage.kind, step.signature)
            if step.node != ABSENT and not kernel.supported and step.node not in idle:
                yield Refusal(step.node, kernel.why)
    yield from beside_steps(program, runtime)


def missing_kernels(program: Program, runtime: Runtime) -> dict[str, list[str]]:
    """Why the runtime cannot run some nodes -> their names, as `breakdown` finds them."""
    missing: dict[str, list[str]] = {}
    for index, why in missing_nodes(program, runtime):
        missing.setdefault(why, []).append(program.graph.nodes[index].name)
    return missing


def refusals(program: Program, board: Board, runtime: Runtime, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """Why the runtime cannot run a program on a board, a sentence each. missing: of its Breakdown."""
    sentences = [*cannot_start(program, runtime), *cannot_run(runtime, missing)]
    kinds = {StageKind.LAYER} if program.plain is not None else {stage.kind for stage in program.stages}
    foreign = sorted([kind.value for kind in kinds - runtime.stages])
    if foreign:
        sentences.append(f"{runtime.name} has no {' or '.join(foreign)} stages: this is what they would need of it.")
    if not runtime.serves(board):
        sentences.append(
            f"{runtime.name} cannot run on {board.name}: its makers offer it for {runtime.parts} parts only."
        )
    return sentences

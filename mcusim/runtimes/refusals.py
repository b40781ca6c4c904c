"""What a runtime cannot run, in a sentence for each reason. Whether it would fit is another question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcusim.boards.board import Board
from mcusim.graph import ABSENT
from mcusim.program import Program
from mcusim.runtimes.registry import Runtime

__all__ = ["cannot_run", "missing_kernels", "refusals"]


def cannot_run(runtime: Runtime, missing: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why the runtime cannot run some nodes. missing: of a Breakdown."""
    found = []
    for why, names in missing.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"{runtime.name} cannot run '{names[0]}'{more}: {why}.")
    return found


def missing_kernels(program: Program, runtime: Runtime) -> dict[str, list[str]]:
    """Why the runtime cannot run some nodes -> their names, as `breakdown` finds them."""
    missing: dict[str, list[str]] = {}
    for stage in program.stages:
        for step in stage.steps:
            kernel = runtime.kernel_in(stage.kind, step.signature)
            if step.node != ABSENT and not kernel.supported:
                missing.setdefault(kernel.why, []).append(program.graph.nodes[step.node].name)
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

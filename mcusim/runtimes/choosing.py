"""Which runtime answers where none is asked for: the first of `preferred` that can run the network on the board.

"Can run" asks for kernels, not for room: whether the network fits is the question that the answer then treats.

    tinyengine       no kernel for SOFTMAX       \\
    tflm-cmsis-nn    every layer has a kernel  -> this one, "tinyengine cannot run SOFTMAX"
    tflm             not looked at
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mcusim.boards.board import Board
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.runtimes.refusals import cannot_start, missing_nodes, refusals_of
from mcusim.runtimes.registry import RUNTIMES, Runtime
from mcusim.schedule import LAYER

__all__ = ["RuntimeChoice", "choose_runtime", "preferred", "why_not"]


def preferred() -> list[Runtime]:
    """The runtimes that answer where none is asked for, in the order of `Runtime.preference`."""
    ranked = [(runtime.preference, runtime) for runtime in RUNTIMES.values() if runtime.preference is not None]
    return [runtime for _, runtime in sorted(ranked, key=lambda pair: pair[0])]


_NAMED_OPERATORS = 3


class RuntimeChoice(NamedTuple):
    """why: what the runtimes before it lack; "" for the first of the preference, and for one that was asked for."""

    runtime: Runtime
    why: str


def choose_runtime(graph: Graph, board: Board | None = None) -> RuntimeChoice:
    """The first runtime of `preferred` that can run all of `graph` on `board`; without a board, anywhere.

    Where none can, the one that lacks kernels for the fewest nodes.
    """
    if graph.source.compiled is not None:
        return RuntimeChoice(next(each for each in RUNTIMES.values() if each.runs_compiled), "")
    lacking: dict[Runtime, tuple[str, int]] = {}
    for runtime in preferred():
        reason, nodes = why_not(graph, runtime, board)
        if not reason:
            return RuntimeChoice(runtime, "; ".join(why for why, _ in lacking.values()))
        lacking[runtime] = reason, nodes
    nearest = min(lacking, key=lambda runtime: lacking[runtime][1])
    return RuntimeChoice(nearest, f"no runtime is known to run it: {'; '.join(w for w, _ in lacking.values())}")


def why_not(graph: Graph, runtime: Runtime, board: Board | None = None) -> tuple[str, int]:
    """Why `runtime` cannot run `graph` on `board`, and how many nodes it cannot run; ("", 0) where it can."""
    if board is not None and not runtime.serves(board):
        return f"{runtime.name} is for {runtime.parts} parts only", len(graph.nodes)
    if board is not None and runtime.cores and board.core not in runtime.cores:
        return f"{runtime.name} is known on {', '.join(sorted(runtime.cores))} only", len(graph.nodes)
    may_start = not graph.subgraphs and not graph.source.offline_refusal
    if may_start and not any(True for _ in refusals_of(graph, runtime)):
        return "", 0
    # A node without a kernel of its own may be folded into one that has: lowering tells.
    program = lower(graph, LAYER, runtime.rules, runtime.rules.input_place)
    blockers = cannot_start(program, runtime)
    if blockers:
        return blockers[0].removesuffix("."), len(program.graph.nodes)
    missing = list(missing_nodes(program, runtime))
    if not missing:
        return "", 0
    operators = _operators([program.graph.nodes[index].op for index, _ in missing])
    return f"{runtime.name} cannot run {operators}", len(missing)


def _operators(names: Iterable[str]) -> str:
    """`SOFTMAX, 2 CONV_2D and 3 more operators`: each operator with how many nodes of it there are."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    shown = [name if count == 1 else f"{count} {name}" for name, count in counts.items()]
    rest = len(shown) - _NAMED_OPERATORS
    return ", ".join(shown[:_NAMED_OPERATORS]) + (f" and {rest} more operator{'s' * (rest > 1)}" if rest > 0 else "")

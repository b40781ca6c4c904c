"""One network's arena, from names: what `mcusim plan` and `mcusim.plan` begin with."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from mcusim.arguments import chosen_runtime, the_board, the_graph, the_input_place, the_schedule
from mcusim.boards.board import Board
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.planning import MemoryPlan, plan_memory
from mcusim.runtimes import Runtime
from mcusim.runtimes.tflm import with_pointer_bits
from mcusim.schedule import Schedule

__all__ = ["plan"]


def plan(
    model: Graph | str | PathLike[str] | Mapping[str, Any],
    *,
    runtime: Runtime | str | None = None,
    profile: Board | str | PathLike[str] | None = None,
    schedule: Schedule | str = "layer",
    planner: str | None = None,
    input_place: InputPlace | str | None = None,
    pointer_bits: int = 32,
) -> MemoryPlan:
    """The arena of a network: which buffer lies where and when, and how far that is from the smallest plan.

    model: as in `simulate`.   runtime: the first that can run the network if None.   profile: counts scratch memory as
    on that board's core.   planner: `tflm-greedy`, `tinyengine-first-fit`, `best-fit` or `optimal` instead of the
    runtime's own.   pointer_bits: 64 for TensorFlow Lite Micro on a desktop.

    `arena_bytes`, `total_bytes` and `recommended_arena_bytes` are bytes; `tenants()` or `to_frame()` has the buffers.
    Raises McusimError where something in the question is wrong, or nobody knows where the runtime puts buffers.

        >>> import mcusim
        >>> mcusim.plan("mcunet-in3", runtime="tflm").arena_bytes
        416832
    """
    graph = the_graph(model)
    board = None if profile is None else the_board(profile)
    pieces = the_schedule(schedule)
    if pieces.is_auto:
        fix = "name one; mcusim.search(model, profile=board).best.schedule is the best"
        raise ScheduleError("a plan is of one schedule", where=f"schedule '{pieces}'", fix=fix)
    chosen = with_pointer_bits(chosen_runtime(runtime, graph, board).runtime, pointer_bits)
    place = None if input_place is None else the_input_place(input_place, chosen, pieces)
    return plan_memory(graph, chosen, pieces, planner=planner, input_place=place)

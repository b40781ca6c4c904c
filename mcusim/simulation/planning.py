"""One network's arena, from names: what `mcusim plan` and `mcusim.plan` begin with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, overload

from mcusim.boards.board import Board
from mcusim.errors import InputError, ScheduleError
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.memory.planning import MemoryPlan, plan_memory
from mcusim.memory.sharing import SharedPlan, share_arena
from mcusim.question.arguments import chosen_runtime, the_board, the_graph, the_input_place, the_schedule
from mcusim.runtimes import Runtime
from mcusim.runtimes.choosing import RuntimeChoice
from mcusim.runtimes.tflm import WHEEL_POINTER_BITS, with_pointer_bits
from mcusim.schedule import Schedule

__all__ = ["EMITTED", "SHARED", "plan", "planning_runtime"]

Model = Graph | str | PathLike[str] | Mapping[str, Any]

SHARED = "networks share an arena in TensorFlow Lite Micro"
EMITTED = "what --emit writes is for TensorFlow Lite Micro"
"""Why only an interpreter can be meant."""


def planning_runtime(
    runtime: Runtime | str | None, graph: Graph, board: Board | None, pointer_bits: int = 32, only_tflm: str = ""
) -> RuntimeChoice:
    """Whose memory rules a plan follows, and why where nobody named them.

    The first that can run the network; where only an interpreter can be meant (`only_tflm` says why), the reference
    kernels. Raises InputError for pointers that nobody has compared.
    """
    if runtime is None and pointer_bits == WHEEL_POINTER_BITS and not only_tflm:
        only_tflm = f"pointers of {pointer_bits} bits are counted as the Python wheel tflite-micro has them"
    if runtime is not None or not only_tflm:
        choice = chosen_runtime(runtime, graph, board)
    else:
        cmsis = "" if pointer_bits == WHEEL_POINTER_BITS else " (--runtime tflm-cmsis-nn plans for CMSIS-NN's)"
        why = f"{only_tflm}, and no runtime was named: these are its reference kernels{cmsis}"
        choice = RuntimeChoice(chosen_runtime("tflm", graph, board).runtime, why)
    return choice._replace(runtime=with_pointer_bits(choice.runtime, pointer_bits))


@overload
def plan(
    model: Model,
    *,
    runtime: Runtime | str | None = None,
    profile: Board | str | PathLike[str] | None = None,
    schedule: Schedule | str = "layer",
    planner: str | None = None,
    input_place: InputPlace | str | None = None,
    pointer_bits: int = 32,
) -> MemoryPlan: ...


@overload
def plan(
    model: list[Model] | tuple[Model, ...], *, runtime: Runtime | str | None = None, pointer_bits: int = 32
) -> SharedPlan: ...


def plan(
    model: Model | list[Model] | tuple[Model, ...],
    *,
    runtime: Runtime | str | None = None,
    profile: Board | str | PathLike[str] | None = None,
    schedule: Schedule | str = "layer",
    planner: str | None = None,
    input_place: InputPlace | str | None = None,
    pointer_bits: int = 32,
) -> MemoryPlan | SharedPlan:
    """The arena of a network: which buffer lies where and when, and how far that is from the smallest plan.

    model: as in `simulate`; several in a list share one arena (a SharedPlan: the largest head and all tails, under
    `tflm` if no runtime is named).   runtime: the first that can run the network if None.   profile: counts scratch
    memory as on that board's core.   planner: `tflm-greedy`, `tinyengine-first-fit`, `best-fit` or `optimal` instead
    of the runtime's own.   pointer_bits: 64 for TensorFlow Lite Micro on a desktop.

    `arena_bytes`, `total_bytes` and `recommended_arena_bytes` are bytes; `tenants()` or `to_frame()` has the buffers.
    Raises McusimError where something in the question is wrong, or nobody knows where the runtime puts buffers.

        >>> import mcusim
        >>> mcusim.plan("mcunet-in3", runtime="tflm").arena_bytes
        416832
    """
    if isinstance(model, list | tuple):
        given = {"profile": profile, "planner": planner, "input_place": input_place}
        # `layer` is the default, and means nothing for several networks either way.
        return _shared(model, runtime, pointer_bits, {**given, "schedule": None if schedule == "layer" else schedule})
    graph = the_graph(model)
    board = None if profile is None else the_board(profile)
    pieces = the_schedule(schedule)
    if pieces.is_auto:
        fix = "name one; mcusim.search(model, profile=board).best.schedule is the best"
        raise ScheduleError("a plan is of one schedule", where=f"schedule '{pieces}'", fix=fix)
    chosen = planning_runtime(runtime, graph, board, pointer_bits).runtime
    place = None if input_place is None else the_input_place(input_place, chosen, pieces)
    return plan_memory(graph, chosen, pieces, planner=planner, input_place=place)


def _shared(
    models: Sequence[Model], runtime: Runtime | str | None, pointer_bits: int, alone: Mapping[str, object]
) -> SharedPlan:
    """One arena for several networks.   alone: arguments that go with one network only."""
    used = next((name for name, value in alone.items() if value is not None), None)
    if used is not None:
        what = "several networks share an arena: each is planned as its interpreter does, layer by layer"
        raise InputError(what, where=used, fix=f"leave {used} out, or give one network")
    if not models:
        raise InputError("there is no network", where="model", fix="give one, or several in a list")
    graphs = [the_graph(each) for each in models]
    return share_arena(graphs, planning_runtime(runtime, graphs[0], None, pointer_bits, SHARED).runtime)

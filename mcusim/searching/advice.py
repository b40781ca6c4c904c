"""Receptive fields redistributed: what the kernels of a patch stage cost, and what moving them behind it would give.

Halos grow with every kernel and stride between a stage's start and its end, so the same receptive field is cheap
behind the stage and dear inside it. Source: MCUNetV2 (arXiv 2110.15352), section 3.2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mcusim import zoo
from mcusim.breakdown import count_macs, stage_infos
from mcusim.errors import ScheduleError
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.placement import place
from mcusim.runtimes import Runtime, find_runtime
from mcusim.schedule import Schedule, StageKind, parse_schedule

__all__ = ["Advice", "Change", "Variant", "advise"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A network under the schedule. macs: recomputed ones included."""

    peak_bytes: int
    macs: int
    recomputed_macs: int


@dataclass(frozen=True, slots=True)
class Change:
    """One layer of the description changed. layer: its number, from 1.   saved_macs: recomputed ones that go away."""

    layer: int
    op: str
    what: str
    after: Variant
    saved_macs: int


@dataclass(frozen=True, slots=True)
class Advice:
    """changes: those that save most recomputation first.

    redistributed: kernels of the stage made 3x3 at most, 1x1 where a stride-1 block can do without, and as many taps
    given to layers behind the stage; None where there is nothing to move.   moved: what it does, layer by layer.
    """

    schedule: Schedule
    before: Variant
    changes: tuple[Change, ...]
    redistributed: Variant | None
    moved: tuple[str, ...]


def advise(
    description: Mapping[str, Any] | str, schedule: Schedule | str, *, runtime: Runtime | str = "tinyengine"
) -> Advice:
    """Which layers of the first cut stage cost most recomputation, and what a redistributed variant would give.

    description: a network as `mcusim.load(dict)` takes it, or the name of a published one.
    Raises McusimError where the network or the schedule is wrong, or the schedule has no patch stage.
    """
    network = zoo.network_description(description) if isinstance(description, str) else dict(description)
    plan = schedule if isinstance(schedule, Schedule) else parse_schedule(schedule)
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    if not plan.stages or plan.stages[0].kind is not StageKind.PATCH:
        fix = "start it with patch:PxQ@N"
        raise ScheduleError("has no patch stage to redistribute", where=f"schedule '{plan}'", fix=fix)
    before = _variant(graph_from_dict(network), plan, chosen)
    inside = _layers_of_stage(network, plan)
    changes = [
        Change(number, layer["op"], what, after, before.recomputed_macs - after.recomputed_macs)
        for number, layer in inside
        for what, changed in _smaller(layer)
        if (after := _variant(graph_from_dict(_with(network, {number: changed})), plan, chosen))
    ]
    changes.sort(key=lambda change: -change.saved_macs)
    moves = _redistributed(network, inside)
    layers = network["layers"]
    moved = [f"layer {n}: kernel {_kernel(layers[n - 1])} -> {_kernel(new)}" for n, new in moves.items()]
    variant = _variant(graph_from_dict(_with(network, moves)), plan, chosen) if moves else None
    return Advice(plan, before, tuple(changes), variant, tuple(moved))


def _variant(graph: Graph, schedule: Schedule, runtime: Runtime) -> Variant:
    program = lower(graph, schedule, runtime.rules, InputPlace.EXTERNAL)
    placement = place(program, runtime.planner)
    again = sum(stage.recomputed_macs for stage in stage_infos(program))
    return Variant(placement.arena_bytes + placement.held_bytes, count_macs(graph) + again, again)


def _layers_of_stage(network: Mapping[str, Any], schedule: Schedule) -> list[tuple[int, dict[str, Any]]]:
    """Numbers and layers of the description that the first stage covers whole."""
    wanted, found = schedule.stages[0].nodes or 0, []
    for number, layer in enumerate(network["layers"], start=1):
        prefix = graph_from_dict({**network, "layers": network["layers"][:number], "outputs": None})
        if _computing(prefix) > wanted:
            break
        found.append((number, layer))
    return found


def _computing(graph: Graph) -> int:
    moving = {"PAD", "RESHAPE"}
    return sum(node.op not in moving for node in graph.nodes)


def _kernel(layer: Mapping[str, Any]) -> int:
    kernel = layer.get("kernel", 1)
    return int(kernel) if isinstance(kernel, int) else max(kernel)


def _smaller(layer: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The layer with a smaller kernel; with no kernel at all where its stride is 1."""
    kernel = _kernel(layer)
    least = 1 if layer.get("stride", 1) == 1 else 3
    for smaller in range(kernel - 2, least - 1, -2):
        yield f"kernel {kernel} -> {smaller}", {**layer, "kernel": smaller}


def _redistributed(network: Mapping[str, Any], inside: list[tuple[int, dict[str, Any]]]) -> dict[int, dict[str, Any]]:
    """Layers to change, by number: smaller kernels in the stage, and the taps taken there given to layers behind it."""
    moves: dict[int, dict[str, Any]] = {}
    taken = 0
    for number, layer in inside[1:]:
        kernel, least = _kernel(layer), 1 if layer.get("stride", 1) == 1 and layer.get("shortcut") else 3
        if layer["op"] == "mbconv" and kernel > least:
            moves[number] = {**layer, "kernel": least}
            taken += (kernel - least) // 2
    behind = [
        (n, layer)
        for n, layer in enumerate(network["layers"], start=1)
        if n > len(inside) and layer["op"] == "mbconv" and _kernel(layer) < 7
    ]
    for number, layer in behind[:taken]:
        moves[number] = {**layer, "kernel": _kernel(layer) + 2}
    return moves


def _with(network: Mapping[str, Any], moves: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    found = copy.deepcopy(dict(network))
    for number, layer in moves.items():
        found["layers"][number - 1] = dict(layer)
    return found

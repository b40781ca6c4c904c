"""Receptive fields redistributed: what the kernels and strides of a patch stage cost, and what moving them would give.

Halos grow with every kernel and stride between a stage's start and its end, so the same receptive field is cheap
behind the stage and dear inside it. Source: MCUNetV2 (arXiv 2110.15352), section 3.2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from mcusim import zoo
from mcusim.errors import McusimError, ScheduleError
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import ABSENT
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.lowering.staging import computes, network_of
from mcusim.memory.placement import place
from mcusim.ops.totals import count_macs
from mcusim.pricing.prices import step_work
from mcusim.pricing.stages import stage_info
from mcusim.program import Stage
from mcusim.region import Span
from mcusim.runtimes import Runtime, find_runtime
from mcusim.schedule import Schedule, StageKind, parse_schedule
from mcusim.searching.stage_maps import stage_maps

__all__ = ["Advice", "Change", "Variant", "advise"]

Layer = dict[str, Any]

LARGEST_KERNEL = 7


@dataclass(frozen=True, slots=True)
class Variant:
    """A network in patches. network: its description.   schedule: with as many nodes as its stage has.

    patch: rows and columns of the input that a patch reads at most.   macs: recomputed ones included.
    stage_macs: those of the patch stage.   peak_bytes: as placed, the input outside.
    """

    network: Mapping[str, Any]
    schedule: Schedule
    patch: tuple[int, int]
    peak_bytes: int
    macs: int
    stage_macs: int
    recomputed_macs: int

    @property
    def overhead(self) -> float:
        """Recomputed MACs, as a part of the stage run whole."""
        once = self.stage_macs - self.recomputed_macs
        return self.recomputed_macs / once if once else 0.0


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

    redistributed: with less of a receptive field in the stage and as much more behind it; None where there is nothing
    to move.   moved: what it does, layer by layer.
    """

    schedule: Schedule
    before: Variant
    changes: tuple[Change, ...]
    redistributed: Variant | None
    moved: tuple[str, ...]


def advise(
    description: Mapping[str, Any] | str, schedule: Schedule | str, *, runtime: Runtime | str = "tinyengine"
) -> Advice:
    """Which layers of the first stage of `schedule` cost most recomputation, and what moving them behind it would give.

    description: a network as `mcusim.load(dict)` takes it, or the name of a published one.   schedule: starts with
    patches; stages behind them are left out.
    Raises McusimError where the network or the schedule is wrong, or the schedule has no patch stage.
    """
    network = zoo.network_description(description) if isinstance(description, str) else dict(description)
    plan = schedule if isinstance(schedule, Schedule) else parse_schedule(schedule)
    chosen = runtime if isinstance(runtime, Runtime) else find_runtime(runtime)
    if not plan.stages or plan.stages[0].kind is not StageKind.PATCH:
        fix = "start it with patch:PxQ@N"
        raise ScheduleError("has no patch stage to redistribute", where=f"schedule '{plan}'", fix=fix)
    draft = _Draft.of(network, plan, chosen)
    before = draft.variant(draft.layers, draft.inside)
    changes = []
    for edit in draft.edits():
        try:
            after = draft.variant(edit.layers, edit.inside)
        except McusimError:  # shapes that do not go together: no network
            continue
        saved = before.recomputed_macs - after.recomputed_macs
        changes.append(Change(edit.number, draft.layers[edit.number - 1]["op"], edit.what, after, saved))
    changes.sort(key=lambda change: -change.saved_macs)
    moved, layers, inside = draft.redistributed()
    variant = draft.variant(layers, inside) if moved else None
    return Advice(before.schedule, before, tuple(changes), variant, tuple(moved))


class _Edit(NamedTuple):
    """Layer `number` changed. inside: layers of the stage, afterwards."""

    number: int
    what: str
    layers: list[Layer]
    inside: int


@dataclass(frozen=True, slots=True)
class _Draft:
    """A description to be changed. inside: its first layers, which the stage covers whole; `rest` nodes come on top."""

    network: Mapping[str, Any]
    schedule: Schedule
    runtime: Runtime
    inside: int
    rest: int

    @classmethod
    def of(cls, network: Mapping[str, Any], schedule: Schedule, runtime: Runtime) -> _Draft:
        first = Schedule(schedule.stages[:1])
        wanted, inside, covered = first.stages[0].nodes or 0, 0, 0
        # Whole layers only: a block of the description is several nodes, and a stage may end within one.
        for number in range(1, len(network["layers"]) + 1):
            nodes = _computing(network, network["layers"][:number], runtime)
            if nodes > wanted:
                break
            inside, covered = number, nodes
        return cls(network, first, runtime, inside, wanted - covered)

    @property
    def layers(self) -> list[Layer]:
        return [dict(layer) for layer in self.network["layers"]]

    def variant(self, layers: Sequence[Layer], inside: int) -> Variant:
        """The network with these layers, the first `inside` of them in patches."""
        network = {**copy.deepcopy(dict(self.network)), "layers": [dict(layer) for layer in layers]}
        nodes = _computing(network, layers[:inside], self.runtime) + self.rest
        schedule = Schedule((replace(self.schedule.stages[0], nodes=nodes),))
        graph = graph_from_dict(network)
        program = lower(graph, schedule, self.runtime.rules, InputPlace.EXTERNAL)
        placement = place(program, self.runtime.planner)
        stage = next(stage for stage in program.stages if stage.kind is StageKind.PATCH)
        again = stage_info(program, stage).recomputed_macs
        macs = sum(step_work(step).macs for step in stage.steps)
        first = stage_maps(program, stage)[0]
        patch = _largest(stage, first.rows, True), _largest(stage, first.cols, False)
        peak = placement.arena_bytes + placement.held_bytes
        return Variant(network, schedule, patch, peak, count_macs(graph) + again, macs, again)

    def edits(self) -> Iterator[_Edit]:
        """Every smaller kernel, every stride elsewhere in the stage, every block behind it."""
        for place_, layer in enumerate(self.layers[: self.inside]):
            for what, smaller in _smaller(layer):
                yield _Edit(place_ + 1, what, self._with({place_: smaller}), self.inside)
            for to in range(self.inside):
                if layer.get("stride", 1) > 1 and _may_stride(self.layers[to]):
                    moved = {place_: {**layer, "stride": 1}, to: {**self.layers[to], "stride": layer["stride"]}}
                    yield _Edit(
                        place_ + 1, f"stride {layer['stride']} to layer {to + 1}", self._with(moved), self.inside
                    )
            behind = _behind(self.layers, place_, self.inside)
            if behind is not None:
                layers = _moved(self.layers, place_, behind)
                yield _Edit(place_ + 1, "block behind the stage", layers, self.inside - 1)

    def _with(self, changes: Mapping[int, Layer]) -> list[Layer]:
        return [changes.get(place_, layer) for place_, layer in enumerate(self.layers)]

    def redistributed(self) -> tuple[list[str], list[Layer], int]:
        """What is done, the layers afterwards, and how many of them are in the stage.

        Blocks that repeat their shape go behind the stage. Of the others a kernel shrinks to 3x3, with a stride of 1 to
        1x1, and a block that only had its depthwise convolution for that loses it. Kernels behind grow by as much.
        """
        changes: list[str] = []
        layers, taken = self.layers, 0
        for place_ in range(1, self.inside):
            layer, kernel = layers[place_], _kernel(layers[place_])
            # A stride of 2 needs a kernel that sees every column, and a shortcut needs its map's shape.
            least = 1 if layer.get("stride", 1) == 1 and not layer.get("shortcut") else 3
            if layer["op"] != "mbconv" or _behind(layers, place_, self.inside) is not None or kernel <= least:
                continue
            changes.append(f"layer {place_ + 1}: kernel {kernel} -> {least}")
            taken += (kernel - least) // 2
            layers[place_] = _without_depthwise(layer) if least == 1 else {**layer, "kernel": least}
        growing = [i for i in range(self.inside, len(layers)) if layers[i]["op"] == "mbconv"]
        # As many kernels grow behind the stage as were taken within it, by one step each.
        for place_ in [i for i in growing if _kernel(layers[i]) < LARGEST_KERNEL][:taken]:
            changes.append(f"layer {place_ + 1}: kernel {_kernel(layers[place_])} -> {_kernel(layers[place_]) + 2}")
            layers[place_] = {**layers[place_], "kernel": _kernel(layers[place_]) + 2}
        inside = self.inside
        # From the end, so that places of the layers still to be moved do not change.
        for place_ in range(self.inside - 1, 0, -1):
            behind = _behind(layers, place_, inside)
            if behind is not None:
                changes.append(f"layer {place_ + 1}: behind the stage, as another of layer {behind + 1}")
                layers, inside = _moved(layers, place_, behind), inside - 1
        return changes, layers, inside


def _computing(network: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], runtime: Runtime) -> int:
    """Nodes of the first layers that schedules count."""
    if not layers:
        return 0
    graph = graph_from_dict({**network, "layers": list(layers), "outputs": None})
    return sum(map(computes, network_of(graph, runtime.rules).steps))


def _largest(stage: Stage, spans: Sequence[Span], by_rows: bool) -> int:
    """Elements of an axis that one patch reads at most; where all are of one size, that of one in the middle."""
    step, pieces = stage.steps[0], stage.row_pieces if by_rows else stage.col_pieces
    priced = step.priced_rows if by_rows else step.priced_cols
    longest = max(span.length for span in spans)
    # Patches of one size reach past the border: their own length is the priced one.
    return max(longest, priced // pieces) if step.node == ABSENT else longest


def _kernel(layer: Mapping[str, Any]) -> int:
    kernel = layer.get("kernel", 1)
    return int(kernel) if isinstance(kernel, int) else max(kernel)


def _repeats(layer: Mapping[str, Any]) -> bool:
    """Whether a block keeps its input's shape, so that there may be one more or less of it."""
    return layer["op"] == "mbconv" and bool(layer.get("shortcut")) and layer.get("stride", 1) == 1


def _behind(layers: Sequence[Layer], block: int, inside: int) -> int | None:
    """The first block behind the stage that repeats its shape, so that one more of it may stand in for `block`."""
    if not _repeats(layers[block]):
        return None
    return next((i for i in range(inside, len(layers)) if _repeats(layers[i])), None)


def _may_stride(layer: Mapping[str, Any]) -> bool:
    return layer["op"] in ("conv_2d", "mbconv") and layer.get("stride", 1) == 1 and not layer.get("shortcut")


def _smaller(layer: Layer) -> Iterator[tuple[str, Layer]]:
    """The layer with a smaller kernel; with no kernel at all where its stride is 1."""
    kernel = _kernel(layer)
    least = 1 if layer.get("stride", 1) == 1 else 3
    for smaller in range(kernel - 2, least - 1, -2):
        yield f"kernel {kernel} -> {smaller}", {**layer, "kernel": smaller}


def _without_depthwise(layer: Layer) -> Layer:
    """A block without expansion is its projection then; others keep a depthwise convolution that scales."""
    if layer.get("expand", 1) != 1 or set(layer) - {"op", "kernel", "expand", "stride", "out_channels", "name"}:
        return {**layer, "kernel": 1}
    return {"op": "conv_2d", "kernel": 1} | {key: layer[key] for key in ("name", "out_channels") if key in layer}


def _moved(layers: Sequence[Layer], block: int, behind: int) -> list[Layer]:
    """Without `block`, and with one more of `behind`."""
    again = {key: value for key, value in layers[behind].items() if key != "name"}
    lengthened = [*layers[: behind + 1], again, *layers[behind + 1 :]]
    return lengthened[:block] + lengthened[block + 1 :]

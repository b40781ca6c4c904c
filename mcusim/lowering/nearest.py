"""The legal schedule that is most like one that a network cannot run in.

Where the third layer of a network is a mean over the map, `patch:2x2@3` cuts through what needs its whole input. The
nearest that works covers the two layers before it: `patch:2x2@2`. It stands in the message that refuses the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.lowering.staging import StepNode, computes, is_tileable
from mcusim.schedule import Schedule, StageKind, StageSpec

__all__ = ["nearest_schedule"]


def nearest_schedule(steps: Sequence[StepNode], schedule: Schedule) -> Schedule:
    """`schedule` with each stage shortened to what can be cut, and each grid no finer than its map.

    steps: of the network that it is for.
    """
    network = _Network(steps)
    nearest: list[StageSpec] = []
    at = 0
    for wanted in schedule.stages:
        # A stage without a number of nodes (`auto`) may take all that are left.
        end = min(at + (wanted.nodes or network.nodes), network.nodes)
        if not wanted.is_cut:
            nearest = _with_layers(nearest, end - at)
        else:
            first, last = network.cuttable(at, end)
            nearest = _with_layers(nearest, first - at)
            if last > first:
                if network.fitted(wanted, first, last) != wanted:
                    last = network.with_pieces(first, last, wanted)
                nearest.append(network.fitted(wanted, first, last))
            nearest = _with_layers(nearest, end - last)
        at = end
    # Layers at the end need no stage: what no stage covers runs layer by layer anyway.
    while nearest and not nearest[-1].is_cut:
        nearest.pop()
    return Schedule(tuple(nearest))


def _with_layers(stages: list[StageSpec], nodes: int) -> list[StageSpec]:
    """`stages` and `nodes` more that run one by one."""
    if not nodes:
        return stages
    if stages and not stages[-1].is_cut:
        return [*stages[:-1], replace(stages[-1], nodes=(stages[-1].nodes or 0) + nodes)]
    return [*stages, StageSpec(StageKind.LAYER, nodes)]


class _Network:
    """Computing nodes by number: where they stand among the steps."""

    def __init__(self, steps: Sequence[StepNode]) -> None:
        self.steps = steps
        self.places = [place for place, step in enumerate(steps) if computes(step)]

    @property
    def nodes(self) -> int:
        return len(self.places)

    def cuttable(self, first: int, end: int) -> tuple[int, int]:
        """The first run of nodes of [first, end) that can be cut together; empty, at `end`, if there is none."""
        while first < end and not is_tileable(self.steps[self.places[first]]):
            first += 1
        last = first
        while last < end and self._joins(first, last):
            last += 1
        return first, last

    def _joins(self, first: int, node: int) -> bool:
        """Whether `node` can be cut, with all that moves data between it and the node before it in the stage."""
        # In front of its first node a stage may leave data movement out, so only what lies between its nodes must be
        # cuttable.
        start = self.places[node - 1] + 1 if node > first else self.places[node]
        return all(is_tileable(step) for step in self.steps[start : self.places[node] + 1])

    def with_pieces(self, first: int, last: int, wanted: StageSpec) -> int:
        """`last`, or as much less as it takes for an output that can be in more pieces than one."""
        if wanted.rows == wanted.cols == 1 and wanted.kind is StageKind.PATCH:
            return last
        for end in range(last, first, -1):
            output = self.steps[self.places[end - 1]].signature.output
            if output.rows > 1 or output.cols > 1:
                return end
        return last

    def fitted(self, wanted: StageSpec, first: int, last: int) -> StageSpec:
        """`wanted` over the nodes [first, last)."""
        output = self.steps[self.places[last - 1]].signature.output
        rows, cols = min(wanted.rows, output.rows), min(wanted.cols, output.cols)
        return replace(wanted, nodes=last - first, rows=rows, cols=cols)

"""What lies around cut stages: layers beside them, whole tensors across them, and where the network's input may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.schedule import StageKind
from mcusim.searching.routes import Hops
from mcusim.searching.stage_axes import Bools, Ints
from mcusim.searching.stage_costs import Layers, Options, StageCosts

__all__ = ["Around", "Beginning", "Space", "around_of", "places_of"]


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched: up to `stages` cut stages, with grids of at most `grid` x `grid` patches and all bands.
    Of maps of more than 4,096 rows some bands only: `band_heights`.

    kinds: of cut stages that are allowed.
    """

    stages: int = 3
    grid: int = 16
    kinds: frozenset[StageKind] = frozenset({StageKind.PATCH, StageKind.STREAM})


class Beginning(NamedTuple):
    """Where the network's input is, and whether a schedule may then start with a layer, with a cut stage."""

    place: InputPlace
    layer_first: bool
    stage_first: bool


def places_of(rules: LoweringRules, space: Space, input_place: InputPlace | None) -> list[Beginning]:
    """All that are allowed; the richer one first.   input_place: the only one, unless None."""
    whole, cut = rules.input_place, rules.patch_input_place
    if input_place is not None:
        return [Beginning(input_place, True, True)]
    if cut is None or cut is whole or not (space.stages and space.kinds):
        return [Beginning(whole, True, True)]
    # Runtimes whose first cut stage reads the input from outside (TinyEngine) have two places, one for each way to
    # start.
    return [Beginning(cut, False, True), Beginning(whole, True, False)]


def around_of(costs: StageCosts, place: InputPlace) -> Around:
    """What lies around the stages of a network whose input is there."""
    names, layers, bounds = costs.held_names, costs.layers(place), [*costs.bounds, len(costs.network.steps)]
    spans = list(pairwise(bounds))
    if spans[-1][0] == spans[-1][1]:
        spans.pop()
    starts = range(len(costs.starts))
    return Around(
        _runs(layers, names, spans),
        _runs(layers, names, [(bounds[k], costs.starts[k]) for k in starts]),
        costs.outside_bytes(place),
    )


@dataclass(frozen=True, slots=True)
class Around:
    """What lies around cut stages. before: behind each bound, the steps that run whole before a stage from there.

    outside_bytes: behind each bound, whole tensors that are alive across a stage from there.
    """

    layers: Hops
    before: Hops
    outside_bytes: Ints

    def with_stages(self, stages: Hops) -> Hops:
        """Stages as hops: with all of it."""
        at, before = stages.first, self.before
        held = zip(stages.held_bytes, before.held_bytes, strict=True)
        return stages._replace(
            live_bytes=np.maximum(stages.live_bytes + self.outside_bytes[at], before.live_bytes[at]),
            held_bytes=tuple([np.maximum(of_stage, of_before[at]) for of_stage, of_before in held]),
            cycles=stages.cycles + before.cycles[at],
        )

    def are_no_worse(self, options: Options) -> Bools:
        """Where the layers take no more bytes and cycles than stages from one start."""
        first, some = options.first, options.ends - options.first - 1
        layers, outside = self.layers, int(self.outside_bytes[first])
        # Layers from the stage's first bound to each end: running sums and maxima give all ends at once.
        cycles = np.cumsum(layers.cycles[first:])[some] - self.before.cycles[first]
        worse: Bools = options.cycles >= cycles[:, None] * (1 - 1e-12)
        worse &= options.live_bytes >= np.maximum.accumulate(layers.live_bytes[first:])[some][:, None] - outside
        for of_layers, of_stages in zip(layers.held_bytes, options.held_bytes.values(), strict=True):
            worse &= of_stages >= np.maximum.accumulate(of_layers[first:])[some][:, None]
        return worse


def _runs(layers: Layers, names: Sequence[str], spans: Sequence[tuple[int, int]]) -> Hops:
    """Steps [start, end) that run whole, for each span; the n-th goes from bound n to the next."""
    index = np.arange(len(spans), dtype=np.int64)
    held = [_maxima([step.get(name, 0) for step in layers.held_bytes], spans) for name in names]
    cycles = np.array([sum(layers.cycles[a:b]) for a, b in spans], np.float64)
    return Hops(index, index + 1, index, _maxima(layers.live_bytes, spans), tuple(held), cycles)


def _maxima(sizes: Sequence[int], spans: Sequence[tuple[int, int]]) -> Ints:
    """The largest of each span; 0 where there is none."""
    return np.array([max(sizes[a:b], default=0) if b > a else 0 for a, b in spans], np.int64)

"""What a network of the space takes: exactly, from its graph; and nearly, from its blocks' own contributions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mcusim import zoo
from mcusim.designing.spaces.detection_head import Features
from mcusim.designing.spaces.mcunetv2 import Choice, Layer, Task, Unit, tail_of
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.memory.counting import count_as, find_counting
from mcusim.ops.totals import count_macs
from mcusim.pricing.stages import stage_infos
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import Schedule

__all__ = [
    "CONVENTION",
    "RUNTIME",
    "Figures",
    "Sums",
    "exact_figures",
    "figures_of",
    "least_sram_bytes",
    "sums_of",
]

PARTS_KEPT = 1 << 14

CONVENTION = "tinyengine-codegen"
"""Whose SRAM a witness is said to take: the generator's own, its patch quirks included."""

RUNTIME = "tinyengine"
"""Whose patches of one size, and whose flash: what the generator stores of the model, and code (assumption A46)."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a network takes. macs: nothing computed twice.   recomputed_macs: what patches compute again.

    sram_bytes: by the convention.   placed_bytes: by the runtime's own rules, no quirks of the generator: what a plan
    takes that can be run.   params: as MCUNet's zoo counts them.
    """

    macs: int
    sram_bytes: int
    placed_bytes: int
    flash_bytes: int
    params: int
    recomputed_macs: int

    @property
    def overhead(self) -> float:
        """What patches compute again, in parts of the MACs."""
        return self.recomputed_macs / self.macs


def exact_figures(graph: Graph, schedule: Schedule) -> Figures:
    """Everything that is counted of a network, by the functions that reports use."""
    rules = RUNTIMES[RUNTIME].rules
    stages = stage_infos(lower(graph, schedule, rules, rules.default_input_place(schedule)))
    recomputed = sum(stage.recomputed_macs for stage in stages)
    return _figures(graph, schedule, Sums(count_macs(graph), 0, zoo.published_params(graph), recomputed))


def figures_of(choice: Choice, sums: Sums, *, placed: bool = True) -> Figures:
    """The same for a network of the space whose sums are known; SRAM and flash are counted on its graph.

    placed: whether to place it by the runtime's own rules too; without that, `placed_bytes` is 0.
    """
    return _figures(graph_from_dict(choice.network()), choice.schedule(), sums, placed)


def _figures(graph: Graph, schedule: Schedule, sums: Sums, placed: bool = True) -> Figures:
    runtime = RUNTIMES[RUNTIME]
    return Figures(
        sums.macs,
        count_as(find_counting(CONVENTION), graph, schedule).total_bytes,
        count_as(runtime, graph, schedule).total_bytes if placed else 0,
        runtime.flash(graph).total_bytes or 0,
        sums.params,
        sums.recomputed_macs,
    )


def least_sram_bytes(choice: Choice) -> int:
    """What no plan can beat: the fullest step of any block, with the patch stage's output beside it there."""
    units = choice.units()
    whole = units[choice.patched :] if choice.grid > 1 else units
    least = max([unit.least_bytes(unit.side, unit.out_side) for unit in whole], default=0)
    # A patch with its halo can be larger than the map; its tensors need not be.
    pieces = [unit.least_bytes(min(a, unit.side), min(b, unit.out_side)) for unit, a, b in _pieces(choice, units)]
    if not pieces:
        return least
    end = units[choice.patched - 1]
    # The last piece is written into the output itself at best.
    return max(least, max(pieces[1:], default=0) + end.out_side**2 * end.out_c)


def _pieces(choice: Choice, units: list[Unit]) -> Iterator[tuple[Unit, int, int]]:
    """Blocks of the patch stage, the last first, with rows of a patch before and behind each."""
    if choice.grid == 1:
        return
    side = units[choice.patched - 1].out_side // choice.grid
    for unit in reversed(units[: choice.patched]):
        reach = unit.reach(side)
        yield unit, reach, side
        side = reach


class Sums(NamedTuple):
    """What adds up over the parts of a network."""

    macs: int
    model_bytes: int
    params: int
    recomputed_macs: int = 0


def sums_of(choice: Choice) -> Sums:
    """MACs, stored bytes and parameters of a network without building it: each part is counted once and kept."""
    units = choice.units()
    parts = [_of_unit(unit) for unit in units]
    parts.append(_of_tail(choice.task, units[-1].out_side, units[-1].out_c, choice.features))
    macs, model_bytes, params, _ = map(sum, zip(*parts, strict=True))
    return Sums(macs, model_bytes, params, _recomputed_macs(choice, units))


def _recomputed_macs(choice: Choice, units: list[Unit]) -> int:
    """What patches of one size compute beyond the stage's own MACs."""
    pieces = sum([unit.macs_of(in_side, out_side) for unit, in_side, out_side in _pieces(choice, units)])
    if not pieces:
        return 0
    return choice.grid**2 * pieces - sum([unit.macs_of(unit.side, unit.out_side) for unit in units[: choice.patched]])


@lru_cache(PARTS_KEPT)
def _of_unit(unit: Unit) -> Sums:
    sums = _count({"input": (unit.side, unit.side, unit.in_c)}, [unit.layer()])
    # Alone, a block's last convolution looks like a classifier, whose bias counts instead of a batch norm's two.
    return sums._replace(params=sums.params + unit.out_c)


@lru_cache(PARTS_KEPT)
def _of_tail(task: Task, side: int, in_c: int, features: Features) -> Sums:
    if task is not Task.VOC:
        return _count({"input": (side, side, in_c)}, tail_of(task, features))
    sides = (4 * side, 2 * side, side)
    return _count(
        {n: (s, s, c) for n, s, c in zip(Features._fields, sides, features, strict=True)}, tail_of(task, features)
    )


def _count(inputs: dict[str, tuple[int, int, int]], layers: list[Layer]) -> Sums:
    graph = graph_from_dict(
        {"inputs": {k: [1, *v] for k, v in inputs.items()}, "padding": "explicit", "layers": layers}
    )
    return Sums(count_macs(graph), RUNTIMES[RUNTIME].flash(graph).model_bytes or 0, zoo.published_params(graph))

"""msf-CNN's published plans beside the front here: MACs, against layer by layer, within the RAM that each plan takes.

RAM is counted as msf-CNN counts it: activations, no working memory of kernels; patches end at the border. The front is
that of live bytes against MACs, all that a plan of msf-CNN is judged by.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from mcusim import zoo
from mcusim.frontends.description import graph_from_dict
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import LoweringRules
from mcusim.ops.totals import count_macs
from mcusim.planners import live_bytes
from mcusim.pricing.prices import MACS_ONLY
from mcusim.pricing.stages import stage_infos
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER
from mcusim.searching import front_schedules
from mcusim.searching.surroundings import Space

__all__ = ["Beside", "PrintedNetwork", "compare_msfcnn", "front_of_macs", "printed_networks", "unfused_bytes"]


class PrintedNetwork(msgspec.Struct, frozen=True):
    """A network that msf-CNN plans. plans: RAM in bytes and MACs, the one without fusion first.

    base: the network of the zoo that it is, or is changed from by `input`, `channels` and `first` (layer's channels).
    """

    printed: str
    base: str
    plans: tuple[tuple[int, int], ...]
    input: tuple[int, int, int] | None = None
    channels: dict[str, int] | None = None
    first: int | None = None

    def graph(self) -> Graph:
        """The network as far as it is known."""
        description: dict[str, Any] = copy.deepcopy(dict(zoo.network_description(self.base)))
        if self.channels is None:
            return graph_from_dict(description)
        for layer in description["layers"][:-2]:
            if "out_channels" in layer:
                layer["out_channels"] = self.channels[str(layer["out_channels"])]
        description["layers"][0]["out_channels"] = self.first
        return graph_from_dict({**description, "input": self.input, "name": self.printed})


class Beside(NamedTuple):
    """One plan. theirs: its MACs against the network without fusion.

    ours: in each space, the least MACs within its RAM against layer by layer; None where no schedule is that small.
    """

    network: str
    ram_bytes: int
    theirs: float
    ours: tuple[float | None, ...]


@cache
def printed_networks() -> tuple[PrintedNetwork, ...]:
    """All of them."""
    text = resources.files("mcusim.published.tables").joinpath("msfcnn.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(msgspec.toml.decode(text)["network"], list[PrintedNetwork]))


def compare_msfcnn(spaces: Sequence[Space], networks: Iterable[PrintedNetwork] | None = None) -> Iterator[Beside]:
    """Every plan beside the least MACs in each of the spaces."""
    for network in printed_networks() if networks is None else networks:
        graph = network.graph()
        fronts = [front_of_macs(graph, space) for space in spaces]
        unfused = network.plans[0][1]
        for ram_bytes, macs in network.plans[1:]:
            ours = [min((m for held, m in front if held <= ram_bytes), default=None) for front in fronts]
            factors = tuple(
                [None if printed_macs is None else printed_macs / count_macs(graph) for printed_macs in ours]
            )
            yield Beside(network.printed, ram_bytes, macs / unfused, factors)


def front_of_macs(graph: Graph, space: Space) -> list[tuple[int, int]]:
    """(live bytes of activations, MACs) of every schedule that no other of the space beats in both."""
    runtime, rules = RUNTIMES["tinyengine"], _counted_rules()
    points = []
    for schedule, where in front_schedules(graph, replace(runtime, rules=rules), MACS_ONLY, space):
        program = lower(graph, schedule, rules, where)
        again = sum(stage.recomputed_macs for stage in stage_infos(program))
        points.append((max(live_bytes(program.buffers, program.length)), count_macs(graph) + again))
    return points


def unfused_bytes(graph: Graph) -> int:
    """Live bytes of activations layer by layer."""
    program = lower(graph, LAYER, _counted_rules())
    return max(live_bytes(program.buffers, program.length))


def _counted_rules() -> LoweringRules:
    rules = RUNTIMES["tinyengine"].rules
    return replace(rules, held_scratch=lambda call: (), uniform_patches=False, alignment=1)

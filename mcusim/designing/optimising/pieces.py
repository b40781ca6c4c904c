"""A stage of patches as two choices: how many, and where it ends."""

from __future__ import annotations

from mcusim.graph import Graph
from mcusim.ops import OPS
from mcusim.ops.registry import Movement
from mcusim.schedule import Schedule, parse_schedule

__all__ = ["CUTS", "cut_points", "patches"]

CUTS = 16
"""Ends that a stage of patches may have, spread over the front of the network."""

MAP_RANK, LEAST_SIDE = 4, 4
"""A stage ends in a map of rows and columns, of as many as the finest grid at least."""


def cut_points(graph: Graph) -> list[int]:
    """After how many computing nodes a stage of patches may end: where one map is all that goes on, ascending.

    The list ends before the first operator that needs a whole map, as far as that can be told from its output.
    """
    points: list[int] = []
    alive: dict[int, int] = {}
    readers = {tensor: len(nodes) for tensor, nodes in graph.consumers.items()}
    computing = 0
    for node in graph.nodes:
        for tensor in dict.fromkeys(node.inputs):
            if tensor in alive:
                alive[tensor] -= 1
                if not alive[tensor]:
                    del alive[tensor]
        for tensor in node.outputs:
            alive[tensor] = readers.get(tensor, 1)
        operator = OPS.get(node.op)
        if operator is None or operator.movement is not Movement.COMPUTES:
            continue
        computing += 1
        shape = node.signature.output.shape
        if len(shape) != MAP_RANK or min(shape[1:3]) < LEAST_SIDE:
            break
        if len(alive) == 1 and node.outputs[0] in alive:
            points.append(computing)
    return points


def patches(nodes: int, grid: int) -> Schedule:
    """The first `nodes` computing nodes in grid x grid patches, layer by layer behind them."""
    return parse_schedule(f"patch:{grid}x{grid}@{nodes}")

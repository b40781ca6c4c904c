"""How fast `mcusim.search` is, beside the other exact way: lowering every schedule of its space."""

from __future__ import annotations

import time

import numpy as np

from mcusim import zoo
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.planners import live_bytes
from mcusim.pricing.prices import coefficients
from mcusim.searching import Front, Space, search
from mcusim.searching.stage_costs import StageCosts

__all__ = ["bench_search"]

BOARDS = ("stm32f412", "stm32f746", "stm32h743")
SECONDS_A_YEAR = 365.25 * 86400


def bench_search(times: int = 3) -> None:
    """CPU seconds of whole searches, every point of the front placed; the slowest board, the best of several runs."""
    names = [name for name in zoo.names() if name.startswith("mcunet")] + ["mbv2-w1.0-r224"]
    search(names[0], profile=BOARDS[0], max_stages=1, max_grid=2)
    slowest = 0.0
    for name in names:
        graph = zoo.build(name)
        taken, front = max((_timed(graph, board, times) for board in BOARDS), key=lambda timed: timed[0])
        slowest = max(slowest, taken)
        schedules, rate = _schedules(front), _lowered_a_second(front)
        trying_all = schedules / rate
        print(
            f"   {name:<18} {taken:5.2f} s  {len(front.points):3} points of {schedules:.1e} schedules; lowering each, "
            f"{rate:,.0f} a second, takes {trying_all / SECONDS_A_YEAR:.0e} years ({trying_all / taken:.0e} x)"
        )
    print(f"   the slowest: {slowest:.2f} s")


def _timed(graph: Graph, board: str, times: int) -> tuple[float, Front]:
    taken = []
    for _ in range(times):
        start = time.process_time()
        front = search(graph, profile=board)
        taken.append(time.process_time() - start)
    return min(taken), front


def _schedules(front: Front) -> float:
    """How many schedules the space of a search has."""
    rules, space = front.runtime.rules, Space()
    prices = coefficients(front.runtime, front.board)
    assert prices is not None
    costs = StageCosts(front.graph, rules, prices, space.grid)
    nodes = len(costs.bounds) - 1
    stages = np.zeros((nodes + 1, nodes + 1))
    for ends in costs.batches():
        for options in costs.stages_to(ends):
            if not options.copied:
                stages[options.first, options.ends] = options.cycles.shape[1]
    ways = np.zeros((space.stages + 1, nodes + 1))
    ways[0, 0] = 1
    for k in range(1, nodes + 1):
        ways[:, k] = ways[:, k - 1]
        ways[1:, k] += ways[:-1, :k] @ stages[:k, k]
    return float(ways[:, -1].sum())


def _lowered_a_second(front: Front) -> float:
    """Schedules of the front, lowered and their live bytes counted."""
    start = time.process_time()
    for point in front.points:
        program = lower(front.graph, point.schedule, front.runtime.rules, point.input_place)
        live_bytes(program.buffers, program.length)
    return len(front.points) / (time.process_time() - start)

"""Which network stands for a published row, and how its graph is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mcusim import zoo
from mcusim.boards.board import Board
from mcusim.errors import ModelError, PlanError
from mcusim.graph import Graph
from mcusim.ops.totals import count_macs
from mcusim.precision import fit_bits
from mcusim.published import Precision, Printed
from mcusim.published.tables.document import Origin
from mcusim.published.tables.figures import is_known
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES
from mcusim.simulation.simulate import simulate

__all__ = ["EARLIER_RELEASE", "RUNTIME", "StandIn", "accuracy", "simulated", "simulated_with", "stand_in"]

RUNTIME = "tinyengine"
"""Whose kernels the published rows ran with."""

EARLIER_RELEASE = (
    "Published latencies are of the TinyEngine of 2020; simulated are those of release "
    f"{RUNTIMES[RUNTIME].version}, which is faster."
)
"""A note for tables that print latencies of the model zoo of 2020."""


class StandIn(NamedTuple):
    """name: of the zoo; "" where there is none.   graph: to simulate; None where mcusim cannot make it.

    macs: of the network, known whatever its precision.   schedule: in which pieces the row's source runs it.
    """

    name: str
    origin: Origin
    graph: Graph | None = None
    macs: int | None = None
    schedule: str = "layer"


def stand_in(
    network: str,
    board: Board,
    *,
    witness: str = "",
    is_twin: bool = False,
    precision: Precision = Precision.INT8,
) -> StandIn:
    """The row's own network if the zoo has it, else its witness if the zoo has that, else nothing."""
    if network:
        origin = Origin.TWIN if is_twin else Origin.RELEASED
        return _made(network, origin, board, precision)
    if witness and _is_in_zoo(witness):
        return _made(witness, Origin.WITNESS, board, precision)
    return StandIn("", Origin.NOT_RELEASED)


def simulated(stand: StandIn, board: Board, counted_as: str = "") -> tuple[Report | None, Report | None]:
    """As the row's source counts SRAM, where a rule is known; and as the runtime itself takes it.

    Both are None where mcusim cannot make the network.
    """
    if stand.graph is None:
        return None, None
    takes = simulate(stand.graph, profile=board, runtime=RUNTIME, schedule=stand.schedule)
    if not is_known(counted_as):
        return takes, takes
    counted = simulate(stand.graph, profile=board, runtime=RUNTIME, schedule=stand.schedule, convention=counted_as)
    return counted, takes


def simulated_with(stand: StandIn, board: Board, release: str) -> Report | None:
    """With an earlier release of the runtime; None where that is "", or where mcusim cannot make the network."""
    if stand.graph is None or not release:
        return None
    return simulate(stand.graph, profile=board, runtime=f"{RUNTIME}@{release}", schedule=stand.schedule)


def _is_in_zoo(name: str) -> bool:
    try:
        zoo.describe(name)
    except ModelError:
        return False
    return True


def _made(name: str, origin: Origin, board: Board, precision: Precision) -> StandIn:
    graph = zoo.build(name)
    return StandIn(name, origin, _MAKERS[precision](graph, board), count_macs(graph), _schedule_of(name))


def _schedule_of(name: str) -> str:
    """A witness comes with the schedule under which it meets its row; all others run layer by layer."""
    witness = zoo.describe(name).witness
    return "layer" if witness is None else witness.schedule


def _as_built(graph: Graph, board: Board) -> Graph | None:
    return graph


def _cut(graph: Graph, board: Board) -> Graph | None:
    """With the bits that Rusci et al.'s rule gives it on the board; None where even the fewest do not fit."""
    try:
        return fit_bits(graph, profile=board, runtime=RUNTIME).graph
    except PlanError:
        return None


_MAKERS: Mapping[Precision, Callable[[Graph, Board], Graph | None]] = {
    Precision.INT8: _as_built,
    Precision.INT4: _as_built,  # the zoo's int4 networks have int4 tensors
    Precision.MIXED: _cut,
}
"""Graph of the zoo, and the board that it is for -> the row's graph; None where mcusim cannot tell its bits."""


def accuracy(name: str, field: str) -> Printed:
    """`top1_quantized` or `top5_quantized` as the network's own source prints it; empty if none does."""
    figures = zoo.describe(name).published if name else ()
    return Printed(next((text for each in figures if (text := getattr(each, field))), ""))

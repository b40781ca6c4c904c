"""Systems beside one that nobody measured, of which more is known: no answer is surer than theirs.

There are two ways to be near: on the nearest board the nearest build, and of the nearest build the nearest board.
Before both comes the core, and whether activations lie outside the chip. A board that nobody measured with anything is
no surer than the boards that it is most alike.

asked                          measured                              siblings
10.0 on l4r5                   10.2+mlperf on l4r5, 10.0 on f446     both
10.2+mlperf on l496            10.2+mlperf on l4r5, 7.3 on l496      both
10.0 on a board of one's own,  7.3 on h743, 10.0 on h747             both, and 10.0 on h743, though nobody measured it
with h743's flash and clock
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, log
from typing import NamedTuple

from mcusim.boards import board_names, load_board
from mcusim.boards.board import Board
from mcusim.pricing.physics import log_cycles_of
from mcusim.pricing.systems import System

__all__ = ["Sibling", "siblings_of"]


class Sibling(NamedTuple):
    """A system, and the physics' log cycles on its board."""

    system: System
    log_physics: tuple[float, ...]


def siblings_of(
    sure: System, version: str, board: Board, versions: Sequence[str], measured: Mapping[System, int]
) -> tuple[Sibling, ...]:
    """The systems that share most with one that was not measured; none where it was.

    sure: the system asked for, on `board`.   version: the one that answers for it.   versions: of the runtime, in
    order.   measured: networks of every system, of any runtime.
    """
    kin = [system for system, networks in measured.items() if networks and system.runtime == sure.runtime]
    if sure in kin:
        return ()
    order = {name: place for place, name in enumerate(versions)}

    def unlike(system: System) -> tuple[bool, bool]:
        return system.core != sure.core, system.memory != sure.memory

    def of_build(system: System) -> tuple[bool, int]:
        places = [order.get(name, len(order)) for name in (system.version, version)]
        return system.option != sure.option, abs(places[0] - places[1])

    def of_board(system: System) -> tuple[bool, bool, float]:
        return system.board != board.name, system.series != sure.series, _apart(board, system.board)

    least = min(map(unlike, kin))
    near = [system for system in kin if unlike(system) == least]
    chosen: dict[System, Sibling] = {}
    for first, second in ((of_board, of_build), (of_build, of_board)):
        farness = {system: (first(system), second(system)) for system in near}
        nearest = min(farness.values())
        chosen |= {system: _sibling(system, board) for system in near if farness[system] == nearest}
    if not any(system.board == board.name for system in measured):
        places = {system.board: system for system in measured if not any(unlike(system))}
        reach = {name: of_board(system) for name, system in places.items() if _built_in(name) is not None}
        for name in [name for name in reach if reach[name] == min(reach.values())]:
            twin = sure._replace(board=name, series=places[name].series)
            further = siblings_of(twin, version, load_board(name), versions, measured)
            chosen |= {sibling.system: sibling for sibling in (_sibling(twin, board), *further)}
    return tuple(chosen.values())


def _sibling(system: System, board: Board) -> Sibling:
    return Sibling(system, log_cycles_of(system.core, board if system.board == board.name else _built_in(system.board)))


def _apart(board: Board, name: str) -> float:
    """How much two boards differ in clock and in what physics says of their memory, in logarithms."""
    other = board if name == board.name else _built_in(name)
    if other is None:
        return inf
    here, there = (log_cycles_of(board.core, one) for one in (board, other))
    return abs(log(board.clock_hz / other.clock_hz)) + max(abs(one - two) for one, two in zip(here, there, strict=True))


def _built_in(name: str) -> Board | None:
    """None for a board of the user's own, of which a calibration knows no more than the name."""
    return load_board(name) if name in board_names() else None

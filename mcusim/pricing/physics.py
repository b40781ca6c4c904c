"""What an effort costs where nobody measured: counted instructions, the core's timing, the memory's.

A flash outside the chip delivers so many bytes a second, whatever the core's clock: weights that are read once cost
that (`weight_byte`), and weights of a layer that its cache cannot hold cost it again for every pair of columns
(`weight_again`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import log
from typing import NamedTuple

import msgspec

from mcusim.boards.board import Board, Core
from mcusim.pricing.efforts import EFFORTS

__all__ = ["Physics", "log_cycles_of", "physics", "stall_share", "wait_factor"]

_CACHED = (Core.CORTEX_M7, Core.CORTEX_M55, Core.CORTEX_M85)
"""Cores whose caches hide the flash."""


class Physics(NamedTuple):
    """log_cycles: of each effort on a Cortex-M4, natural logarithm.   uncertainty: a factor on how far that may be off.

    core: logarithm of a core's cycles for one of a Cortex-M4, and the standard deviation where it was not measured.
    """

    log_cycles: tuple[float, ...]
    uncertainty: tuple[float, ...]
    core: dict[str, tuple[float, float]]
    share_per_wait_state: float


@cache
def physics() -> Physics:
    """The package's `physics.toml`."""
    text = resources.files("mcusim.pricing").joinpath("physics.toml").read_text(encoding="utf-8")
    table = msgspec.toml.decode(text)
    names = [effort.base for effort in EFFORTS]
    return Physics(
        tuple(log(table["cycles"][name]) for name in names),
        tuple(table["uncertainty"].get(name, 1.0) for name in names),
        {name: (log(factor), spread) for name, (factor, spread) in table["core"].items()},
        table["flash"]["share_per_wait_state"],
    )


_STREAMED = ("weight_byte", "weight_again")


def log_cycles_of(core: str, board: Board | None = None) -> tuple[float, ...]:
    """Log cycles of each of EFFORTS on a core, and on a board as far as its memory tells."""
    known = physics()
    shift = known.core[core][0]
    if board is None:
        return tuple([value + shift for value in known.log_cycles])
    shift += log(wait_factor(board))
    prices = [value + shift for value in known.log_cycles]
    # With the flash outside, a byte of weights costs what the bus delivers, in cycles of the core.
    delivered = board.flash.bytes_per_second
    if delivered is not None:
        read = log(board.clock_hz / delivered)
        prices = [read if effort.base in _STREAMED else price for effort, price in zip(EFFORTS, prices, strict=True)]
    return tuple(prices)


def wait_factor(board: Board) -> float:
    """How much longer everything takes for the flash's wait states (assumption A21). Unknown ones count as none."""
    wait_states = board.flash.wait_states
    # An instruction cache hides most wait states. Cores with caches have a factor of their own.
    if not wait_states or board.core in _CACHED or board.caches.icache_bytes:
        return 1.0
    return 1.0 + physics().share_per_wait_state * wait_states


def stall_share(board: Board) -> float:
    """The part of all cycles that is waiting for flash."""
    return 1.0 - 1.0 / wait_factor(board)

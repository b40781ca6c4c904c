"""What an effort costs where nobody measured: counted instructions, the core's timing, the flash's wait states."""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import log
from typing import NamedTuple

import msgspec

from mcusim.boards.board import Board, Core
from mcusim.pricing.efforts import EFFORTS

__all__ = ["Physics", "physics", "stall_share", "wait_factor"]

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
    names = [effort.name for effort in EFFORTS]
    return Physics(
        tuple(log(table["cycles"][name]) for name in names),
        tuple(table["uncertainty"].get(name, 1.0) for name in names),
        {name: (log(factor), spread) for name, (factor, spread) in table["core"].items()},
        table["flash"]["share_per_wait_state"],
    )


def wait_factor(board: Board) -> float:
    """How much longer everything takes for the flash's wait states (assumption A21). Unknown ones count as none."""
    wait_states = board.flash.wait_states
    if not wait_states or board.core in _CACHED or board.caches.icache_bytes:
        return 1.0
    return 1.0 + physics().share_per_wait_state * wait_states


def stall_share(board: Board) -> float:
    """The part of all cycles that is waiting for flash."""
    return 1.0 - 1.0 / wait_factor(board)

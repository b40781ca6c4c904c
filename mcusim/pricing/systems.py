"""Systems: a runtime at a version on a board, and what two of them have in common.

Evidence travels along these levels. Two systems with the same runtime share what its kernels are like; with the same
runtime on the same core, how well they suit that core; with the same series of parts, flash and buses; and so on.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LEVELS", "OF_A_RUNTIME", "OWN_VERSION", "UNSTATED", "System", "keys_of", "release_of", "series_of"]

OWN_VERSION = "own"
"""The version of a user's own times that name none."""

UNSTATED = "unstated"
"""The version of a time whose source does not say it: two of them are one build only on one board."""


class System(NamedTuple):
    """What a time was measured on.

    option: a build or submission of its own kind, such as `mlperf` or `Os`; "" for the default.
    series: parts that share flash and buses, such as `stm32h7`.   memory: `external` where activations lie outside
    the chip, else "".
    """

    runtime: str
    version: str
    option: str
    core: str
    series: str
    board: str
    memory: str = ""


LEVELS = (
    "runtime",
    "version",
    "option",
    "core",
    "runtime on core",
    "series",
    "board",
    "runtime on series",
    "system",
)


OF_A_RUNTIME = ("version", "option", "runtime on core", "runtime on series", "system")
"""Levels at which a runtime is compared with itself."""


def release_of(system: System) -> tuple[str, str, str]:
    """What was built: runtime, version, option."""
    runtime, version, option = system[:3]
    # Two unstated versions may be different builds, so each board has its own.
    return runtime, f"{version} on {system.board}" if version == UNSTATED and not option else version, option


def keys_of(system: System) -> tuple[str, ...]:
    """For each of LEVELS what names its member; systems with equal keys share that level."""
    core, series, board, memory = system[3:]
    runtime, version, option = release_of(system)
    place = f"{board} {memory}"
    return (
        runtime,
        f"{runtime} {version}",
        f"{runtime} {version} {option}",
        core,
        f"{runtime} {core}",
        series,
        place,
        f"{runtime} {series}",
        f"{runtime} {version} {option} {place}",
    )


def series_of(board: str) -> str:
    """The series of a part, by its name: `stm32h743` is an `stm32h7`, `nrf52840` an `nrf52`."""
    match = re.match(r"stm32[a-z]+\d|nrf\d\d", board)
    return match[0] if match else board

"""The fit that prices answers, and which of the measured versions it takes for a runtime on a board."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib import resources
from math import log
from os import PathLike, fspath
from typing import NamedTuple

import msgspec

from mcusim.boards.board import Board
from mcusim.errors import InputError, RuntimeNameError
from mcusim.files import NOT_PARSED, content_of
from mcusim.pricing.fitting import fit_from_bytes
from mcusim.pricing.physics import physics, wait_factor
from mcusim.pricing.regression import Fit
from mcusim.pricing.systems import System, series_of
from mcusim.runtimes import Runtime

__all__ = ["OWN_ROW", "Calibration", "Place", "arena_memory", "find_place", "package_calibration", "read_calibration"]


class Calibration(NamedTuple):
    """A fit, and by how much its deviations are stretched so that intervals hold what they promise.

    own_scale: by how much more on systems with one's own measurements, which may scatter more than published ones.
    """

    fit: Fit
    interval_scale: float
    own_scale: float = 1.0

    def scale_of(self, system: System) -> float:
        """What deviations on a system are multiplied with."""
        is_own = self.own_scale != 1.0 and any(
            measured == system and row.startswith(OWN_ROW)
            for measured, row in zip(self.fit.systems, self.fit.ids, strict=True)
        )
        return self.interval_scale * (self.own_scale if is_own else 1.0)


def arena_memory(board: Board) -> str:
    """The memory of a `System` on this board: `external` where activations lie outside the chip, else ""."""
    run = board.arena_run
    return "external" if run and not run[0].is_on_chip else ""


@cache
def package_calibration() -> Calibration:
    """The one that the package ships, made by scripts/calibrate.py."""
    content = resources.files("mcusim.pricing").joinpath("data", "fit.json").read_bytes()
    return Calibration(*fit_from_bytes(content))


def read_calibration(path: str | PathLike[str]) -> Calibration:
    """One that `mcusim calibrate` wrote. Raises InputError."""
    where = fspath(path)
    try:
        return Calibration(*fit_from_bytes(content_of(path)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"it cannot be read ({reason})", where=where, fix="name a file of `mcusim calibrate`"
        ) from None
    except (msgspec.DecodeError, *NOT_PARSED, LookupError, TypeError) as error:
        told = " ".join(str(error).split())
        raise InputError(f"it is no calibration ({told})", where=where, fix="make it with `mcusim calibrate`") from None


OWN_ROW = "own"
"""What the ids of one's own measurements begin with."""

_FEW = 3
"""Networks below which a version is taken only for want of another."""


class Place(NamedTuple):
    """Where a price comes from.

    system: what is priced.   log_physics: the physics' log cycles there.   networks: how many were measured on just
    this system.   told: what was measured, in words.   is_measured_core: whether the runtime was measured on the core.
    """

    system: System
    log_physics: tuple[float, ...]
    networks: int
    told: str
    is_measured_core: bool


def find_place(calibration: Calibration, runtime: Runtime, board: Board, memory: str = "") -> Place | None:
    """The system that answers for a runtime on a board; None if the runtime was never measured.

    Without a version asked for, that is one of the runtime's current ones, without options: the newest measured on the
    board itself, else on its series, its core, or anywhere; versions that hardly anybody measured come last.
    One's own times on the board (`pricing.own`) come before all.
    Raises RuntimeNameError for an option that nobody measured.
    """
    own = [system for system in dict.fromkeys(calibration.fit.systems) if system.runtime == runtime.price_family]
    if not own:
        return None
    number, _, option = runtime.asked_version.partition("+")
    found = [s for s in own if number in ("", s.version) and option in ("", s.option)]
    if not found:
        known = ", ".join(sorted({f"{s.version}+{s.option}" for s in own if s.option})) or "none"
        raise RuntimeNameError(
            f"nobody measured the option '{option}' of version {number}",
            where=f"runtime '{runtime.name}@{runtime.asked_version}'",
            fix=f"leave the option out; measured ones: {known}",
        )
    series = series_of(board.name) if board.series is None else board.series

    networks = Counter(calibration.fit.systems)

    if not runtime.asked_version:
        old = set(runtime.versions[runtime.current :])
        found = [system for system in found if system.version not in old] or found

    def nearness(system: System) -> tuple[bool, bool, bool, bool, bool, bool, bool, int]:
        is_own = system.version not in runtime.versions
        newest = -1 if is_own else runtime.versions.index(system.version)
        return (
            is_own and system.board == board.name,
            not system.option,
            system.board == board.name and system.memory == memory,
            system.board == board.name,
            system.series == series,
            system.core == board.core,
            is_own or networks[system] >= _FEW,
            -newest,
        )

    best = max(found, key=nearness)
    system = System(best.runtime, best.version, best.option, str(board.core), series, board.name, memory)
    shift = physics().core[board.core][0] + log(wait_factor(board))
    prior = tuple(value + shift for value in physics().log_cycles)
    return Place(system, prior, *_told(calibration, system, own))


def _told(calibration: Calibration, system: System, own: list[System]) -> tuple[int, str, bool]:
    """How many networks were measured there, and what stands behind the answer."""
    version = f"{system.version}+{system.option}" if system.option else system.version
    if system in own:
        count = sum(measured == system for measured in calibration.fit.systems)
        return count, f"{_count(count, 'measurement')} of {version} on {system.board}", True
    on_core = sorted({s.board for s in own if s.core == system.core})
    if on_core:
        others = sorted({s.version for s in own if s.board == system.board})
        known = f"inferred from {system.runtime}'s times on {_list(on_core)}"
        if others:
            known = f"inferred from times of version {_list(others)} there, and elsewhere"
        return 0, f"{system.runtime} {version} was not measured on {system.board}; {known}", True
    cores = sorted({s.core for s in own})
    known = f"inferred from its times on {_list(cores)}"
    return 0, f"{system.runtime} was not measured on any {system.core}; {known}", False


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _list(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last

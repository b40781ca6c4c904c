"""Which measured version and build answers for a runtime on a board, and what is said of it.

asked                    measured                       answer
x-cube-ai                10.0 on this board             10.0
x-cube-ai@9.0+mlperf     9.0+mlperf                     9.0+mlperf
x-cube-ai@10.2           10.2+mlperf only               the default build of the version beside it, 10.0, with the
                                                        interval of a version that nobody measured
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mcusim.boards.board import Board
from mcusim.errors import RuntimeNameError
from mcusim.pricing.intervals import Known, known_of
from mcusim.pricing.physics import log_cycles_of
from mcusim.pricing.siblings import Sibling, siblings_of
from mcusim.pricing.stored import Calibration
from mcusim.pricing.systems import UNSTATED, System, series_of
from mcusim.runtimes import Runtime

__all__ = ["Place", "find_place"]

_FEW = 3
"""Networks below which a version is taken only for want of another."""
_UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a price comes from.

    system: what is priced.   sure: the system whose intervals hold; another than `system` where that only stands in
    for a version that nobody measured.   log_physics: the physics' log cycles there.   networks: how many were measured
    on just this system.   evidence: what was measured, in words.   known: how much of `sure` was measured.
    is_measured_core: whether the runtime was measured on the core.   siblings: where nobody measured `sure`, the
    nearest of which more is known, so that no interval may be narrower than theirs.   newer: the newest current version
    that was measured elsewhere, where no version was asked for and an older one answers; on the same board.
    """

    system: System
    sure: System
    log_physics: tuple[float, ...]
    networks: int
    evidence: str
    known: Known
    is_measured_core: bool
    siblings: tuple[Sibling, ...] = ()
    newer: System | None = None


def find_place(calibration: Calibration, runtime: Runtime, board: Board, memory: str = "") -> Place | None:
    """The system that answers for a runtime on a board; None if the runtime was never measured.

    Without a version asked for, that is one of the runtime's current ones, without options: the newest measured on the
    board itself, else on its series, its core, or anywhere; versions that hardly anybody measured come last. A version
    without an option is its default build, never a build of its own kind that happens to be the only one measured.
    One's own times on the board (`pricing.own`) come before all.
    Raises RuntimeNameError for an option that nobody measured.
    """
    measured = calibration.fit.measured
    # Of kernels that were measured alone, whole networks say nothing; a version of which there is only that is added
    # below.
    kin = [system for system in measured if system.runtime == runtime.price_family and measured[system]]
    if not kin:
        return None
    number, _, option = runtime.asked_version.partition("+")
    alone = [system for system in measured if system.runtime == runtime.price_family and not measured[system]]
    # Asked for by name, a version counts even if only single kernels were timed with it.
    if not any((system.version, system.option) == (number, option) for system in kin):
        kin += [system for system in alone if (system.version, system.option) == (number, option)]
    candidates = [system for system in kin if number in ("", system.version) and system.option == option]
    if option and not candidates:
        raise _no_such_option(runtime, number, option, kin)
    is_stand_in = bool(number) and not candidates
    newest: System | None = None
    if is_stand_in:
        candidates = _beside(runtime, number, kin)
    elif not number:
        # Versions before `current` (a rewrite of the kernels, say) answer only where no later one was measured.
        old = set(runtime.versions[runtime.current :])
        known = set(runtime.versions)
        current = [s for s in candidates if s.version not in old and (s.version in known or s.board == board.name)]
        candidates = current or candidates or kin
        often = [system for system in current if system.version in known and measured[system] >= _FEW]
        newest = min(often, key=lambda system: runtime.versions.index(system.version), default=None)
    series = series_of(board.name) if board.series is None else board.series

    def nearness(system: System) -> tuple[bool, bool, bool, bool, bool, bool, int]:
        is_own = system.version not in runtime.versions
        newest = -1 if is_own else runtime.versions.index(system.version)
        return (
            is_own and system.board == board.name,
            system.board == board.name and system.memory == memory,
            system.board == board.name,
            system.series == series,
            system.core == board.core,
            is_own or measured[system] >= _FEW,
            -newest,
        )

    best = max(candidates, key=nearness)
    # The priced system is the asked board with the version found: the fit then adds what it knows of each level.
    system = System(best.runtime, best.version, best.option, str(board.core), series, board.name, memory)
    sure = system._replace(version=_UNMEASURED) if is_stand_in else system
    is_older = newest is not None and system.version in runtime.versions[runtime.versions.index(newest.version) + 1 :]
    return Place(
        system,
        sure,
        log_cycles_of(board.core, board),
        0 if is_stand_in else measured.get(system, 0),
        _evidence(calibration, runtime, system, kin, number if is_stand_in else ""),
        known_of(sure, measured),
        any(other.core == system.core for other in kin),
        siblings_of(sure, system.version, board, runtime.versions, measured),
        system._replace(version=newest.version) if newest is not None and is_older else None,
    )


def _beside(runtime: Runtime, number: str, kin: list[System]) -> list[System]:
    """Default builds of the measured version nearest to one of which only builds of another kind were measured."""
    order = list(runtime.versions)

    def distance(system: System) -> int:
        return abs(order.index(system.version) - order.index(number)) if system.version in order else len(order)

    plain = [system for system in kin if not system.option] or kin
    nearest = min(map(distance, plain))
    return [system for system in plain if distance(system) == nearest]


def _no_such_option(runtime: Runtime, number: str, option: str, kin: list[System]) -> RuntimeNameError:
    known = ", ".join(sorted({f"{system.version}+{system.option}" for system in kin if system.option})) or "none"
    return RuntimeNameError(
        f"nobody measured the option '{option}' of version {number}",
        where=f"runtime '{runtime.name}@{runtime.asked_version}'",
        fix=f"leave the option out; measured ones: {known}",
    )


def _evidence(calibration: Calibration, runtime: Runtime, system: System, kin: list[System], asked: str) -> str:
    """What stands behind the answer, in words."""
    release = f"{system.version}+{system.option}" if system.option else system.version
    build = dict(runtime.builds).get(system.option, "")
    of_build = f" ({build})" if build else ""
    if asked:
        builds = sorted({other.option for other in kin if other.version == asked})
        asks = _list([f"{system.runtime}@{asked}+{option}" for option in builds])
        words = f"the default build of {asked} was not measured, times of {release} stand for it; measured: {asks}"
    elif system in kin:
        words = f"{_counted(calibration, system, f'of {release} on {system.board}')}{of_build}"
    else:
        words = f"{_inferred(system, release, kin)}{of_build}"
    there = sorted({f"{s.version}+{s.option}" for s in kin if s.option and s.board == system.board} - {release})
    if there and not system.option and not asked:
        words += f"; builds of another kind were measured there: {system.runtime}@{_list(there)}"
    return words


def _counted(calibration: Calibration, system: System, which: str) -> str:
    """How many whole networks were timed there, and how many layers or operators alone. which: in words."""
    fit = calibration.fit
    names = [network for network, measured in zip(fit.networks, fit.systems, strict=True) if measured == system]
    networks = sum(map(bool, names))
    alone = len(names) - networks
    if not networks:
        return f"{_count(alone, 'single operator')} and no whole network {which}"
    words = f"{_count(networks, 'measurement')} {which}"
    return f"{words} and {_count(alone, 'single operator')}" if alone else words


def _inferred(system: System, release: str, kin: list[System]) -> str:
    on_core = sorted({other.board for other in kin if other.core == system.core})
    if not on_core:
        cores = sorted({other.core for other in kin})
        return f"{system.runtime} was not measured on any {system.core}; inferred from its times on {_list(cores)}"
    versions = sorted({other.version for other in kin if other.board == system.board})
    known = f"inferred from {system.runtime}'s times on {_list(on_core)}"
    if versions:
        unstated = f"a version that its source does not state ({system.runtime}@{UNSTATED})"
        releases = [unstated if v == UNSTATED else f"{system.runtime} {v}" for v in versions]
        known = f"inferred from times of {_list(releases)} on that board and of {system.runtime} on other boards"
    return f"{system.runtime} {release} was not measured on {system.board}; {known}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _list(names: Iterable[str]) -> str:
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last

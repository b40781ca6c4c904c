"""How much the log cycles of measured rows, and the log prices of systems, have to do with each other.

Two systems that share a level of `systems.LEVELS` share four deviations there: of all prices together, of a group's, of
one kind of work's, and of a shape's. How wide they are is the level's `Spread`, times what is known of the runtime and
of where activations lie (`Spreads.reach`).

    covariance of rows i and j  =  sum over the levels that their systems share of
                                       together^2 + group^2 * G[i, j] + effort^2 * E[i, j] + shape^2 * S[i, j]
                                   + for all systems: effort^2 * E[i, j] + shape^2 * S[i, j], with spreads of their own

G, E and S say how alike two networks are: their shares in one group (one kind of work, shapes that resemble each other)
multiplied and added up. Two networks of pointwise convolutions, measured with one runtime, teach much about each other;
one of them and a network whose efforts are all of other groups have `together` only in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.pricing.efforts import EFFORTS, GROUPS
from mcusim.pricing.physics import physics
from mcusim.pricing.systems import LEVELS, OF_A_RUNTIME, System, keys_of

__all__ = ["IN_GROUP", "Covariances", "Floats", "Spread", "Spreads", "work_alike"]

Floats = NDArray[np.float64]

_GROUP = np.array([GROUPS.index(effort.group) for effort in EFFORTS])
INTO_GROUPS: Floats = np.eye(len(GROUPS))[_GROUP]
IN_GROUP: Floats = INTO_GROUPS @ INTO_GROUPS.T
_ALIKE_OCTAVES = 2.0
"""Prices at shapes so many octaves apart still resemble each other (correlation exp(-1/2))."""


class Spread(NamedTuple):
    """Standard deviations at one level: of all prices together, of a group's, of one kind of work's, of a shape's."""

    together: float
    group: float
    effort: float
    shape: float


@dataclass(frozen=True, slots=True)
class Spreads:
    """How far systems differ. levels: by name of LEVELS.

    effort, shape: of each kind of work and of each shape, everywhere.   noise: of a network's row.
    kernel_noise: of a single kernel's, which has no other layers to average its own ways out.
    runtimes: by how much more or less than all the versions, builds and ports of one runtime differ.
    external: by how much more boards differ whose activations lie outside the chip.
    """

    levels: Mapping[str, Spread]
    effort: float
    shape: float
    noise: float
    kernel_noise: float
    runtimes: Mapping[str, float] = field(default_factory=dict)
    external: float = 1.0

    def reach(self, system: System, level: str) -> float:
        """What the deviations of a system at a level are multiplied with."""
        if level in OF_A_RUNTIME:
            return self.runtimes.get(system.runtime, 1.0)
        return self.external if level == "board" and system.memory else 1.0


def work_alike() -> tuple[Floats, Floats]:
    """Two times (efforts, efforts): which are one kind of work, and how much shapes of it resemble each other."""
    doubt = np.asarray(physics().uncertainty)
    one_kind = np.array([[a.base == b.base for b in EFFORTS] for a in EFFORTS]) * np.outer(doubt, doubt)
    alike = np.zeros_like(one_kind)
    for i, a in enumerate(EFFORTS):
        for j, b in enumerate(EFFORTS):
            # Efforts without a knot have one price whatever the shape: there is no smooth function of shape to deviate
            # from.
            if a.base == b.base and a.knot:
                squared = sum((x - y) ** 2 for x, y in zip(a.knot, b.knot, strict=True))
                alike[i, j] = np.exp(-squared / (2.0 * _ALIKE_OCTAVES**2))
    return one_kind, alike


class Covariances:
    """Covariances between rows, and between rows and the prices of a system."""

    def __init__(self, systems: Sequence[System], spreads: Spreads) -> None:
        self.spreads = spreads
        self._names = list(zip(*map(keys_of, systems), strict=True))
        self._levels = [spreads.levels[name] for name in LEVELS]
        self._reach = [np.array([spreads.reach(system, name) for system in systems]) for name in LEVELS]
        self._one_kind, self._alike = work_alike()

    @cached_property
    def weighed(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Four times (rows, rows): variances that two rows share, of all prices, a group's, a kind's, a shape's."""
        together, group, effort, shape = (np.zeros((len(self._names[0]),) * 2) for _ in range(4))
        # Two rows share a level if its key is equal: same runtime, same core, same board, ...
        for names, level, reach in zip(self._names, self._levels, self._reach, strict=True):
            code = np.unique(names, return_inverse=True)[1]
            shared = (code[:, None] == code[None, :]) * np.outer(reach, reach)
            together += level.together**2 * shared
            group += level.group**2 * shared
            effort += level.effort**2 * shared
            shape += level.shape**2 * shared
        return together, group, effort + self.spreads.effort**2, shape + self.spreads.shape**2

    def gram(self, shares: Floats) -> Floats:
        """(rows, rows): of the log cycles of two rows."""
        groups = shares @ INTO_GROUPS
        together, group, effort, shape = self.weighed
        total: Floats = together + group * (groups @ groups.T)
        total += effort * (shares @ self._one_kind @ shares.T) + shape * (shares @ self._alike @ shares.T)
        return total

    def moved(
        self, chosen: NDArray[np.int64], shares: Floats, pull: Floats, asked: NDArray[np.int64] | None = None
    ) -> Floats:
        """(asked, efforts): how far the chosen rows move the log prices of the asked rows' systems.

        shares, pull: of the chosen rows.   asked: every row if None.
        """
        rows = slice(None) if asked is None else asked
        together, group, effort, shape = (
            shared if len(chosen) == len(shared) and asked is None else shared[rows][:, chosen]
            for shared in self.weighed
        )
        pulled = pull[:, None] * shares
        total: Floats = (together @ pull)[:, None] + (group @ (pulled @ INTO_GROUPS)) @ INTO_GROUPS.T
        total += effort @ (pulled @ self._one_kind) + shape @ (pulled @ self._alike)
        return total

    def meet(self, system: System) -> list[Floats]:
        """For each level and row how much of the level's variance it shares with the system."""
        return [
            np.array([name == key for name in names]) * reach * self.spreads.reach(system, level)
            for names, key, reach, level in zip(self._names, keys_of(system), self._reach, LEVELS, strict=True)
        ]

    def cross(self, met: list[Floats], shares: Floats) -> Floats:
        """(rows, efforts): of the log cycles of a row and the log price of an effort."""
        groups = (shares @ INTO_GROUPS) @ INTO_GROUPS.T
        efforts, shapes = shares @ self._one_kind, shares @ self._alike
        total: Floats = self.spreads.effort**2 * efforts + self.spreads.shape**2 * shapes
        for rows, level in zip(met, self._levels, strict=True):
            part = level.together**2 + level.group**2 * groups + level.effort**2 * efforts + level.shape**2 * shapes
            total = total + rows[:, None] * part
        return total

    def prior(self, system: System) -> Floats:
        """(efforts, efforts): of the log prices of a system before any row is seen.

        A core that no row was measured on is as uncertain as the physics says.
        """
        total: Floats = self.spreads.effort**2 * self._one_kind + self.spreads.shape**2 * self._alike
        for name, level in zip(LEVELS, self._levels, strict=True):
            own = level.together**2 + level.group**2 * IN_GROUP
            own = own + level.effort**2 * self._one_kind + level.shape**2 * self._alike
            total = total + self.spreads.reach(system, name) ** 2 * own
        # The physics gives a factor and its uncertainty for every core. Once a row was measured on it, the row says
        # more.
        if system.core not in self._names[LEVELS.index("core")]:
            total = total + physics().core[system.core][1] ** 2
        return total

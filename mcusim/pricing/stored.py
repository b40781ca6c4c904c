"""The fit that prices answers, as the package ships it or `mcusim calibrate` wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from os import PathLike, fspath

from mcusim.boards.board import Board
from mcusim.errors import InputError
from mcusim.files import NOT_PARSED, content_of, reason_of
from mcusim.pricing.fitting import OwnLayer, OwnSystem, fit_from_bytes, fit_to_bytes
from mcusim.pricing.intervals import Scale, Scales, known_of
from mcusim.pricing.regression import Fit
from mcusim.pricing.systems import System

__all__ = ["OWN_ROW", "Calibration", "arena_memory", "package_calibration", "read_calibration"]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A fit, and by how much its deviations are stretched so that intervals hold what they promise.

    own_scale: by how much more on systems with one's own measurements, which may scatter more than published ones.
    own_layers: what was timed layer by layer.   own_systems: those with one's own times of networks.
    """

    fit: Fit
    scales: Scales
    own_scale: float = 1.0
    own_layers: tuple[OwnLayer, ...] = ()
    own_systems: tuple[OwnSystem, ...] = ()

    def to_bytes(self) -> bytes:
        """As `read_calibration` takes it."""
        return fit_to_bytes(self.fit, self.scales, self.own_scale, self.own_layers, self.own_systems)

    def own_system(self, system: System) -> OwnSystem | None:
        """What is known of one's own times on a system; None where there are none."""
        return next((own for own in self.own_systems if own.system == system), None)

    def scale_of(self, system: System) -> Scale:
        """What deviations on a system are multiplied with."""
        is_own = self.own_scale != 1.0 and any(
            measured == system and row.startswith(OWN_ROW)
            for measured, row in zip(self.fit.systems, self.fit.ids, strict=True)
        )
        scale = self.scales.of(known_of(system, self.fit.measured), system.runtime)
        return scale.stretched(self.own_scale) if is_own else scale


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
        reason = reason_of(error)
        raise InputError(
            f"it cannot be read ({reason})", where=where, fix="name a file of `mcusim calibrate`"
        ) from None
    except (*NOT_PARSED, LookupError, TypeError) as error:
        message = " ".join(str(error).split())
        raise InputError(
            f"it is no calibration ({message})", where=where, fix="make it with `mcusim calibrate`"
        ) from None


OWN_ROW = "own"
"""What the ids of one's own measurements begin with."""

"""Shared by the operators that show input places again, axis by axis: repeated, mirrored or resized.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from mcusim.ops.registry import Call
from mcusim.ops.shared.movement import check_movable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Picks", "prepare_picks"]


class Picks(NamedTuple):
    """What the picking kernel trusts.   places: for each axis, the input place that each output place shows.

    None where the axis stays as it is.
    """

    places: tuple[NDArray[np.intp] | None, ...]


def prepare_picks(call: Call, places: Iterable[Iterable[int]]) -> Picks:
    """Output element (i, j, ...) shows input element (places[0][i], places[1][j], ...)."""
    import numpy as np  # an analytic run prepares nothing

    check_movable(call, 0)
    picks = []
    for axis, size in zip(places, call.signature.input(0).shape, strict=True):
        shown = np.fromiter(axis, np.intp)
        picks.append(None if np.array_equal(shown, np.arange(size)) else shown)
    return Picks(tuple(picks))

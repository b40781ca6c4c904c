"""How a counting convention describes itself: what it counts, for which schedules, and how well that is known.

Each convention lives in one file of this folder, which ends with `register(Convention(...))`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcusim.errors import RuntimeNameError, ScheduleError, did_you_mean
from mcusim.graph import Graph
from mcusim.lowering.rules import InputPlace
from mcusim.report import Basis
from mcusim.runtimes import LedgerItem
from mcusim.schedule import LAYER, Schedule

__all__ = ["CONVENTIONS", "Convention", "Ledger", "count", "find_convention", "register"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """A count: its parts, what they count, and what stands behind them."""

    parts: tuple[LedgerItem, ...]
    basis: Basis
    what: str

    @property
    def total_bytes(self) -> int:
        return sum(part.size_bytes for part in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Convention:
    """A way of counting memory: of a published figure, or of a tool; no plan that could be run.

    what: one line on what it counts.   evidence: the figures that it was checked against, and how well it meets them.
    parts: the sum, item by item.   external_parts: the same where the input lies outside; None for a sum that has a
    choice of its own.   takes_pieces: whether it can count patch and stream stages.
    places: whether its activations were placed, by the rules of a tool, and not added up.
    """

    name: str
    what: str
    basis: Basis
    evidence: str
    parts: Callable[[Graph, Schedule], tuple[LedgerItem, ...]]
    external_parts: Callable[[Graph, Schedule], tuple[LedgerItem, ...]] | None = None
    takes_pieces: bool = False
    places: bool = False


CONVENTIONS: dict[str, Convention] = {}
"""Every convention by name. Written only while `mcusim.conventions` is imported."""


def register(convention: Convention) -> Convention:
    """Add a convention. Raises RuntimeNameError if the name is taken."""
    if CONVENTIONS.setdefault(convention.name, convention) is not convention:
        raise RuntimeNameError("registered twice", where=f"convention '{convention.name}'", fix="rename one of them")
    return convention


def find_convention(name: str) -> Convention:
    """The convention called `name`. Raises RuntimeNameError if there is none."""
    convention = CONVENTIONS.get(name.strip().lower())
    if convention is None:
        raise RuntimeNameError(
            "no such convention",
            where=f"convention '{name}'",
            fix=did_you_mean(name, CONVENTIONS, listed_by="mcusim plan MODEL --all"),
        )
    return convention


def count(
    convention: Convention | str, graph: Graph, schedule: Schedule = LAYER, input_place: InputPlace | None = None
) -> Ledger:
    """What `convention` counts for `graph` under `schedule`.

    input_place: where the input lies, for conventions that leave it to the user.
    Raises RuntimeNameError for an unknown convention, ScheduleError where it does not count such a schedule.
    """
    chosen = convention if isinstance(convention, Convention) else find_convention(convention)
    if schedule.is_auto:
        fix = "name the stages; `mcusim patch MODEL --profile BOARD` finds them for a board"
        raise ScheduleError("there is no board to find it for", where="schedule 'auto'", fix=fix)
    if not schedule.is_layer and not chosen.takes_pieces:
        raise ScheduleError(
            f"convention {chosen.name} counts networks that run layer by layer only",
            where=f"schedule '{schedule}'",
            fix="use --schedule layer, or a convention that counts patches",
        )
    outside = chosen.external_parts if input_place is InputPlace.EXTERNAL else None
    parts = outside or chosen.parts
    return Ledger(parts(graph, schedule), chosen.basis, chosen.what)

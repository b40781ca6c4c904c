"""Claims of a running text, recomputed: from the printed rows, from simulated figures, or from neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mcusim.published import Claim as PrintedClaim
from mcusim.published import Printed, Unit
from mcusim.published.tables.document import Claim
from mcusim.report import Basis

__all__ = ["Recomputed", "gained", "recomputed", "saved_percent"]

_UNITS = {unit.symbol: unit for unit in Unit}


class Recomputed(NamedTuple):
    """from_rows, simulated: in the claim's unit; None where they cannot be computed.   most: of a simulated range.

    how: the sum, or why there is none.   is_of_others: it is of other networks than the claim.
    """

    how: str
    from_rows: float | None = None
    simulated: float | None = None
    most: float | None = None
    basis: Basis | None = None
    is_of_others: bool = False


def recomputed(claims: Sequence[PrintedClaim], by_key: Mapping[str, Recomputed]) -> tuple[Claim, ...]:
    """Every claim of a published table beside what was recomputed of it."""
    return tuple(
        Claim(
            key=claim.key,
            text=claim.text,
            unit=_UNITS[claim.unit],
            printed=claim.printed,
            from_rows=(again := by_key[claim.key]).from_rows,
            simulated=again.simulated,
            most=again.most,
            simulated_basis=again.basis,
            how=again.how,
            is_of_others=again.is_of_others,
        )
        for claim in claims
    )


def gained(new: Printed, old: Printed) -> Recomputed:
    """Points between two printed shares."""
    if new.number is None or old.number is None:
        return Recomputed("a row prints no figure")
    return Recomputed(f"{new} - {old}", from_rows=float(new.number - old.number))


def saved_percent(new: Printed, old: Printed) -> Recomputed:
    """Percent by which one printed quantity is less than another."""
    if new.number is None or not old.number:
        return Recomputed("a row prints no figure")
    return Recomputed(f"1 - {new}/{old}", from_rows=float((1 - new.number / old.number) * 100))

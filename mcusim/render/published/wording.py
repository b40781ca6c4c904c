"""Figures of a table as text: digits, intervals, differences, and one letter for what stands behind each."""

from __future__ import annotations

from mcusim.published import Unit
from mcusim.published.tables import Claim, Document, Figure, Origin, Row
from mcusim.render.text import BASIS_WORDS
from mcusim.report import Basis

__all__ = [
    "WITNESS_TEXT",
    "amount",
    "claim_figures",
    "difference_text",
    "interval_text",
    "legend",
    "mark",
    "origin_text",
    "printed_text",
    "value_text",
    "verdict",
]

_DECIMALS = {Unit.PIXELS: 0, Unit.COUNT: 0}
_LETTERS = {
    Basis.EXACT: "e",
    Basis.DERIVED: "d",
    Basis.CALIBRATED: "c",
    Basis.PROVISIONAL: "v",
    Basis.MEASURED: "m",
    Basis.PUBLISHED: "p",
}
_WITNESS = "w"
WITNESS_TEXT = "witness, accuracy unknown"
_MEANINGS = {**BASIS_WORDS, Basis.EXACT: "counted on the network, or the runtime's own figure, byte for byte"}


def amount(value: float, unit: Unit, decimals: int = 0) -> str:
    """A value in base units, in its unit, without the unit's name; with so many decimals at least."""
    shown = value / unit.base
    text = f"{shown:.{max(_usual_decimals(shown, unit), decimals)}f}"
    return text.lstrip("-") if float(text) == 0 else text


def _usual_decimals(shown: float, unit: Unit) -> int:
    if unit is Unit.MS:
        return 0 if shown >= 100 else 1 if shown >= 10 else 2
    return _DECIMALS.get(unit, 1)


def printed_text(figure: Figure) -> str:
    """The digits of the source."""
    return str(figure.printed)


def value_text(figure: Figure) -> str:
    """What mcusim has; with no fewer decimals than the source."""
    if figure.value is None:
        return ""
    number = figure.printed.number
    decimals = 0 if number is None else max(-int(number.as_tuple().exponent), 0)
    return amount(figure.value, figure.unit, decimals)


def interval_text(figure: Figure) -> str:
    """`low-high`; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    return f"{amount(figure.low, figure.unit)}-{amount(figure.high, figure.unit)}"


def difference_text(figure: Figure) -> str:
    """`+0.3 %`, `-0.5 pt`, or whether a printed bound is kept."""
    kept = figure.is_bound_kept
    if kept is not None:
        return "within" if kept else "beyond"
    difference = figure.difference
    if difference is None:
        return ""
    if figure.unit.is_share:
        return f"{_signed(difference, 1)} pt"
    percent = difference * 100
    return f"{_signed(percent, 0 if abs(percent) >= 99.95 else 1)} %"


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def mark(figure: Figure, row: Row) -> str:
    """The letter of a simulated figure's basis, `w` behind it for a witness; empty where nothing is simulated."""
    if figure.value is None or figure.basis is None:
        return ""
    return _LETTERS[figure.basis] + (_WITNESS if row.origin is Origin.WITNESS else "")


def origin_text(row: Row, group: str = "") -> str:
    """Which network stands for the row: empty where its label or the heading of its group says so."""
    match row.origin:
        case Origin.NOT_RELEASED:
            return "not released"
        case Origin.WITNESS:
            return f"{WITNESS_TEXT}: {row.network}"
        case Origin.TWIN:
            return f"released twin: {row.network}"
    return "" if row.network in (row.label, group) else row.network


def legend(document: Document) -> str:
    """The letters that a document uses, each with its meaning."""
    entries = [f"{_LETTERS[basis]} {basis}: {_MEANINGS[basis]}" for basis in document.bases]
    if any(row.origin is Origin.WITNESS for table in document.tables for row in table.rows):
        entries.append(f"{_WITNESS} witness: of another network that meets the row's figures")
    return "; ".join(entries)


def claim_figures(claim: Claim) -> tuple[str, str, str]:
    """A claim as printed, as the printed rows give it, and as simulated, each with its unit."""
    decimals = 0 if claim.printed.number is None else max(-int(claim.printed.number.as_tuple().exponent), 1)

    def shown(value: float | None, least: int) -> str:
        return "" if value is None else amount(value * claim.unit.base, claim.unit, least)

    simulated = shown(claim.simulated, 0)
    if claim.most is not None and claim.most != claim.simulated:
        simulated += f"-{shown(claim.most, 0)}"
    texts = (str(claim.printed), shown(claim.from_rows, decimals), simulated)
    printed, rows, simulates = (f"{text} {claim.unit.symbol}".rstrip() if text else "" for text in texts)
    return printed, rows, simulates


def verdict(claim: Claim) -> str:
    """Whether the printed rows, or else the simulation, give what the text says."""
    met = claim.is_met_by_simulation if claim.is_met_by_rows is None else claim.is_met_by_rows
    if met is None:
        return "cannot be told"
    return "as claimed" if met else "not shown by these networks" if claim.is_of_others else "not as claimed"

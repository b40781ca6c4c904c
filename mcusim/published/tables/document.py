"""What a report of published figures is made of: tables of figures, each printed and simulated; and claims.

Values are in base units (bytes, MACs, milliseconds, percent); a figure's `Unit` says in what it is printed and shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mcusim.published import NOTHING, Printed, Unit
from mcusim.report import Basis

__all__ = ["Claim", "Column", "Document", "Figure", "Group", "Inputs", "Origin", "Row", "Table"]


class Origin(StrEnum):
    """What mcusim knows of the network that a row is about."""

    RELEASED = "released"
    TWIN = "released twin"
    """A released network close to the row's own, which was not released."""
    WITNESS = "witness"
    """Another network, which meets the row's figures; its accuracy is unknown."""
    NOT_RELEASED = "not released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity: what a source prints of it, and what mcusim makes of it.

    value: None where nothing is simulated.   low, high: it lies between them.   basis: what stands behind the value.
    limit: what the board has; what is above does not fit.   counted_as: the convention or runtime that counted it.
    """

    unit: Unit
    printed: Printed = NOTHING
    value: float | None = None
    low: float | None = None
    high: float | None = None
    basis: Basis | None = None
    limit: float | None = None
    counted_as: str = ""

    @property
    def printed_value(self) -> float | None:
        """What is printed, in base units; None for a mere bound."""
        return None if self.printed.value is None else self.printed.value * self.unit.base

    @property
    def difference(self) -> float | None:
        """Simulated less printed: a fraction of what is printed, or percentage points between shares."""
        printed, value = self.printed_value, self.value
        if printed is None or value is None:
            return None
        if self.unit.is_share:
            return value - printed
        return value / printed - 1 if printed else None

    @property
    def is_bound_kept(self) -> bool | None:
        """Whether the value keeps a printed bound; None where there is none to keep."""
        if self.value is None or not self.printed.is_bound:
            return None
        return self.printed.is_met_by(self.value / self.unit.base)

    @property
    def is_printed_over(self) -> bool:
        """Whether what is printed does not fit the board."""
        if self.printed.ran_out:
            return True
        return self.limit is not None and self.printed_value is not None and self.printed_value > self.limit

    @property
    def is_over(self) -> bool:
        """Whether the simulated value does not fit the board."""
        return self.limit is not None and self.value is not None and self.value > self.limit


class Column(NamedTuple):
    """unit: None for a column of texts.   has_interval, has_counting: whether its figures show these too."""

    key: str
    title: str
    unit: Unit | None = None
    has_interval: bool = False
    has_counting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """cells: one for each column of its table.   about: what the source says of it, beside its label.

    network: of the zoo, "" if none.   board: on which it was simulated.   is_grey: below eight bits.
    """

    label: str
    cells: tuple[Figure | str, ...]
    about: str = ""
    network: str = ""
    board: str = ""
    origin: Origin = Origin.RELEASED
    is_grey: bool = False


class Group(NamedTuple):
    """Rows under a common heading; "" for none."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """key: its name in a document, of letters and dashes."""

    key: str
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        return tuple(row for group in self.groups for row in group.rows)

    def figures(self, key: str) -> tuple[Figure, ...]:
        """The figures of one column, row by row."""
        at = [column.key for column in self.columns].index(key)
        return tuple(cell for row in self.rows if isinstance(cell := row.cells[at], Figure))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A figure of the running text, recomputed.

    from_rows: from the printed rows.   simulated: from simulated figures, up to `most` where they are a range.
    how: the sum.   is_of_others: what is simulated are other networks than those of the claim.
    Values are in the claim's unit itself.
    """

    key: str
    text: str
    unit: Unit
    printed: Printed
    from_rows: float | None = None
    simulated: float | None = None
    most: float | None = None
    simulated_basis: Basis | None = None
    how: str = ""
    is_of_others: bool = False

    @property
    def is_met_by_rows(self) -> bool | None:
        """Whether the printed rows give the printed claim; None where they cannot tell."""
        return None if self.from_rows is None else self.printed.is_met_by(self.from_rows)

    @property
    def is_met_by_simulation(self) -> bool | None:
        """Whether the simulated figures give the printed claim; None where they cannot tell."""
        answers = [self.printed.is_met_by(value) for value in (self.simulated, self.most) if value is not None]
        return None if not answers or None in answers else all(answers)


class Inputs(NamedTuple):
    """By name, what a document was made from: published tables, networks of the zoo, boards."""

    published: tuple[str, ...]
    networks: tuple[str, ...]
    boards: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report. published: the tables of `mcusim.published` that it shows."""

    name: str
    title: str
    published: tuple[str, ...]
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def inputs(self) -> Inputs:
        rows = [row for table in self.tables for row in table.rows]
        networks = sorted({row.network for row in rows if row.network})
        boards = sorted({row.board for row in rows if row.board})
        return Inputs(self.published, tuple(networks), tuple(boards))

    @property
    def bases(self) -> tuple[Basis, ...]:
        """Every basis that a figure names, the surest first."""
        cells = [cell for table in self.tables for row in table.rows for cell in row.cells]
        used = {cell.basis for cell in cells if isinstance(cell, Figure) and cell.basis is not None}
        used |= {claim.simulated_basis for claim in self.claims if claim.simulated_basis is not None}
        return tuple(basis for basis in Basis if basis in used)

"""Published rows whose networks were never released, and what they ask of a witness."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

from mcusim.designing.spaces.mcunetv2 import Task
from mcusim.errors import InputError, did_you_mean
from mcusim.published import NOTHING, Printed, table4, voc, vww
from mcusim.units import BYTES_PER_KIB

__all__ = ["UnreleasedRow", "find_row", "rows"]


class _Notes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `rows.toml`: what no table prints.

    witness: the zoo's network that stands for it.   patched: whether it ran patch by patch.
    misses_flash: why no network of the row keeps the flash of its board, or "".
    flash_limit_kB: what it keeps then.   most_overhead: what patches may compute again, where that is not the usual.
    """

    title: str
    witness: str
    task: Task
    patched: bool
    flash_limit_kB: int | None = None  # the key of the file
    misses_flash: str = ""
    most_overhead: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """What a table prints of a row."""

    source: str
    profile: str
    sram: Printed
    macs: Printed = NOTHING
    flash: Printed = NOTHING
    params: Printed = NOTHING


@dataclass(frozen=True, slots=True)
class UnreleasedRow:
    """A row: its printed figures, and what a search must know beside them."""

    printed: _Figures
    notes: _Notes

    @property
    def macs(self) -> float | None:
        return None if self.printed.macs.value is None else self.printed.macs.value * 1e6

    @property
    def params(self) -> float | None:
        return None if self.printed.params.value is None else self.printed.params.value * 1e6

    @property
    def sram_bytes(self) -> int | None:
        """What it prints; where it prints only a bound, the last byte below that."""
        sram = self.printed.sram
        if sram.number is None:
            return None
        return int(sram.number * BYTES_PER_KIB) - (1 if sram.is_bound else 0)

    @property
    def flash_bytes(self) -> int | None:
        flash = self.printed.flash.value
        return None if flash is None else int(flash * BYTES_PER_KIB)

    @property
    def flash_limit_bytes(self) -> int | None:
        limit = self.notes.flash_limit_kB
        return None if limit is None else limit * BYTES_PER_KIB


@cache
def rows() -> Mapping[str, UnreleasedRow]:
    """Every such row by the name that `--row` takes, in the order of the tables."""
    text = files("mcusim.designing.witnesses").joinpath("rows.toml").read_text(encoding="utf-8")
    notes = msgspec.convert(tomllib.loads(text), dict[str, _Notes])
    printed = _printed()
    return MappingProxyType({name: UnreleasedRow(printed[named.witness], named) for name, named in notes.items()})


def _printed() -> dict[str, _Figures]:
    """The figures of every published row that has a witness, by the witness' name."""
    figures = {}
    for row in table4().rows:
        figures[row.witness] = _Figures(
            source=table4().source, profile=row.board, macs=row.macs, sram=row.sram, flash=row.flash
        )
    for point in vww().points:
        figures[point.witness] = _Figures(source=point.source, profile=point.board, sram=point.sram)
    for detector in voc().rows:
        figures[detector.witness] = _Figures(
            source=voc().source,
            profile=detector.board,
            macs=detector.macs,
            sram=detector.sram,
            params=detector.params,
        )
    return figures


def find_row(name: str) -> UnreleasedRow:
    """The row called `name`. Raises InputError if there is none."""
    row = rows().get(name.strip().lower())
    if row is None:
        near = did_you_mean(name, rows(), listed_by="mcusim search-net --rows")
        fix = near if near.startswith("did") else f"use one of {', '.join(rows())}"
        raise InputError(f"there is no row '{name}' without a released network", where="--row", fix=fix)
    return row

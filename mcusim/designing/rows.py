"""Published rows whose networks were never released, and what they ask of a witness."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

import msgspec

from mcusim.designing.space import Task
from mcusim.errors import InputError, did_you_mean
from mcusim.units import BYTES_PER_KIB

__all__ = ["Row", "find_row", "rows"]


class Row(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={
        "macs_text": "macs_M",
        "sram_text": "sram_kB",
        "sram_below_text": "sram_below_kB",
        "flash_text": "flash_kB",
        "params_text": "params_M",
        "flash_limit_text": "flash_limit_kB",
    },
):
    """A row, digit by digit; "" where it prints no such figure.

    witness: the zoo's network that stands for it.   patched: whether it ran patch by patch.
    misses_flash: why no network of the row keeps the flash of its board, or "".
    flash_limit_text: what it keeps then.   most_overhead: what patches may compute again, where that is not the usual.
    """

    title: str
    source: str
    witness: str
    profile: str
    task: Task
    patched: bool
    macs_text: str = ""
    sram_text: str = ""
    sram_below_text: str = ""
    flash_text: str = ""
    params_text: str = ""
    flash_limit_text: str = ""
    misses_flash: str = ""
    most_overhead: float | None = None

    @property
    def macs(self) -> float | None:
        return float(self.macs_text) * 1e6 if self.macs_text else None

    @property
    def params(self) -> float | None:
        return float(self.params_text) * 1e6 if self.params_text else None

    @property
    def sram_bytes(self) -> int | None:
        """What it prints; where it prints only a bound, the last byte below that."""
        if self.sram_below_text:
            return int(self.sram_below_text) * BYTES_PER_KIB - 1
        return int(self.sram_text) * BYTES_PER_KIB if self.sram_text else None

    @property
    def flash_bytes(self) -> int | None:
        return int(self.flash_text) * BYTES_PER_KIB if self.flash_text else None

    @property
    def flash_limit_bytes(self) -> int | None:
        return int(self.flash_limit_text) * BYTES_PER_KIB if self.flash_limit_text else None


@cache
def rows() -> Mapping[str, Row]:
    """Every such row by the name that `--row` takes, in the order of the tables."""
    text = files("mcusim.designing").joinpath("rows.toml").read_text(encoding="utf-8")
    return MappingProxyType(msgspec.convert(tomllib.loads(text), dict[str, Row]))


def find_row(name: str) -> Row:
    """The row called `name`. Raises InputError if there is none."""
    found = rows().get(name.strip().lower())
    if found is None:
        near = did_you_mean(name, rows(), listed_by="mcusim search-net --rows")
        fix = near if near.startswith("did") else f"use one of {', '.join(rows())}"
        raise InputError(f"there is no row '{name}' without a released network", where="--row", fix=fix)
    return found

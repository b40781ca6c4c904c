"""Published tables as data: what a source prints, digit by digit, and which network of the zoo a row is about.

Each is one TOML file in `data/`. Nothing is computed here; `published/tables/` sets mcusim's own figures beside them.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from mcusim.published.printed import NOTHING, Printed, Unit
from mcusim.published.rows import (
    Claim,
    Library,
    LibraryComparison,
    LibraryRow,
    McunetV2,
    Precision,
    Table1Row,
    Table4,
    Table4Row,
    Table5Row,
    Voc,
    VocRow,
    Vww,
    VwwPoint,
    WiderFaceRow,
    Zoo2020,
    Zoo2020Row,
)

__all__ = [
    "NOTHING",
    "Claim",
    "Library",
    "LibraryComparison",
    "LibraryRow",
    "McunetV2",
    "Precision",
    "Printed",
    "Table1Row",
    "Table4",
    "Table4Row",
    "Table5Row",
    "Unit",
    "Voc",
    "VocRow",
    "Vww",
    "VwwPoint",
    "WiderFaceRow",
    "Zoo2020",
    "Zoo2020Row",
    "h743_libraries",
    "mcunetv2",
    "parse",
    "table4",
    "voc",
    "vww",
    "zoo_2020",
]

_Kind = TypeVar("_Kind", Table4, Vww, Voc, McunetV2, LibraryComparison, Zoo2020)


@cache
def table4() -> Table4:
    """ImageNet on STM32F412 and STM32H743: Table 4 of the MCUNet overview."""
    return _read("table4", Table4)


@cache
def vww() -> Vww:
    """Visual Wake Words: accuracy, SRAM and latency, as far as the figures could be read."""
    return _read("vww", Vww)


@cache
def voc() -> Voc:
    """Pascal VOC: the detectors of MCUNetV2."""
    return _read("voc", Voc)


@cache
def mcunetv2() -> McunetV2:
    """Tables 1, 4, 5 and the claims of MCUNetV2."""
    return _read("mcunetv2", McunetV2)


@cache
def h743_libraries() -> LibraryComparison:
    """Four libraries by eleven networks on STM32H743: README of tinyengine."""
    return _read("h743_libraries", LibraryComparison)


@cache
def zoo_2020() -> Zoo2020:
    """The model zoo of 2020: TinyEngine beside TensorFlow Lite Micro."""
    return _read("zoo_2020", Zoo2020)


def parse(text: str, kind: type[_Kind]) -> _Kind:
    """A table from TOML text. Raises msgspec.ValidationError, which names the field."""
    return msgspec.convert(tomllib.loads(text), kind, dec_hook=_decode)


def _read(name: str, kind: type[_Kind]) -> _Kind:
    return parse(files(__name__).joinpath("data", f"{name}.toml").read_text(encoding="utf-8"), kind)


def _decode(kind: type, value: Any) -> Any:
    if kind is not Printed:
        raise NotImplementedError(kind)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has lost its printed digits: write it in quotes")
    return Printed(value)

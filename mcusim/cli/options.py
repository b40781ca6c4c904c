"""Option values that people write with units -> bytes, hertz, milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mcusim.errors import InputError
from mcusim.units import parse_bytes, parse_hz

if TYPE_CHECKING:
    from mcusim.render.layers import LayerChoice

__all__ = ["bytes_option", "hz_option", "layers_option", "ms_option"]


def layers_option(text: str) -> LayerChoice:
    """Which layers a report shows. Raises InputError."""
    from mcusim.render.layers import LayerChoice

    try:
        return LayerChoice(text.strip().lower())
    except ValueError:
        fix = f"use {', '.join(LayerChoice)}"
        raise InputError(f"there is no '{text}' to show", where="--layers", fix=fix) from None


def bytes_option(text: str | None, option: str) -> int | None:
    """Bytes of `256k`, `1M` or `262144`; None if it was not given. Raises InputError."""
    return _amount(text, option, parse_bytes, "a size", "256k, 1M or 262144")


def hz_option(text: str | None, option: str) -> int | None:
    """Hertz of `480MHz`; None if it was not given. Raises InputError."""
    return _amount(text, option, parse_hz, "a clock", "480MHz, 64M or 32000000")


def ms_option(text: str | None, option: str) -> float | None:
    """Milliseconds of `50`, `50ms` or `1.5s`; None if it was not given. Raises InputError."""
    if text is None:
        return None
    lower = text.strip().lower()
    number, factor = (lower[:-2], 1.0) if lower.endswith("ms") else (lower, 1.0)
    if factor == 1.0 and lower.endswith("s") and not lower.endswith("ms"):
        number, factor = lower[:-1], 1000.0
    try:
        ms = float(number) * factor
    except ValueError:
        ms = math.nan
    if not 0 < ms < math.inf:
        raise InputError(f"'{text}' is not a time", where=option, fix="write milliseconds, as in 50 or 1.5s")
    return ms


def _amount(text: str | None, option: str, parse: Callable[[str], int], what: str, examples: str) -> int | None:
    if text is None:
        return None
    try:
        return parse(text)
    except (ValueError, OverflowError):
        fix = f"write {examples}"
        raise InputError(f"'{text}' is not {what} above zero", where=option, fix=fix) from None

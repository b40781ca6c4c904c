"""SignalFilterBankSquareRoot: whole roots, rounded to the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    bits = int(inputs[1].reshape(())) & 31
    for place, value in enumerate(inputs[0].tolist()):
        outputs[0][place] = _root(value) >> bits


def _root(value: int) -> int:
    """Rounded up where the rest is above the root, unless it fills its bits: 16 of a number below 2**32, else 32."""
    root = isqrt(value)
    largest = 0xFFFF if value < 1 << 32 else 0xFFFFFFFF
    return root + (value - root * root > root and root != largest)

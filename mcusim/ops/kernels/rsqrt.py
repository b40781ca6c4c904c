"""RSQRT: a table, of numbers that are not negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.ops.kernels import unary
from mcusim.ops.registry import Piece
from mcusim.ops.rsqrt import PreparedRsqrt

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: PreparedRsqrt, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    lowest, source = prepared.lowest, inputs[0]
    if lowest is not None and source.size and source.min() < lowest:
        what = f"it takes the root of a negative number: {source.min()} is stored, and 0 is {lowest}"
        raise InputError(what, where=prepared.where, fix="TFLM stops there too: give other inputs")
    unary.run(prepared.results, inputs, outputs, piece)

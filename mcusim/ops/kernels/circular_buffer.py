"""CIRCULAR_BUFFER: rows move up by one, and the new one comes last."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: None, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs[0]: one row.   outputs[0]: the variable, with the rows of the calls before, the oldest first."""
    rows = outputs[0]
    rows[:, :-1] = rows[:, 1:].copy()
    rows[:, -1:] = inputs[0]

"""EMBEDDING_LOOKUP: rows of a table, as they are or as real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcusim.errors import InputError
from mcusim.ops.embedding_lookup import Rows
from mcusim.ops.kernels.sections import Array
from mcusim.ops.registry import Piece

__all__ = ["run"]


def run(prepared: Rows, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs: positions, table, whole."""
    positions, table = inputs[:2]
    if positions.size and not 0 <= positions.min() <= positions.max() < prepared.size:
        what = f"position {positions.min()} or {positions.max()} is outside a table of {prepared.size} rows"
        raise InputError(what, where=prepared.where, fix="give the network inputs that ask for rows that are there")
    rows = table[positions]
    outputs[0][...] = rows.astype(np.float64) * prepared.scale if prepared.scale else rows

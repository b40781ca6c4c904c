"""CAST: elements converted to another type."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.graph import Attributes, DType
from mcusim.ops.elementwise import unary
from mcusim.ops.registry import Movement, register

__all__ = ["CAST", "CastAttributes"]


@dataclass(frozen=True, slots=True)
class CastAttributes(Attributes):
    """Attributes of CAST, under TFLite's names. Files often leave them out: the tensors' types count."""

    in_data_type: DType = DType.FLOAT32
    out_data_type: DType = DType.FLOAT32


CAST = register(
    unary(
        "CAST",
        "elements converted to another type",
        attributes=CastAttributes,
        options="CastOptions",
        movement=Movement.MOVES,
    )
)

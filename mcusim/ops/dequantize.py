"""DEQUANTIZE: integers to the real numbers that they stand for."""

from dataclasses import replace

from mcusim.ops.converting import prepare_dequantize
from mcusim.ops.elementwise import unary
from mcusim.ops.registry import Movement, register

__all__ = ["DEQUANTIZE"]

DEQUANTIZE = register(
    replace(
        unary(
            "DEQUANTIZE",
            "integers to the real numbers that they stand for",
            options="DequantizeOptions",
            movement=Movement.MOVES,
        ),
        is_border_conversion=True,
        packs=True,
        prepare=prepare_dequantize,
        kernel="converting",
    )
)

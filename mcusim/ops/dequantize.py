"""DEQUANTIZE: integers to the real numbers that they stand for."""

from dataclasses import replace

from mcusim.ops.registry import Movement, register
from mcusim.ops.shared.converting import prepare_dequantize
from mcusim.ops.shared.elementwise import unary

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

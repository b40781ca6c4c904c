"""QUANTIZE: real numbers to integers, or integers to another scale and width."""

from dataclasses import replace

from mcusim.ops.registry import Movement, register
from mcusim.ops.shared.converting import prepare_quantize
from mcusim.ops.shared.elementwise import unary

__all__ = ["QUANTIZE"]

QUANTIZE = register(
    replace(
        unary(
            "QUANTIZE",
            "real numbers to integers, or integers to another scale and width",
            options="QuantizeOptions",
            movement=Movement.MOVES,
        ),
        is_border_conversion=True,
        packs=True,
        prepare=prepare_quantize,
        kernel="converting",
    )
)

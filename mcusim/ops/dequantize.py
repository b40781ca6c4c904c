"""DEQUANTIZE: integers to the real numbers that they stand for."""

from dataclasses import replace

from mcusim.graph import DType
from mcusim.ops.registry import Drawing, Movement, register
from mcusim.ops.shared.converting import prepare_dequantize
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.float_forms import unchanged
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import by_type

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
        version=by_type({DType.INT8: 2, DType.INT16: 3, DType.FLOAT16: 3, DType.INT4: 6}),
        drawing=Drawing(spread=same),
        in_float=unchanged,
    )
)

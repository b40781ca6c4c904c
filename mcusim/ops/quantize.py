"""QUANTIZE: real numbers to integers, or integers to another scale and width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mcusim.graph import DType, Node, Tensor
from mcusim.ops.registry import Drawing, Movement, register
from mcusim.ops.shared.converting import prepare_quantize
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.float_forms import unchanged
from mcusim.ops.shared.spreads import same

__all__ = ["QUANTIZE"]


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    quantization = tensors[node.outputs[0]].quantization
    if quantization is not None and quantization.is_per_channel:
        return 3
    return 2 if node.signature.output.dtype is DType.INT16 else 1


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
        version=_version,
        drawing=Drawing(spread=same),
        in_float=unchanged,
    )
)

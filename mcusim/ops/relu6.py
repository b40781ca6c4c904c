"""RELU6: min(max(x, 0), 6)."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, dtype_range, quantize_value
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Drawing, Numerics, register
from mcusim.ops.shared.accumulators import per_tensor_to_divide_by
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary, rescaled
from mcusim.ops.shared.spreads import clamped
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["RELU6"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """TFLM clamps stored values: its output has the input's scale. LiteRT brings them to the output's, as in RELU.

    Source: TFLM activations_common.cc, Relu6Prepare; TFLite activations.cc, QuantizedReluX.
    """
    if call.numerics is Numerics.LITERT:
        return rescaled(call, values, Activation.RELU6)
    source = call.input(0)
    scale, zero_point = per_tensor_to_divide_by(call, source)
    highest = min(quantize_value(6.0, scale, zero_point, call.where), dtype_range(source.dtype)[1])
    return clamped_table(values, source.dtype, zero_point, highest)


def _prepare(call: Call) -> PreparedUnary:
    return prepare_unary(call, _results, (DType.INT8, DType.INT16, DType.UINT8), FloatFunction.RELU6)


RELU6 = register(
    replace(
        unary("RELU6", "x clamped to [0, 6]"),
        prepare=_prepare,
        kernel="unary",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=clamped(Activation.RELU6)),
    )
)

"""RELU: max(x, 0)."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers, activation_range, rescale, scaling
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.accumulators import per_tensor, per_tensor_to_divide_by, rounding_of
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, clamped_table, prepare_unary
from mcusim.ops.shared.spreads import clamped
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["RELU"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Source: TFLM activations_common.cc, CalculateReluOpData and ReluQuantized."""
    source, output = call.input(0), call.outputs[0]
    scale, zero_point = per_tensor(call, source)
    out_scale, out_zero_point = per_tensor_to_divide_by(call, output)
    scaled = rescale(values - zero_point, scaling(scale / out_scale, rounding_of(call)))
    limits = activation_range(Activation.RELU, output.quantization, output.dtype, call.where)
    return clamped_table(scaled + out_zero_point, output.dtype, *limits)


def _prepare(call: Call) -> PreparedUnary:
    return prepare_unary(call, _results, (DType.INT8, DType.INT16, DType.UINT8), FloatFunction.RELU)


RELU = register(
    replace(
        unary("RELU", "max(x, 0)"),
        prepare=_prepare,
        kernel="unary",
        version=by_type(INT8_AND_INT16),
        drawing=Drawing(spread=clamped(Activation.RELU)),
    )
)

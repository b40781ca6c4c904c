"""RELU: max(x, 0)."""

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from mcusim.arithmetic.quant import Integers
from mcusim.graph import Activation, DType
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.elementwise import unary
from mcusim.ops.shared.lookups import FloatFunction, PreparedUnary, prepare_unary, rescaled
from mcusim.ops.shared.spreads import clamped
from mcusim.ops.shared.versions import INT8_AND_INT16, by_type

__all__ = ["RELU"]


def _results(call: Call, values: Integers) -> NDArray[Any]:
    """Source: TFLM activations_common.cc, CalculateReluOpData and ReluQuantized."""
    return rescaled(call, values, Activation.RELU)


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

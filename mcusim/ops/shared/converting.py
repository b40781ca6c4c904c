"""Shared by the operators between real numbers and integers, and between integers of different scales.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from mcusim.arithmetic.quant import Rounding, Scaling, coarse_scaling, dtype_range, scaling
from mcusim.errors import ModelError
from mcusim.graph import DType, Quantization, Tensor
from mcusim.ops.registry import Call, Numerics
from mcusim.ops.shared.accumulators import per_tensor_to_divide_by, quantization_of
from mcusim.ops.shared.delegation import is_delegated, ratio

__all__ = ["FromReal", "Rescale", "ToReal", "prepare_dequantize", "prepare_quantize"]

_STORED = frozenset({DType.INT8, DType.UINT8, DType.INT16})
_RESCALED = {
    DType.INT8: frozenset({DType.INT8, DType.UINT8, DType.INT16, DType.INT32}),
    DType.UINT8: frozenset({DType.INT8, DType.UINT8}),
    DType.INT16: frozenset({DType.INT8, DType.INT16, DType.INT32}),
    DType.INT32: frozenset({DType.INT8, DType.INT16}),
}
"""Integer conversions: TFLM's, and uint8 to uint8, which older networks have."""


class FromReal(NamedTuple):
    """Real numbers to integers.   scale: float32.   lowest, highest: of the stored type.

    inverse: the float32 that LiteRT multiplies by, halves to even, instead of dividing by the scale; or None.
    """

    scale: float
    zero_point: int
    lowest: int
    highest: int
    inverse: float | None = None


class ToReal(NamedTuple):
    """Integers to real numbers."""

    scale: float
    zero_point: int


class Rescale(NamedTuple):
    """Integers to integers of another scale and width."""

    by: Scaling
    input_zero_point: int
    zero_point: int
    lowest: int
    highest: int


def prepare_quantize(call: Call) -> FromReal | Rescale:
    """Source: TFLM quantize_common.cc."""
    source, output = call.input(0), call.outputs[0]
    new = _per_tensor(call, output)
    lowest, highest = dtype_range(output.dtype) if output.dtype.is_integer else (0, 0)
    if source.dtype is DType.FLOAT32 and output.dtype.unpacked in _STORED:
        is_litert = call.numerics is Numerics.LITERT
        inverse = ratio(1.0, per_tensor_to_divide_by(call, output)[0]) if is_litert else None
        return FromReal(new.scales[0], new.zero_points[0], lowest, highest, inverse)
    if output.dtype.unpacked not in _RESCALED.get(source.dtype.unpacked, ()):
        raise _unsupported(call)
    old = _per_tensor(call, source)
    by = scaling(old.scales[0] / per_tensor_to_divide_by(call, output)[0], _rounding(call))
    if is_delegated(call):
        by = coarse_scaling(ratio(old.scales[0], new.scales[0]))
    return Rescale(by, old.zero_points[0], new.zero_points[0], lowest, highest)


def _rounding(call: Call) -> Rounding:
    """Between bytes that differ in sign LiteRT has halves upwards, but for fewer than 16 elements at the end."""
    kinds = {call.input(0).dtype.unpacked, call.outputs[0].dtype.unpacked}
    is_litert = call.numerics is Numerics.LITERT
    return Rounding.UPWARDS if is_litert and kinds == {DType.INT8, DType.UINT8} else Rounding.DOUBLE


def prepare_dequantize(call: Call) -> ToReal:
    """Source: TFLM dequantize_common.cc."""
    source = call.input(0)
    if source.dtype.unpacked not in _STORED or call.outputs[0].dtype is not DType.FLOAT32:
        raise _unsupported(call)
    old = _per_tensor(call, source)
    return ToReal(old.scales[0], old.zero_points[0])


def _per_tensor(call: Call, tensor: Tensor) -> Quantization:
    quantization = quantization_of(call, tensor)
    if quantization.is_per_channel:
        what = f"tensor '{tensor.name}' has a scale for each channel, and it needs one"
        raise ModelError(what, where=call.where, fix="quantise activations per tensor")
    return quantization


def _unsupported(call: Call) -> ModelError:
    what = f"{call.input(0).dtype} to {call.outputs[0].dtype} is no conversion that TFLM makes"
    return ModelError(what, where=call.where, fix="quantise the network to int8")

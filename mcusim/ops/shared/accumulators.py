"""Shared by the operators that sum products: weights and biases as integers, proven bounds, how sums become outputs.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcusim.arithmetic.packing import bytes_from
from mcusim.arithmetic.quant import INT32_MAX, Integers, Rounding, Scaling, activation_range, dtype_range, scaling
from mcusim.errors import ModelError
from mcusim.graph import Activation, DType, Quantization, Tensor
from mcusim.ops.registry import Call, Numerics
from mcusim.ops.shared.delegation import is_delegated, ratio

__all__ = [
    "Accumulator",
    "OutputStage",
    "bias_of",
    "check_dtypes",
    "constant_of",
    "exact_float",
    "greatest_scale",
    "output_stage",
    "per_tensor",
    "per_tensor_to_divide_by",
    "prepare_accumulator",
    "product_scale",
    "quantization_of",
    "quotient_scale",
    "rounding_of",
    "unsupported",
]

_QUANTISE = "quantise the network to int8"
_REQUANTISE = "quantise the network again: there is no integer arithmetic for these numbers"


@dataclass(frozen=True, slots=True, eq=False)
class OutputStage:
    """How a sum of products becomes a stored integer: times a factor, plus the zero point, clamped."""

    scaling: Scaling
    zero_point: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """The integers of an operator that sums products of inputs and weights, for each output channel.

    weights: as stored, less their zero point; int8, or int16 where that does not fit.
    bias: int64, (channels,).   input_zero_point: subtracted from inputs; padding counts as it.
    bound: no sum of products, in whatever order, nor the bias added to it, is beyond it: proven, per channel.
    wraps: some bound is beyond int32, in which the network's runtime sums. Real networks have such channels: dead ones
        with a bias near 2**31. Their sums wrap, as they do in registers.
    """

    weights: NDArray[Any]
    bias: Integers
    input_zero_point: int
    bound: Integers
    wraps: bool
    stage: OutputStage


def unsupported(call: Call, what: str) -> ModelError:
    """The refusal of a node whose element types mcusim has no arithmetic for."""
    return ModelError(f"{call.signature.op} of {what} is not supported", where=call.where, fix=_QUANTISE)


def check_dtypes(call: Call, *combinations: tuple[DType, ...]) -> tuple[DType, ...]:
    """The element types of inputs 0.. and, last, of the output. Raises ModelError unless they are one of these.

    int4 and int2 count as int8, which holds them: an operator computes on them as on int8 (assumption A36).
    """
    count = len(combinations[0]) - 1
    stored = (*(call.input(index).dtype for index in range(count)), call.outputs[0].dtype)
    dtypes = tuple(dtype.unpacked for dtype in stored)
    if dtypes not in combinations:
        raise unsupported(call, f"{', '.join(stored[:-1])} to {stored[-1]}")
    return dtypes


NO_SCALE = Quantization((0.0,), (0,))
"""What TFLM makes of a tensor without quantisation, if its kernel does not ask for one (TfLiteQuantizationParams)."""


def quantization_of(call: Call, tensor: Tensor) -> Quantization:
    """Its quantisation. Raises ModelError where it has none, and TFLM would not compute with scale 0 either."""
    if tensor.quantization is None:
        if call.is_stored and call.numerics is Numerics.TFLM:
            return NO_SCALE
        raise ModelError(f"tensor {tensor.without_scale}", where=call.where, fix=_QUANTISE)
    return tensor.quantization


def per_tensor(call: Call, tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of a tensor that has one of each; as TFLite, the first of several."""
    quantization = quantization_of(call, tensor)
    return quantization.scales[0], quantization.zero_points[0]


def per_tensor_to_divide_by(call: Call, tensor: Tensor) -> tuple[float, int]:
    """As `per_tensor`. Raises ModelError for none, and for one of 0, as converters store for constants all zeros."""
    scale, zero_point = per_tensor(call, tensor)
    if not scale:
        zero = f"'{tensor.name[:60]}' has the scale 0" if tensor.quantization is not None else tensor.without_scale
        what = f"{zero}, and {call.signature.op} divides by it"
        raise ModelError(what, where=call.where, fix="quantise the network again")
    return scale, zero_point


def greatest_scale(call: Call, tensors: Sequence[Tensor]) -> float:
    """The greatest of their scales, which a kernel divides by. Raises ModelError where all of them are 0 or none."""
    greatest = max(tensors, key=lambda tensor: per_tensor(call, tensor)[0])
    return per_tensor_to_divide_by(call, greatest)[0]


def constant_of(call: Call, index: int) -> NDArray[Any]:
    """The elements of a constant input. Raises ModelError where they are not known."""
    tensor = call.input(index)
    if tensor.constant is None:
        what = "is an architecture without weights" if tensor.is_constant else "is computed at run time"
        raise ModelError(f"input {index} ('{tensor.name}') {what}", where=call.where, fix="give it constant elements")
    return tensor.constant


def rounding_of(call: Call, *, is_layer: bool = False, is_product: bool = False) -> Rounding:
    """How this execution rounds int32 sums.

    is_layer: whether products of weights are summed.   is_product: and as the product of a matrix, which ruy computes
    for LiteRT; the other kernels that LiteRT has itself round as TFLM's.
    """
    if is_delegated(call):
        return Rounding.NEAREST
    if is_layer and call.numerics is Numerics.TINYENGINE_FLOAT and call.outputs[0].dtype.unpacked is DType.INT8:
        return Rounding.FLOAT
    return Rounding.UPWARDS if is_product and call.numerics is Numerics.LITERT else Rounding.DOUBLE


def quotient_scale(call: Call, source: Tensor) -> float:
    """The scale of an input by the output's: in double, as TFLM has it; LiteRT rounds it to float32."""
    scale, out_scale = per_tensor(call, source)[0], per_tensor_to_divide_by(call, call.outputs[0])[0]
    return ratio(scale, out_scale) if call.numerics is Numerics.LITERT else scale / out_scale


def product_scale(call: Call, a: Tensor, b: Tensor) -> float:
    """scale_a * scale_b / scale_out.

    TFLM has it in double since 2026, and in float32 before. LiteRT rounds the product to float32, XNNPACK both.
    """
    rounds = call.numerics is Numerics.LITERT
    return float(_product_scales(call, a, (per_tensor(call, b)[0],), rounds_product=rounds)[0])


def _product_scales(call: Call, a: Tensor, scales: Sequence[float], *, rounds_product: bool) -> NDArray[np.float64]:
    """The scale of `a` times others, by the output's.   rounds_product: to float32, where XNNPACK does not run it."""
    input_scale, output_scale = per_tensor(call, a)[0], per_tensor_to_divide_by(call, call.outputs[0])[0]
    products = input_scale * np.array(scales, np.float64)  # exact
    if is_delegated(call):
        with np.errstate(over="ignore"):
            return (products.astype(np.float32) / np.float32(output_scale)).astype(np.float64)
    if rounds_product:
        products = products.astype(np.float32).astype(np.float64)
    return products / output_scale


def output_stage(call: Call, reals: ArrayLike, rounding: Rounding, activation: Activation) -> OutputStage:
    """The stage that multiplies by these factors and clamps to the output's type and activation."""
    output = call.outputs[0]
    to_even = rounding is Rounding.NEAREST
    limits = activation_range(activation, output.quantization, output.dtype, call.where, halves_to_even=to_even)
    return OutputStage(scaling(reals, rounding), per_tensor(call, output)[1], *limits)


def largest_offset(dtype: DType, zero_point: int) -> int:
    """Largest |x - zero_point| of an element type."""
    lowest, highest = dtype_range(dtype)
    return max(highest - zero_point, zero_point - lowest)


def exact_float(accumulator: Accumulator) -> type[np.floating[Any]]:
    """The float type whose sums of products are exact: all partial sums are integers below 2**24, or 2**53.

    Then the order of summation and fused multiply-adds do not matter, and BLAS is an exact integer product.
    """
    products = accumulator.bound - np.abs(accumulator.bias)
    return np.float32 if int(products.max(initial=0)) < 1 << 24 else np.float64


def bias_of(call: Call, index: int, channels: int, read_as: DType) -> Integers:
    """The bias in int64; zeros where there is none.

    read_as: the type for which TFLM takes its bytes, whatever the tensor's type is.
    """
    if not call.signature.has(index):
        return np.zeros(channels, np.int64)
    tensor, elements = call.input(index), constant_of(call, index).reshape(-1)
    if elements.size != channels:
        what = f"the bias has {elements.size} elements for {channels} channels"
        raise ModelError(what, where=call.where, fix=_REQUANTISE)
    if tensor.dtype is not read_as:
        elements = _reinterpreted(call, tensor, elements, read_as)
    return elements.astype(np.int64)


def _reinterpreted(call: Call, tensor: Tensor, elements: NDArray[Any], read_as: DType) -> NDArray[Any]:
    """Elements of `read_as` in the bytes of a constant and, where they are wider, in what its file holds behind it."""
    size_bytes = elements.size * read_as.bits // 8
    stored = bytes_from(elements, size_bytes)
    if stored is None:
        what = f"TFLM reads a bias of {tensor.dtype} as {read_as}: {size_bytes} bytes, and it has {elements.nbytes}"
        raise ModelError(what, where=call.where, fix=f"store the bias as {read_as}")
    return np.frombuffer(stored, np.dtype(read_as.value).newbyteorder("<"), elements.size)


def _factors(call: Call, source: Tensor, weights: Tensor, channels: int, has_one: bool) -> ArrayLike:
    """scale_in * scale_weights / scale_out for each channel, in double; in float32 where XNNPACK runs the layer.

    has_one: the kernel has one factor for all channels, of which desktop TFLite, which alone runs uint8, rounds the
    product to float32.
    Source: TFLite PopulateConvolutionQuantizationParams; GetQuantizedConvolutionMultipler.
    """
    quantization = quantization_of(call, weights)
    if quantization.is_per_channel and len(quantization.scales) != channels:
        what = f"the weights have {len(quantization.scales)} scales for {channels} channels"
        raise ModelError(what, where=call.where, fix=_REQUANTISE)
    is_single = source.dtype is DType.UINT8 or (has_one and call.numerics is Numerics.LITERT)
    reals = _product_scales(call, source, quantization.scales, rounds_product=is_single)
    return np.broadcast_to(reals, (channels,))


def prepare_accumulator(
    call: Call,
    *,
    activation: Activation,
    channel_axis: int,
    indices: tuple[int, int, int] = (0, 1, 2),
    has_narrow_bias: bool = False,
    uses_zero_point: bool = False,
    widened_biases: tuple[DType, ...] = (),
    is_product: bool = True,
) -> Accumulator:
    """The integers of a node with constant weights, and the bounds of its sums.

    channel_axis: of the weights, along which output channels lie.   indices: of input, weights and bias.
    has_narrow_bias: int16 inputs may have an int32 bias; then sums are 32 bits wide, else 64. LiteRT's are so without
        a bias too, and it does not cut the multiplier of wide ones.
    widened_biases: types of a bias that the kernel knows besides; of any other it takes the bytes as they are.
    uses_zero_point: the kernel has one scale and zero point for all weights; else int8 ones count as symmetric.
    is_product: whether it is computed as the product of a matrix; see `rounding_of`.
    Raises ModelError where types, scales and shapes do not go together.
    """
    source, weights = call.input(indices[0]), call.input(indices[1])
    stored = constant_of(call, indices[1])
    channels = stored.shape[channel_axis]
    stored_bias = call.input(indices[2]).dtype if call.signature.has(indices[2]) else None
    is_litert = call.numerics is Numerics.LITERT
    narrow_biases = (DType.INT32, None) if is_litert else (DType.INT32,)
    wide = source.dtype is DType.INT16 and not (has_narrow_bias and stored_bias in narrow_biases)
    read_as = (DType.INT64 if wide else DType.INT32) if stored_bias not in widened_biases else stored_bias
    bias = bias_of(call, indices[2], channels, read_as)
    zero_point = per_tensor(call, weights)[1] if uses_zero_point or weights.dtype is DType.UINT8 else 0
    shifted = stored.astype(np.int16) - np.int16(zero_point)
    if np.abs(shifted).max(initial=0) < 128:
        shifted = shifted.astype(np.int8)
    input_zero_point = per_tensor(call, source)[1] if source.dtype is not DType.INT16 else 0
    others = tuple(axis for axis in range(stored.ndim) if axis != channel_axis)
    weight_sums = np.abs(shifted.astype(np.int64)).sum(axis=others)
    bound = weight_sums * largest_offset(source.dtype, input_zero_point) + np.abs(bias)
    wraps = not wide and int(bound.max(initial=0)) > INT32_MAX
    reals = _factors(call, source, weights, channels, uses_zero_point)
    of_wide = Rounding.SINGLE if is_litert and has_narrow_bias else Rounding.REDUCED
    rounding = of_wide if wide else rounding_of(call, is_layer=True, is_product=is_product)
    stage = output_stage(call, reals, rounding, activation)
    return Accumulator(shifted, bias, input_zero_point, bound, wraps, stage)

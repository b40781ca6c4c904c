"""DEPTHWISE_CONV_2D: each channel of an NHWC map convolved with `depth_multiplier` filters of its own; weights 1HWO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import INT32_MAX
from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, OpDef, Weights, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import Accumulator, check_dtypes, prepare_accumulator
from mcusim.ops.shared.float_forms import biased, taps_met
from mcusim.ops.shared.float_sums import FloatSums, are_floats, prepare_float_sums
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import constant_bytes
from mcusim.ops.shared.versions import weighted
from mcusim.ops.shared.windows import (
    SIGNATURES_KEPT,
    WindowAttributes,
    check_feature_map,
    check_widths,
    spatial_shape,
    window_needs,
    window_of,
    with_pads,
)
from mcusim.region import Region, Span, Window

__all__ = ["DEPTHWISE_CONV_2D", "DepthwiseConv2DAttributes", "PreparedDepthwiseConv2D", "depthwise_windows"]


@dataclass(frozen=True, slots=True)
class DepthwiseConv2DAttributes(WindowAttributes):
    """Attributes of DEPTHWISE_CONV_2D, under TFLite's names.

    depth_multiplier: output channels for each input channel; 0, which old files hold, stands for what the shapes say.
    """

    depth_multiplier: int = 1
    dilation_w_factor: int = 1
    dilation_h_factor: int = 1


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, DepthwiseConv2DAttributes)
    op = "DEPTHWISE_CONV_2D"
    feature_map = check_feature_map(op, inputs[0] if inputs else None)
    weights = operand(op, inputs, 1, "weights").shape
    if len(weights) != 4 or weights[0] != 1:
        raise refusal(op, f"weights {weights} are not 1HWO", "give it weights of rank 4 whose first dimension is 1")
    in_c, out_c = feature_map.channels, weights[3]
    multiplier = out_c // in_c if in_c else 0
    if multiplier < 1 or multiplier * in_c != out_c or attributes.depth_multiplier not in (0, multiplier):
        raise refusal(
            op,
            f"{in_c} input channels times multiplier {attributes.depth_multiplier} are not {out_c} output channels",
            "make the weights' last dimension the input's channels times depth_multiplier",
        )
    rows, cols = _windows(attributes, feature_map.shape, weights)
    return (spatial_shape(op, rows, cols, feature_map, out_c),)


def _windows(attributes: DepthwiseConv2DAttributes, feature_map: Shape, weights: Shape) -> tuple[Window, Window]:
    dilation = (attributes.dilation_h_factor, attributes.dilation_w_factor)
    return window_of(attributes, feature_map, (weights[1], weights[2]), dilation)


@lru_cache(SIGNATURES_KEPT)
def depthwise_windows(signature: Signature) -> tuple[Window, Window]:
    """Windows along rows and columns."""
    attributes = attributes_of(signature, DepthwiseConv2DAttributes)
    return _windows(attributes, signature.input(0).shape, signature.input(1).shape)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return window_needs(*depthwise_windows(signature), rows, cols) if index == 0 else None


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    _, kernel_h, kernel_w, out_c = signature.input(1).shape
    row_window, col_window = depthwise_windows(signature)
    feature_map = signature.input(0)
    taps = kernel_h * kernel_w
    places = feature_map.shape[0] * rows * cols
    return Work(
        WorkKind.DEPTHWISE,
        macs=places * out_c * taps,
        outputs=places * out_c,
        inputs=places * row_window.stride * col_window.stride * feature_map.channels,
        read_bytes=places * out_c * taps * feature_map.dtype.bits // 8,
        written_bytes=places * out_c * signature.output.dtype.bits // 8,
        weight_bytes=calls * constant_bytes(signature),
        channels_in=1,
        channels_out=out_c,
        taps=taps,
        stride=row_window.stride,
        width=signature.output.cols,
        calls=calls,
        weight_bits=signature.input(1).dtype.bits,
        input_bits=feature_map.dtype.bits,
        output_bits=signature.output.dtype.bits,
    )


def _overwrites(signature: Signature) -> tuple[int, ...]:
    """Channel by channel, each saved in a working buffer before its output replaces it, as TinyEngine does.

    Element (pixel, channel) of a map lies at pixel * channels + channel. With one output channel for each input
    channel, the outputs of a channel so cover elements of that channel only, whatever the stride. With more of them
    they would cover other channels, which are still to be read.
    """
    source, output = signature.input(0), signature.output
    return (0,) if source.channels == output.channels and output.elements <= source.elements else ()


@dataclass(frozen=True, eq=False)
class PreparedDepthwiseConv2D:
    """What the kernel trusts.   accumulator: weights are 1HWO.   rows, cols: the windows.   in_c: input channels."""

    accumulator: Accumulator
    rows: Window
    cols: Window
    in_c: int

    @cached_property
    def weights(self) -> NDArray[Any]:
        """The weights as (kernel_h, kernel_w, in_c, multiplier) in the type of sums: int32, or int64 where they are."""
        sums = np.int32 if int(self.accumulator.bound.max()) <= INT32_MAX else np.int64
        stored = self.accumulator.weights
        return stored.reshape(*stored.shape[1:3], self.in_c, -1).astype(sums)


def _prepare(call: Call) -> PreparedDepthwiseConv2D | FloatSums:
    """Sums of int16 inputs are 64 bits wide.   Source: TFLM depthwise_conv_common.cc, depthwise_conv.cc."""
    attributes = attributes_of(call.signature, DepthwiseConv2DAttributes)
    if attributes.depth_multiplier == 0:
        what = "its depth_multiplier is 0, by which TFLM divides"
        raise ModelError(what, where=call.where, fix="export the model again: it is output channels by input channels")
    activation, windows = attributes.fused_activation_function, depthwise_windows(call.signature)
    check_widths(call, windows, (call.signature.output.rows, call.signature.output.cols))
    if are_floats(call, 0, 1):
        return prepare_float_sums(call, activation=activation, channel_axis=3, windows=windows)
    check_dtypes(
        call,
        (DType.INT8, DType.INT8, DType.INT8),
        (DType.INT16, DType.INT8, DType.INT16),
        (DType.UINT8, DType.UINT8, DType.UINT8),
    )
    accumulator = prepare_accumulator(call, activation=activation, channel_axis=3, is_product=False)
    return PreparedDepthwiseConv2D(accumulator, *windows, call.signature.input(0).channels)


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    attributes = node.attributes
    is_dilated = max(getattr(attributes, "dilation_w_factor", 1), getattr(attributes, "dilation_h_factor", 1)) > 1
    return max(weighted(node, 3, 7), 2 if is_dilated else 1)


def _in_float(call: Signature, inputs: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    x, weights = np.asarray(inputs[0]), np.asarray(inputs[1])
    output = call.output
    total = np.zeros(output.shape, np.float32)
    for row, col, met in taps_met(x, *depthwise_windows(call), (output.rows, output.cols)):
        total += np.repeat(met, output.shape[3] // x.shape[3], axis=3) * weights[0, row, col]
    return biased(total, inputs)


DEPTHWISE_CONV_2D = register(
    OpDef(
        name="DEPTHWISE_CONV_2D",
        summary="convolution of each channel by itself, any kernel, stride, dilation, padding and multiplier",
        attributes=DepthwiseConv2DAttributes,
        options="DepthwiseConv2DOptions",
        infer=_infer,
        needs=_needs,
        work=_work,
        overwrites=_overwrites,
        parameters=(1, 2),
        late=(1, 2),
        most_inputs=3,
        with_pads=with_pads,
        packs=True,
        prepare=_prepare,
        kernel="depthwise_conv_2d",
        version=_version,
        drawing=Drawing(weights=Weights(source=0, weights=1, bias=2, axis=3, channels=3)),
        in_float=_in_float,
    )
)

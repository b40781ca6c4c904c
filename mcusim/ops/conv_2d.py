"""CONV_2D: convolution of NHWC activations with OHWI weights; grouped where the weights have fewer input channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Node, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, Numerics, OpDef, Weights, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import Accumulator, check_dtypes, exact_float, prepare_accumulator
from mcusim.ops.shared.float_forms import biased, taps_met
from mcusim.ops.shared.float_sums import FloatSums, are_floats, prepare_float_sums
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

__all__ = ["CONV_2D", "Conv2DAttributes", "PreparedConv2D", "conv_windows"]


@dataclass(frozen=True, slots=True)
class Conv2DAttributes(WindowAttributes):
    """Attributes of CONV_2D, under TFLite's names."""

    dilation_w_factor: int = 1
    dilation_h_factor: int = 1


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, Conv2DAttributes)
    feature_map = check_feature_map("CONV_2D", inputs[0])
    weights = inputs[1] if len(inputs) > 1 else None
    if weights is None or len(weights.shape) != 4 or 0 in weights.shape:
        raise ModelError("weights are not OHWI", where="op CONV_2D", fix="give it weights of rank 4")
    out_c, kernel_h, kernel_w, in_c = weights.shape
    if feature_map.channels < in_c or feature_map.channels % in_c or out_c % (feature_map.channels // in_c):
        raise ModelError(
            f"weights {weights.shape} do not go with {feature_map.channels} input channels",
            where="op CONV_2D",
            fix="input channels must be a multiple of the weights' last dimension, and output channels of the groups",
        )
    rows, cols = window_of(
        attributes,
        feature_map.shape,
        (kernel_h, kernel_w),
        (attributes.dilation_h_factor, attributes.dilation_w_factor),
    )
    return (spatial_shape("CONV_2D", rows, cols, feature_map, out_c),)


@lru_cache(SIGNATURES_KEPT)
def conv_windows(signature: Signature) -> tuple[Window, Window]:
    """Windows along rows and columns."""
    attributes = attributes_of(signature, Conv2DAttributes)
    _, kernel_h, kernel_w, _ = signature.input(1).shape
    dilation = (attributes.dilation_h_factor, attributes.dilation_w_factor)
    return window_of(attributes, signature.input(0).shape, (kernel_h, kernel_w), dilation)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return window_needs(*conv_windows(signature), rows, cols) if index == 0 else None


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
    row_window, col_window = conv_windows(signature)
    feature_map = signature.input(0)
    taps = kernel_h * kernel_w
    outputs = feature_map.shape[0] * rows * cols * out_c
    return Work(
        WorkKind.POINTWISE if taps == 1 else WorkKind.CONV,
        macs=outputs * taps * in_c,
        outputs=outputs,
        inputs=outputs // out_c * row_window.stride * col_window.stride * feature_map.channels,
        read_bytes=outputs // out_c * taps * in_c * feature_map.dtype.bits // 8,
        written_bytes=outputs * signature.output.dtype.bits // 8,
        weight_bytes=calls * constant_bytes(signature),
        channels_in=in_c,
        channels_out=out_c,
        taps=taps,
        stride=row_window.stride,
        width=signature.output.cols,
        calls=calls,
        weight_bits=signature.input(1).dtype.bits,
        input_bits=feature_map.dtype.bits,
        output_bits=signature.output.dtype.bits,
    )


@dataclass(frozen=True, eq=False)
class PreparedConv2D:
    """What the kernel trusts.   accumulator: weights are OHWI.   rows, cols: the windows."""

    accumulator: Accumulator
    rows: Window
    cols: Window
    groups: int

    @property
    def taps(self) -> int:
        """Kernel height times width."""
        return self.rows.kernel * self.cols.kernel

    @cached_property
    def matrix(self) -> NDArray[Any]:
        """The weights as (groups, taps * in_c, out_c of a group), in the float type that is exact for them."""
        weights = self.accumulator.weights
        matrix = weights.reshape(self.groups, len(weights) // self.groups, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(matrix, exact_float(self.accumulator))


def _prepare(call: Call) -> PreparedConv2D | FloatSums:
    """Sums of int16 inputs are 64 bits wide unless the bias is not.   Source: TFLM conv_common.cc, conv.cc."""
    attributes = attributes_of(call.signature, Conv2DAttributes)
    activation, windows = attributes.fused_activation_function, conv_windows(call.signature)
    check_widths(call, windows, (call.signature.output.rows, call.signature.output.cols))
    if are_floats(call, 0, 1):
        return prepare_float_sums(call, activation=activation, channel_axis=0, windows=windows)
    check_dtypes(
        call,
        (DType.INT8, DType.INT8, DType.INT8),
        (DType.INT16, DType.INT8, DType.INT16),
        (DType.UINT8, DType.UINT8, DType.UINT8),
    )
    reads_narrow = call.numerics is not Numerics.LITERT  # which reads past the end of an int32 bias
    accumulator = prepare_accumulator(call, activation=activation, channel_axis=0, has_narrow_bias=reads_narrow)
    groups = call.signature.input(0).channels // accumulator.weights.shape[3]
    return PreparedConv2D(accumulator, *windows, groups)


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    is_grouped = node.signature.input(0).channels != node.signature.input(1).channels
    return 6 if is_grouped else weighted(node, 3, 7)


def _in_float(call: Signature, inputs: Sequence[NDArray[Any] | None]) -> NDArray[Any]:
    x, weights = np.asarray(inputs[0]), np.asarray(inputs[1])
    output, depth = call.output, weights.shape[3]
    groups = x.shape[3] // depth
    share = output.shape[3] // groups
    total = np.zeros(output.shape, np.float32)
    for row, col, met in taps_met(x, *conv_windows(call), (output.rows, output.cols)):
        for group in range(groups):
            kept = slice(group * share, (group + 1) * share)
            total[..., kept] += met[..., group * depth : (group + 1) * depth] @ weights[kept, row, col].T
    return biased(total, inputs)


CONV_2D = register(
    OpDef(
        name="CONV_2D",
        summary="convolution, any kernel, stride, dilation and padding; grouped",
        attributes=Conv2DAttributes,
        options="Conv2DOptions",
        infer=_infer,
        needs=_needs,
        work=_work,
        parameters=(1, 2),
        late=(1, 2),
        most_inputs=3,
        with_pads=with_pads,
        packs=True,
        prepare=_prepare,
        kernel="conv_2d",
        version=_version,
        drawing=Drawing(weights=Weights(source=0, weights=1, bias=2, axis=0, channels=0)),
        in_float=_in_float,
    )
)

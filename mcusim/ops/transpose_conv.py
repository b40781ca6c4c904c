"""TRANSPOSE_CONV: each input place spreads a kernel over the output; the gradient of a convolution (weights OHWI).

Inputs: output shape, weights, feature map, bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Activation, Attributes, DType, Node, Padding, Shape, Signature, Tensor, TensorType
from mcusim.ops.registry import Call, Drawing, OpDef, Weights, Work, WorkKind, attributes_of, register
from mcusim.ops.shared.accumulators import Accumulator, exact_float, prepare_accumulator, unsupported
from mcusim.ops.shared.float_sums import FloatSums, are_floats, prepare_float_sums
from mcusim.ops.shared.operands import operand, refusal
from mcusim.ops.shared.tiles import entire, share
from mcusim.ops.shared.versions import weighted
from mcusim.ops.shared.windows import SIGNATURES_KEPT, WindowAttributes, check_widths, window_of
from mcusim.region import Region, Span, Window

__all__ = ["TRANSPOSE_CONV", "PreparedTransposeConv", "scatter_windows"]

MAP = 2
"""Index of the feature map among the inputs."""


def _infer(attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, WindowAttributes)
    op = "TRANSPOSE_CONV"
    weights, source = operand(op, inputs, 1, "weights").shape, operand(op, inputs, MAP, "feature map").shape
    if len(weights) != 4 or len(source) != 4 or weights[3] != source[3]:
        raise refusal(
            op,
            f"weights {weights} and feature map {source} do not go together",
            "give it OHWI weights and an NHWC map with the same input channels",
        )
    if min(attributes.stride_h, attributes.stride_w, weights[1], weights[2]) < 1:
        raise refusal(op, "a stride or kernel size is below 1", "use 1 or more")
    natural = (
        source[0],
        _natural_size(source[1], weights[1], attributes.stride_h, attributes.padding),
        _natural_size(source[2], weights[2], attributes.stride_w, attributes.padding),
        weights[0],
    )
    asked = operand(op, inputs, 0, "output shape").values
    if asked is None:  # computed at run time, or fed as an input of the network: the only sensible one
        return (natural,)
    if len(asked) != 4 or (asked[0], asked[3]) != (natural[0], natural[3]) or min(asked) < 1:
        raise refusal(
            op,
            f"output shape {asked} does not go with feature map {source} and weights {weights}",
            f"its batch must be {natural[0]} and its channels {natural[3]}; usual is {natural}",
        )
    return (asked,)


def _natural_size(size: int, kernel: int, stride: int, padding: Padding) -> int:
    """Source: Keras, deconv_output_length."""
    return size * stride + (max(kernel - stride, 0) if padding is Padding.VALID else 0)


@lru_cache(SIGNATURES_KEPT)
def scatter_windows(signature: Signature) -> tuple[Window, Window]:
    """Windows of the convolution that this is the gradient of: over the output's rows and columns.

    Source: TFLite transpose_conv.cc, which calls ComputePaddingHeightWidth with the output's size.
    """
    _, kernel_h, kernel_w, _ = signature.input(1).shape
    attributes = attributes_of(signature, WindowAttributes)
    return window_of(attributes, signature.output.shape, (kernel_h, kernel_w))


def _sources(window: Window, outputs: Span) -> Span:
    """Input places whose kernels reach these outputs: i * stride - before <= o < i * stride - before + reach."""
    if outputs.stop <= outputs.start:
        return Span(0, 0)
    start = -((window.reach - 1 - window.before - outputs.start) // window.stride)
    return Span(start, (outputs.stop - 1 + window.before) // window.stride + 1)


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    if index == 0 and not signature.input(0).is_constant:  # an output shape that is fed at run time is read whole
        return Region(entire(rows, 1), entire(cols, 1))
    if index != MAP:
        return None
    row_window, col_window = scatter_windows(signature)
    return Region(_sources(row_window, rows), _sources(col_window, cols))


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    """Each input place meets each tap once: an output's part of that is an average, rounded down."""
    out_c, kernel_h, kernel_w, in_c = signature.input(1).shape
    source, output = signature.input(MAP), signature.output
    taps = kernel_h * kernel_w
    macs = share(signature, source.elements * taps * out_c, rows, cols)
    outputs = output.shape[0] * rows * cols * out_c
    return Work(
        WorkKind.CONV,
        macs=macs,
        outputs=outputs,
        inputs=share(signature, source.elements, rows, cols),
        read_bytes=macs // out_c * source.dtype.bits // 8,
        written_bytes=outputs * output.dtype.bits // 8,
        weight_bytes=calls * sum(t.size_bytes for t in (signature.inputs[1], *signature.inputs[3:]) if t is not None),
        channels_in=in_c,
        channels_out=out_c,
        taps=taps,
        stride=attributes_of(signature, WindowAttributes).stride_h,
        calls=calls,
    )


@dataclass(frozen=True, eq=False)
class PreparedTransposeConv:
    """What the kernel trusts.   accumulator: weights are OHWI.   rows, cols: windows over the output."""

    accumulator: Accumulator
    rows: Window
    cols: Window

    @cached_property
    def matrix(self) -> NDArray[Any]:
        """The weights as (kernel_h, kernel_w, in_c, out_c), in the float type that is exact for them."""
        return np.ascontiguousarray(self.accumulator.weights.transpose(1, 2, 3, 0), exact_float(self.accumulator))


def _prepare(call: Call) -> PreparedTransposeConv | FloatSums:
    """Sums of int16 inputs are 64 bits wide; a bias of int16 is widened.   Source: TFLM transpose_conv.cc."""
    attributes, windows = attributes_of(call.signature, WindowAttributes), scatter_windows(call.signature)
    activation = attributes.fused_activation_function
    check_widths(call, windows, (call.signature.input(MAP).rows, call.signature.input(MAP).cols))
    if are_floats(call, MAP, 1):
        places = (MAP, 1, 3)
        return prepare_float_sums(call, activation=activation, channel_axis=0, indices=places, windows=windows)
    dtypes = (call.input(MAP).dtype, call.input(1).dtype, call.outputs[0].dtype)
    if dtypes not in ((DType.INT8,) * 3, (DType.INT16, DType.INT8, DType.INT16)):
        raise unsupported(call, f"{dtypes[0]} with weights of {dtypes[1]} to {dtypes[2]}")
    accumulator = prepare_accumulator(
        call,
        activation=activation,
        channel_axis=0,
        indices=(MAP, 1, 3),
        widened_biases=(DType.INT16,) if dtypes[0] is DType.INT16 else (),
        is_product=False,
    )
    return PreparedTransposeConv(accumulator, *windows)


def _version(node: Node, tensors: Sequence[Tensor]) -> int:
    if getattr(node.attributes, "fused_activation_function", Activation.NONE) is not Activation.NONE:
        return 4
    return 3 if node.signature.has(3) else weighted(node, 2, 2)


TRANSPOSE_CONV = register(
    OpDef(
        name="TRANSPOSE_CONV",
        summary="transposed convolution, any kernel, stride and padding",
        attributes=WindowAttributes,
        options="TransposeConvOptions",
        infer=_infer,
        needs=_needs,
        work=_work,
        parameters=(1, 3),
        late=(1, 3),
        most_inputs=4,
        prepare=_prepare,
        kernel="transpose_conv",
        version=_version,
        drawing=Drawing(weights=Weights(source=2, weights=1, bias=3, axis=0, channels=0)),
    )
)

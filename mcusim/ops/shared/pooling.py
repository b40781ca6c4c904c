"""Shared by the pools: a window that slides over each channel by itself, without weights.

Helpers that describe kin; they register nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from mcusim.arithmetic.quant import activation_range
from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Shape, Signature, TensorType
from mcusim.ops.registry import Call, OpDef, Work, WorkKind, attributes_of
from mcusim.ops.shared.accumulators import check_dtypes, per_tensor
from mcusim.ops.shared.arithmetic import float_limits
from mcusim.ops.shared.windows import (
    SIGNATURES_KEPT,
    WindowAttributes,
    check_feature_map,
    check_widths,
    spatial_shape,
    window_needs,
    window_of,
)
from mcusim.region import Region, Span, Window

__all__ = ["Pool2DAttributes", "PreparedPool", "pool", "pool_windows"]


@dataclass(frozen=True, slots=True)
class Pool2DAttributes(WindowAttributes):
    """Attributes of a pool, under TFLite's names.

    pads (inherited) stays None: a pool leaves its border out, which is not the same as a PAD node's zeros.
    """

    filter_width: int = 0
    filter_height: int = 0


def _infer(op: str, attributes: Attributes, inputs: Sequence[TensorType | None]) -> tuple[Shape, ...]:
    assert isinstance(attributes, Pool2DAttributes)
    feature_map = check_feature_map(op, inputs[0] if inputs else None)
    rows, cols = window_of(attributes, feature_map.shape, (attributes.filter_height, attributes.filter_width))
    return (spatial_shape(op, rows, cols, feature_map, feature_map.channels),)


@lru_cache(SIGNATURES_KEPT)
def pool_windows(signature: Signature) -> tuple[Window, Window]:
    """Windows along rows and columns."""
    attributes = attributes_of(signature, Pool2DAttributes)
    return window_of(attributes, signature.input(0).shape, (attributes.filter_height, attributes.filter_width))


def _needs(signature: Signature, index: int, rows: Span, cols: Span) -> Region | None:
    return window_needs(*pool_windows(signature), rows, cols) if index == 0 else None


def _work(signature: Signature, rows: int, cols: int, calls: int) -> Work:
    row_window, col_window = pool_windows(signature)
    feature_map, output = signature.input(0), signature.output
    taps = row_window.kernel * col_window.kernel
    outputs = output.shape[0] * rows * cols * output.channels
    return Work(
        WorkKind.POOL,
        outputs=outputs,
        inputs=outputs * row_window.stride * col_window.stride,
        read_bytes=outputs * taps * feature_map.dtype.bits // 8,
        written_bytes=outputs * output.dtype.bits // 8,
        channels_in=1,
        channels_out=output.channels,
        taps=taps,
        stride=row_window.stride,
        calls=calls,
        input_bits=feature_map.dtype.bits,
        output_bits=output.dtype.bits,
    )


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPool:
    """What the kernel trusts.   is_average: or else the maximum.   lowest, highest: what outputs are clamped to."""

    is_average: bool
    rows: Window
    cols: Window
    lowest: float
    highest: float


def _prepare(is_average: bool, call: Call) -> PreparedPool:
    """Stored values are pooled as they are, so input and output must have one scale.

    Source: TFLM pooling_common.cc.
    """
    known = (DType.INT8, DType.INT16, DType.UINT8, DType.FLOAT32)
    dtype = check_dtypes(call, *((dtype, dtype) for dtype in known))[0]
    activation = attributes_of(call.signature, Pool2DAttributes).fused_activation_function
    source, output = call.input(0), call.outputs[0]
    limits: tuple[float, float] = float_limits(activation)
    if dtype is not DType.FLOAT32:
        limits = activation_range(activation, output.quantization, output.dtype, call.where)
        (scale, zero_point), (out_scale, out_zero_point) = per_tensor(call, source), per_tensor(call, output)
        if abs(scale - out_scale) > 1e-6 or zero_point != out_zero_point:
            what = f"the output's scale, {out_scale:g}, or zero point, {out_zero_point}, is not the input's"
            raise ModelError(what, where=call.where, fix="quantise the network again")
    windows = pool_windows(call.signature)
    check_widths(call, windows)
    return PreparedPool(is_average, *windows, *limits)


def pool(name: str, summary: str, *, is_average: bool) -> OpDef:
    """A pool over NHWC."""
    return OpDef(
        name=name,
        summary=summary,
        attributes=Pool2DAttributes,
        options="Pool2DOptions",
        infer=partial(_infer, name),
        needs=_needs,
        work=_work,
        most_inputs=1,
        packs=True,
        prepare=partial(_prepare, is_average),
        kernel="pooling",
    )

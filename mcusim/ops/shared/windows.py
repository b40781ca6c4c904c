"""Shared by the window operators (convolutions and pools): padding, output size, halos and work of one axis each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mcusim.errors import ModelError
from mcusim.graph import Activation, Attributes, Padding, Shape, Signature, TensorType, signature
from mcusim.ops.registry import Call, Pads, attributes_of
from mcusim.region import Region, Span, Window

__all__ = [
    "SIGNATURES_KEPT",
    "WindowAttributes",
    "check_feature_map",
    "check_widths",
    "spatial_shape",
    "window",
    "window_needs",
    "window_of",
    "with_pads",
]

SIGNATURES_KEPT = 1 << 16
"""Bound of the caches that are keyed by signature: more than the distinct layers of any search we have seen."""
INT16_MAX = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class WindowAttributes(Attributes):
    """Attributes that every window operator has, under TFLite's names.

    pads: explicit padding that replaces `padding`; set by lowering when it folds a PAD node, never by a file.
    """

    padding: Padding = Padding.VALID
    stride_w: int = 1
    stride_h: int = 1
    fused_activation_function: Activation = Activation.NONE
    pads: Pads | None = None


def window(
    size: int, kernel: int, stride: int, dilation: int, padding: Padding, pads: tuple[int, int] | None
) -> Window:
    """The window along one axis of `size`.

    SAME spreads its padding as TFLite does: the odd element goes after.
    Source: TFLite padding.h, ComputePaddingHeightWidth.
    """
    if pads is not None:
        return Window(kernel, stride, dilation, *pads)
    if padding is Padding.VALID:
        return Window(kernel, stride, dilation, 0, 0)
    outputs = -(-size // max(stride, 1))  # a stride below 1 is refused by `spatial_shape`, which can name the operator
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return Window(kernel, stride, dilation, total // 2, total - total // 2)


def window_of(
    attributes: WindowAttributes, shape: Shape, kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> tuple[Window, Window]:
    """Windows along rows and columns of an NHWC input of `shape`."""
    pads = attributes.pads
    rows = window(
        shape[1],
        kernel[0],
        attributes.stride_h,
        dilation[0],
        attributes.padding,
        (pads.top, pads.bottom) if pads else None,
    )
    cols = window(
        shape[2],
        kernel[1],
        attributes.stride_w,
        dilation[1],
        attributes.padding,
        (pads.left, pads.right) if pads else None,
    )
    return rows, cols


def check_feature_map(op: str, tensor: TensorType | None) -> TensorType:
    """The input of a window operator. Raises ModelError unless it is NHWC."""
    if tensor is None or len(tensor.shape) != 4:
        shape = "nothing" if tensor is None else str(tensor.shape)
        raise ModelError(f"input 0 is {shape}, not NHWC", where=f"op {op}", fix="give it a tensor of rank 4")
    return tensor


def spatial_shape(op: str, rows: Window, cols: Window, input_type: TensorType, out_c: int) -> Shape:
    """NHWC output shape. Raises ModelError where a stride is not positive or the window does not fit the map."""
    if min(rows.stride, cols.stride, rows.kernel, cols.kernel, rows.dilation, cols.dilation) < 1:
        raise ModelError("a stride, kernel size or dilation is below 1", where=f"op {op}", fix="use 1 or more")
    height, width = rows.outputs(input_type.shape[1]), cols.outputs(input_type.shape[2])
    if height < 1 or width < 1:
        raise ModelError(
            f"window {rows.reach}x{cols.reach} does not fit the {input_type.shape[1]}x{input_type.shape[2]} input",
            where=f"op {op}",
            fix="use a smaller kernel, SAME padding or a larger input",
        )
    return (input_type.shape[0], height, width, out_c)


def check_widths(call: Call, windows: tuple[Window, Window], places: tuple[int, int] = (1, 1)) -> None:
    """Refuse numbers that TFLM cuts off at 16 bits: padding, and strides and dilations of convolutions.

    places: of the window along each axis, for convolutions: of one place the stride does not matter.
    Source: TFLite kernels/internal/types.h, PaddingValues, ConvParams, DepthwiseParams.
    """
    has_own_pads = attributes_of(call.signature, WindowAttributes).pads is not None
    for one, count in zip(windows, places, strict=True):
        wide = {
            "stride": one.stride if count > 1 else 0,
            "dilation": one.dilation if one.kernel > 1 else 0,
            "padding": 0 if has_own_pads else one.before,
        }
        for name, number in wide.items():
            if number > INT16_MAX:
                what = f"its {name} is {number:,}, of which TFLM keeps 16 bits"
                raise ModelError(what, where=call.where, fix=f"use {INT16_MAX:,} at most")


def window_needs(rows: Window, cols: Window, out_rows: Span, out_cols: Span) -> Region:
    """Input region, not clipped, of an output region."""
    return Region(rows.needs(out_rows), cols.needs(out_cols))


def with_pads(call: Signature, pads: Pads, unpadded: TensorType) -> Signature | None:
    """`call` reading `unpadded` and padding it itself; None unless it pads nothing yet (VALID)."""
    attributes = attributes_of(call, WindowAttributes)
    if attributes.padding is not Padding.VALID or attributes.pads is not None:
        return None
    padded = replace(attributes, pads=None if pads == Pads() else pads)
    return signature(call.op, padded, (unpadded, *call.inputs[1:]), call.outputs)

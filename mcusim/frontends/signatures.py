"""Signatures of layers from their sizes, each computed once: what lets a builder add a layer without inferring again.

The caches are bounded by more than the distinct layers of any search we have seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from operator import index
from typing import Any, cast

from mcusim.errors import ModelError, did_you_mean
from mcusim.graph import Activation, Attributes, DType, Padding, Shape, Signature, TensorType, signature, tensor_type
from mcusim.ops import OPS

__all__ = [
    "LAYERS_KEPT",
    "Size",
    "attributes_for",
    "conv_2d",
    "depthwise_conv_2d",
    "fully_connected",
    "fused",
    "infer",
    "pad",
    "pair",
    "pool_attributes",
]

Size = int | tuple[int, int]
"""One number for both axes, or (rows, columns)."""

LAYERS_KEPT = 1 << 16
"""Bound of the caches of distinct layers, as in `ops.windows`."""

_PARAMETER_DTYPES = {
    DType.FLOAT32: (DType.FLOAT32, DType.FLOAT32),
    DType.FLOAT16: (DType.FLOAT16, DType.FLOAT16),
    DType.INT4: (DType.INT4, DType.INT32),
    DType.INT2: (DType.INT2, DType.INT32),
    DType.UINT8: (DType.UINT8, DType.INT32),
    DType.INT16: (DType.INT8, DType.INT64),
}
"""Types of weights and biases for activations of a type; int8 and int32 for all others."""


_CHOICES: dict[str, type[StrEnum]] = {"padding": Padding, "fused_activation_function": Activation}
"""Attribute -> what its words mean."""


def pair(size: Size) -> tuple[int, int]:
    """(rows, columns) of a size."""
    return size if isinstance(size, tuple) else (size, size)


def attributes_for(op: str, fields: tuple[tuple[str, object], ...]) -> Attributes:
    """The attributes of `op` with these fields: the registry knows their class."""
    return cast("Callable[..., Attributes]", OPS[op].attributes)(**dict(fields))


@lru_cache(LAYERS_KEPT)
def infer(
    op: str, attributes: Attributes | None, inputs: tuple[TensorType | None, ...], dtype: DType | None
) -> Signature:
    known = OPS.get(op)
    if known is None:
        raise ModelError(
            "is not an operator that mcusim knows",
            where=op,
            fix=did_you_mean(op, {name.lower(): name for name in OPS}, listed_by="mcusim ops"),
        )
    if attributes is None:
        attributes = known.attributes()
    if type(attributes) is not known.attributes:
        raise ModelError(
            f"got {type(attributes).__name__}", where=op, fix=f"give it {known.attributes.__name__} as attributes"
        )
    attributes = _with_choices(op, attributes)
    shapes = known.infer(attributes, inputs)
    if dtype is None:
        present = [type_ for type_ in inputs if type_ is not None]
        dtype = next((type_.dtype for type_ in present if not type_.is_constant), present[0].dtype)
    return signature(op, attributes, inputs, tuple(tensor_type(shape, dtype) for shape in shapes))


def _with_choices(op: str, attributes: Attributes) -> Attributes:
    """The attributes with enumerations where words were given: "same" equals Padding.SAME, and is not it."""
    for name, kind in _CHOICES.items():
        value = getattr(attributes, name, None)
        if value is None or isinstance(value, kind):
            continue
        try:
            chosen = kind(value)
        except ValueError:
            words = " or ".join(repr(each.value) for each in kind)
            raise ModelError(f"{name} is {value!r:.60}", where=op, fix=f"use {words}") from None
        attributes = replace(cast("Any", attributes), **{name: chosen})
    return attributes


@lru_cache(LAYERS_KEPT)
def conv_2d(
    x: TensorType,
    out_c: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    activation: Activation,
    dilation: tuple[int, int],
    groups: int,
    bias: bool,
) -> Signature:
    out_c, groups = _positive("out_channels", out_c), _positive("groups", groups)
    kernel = _positive_pair("kernel", kernel)
    if x.channels % groups or out_c % groups:
        raise ModelError(
            f"{x.channels} input and {out_c} output channels do not split into {groups} groups",
            where="CONV_2D",
            fix="use a number of groups that divides both",
        )
    attributes = attributes_for("CONV_2D", _window_fields(stride, padding, activation, dilation))
    return _with_parameters("CONV_2D", attributes, x, (out_c, *kernel, x.channels // groups), out_c, bias)


@lru_cache(LAYERS_KEPT)
def depthwise_conv_2d(
    x: TensorType,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    activation: Activation,
    multiplier: int,
    dilation: tuple[int, int],
    bias: bool,
) -> Signature:
    multiplier, kernel = _positive("multiplier", multiplier), _positive_pair("kernel", kernel)
    fields = (*_window_fields(stride, padding, activation, dilation), ("depth_multiplier", multiplier))
    attributes = attributes_for("DEPTHWISE_CONV_2D", fields)
    out_c = x.channels * multiplier
    return _with_parameters("DEPTHWISE_CONV_2D", attributes, x, (1, *kernel, out_c), out_c, bias)


@lru_cache(LAYERS_KEPT)
def fully_connected(x: TensorType, out_c: int, activation: Activation, bias: bool) -> Signature:
    out_c = _positive("out_channels", out_c)
    attributes = attributes_for("FULLY_CONNECTED", (("fused_activation_function", activation),))
    depth = x.channels if len(x.shape) <= 2 else x.elements // (x.shape[0] or 1)
    return _with_parameters("FULLY_CONNECTED", attributes, x, (out_c, depth), out_c, bias)


def _with_parameters(
    op: str, attributes: Attributes, x: TensorType, weights: Shape, out_c: int, bias: bool
) -> Signature:
    weights_dtype, bias_dtype = _PARAMETER_DTYPES.get(x.dtype, (DType.INT8, DType.INT32))
    parameters = (
        tensor_type(weights, weights_dtype, True),
        tensor_type((out_c,), bias_dtype, True) if bias else None,
    )
    return infer(op, attributes, (x, *parameters), None)


@lru_cache(LAYERS_KEPT)
def pad(x: TensorType, sides: tuple[int, int, int, int], channels: int = 0) -> Signature:
    if len(x.shape) != 4:
        raise ModelError(f"input is {x.shape}, not NHWC", where="PAD", fix="pad maps only, or use op('PAD', ...)")
    amounts = tuple(index(side) for side in (*sides, 0, channels))
    if min(amounts) < 0:
        raise ModelError(f"padding {amounts} is negative", where="PAD", fix="use 0 or more")
    paddings = tensor_type((4, 2), DType.INT32, True, (0, 0, *amounts))
    return infer("PAD", None, (x, paddings), None)


@lru_cache(LAYERS_KEPT)
def fused(op: str, activation: Activation) -> Attributes:
    return attributes_for(op, (("fused_activation_function", activation),))


@lru_cache(LAYERS_KEPT)
def pool_attributes(
    op: str, window: tuple[int, int], stride: tuple[int, int], padding: Padding, activation: Activation
) -> Attributes:
    window, stride = _positive_pair("size", window), _positive_pair("stride", stride)
    return attributes_for(
        op,
        (
            ("filter_height", window[0]),
            ("filter_width", window[1]),
            ("stride_h", stride[0]),
            ("stride_w", stride[1]),
            ("padding", padding),
            ("fused_activation_function", activation),
        ),
    )


def _window_fields(
    stride: tuple[int, int], padding: Padding, activation: Activation, dilation: tuple[int, int]
) -> tuple[tuple[str, object], ...]:
    stride, dilation = _positive_pair("stride", stride), _positive_pair("dilation", dilation)
    return (
        ("stride_h", stride[0]),
        ("stride_w", stride[1]),
        ("padding", padding),
        ("fused_activation_function", activation),
        ("dilation_h_factor", dilation[0]),
        ("dilation_w_factor", dilation[1]),
    )


def _positive(name: str, size: int) -> int:
    """`size` as a plain int (numpy's pass too). Raises ModelError below 1."""
    checked = index(size)
    if checked < 1:
        raise ModelError(f"{name} is {checked}", where="layer", fix="use 1 or more")
    return checked


def _positive_pair(name: str, sizes: tuple[int, int]) -> tuple[int, int]:
    rows, cols = sizes
    return _positive(name, rows), _positive(name, cols)

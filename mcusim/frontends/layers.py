"""The layers that a network description may name: their keys, checked, and what each adds to a graph.

`LAYERS` is the one registry; `description.py` reads it and never names a layer. Keys are those of the classes below,
in their order; `op`, `name`, `input` and `inputs` belong to every layer and are handled before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, cast

import msgspec

from mcusim.errors import ModelError
from mcusim.frontends.builder import Border, GraphBuilder
from mcusim.frontends.signatures import pair
from mcusim.graph import Activation, Padding
from mcusim.ops import OPS

__all__ = ["LAYERS", "BorderStyle", "Layer", "Place"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Extent = Annotated[int, msgspec.Meta(ge=0)]
# Plain `int` on purpose: msgspec 0.22 corrupts memory where a union joins a bounded int and a tuple of fixed length.
# The builder refuses sizes below 1.
Size = int | tuple[Count, Count]
Edge = Padding | int | tuple[Extent, Extent]


class BorderStyle(StrEnum):
    """What a convolution that says nothing about its border does; `padding` of the whole description.

    EXPLICIT: a PAD node of kernel // 2 before every convolution, also where that is 0, as in MCUNet's files.
    STRIDED: such a PAD node only where the stride is above 1, SAME elsewhere, as PyTorch converters write it.
    """

    SAME = "same"
    VALID = "valid"
    EXPLICIT = "explicit"
    STRIDED = "explicit-strided"

    def border(self, kernel: tuple[int, int], stride: tuple[int, int]) -> Border:
        """The border of one convolution in this style."""
        if self is BorderStyle.EXPLICIT or (self is BorderStyle.STRIDED and stride != (1, 1)):
            return (kernel[0] // 2, kernel[1] // 2)
        if self is BorderStyle.VALID or (self is BorderStyle.STRIDED and kernel == (1, 1)):
            return Padding.VALID
        return Padding.SAME


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer goes: the graph so far, its input tensors, its name, and the style of borders."""

    builder: GraphBuilder
    inputs: tuple[int, ...]
    name: str
    style: BorderStyle

    @property
    def input(self) -> int:
        """The only input. Raises ModelError if there are more."""
        self.check_inputs(1)
        return self.inputs[0]

    def check_inputs(self, count: int) -> None:
        """Raise ModelError unless there are `count` inputs."""
        if len(self.inputs) != count:
            raise ModelError(
                f"has {len(self.inputs)} inputs instead of {count}",
                where=self.name,
                fix=f"give `inputs` a list of {count} layer names" if count > 1 else "give it one `input`",
            )


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys of a layer that has none of its own."""


class Conv2D(Options, frozen=True):
    out_channels: Count
    kernel: Size = 1
    stride: Size = 1
    padding: Edge | None = None
    activation: Activation = Activation.NONE
    dilation: Size = 1
    groups: Count = 1
    bias: bool = True


class DepthwiseConv2D(Options, frozen=True):
    kernel: Size = 3
    stride: Size = 1
    padding: Edge | None = None
    activation: Activation = Activation.NONE
    multiplier: Count = 1
    dilation: Size = 1
    bias: bool = True


class SeparableConv(Options, frozen=True):
    """Depthwise convolution, then a 1x1 convolution (`out_activation`: of the latter)."""

    out_channels: Count
    kernel: Size = 3
    stride: Size = 1
    activation: Activation = Activation.RELU6
    out_activation: Activation = Activation.NONE
    shortcut: bool = False


class MobileBottleneck(Options, frozen=True):
    """Inverted residual block of MobileNetV2: expand by 1x1 (left out where `expand` is 1), depthwise, project by 1x1.

    squeeze: channels inside a squeeze-and-excitation gate after the depthwise convolution; 0 for none.
    hidden: channels of the depthwise convolution where they are no multiple of the input's; then `expand` says nothing.
    shortcut: add the block's input to its output.   padded_shortcut: also where they differ in channels; the narrower
    of the two gets channels of zeros behind its own.
    """

    out_channels: Count
    kernel: Size = 3
    stride: Size = 1
    expand: Annotated[float, msgspec.Meta(gt=0)] = 1
    hidden: Extent = 0
    squeeze: Extent = 0
    activation: Activation = Activation.RELU6
    shortcut: bool = False
    padded_shortcut: bool = False


class FullyConnected(Options, frozen=True):
    out_channels: Count
    activation: Activation = Activation.NONE
    bias: bool = True


class Fused(Options, frozen=True):
    activation: Activation = Activation.NONE


class Pool(Options, frozen=True):
    """Without `size` over the whole map; without `stride` in steps of the size."""

    size: Size | None = None
    stride: Size | None = None
    padding: Padding = Padding.VALID
    activation: Activation = Activation.NONE


class Mean(Options, frozen=True):
    axes: tuple[int, ...] = (1, 2)
    keep_dims: bool = False


class Pad(Options, frozen=True):
    """amount: rows and columns on every side, or [top, bottom, left, right]."""

    amount: int | tuple[Extent, Extent, Extent, Extent]


class Reshape(Options, frozen=True):
    shape: tuple[int, ...]


class Transpose(Options, frozen=True):
    order: tuple[int, ...]


class Concatenation(Options, frozen=True):
    axis: int = -1
    activation: Activation = Activation.NONE


class Resize(Options, frozen=True):
    """scale: how many times as many rows and columns; or `size`, their number."""

    scale: Size = 2
    size: Size | None = None


class Softmax(Options, frozen=True):
    beta: float = 1.0


def _border(
    padding: Padding | int | tuple[int, int] | None,
    style: BorderStyle,
    kernel: int | tuple[int, int],
    stride: int | tuple[int, int],
) -> Border:
    return style.border(pair(kernel), pair(stride)) if padding is None else padding


def _conv_2d(place: Place, options: Conv2D) -> int:
    return place.builder.conv_2d(
        place.input,
        options.out_channels,
        options.kernel,
        options.stride,
        _border(options.padding, place.style, options.kernel, options.stride),
        options.activation,
        dilation=options.dilation,
        groups=options.groups,
        bias=options.bias,
        name=place.name,
    )


def _depthwise_conv_2d(place: Place, options: DepthwiseConv2D) -> int:
    return place.builder.depthwise_conv_2d(
        place.input,
        options.kernel,
        options.stride,
        _border(options.padding, place.style, options.kernel, options.stride),
        options.activation,
        multiplier=options.multiplier,
        dilation=options.dilation,
        bias=options.bias,
        name=place.name,
    )


def _depthwise(
    place: Place, x: int, kernel: int | tuple[int, int], stride: int | tuple[int, int], activation: Activation
) -> int:
    border = place.style.border(pair(kernel), pair(stride))
    return place.builder.depthwise_conv_2d(x, kernel, stride, border, activation, name=f"{place.name}/depthwise")


def _pointwise(place: Place, x: int, out_c: int, activation: Activation, role: str) -> int:
    border = place.style.border((1, 1), (1, 1))
    return place.builder.conv_2d(x, out_c, 1, 1, border, activation, name=f"{place.name}/{role}")


def _separable_conv(place: Place, options: SeparableConv) -> int:
    x = _depthwise(place, place.input, options.kernel, options.stride, options.activation)
    x = _pointwise(place, x, options.out_channels, options.out_activation, "project")
    return _shortcut(place, x) if options.shortcut else x


def _mobile_bottleneck(place: Place, options: MobileBottleneck) -> int:
    x = place.input
    if options.hidden:
        x = _pointwise(place, x, options.hidden, options.activation, "expand")
    elif options.expand != 1:
        hidden = place.builder.type_of(x).channels * options.expand
        if hidden != int(hidden):
            raise ModelError(
                f"expand {options.expand:g} of {place.builder.type_of(x).channels} channels is not a whole number",
                where=place.name,
                fix="choose `expand` so that channels * expand is whole",
            )
        x = _pointwise(place, x, int(hidden), options.activation, "expand")
    x = _depthwise(place, x, options.kernel, options.stride, options.activation)
    if options.squeeze:
        x = _gate(place, x, options.squeeze, options.activation)
    x = _pointwise(place, x, options.out_channels, Activation.NONE, "project")
    if options.padded_shortcut:
        return _padded_shortcut(place, x)
    return _shortcut(place, x) if options.shortcut else x


def _gate(place: Place, x: int, squeeze: int, activation: Activation) -> int:
    """Squeeze and excitation: the map times relu6(y + 3) / 6 of two 1x1 convolutions of its mean.

    The mean is taken over columns first, then over rows; ADD and MUL read one-element constants.
    Source: op order of mcunetv2_large.tflite in mit-han-lab/tinyengine.
    """
    builder, name = place.builder, f"{place.name}/gate"
    dtype = builder.type_of(x).dtype
    y = builder.mean(x, (2,), True, name=f"{name}/mean_cols")
    y = builder.mean(y, (1,), True, name=f"{name}/mean_rows")
    y = builder.conv_2d(y, squeeze, 1, 1, Padding.VALID, activation, name=f"{name}/squeeze")
    y = builder.conv_2d(y, builder.type_of(x).channels, 1, 1, Padding.VALID, name=f"{name}/excite")
    y = builder.add(y, builder.constant((1,), dtype, name=f"{name}/3"), Activation.RELU6, name=f"{name}/add")
    y = builder.mul(y, builder.constant((1,), dtype, name=f"{name}/sixth"), name=f"{name}/scale")
    return builder.mul(x, y, name=f"{name}/mul")


def _shortcut(place: Place, x: int) -> int:
    block_input, block_output = place.builder.type_of(place.input), place.builder.type_of(x)
    if block_input is not block_output:
        raise ModelError(
            f"has a shortcut from {block_input.shape} to {block_output.shape}",
            where=place.name,
            fix="use a shortcut only where stride is 1 and the channels stay the same",
        )
    return place.builder.add(x, place.input, name=f"{place.name}/add")


def _padded_shortcut(place: Place, x: int) -> int:
    """The sum of the block's input and output, with zeros for the channels that one of them lacks."""
    builder, block_input = place.builder, place.input
    lacking = builder.type_of(block_input).channels - builder.type_of(x).channels
    if lacking > 0:
        x = builder.pad(x, 0, 0, 0, 0, channels=lacking, name=f"{place.name}/pad")
    elif lacking < 0:
        block_input = builder.pad(block_input, 0, 0, 0, 0, channels=-lacking, name=f"{place.name}/pad")
    if builder.type_of(block_input).shape != builder.type_of(x).shape:
        what = f"has a shortcut from {builder.type_of(block_input).shape} to {builder.type_of(x).shape}"
        raise ModelError(what, where=place.name, fix="use a padded shortcut only where stride is 1")
    return builder.add(x, block_input, name=f"{place.name}/add")


def _fully_connected(place: Place, options: FullyConnected) -> int:
    return place.builder.fully_connected(
        place.input, options.out_channels, options.activation, bias=options.bias, name=place.name
    )


def _binary(op: str) -> Callable[[Place, Fused], int]:
    def add(place: Place, options: Fused) -> int:
        place.check_inputs(2)
        method = getattr(place.builder, op)
        return cast(int, method(*place.inputs, options.activation, name=place.name))

    return add


def _average_pool_2d(place: Place, options: Pool) -> int:
    return place.builder.average_pool_2d(
        place.input, options.size, options.stride, options.padding, options.activation, name=place.name
    )


def _max_pool_2d(place: Place, options: Pool) -> int:
    return place.builder.max_pool_2d(
        place.input, options.size, options.stride, options.padding, options.activation, name=place.name
    )


def _mean(place: Place, options: Mean) -> int:
    return place.builder.mean(place.input, options.axes, options.keep_dims, name=place.name)


def _pad(place: Place, options: Pad) -> int:
    amount = options.amount
    sides = (amount, amount, amount, amount) if isinstance(amount, int) else amount
    return place.builder.pad(place.input, *sides, name=place.name)


def _reshape(place: Place, options: Reshape) -> int:
    return place.builder.reshape(place.input, options.shape, name=place.name)


def _transpose(place: Place, options: Transpose) -> int:
    return place.builder.transpose(place.input, options.order, name=place.name)


def _concatenation(place: Place, options: Concatenation) -> int:
    return place.builder.concatenation(place.inputs, options.axis, options.activation, name=place.name)


def _resize(place: Place, options: Resize) -> int:
    rows, cols = pair(options.scale)
    type_ = place.builder.type_of(place.input)
    size = (type_.rows * rows, type_.cols * cols) if options.size is None else pair(options.size)
    return place.builder.resize_nearest_neighbor(place.input, size, name=place.name)


def _softmax(place: Place, options: Softmax) -> int:
    return place.builder.softmax(place.input, options.beta, name=place.name)


def _unary(op: str) -> Callable[[Place, Options], int]:
    return lambda place, _: place.builder.unary(op, place.input, name=place.name)


@dataclass(frozen=True, slots=True)
class Layer:
    """A kind of layer: the class that holds its keys, and the function that adds it to a graph."""

    options: type[Options]
    add: Callable[[Place, Any], int]


_UNARY = ("HARD_SWISH", "LOGISTIC", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "TANH", "ELU", "ABS", "LEAKY_RELU")

LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        "conv_2d": Layer(Conv2D, _conv_2d),
        "depthwise_conv_2d": Layer(DepthwiseConv2D, _depthwise_conv_2d),
        "separable_conv": Layer(SeparableConv, _separable_conv),
        "mbconv": Layer(MobileBottleneck, _mobile_bottleneck),
        "fully_connected": Layer(FullyConnected, _fully_connected),
        "add": Layer(Fused, _binary("add")),
        "sub": Layer(Fused, _binary("sub")),
        "mul": Layer(Fused, _binary("mul")),
        "average_pool_2d": Layer(Pool, _average_pool_2d),
        "max_pool_2d": Layer(Pool, _max_pool_2d),
        "mean": Layer(Mean, _mean),
        "pad": Layer(Pad, _pad),
        "reshape": Layer(Reshape, _reshape),
        "transpose": Layer(Transpose, _transpose),
        "concatenation": Layer(Concatenation, _concatenation),
        "resize_nearest_neighbor": Layer(Resize, _resize),
        "softmax": Layer(Softmax, _softmax),
        **{op.lower(): Layer(Options, _unary(op)) for op in _UNARY if op in OPS},
    }
)
"""Every kind of layer by the name that descriptions use: TFLite's in lower case, and two blocks."""

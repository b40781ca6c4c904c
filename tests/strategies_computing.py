"""Random networks of one operator that computes: layers, two operands, pools, reductions, functions, recurrent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from drafts import FUSED, Case, Draft, attributes, one_op

from mcusim.graph import ABSENT, Activation, DType, Padding, Quantization

INT8, INT16, INT32, INT64, FLOAT32 = DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.FLOAT32

# Layers with weights


def _fits(size: int, kernel: int, dilation: int, padding: Padding) -> bool:
    return padding is Padding.SAME or (kernel - 1) * dilation + 1 <= size


def _window(d: Draft, shape: tuple[int, ...], dilates: bool = True) -> tuple[tuple[int, int], dict[str, Any]]:
    """Kernel, and attributes of a window that fits the map."""
    padding = d.pick((Padding.SAME, Padding.VALID))
    kernel, fields = [], {"padding": padding}
    strides = (d.number(1, 3), d.number(1, 3))
    for name, size, stride in zip("hw", shape[1:3], strides, strict=True):
        dilation = d.number(1, 2) if dilates and max(strides) == 1 else 1
        taps = d.number(1, 5)
        while not _fits(size, taps, dilation, padding):
            taps -= 1
        kernel.append(taps)
        fields[f"stride_{name}"] = stride
        if dilates:
            fields[f"dilation_{name}_factor"] = dilation
    return (kernel[0], kernel[1]), fields


def _present(*inputs: int) -> tuple[int, ...]:
    return tuple(index for index in inputs if index != ABSENT)


@one_op("CONV_2D")
def conv_2d(d: Draft) -> Case:
    dtype, groups = d.pick((INT8, INT8, INT16)), d.pick((1, 1, 1, 2, 3))
    batch, rows, cols, per_group = d.map(channels=6)
    x = d.input((batch, rows, cols, per_group * groups), dtype)
    return d.build(conv(d, x, groups, dtype))


def _weights_type(d: Draft, dtype: DType) -> DType:
    """int4 now and then, beside int8 activations."""
    return DType.INT4 if dtype is INT8 and d.number(0, 5) == 0 else INT8


def conv(d: Draft, x: int, groups: int, dtype: DType) -> int:
    shape = d.builder.type_of(x).shape
    kernel, fields = _window(d, shape)
    out_c = d.number(1, 9) * groups
    in_c = shape[3] // groups
    weights = d.weights((out_c, *kernel, in_c), 0, _weights_type(d, dtype) if groups == 1 else INT8)
    bias = d.bias(x, weights, out_c, dtype, narrow=True)
    made = attributes("CONV_2D", fused_activation_function=d.pick(FUSED), **fields)
    quantization = d.result_of(x, weights, kernel[0] * kernel[1] * in_c, dtype)
    return d.builder.op("CONV_2D", _present(x, weights, bias), made, quantization=quantization)


@one_op("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(d: Draft) -> Case:
    dtype = d.pick((INT8, INT8, INT16))
    return d.build(depthwise(d, d.input(d.map(), dtype), dtype))


def depthwise(d: Draft, x: int, dtype: DType) -> int:
    shape = d.builder.type_of(x).shape
    kernel, fields = _window(d, shape)
    multiplier = d.pick((1, 1, 2, 3))
    weights = d.weights((1, *kernel, shape[3] * multiplier), 3, _weights_type(d, dtype))
    bias = d.bias(x, weights, shape[3] * multiplier, dtype)
    made = attributes(
        "DEPTHWISE_CONV_2D", fused_activation_function=d.pick(FUSED), depth_multiplier=multiplier, **fields
    )
    quantization = d.result_of(x, weights, kernel[0] * kernel[1], dtype)
    return d.builder.op("DEPTHWISE_CONV_2D", _present(x, weights, bias), made, quantization=quantization)


@one_op("FULLY_CONNECTED")
def fully_connected(d: Draft) -> Case:
    dtype = d.pick((INT8, INT8, INT16))
    return d.build(fully_connected_layer(d, d.input((d.number(1, 3), d.number(1, 40)), dtype), dtype))


def fully_connected_layer(d: Draft, x: int, dtype: DType) -> int:
    depth, out_c = d.builder.type_of(x).channels, d.number(1, 12)
    weights = d.weights((out_c, depth), None, _weights_type(d, dtype))
    bias = d.bias(x, weights, out_c, dtype, narrow=True)
    made = attributes("FULLY_CONNECTED", fused_activation_function=d.pick(FUSED))
    return d.builder.op("FULLY_CONNECTED", (x, weights, bias), made, quantization=d.result_of(x, weights, depth, dtype))


@one_op("TRANSPOSE_CONV")
def transpose_conv(d: Draft) -> Case:
    dtype = d.pick((INT8, INT8, INT16))
    batch, rows, cols, in_c = shape = d.map(6, 6)
    x = d.input(shape, dtype)
    kernel, strides, padding = (
        (d.number(1, 4), d.number(1, 4)),
        (d.number(1, 3), d.number(1, 3)),
        d.pick((Padding.SAME, Padding.VALID)),
    )
    out_c = d.number(1, 6)
    grown = [
        size * stride + (max(taps - stride, 0) if padding is Padding.VALID else 0)
        for size, stride, taps in zip((rows, cols), strides, kernel, strict=True)
    ]
    target = d.builder.integers((batch, *grown, out_c))
    weights = d.weights((out_c, *kernel, in_c), 0)
    bias = d.bias(x, weights, out_c, dtype)
    made = attributes("TRANSPOSE_CONV", padding=padding, stride_h=strides[0], stride_w=strides[1])
    quantization = d.result_of(x, weights, max(kernel[0] * kernel[1] * in_c // (strides[0] * strides[1]), 1), dtype)
    inputs = _present(target, weights, x, bias)
    return d.build(d.builder.op("TRANSPOSE_CONV", inputs, made, dtype=dtype, quantization=quantization))


@one_op("BATCH_MATMUL")
def batch_matmul(d: Draft) -> Case:
    dtype = d.pick((INT8, INT8, INT16))
    lead = d.shape(0, 2, 3)
    rows, depth, cols = d.number(1, 6), d.number(1, 9), d.number(1, 6)
    adj_x, adj_y = d.flag(), d.flag()
    x = d.input((*lead, depth, rows) if adj_x else (*lead, rows, depth), dtype)
    y = d.input((*lead, cols, depth) if adj_y else (*lead, depth, cols), dtype)
    typical = d.scale_of(x) * d.scale_of(y) * math.sqrt(depth) * (2**14 if dtype is INT8 else 2**30)
    quantization = d.quantization(dtype, typical / 96, 3.0)
    made = attributes("BATCH_MATMUL", adj_x=adj_x, adj_y=adj_y)
    return d.build(d.builder.op("BATCH_MATMUL", (x, y), made, quantization=quantization))


# Two operands


def _broadcastable(d: Draft) -> tuple[tuple[int, ...], tuple[int, ...]]:
    shape = d.shape(1, 4)
    if d.flag():
        return shape, shape
    other = tuple(1 if d.flag() else size for size in shape)
    other = other[d.number(0, len(other) - 1) :] if d.flag() else other
    return (shape, other) if d.flag() else (other, shape)


def _binary(op: str, dtypes: Sequence[DType], scale: Callable[[float, float], float]) -> None:
    def make(d: Draft) -> Case:
        dtype = d.pick(dtypes)
        first, second = _broadcastable(d)
        a = d.input(first, dtype)
        b = d.operand(second, dtype)
        about = scale(d.scale_of(a), d.scale_of(b)) * (256 if dtype is INT16 else 1)
        made = attributes(op, fused_activation_function=d.pick(FUSED))
        return d.build(d.builder.op(op, (a, b), made, quantization=d.quantization(dtype, about, 2.0)))

    one_op(op)(make)


_binary("ADD", (INT8, INT8, INT16), lambda a, b: a + b)
_binary("SUB", (INT8, INT8, INT16), lambda a, b: a + b)
_binary("MUL", (INT8, INT8), lambda a, b: a * b * 96)


def _extreme(op: str) -> None:
    def make(d: Draft) -> Case:
        first, second = _broadcastable(d)
        quantization = d.quantization()
        a, b = d.input(first, INT8, quantization), d.operand(second, INT8, quantization)
        return d.build(d.builder.op(op, (a, b), quantization=quantization))

    one_op(op)(make)


_extreme("MAXIMUM")
_extreme("MINIMUM")

# Pools and reductions


def _pool(op: str) -> None:
    def make(d: Draft) -> Case:
        dtype = d.pick((INT8, INT8, INT16))
        return d.build(pooled(d, op, d.input(d.map(), dtype)))

    one_op(op)(make)


def pooled(d: Draft, op: str, x: int) -> int:
    kernel, fields = _window(d, d.builder.type_of(x).shape, dilates=False)
    made = attributes(
        op, filter_height=kernel[0], filter_width=kernel[1], fused_activation_function=d.pick(FUSED), **fields
    )
    return d.builder.op(op, (x,), made, quantization=d.quantization_of(x))


_pool("AVERAGE_POOL_2D")
_pool("MAX_POOL_2D")


def _reduction(op: str, keeps: bool) -> None:
    def make(d: Draft) -> Case:
        shape = d.shape(2, 4)
        axes = d.subset(range(len(shape)))
        dtype = INT8 if keeps else d.pick((INT8, INT8, INT16))
        x = d.input(shape, dtype)
        made = attributes(op, keep_dims=d.flag())
        count = math.prod(shape[axis] for axis in axes)
        about = d.scale_of(x) * (256 if dtype is INT16 else 1) * (math.sqrt(count) if op == "SUM" else 1)
        quantization = d.quantization_of(x) if keeps or d.flag() else d.quantization(dtype, about, 2.0)
        return d.build(d.builder.op(op, (x, d.builder.integers(axes)), made, quantization=quantization))

    one_op(op)(make)


_reduction("MEAN", keeps=False)
_reduction("SUM", keeps=False)
_reduction("REDUCE_MAX", keeps=True)


@one_op("ARG_MAX")
def arg_max(d: Draft) -> Case:
    shape = d.shape(1, 4)
    x = d.input(shape)
    axis = d.builder.constant((), INT32, [d.number(0, len(shape) - 1)])
    return d.build(d.builder.op("ARG_MAX", (x, axis), attributes("ARG_MAX", output_type=INT32), dtype=INT32))


# Functions of one tensor


def _unary(op: str, dtypes: Sequence[DType], fixed: dict[DType, tuple[float, int]] | None = None) -> None:
    """fixed: scale and zero point of the output, where TFLite prescribes them."""

    def make(d: Draft) -> Case:
        dtype = d.pick(dtypes)
        x = d.input(d.shape(1, 4), dtype, d.quantization(dtype, 0.02))
        return d.build(applied(d, op, x, dtype, fixed))

    one_op(op)(make)


def applied(d: Draft, op: str, x: int, dtype: DType, fixed: dict[DType, tuple[float, int]] | None) -> int:
    if fixed is not None:
        scale, zero_point = fixed[dtype]
        quantization: Quantization | None = Quantization((scale,), (zero_point,))
    elif op == "RELU6":  # TFLM clamps and does not rescale
        quantization = d.quantization_of(x)
    else:
        quantization = d.quantization(dtype, d.scale_of(x) * (256 if dtype is INT16 else 1), 2.0)
    alpha = float(np.float32(d.rng.uniform(0.01, 0.9)))
    fields = {"SOFTMAX": {"beta": 1.0}, "LEAKY_RELU": {"alpha": alpha}}.get(op)
    return d.builder.op(op, (x,), attributes(op, **fields) if fields else None, quantization=quantization)


SIGMOID = {INT8: (1 / 256, -128), INT16: (1 / 32768, 0)}
_unary("RELU", (INT8,))
_unary("RELU6", (INT8,))
_unary("LEAKY_RELU", (INT8, INT8, INT16))
_unary("HARD_SWISH", (INT8,))
_unary("LOGISTIC", (INT8, INT8, INT16), SIGMOID)
_unary("TANH", (INT8, INT8, INT16), {INT8: (1 / 128, 0), INT16: (1 / 32768, 0)})
_unary("SOFTMAX", (INT8, INT8, INT16), SIGMOID)
_unary("LOG_SOFTMAX", (INT8,), {INT8: (16 / 256, 127)})


@one_op("PRELU")
def prelu(d: Draft) -> Case:
    shape = d.map()
    x = d.input(shape)
    alpha = d.constant((1, 1, shape[3]), INT8, d.quantization(INT8, 0.01))
    return d.build(d.builder.op("PRELU", (x, alpha), quantization=d.quantization(INT8, d.scale_of(x), 2.0)))


@one_op("QUANTIZE")
def quantize(d: Draft) -> Case:
    pairs = ((FLOAT32, INT8), (FLOAT32, INT16), (INT8, INT8), (INT16, INT8), (INT8, INT16), (INT16, INT16))
    source, target = d.pick(pairs)
    x = d.input(d.shape(1, 4), source)
    about = 0.02 if source is FLOAT32 else d.scale_of(x) * (256 if source is INT16 else 1)
    return d.build(d.builder.op("QUANTIZE", (x,), dtype=target, quantization=d.quantization(target, about, 2.0)))


@one_op("DEQUANTIZE")
def dequantize(d: Draft) -> Case:
    x = d.input(d.shape(1, 4), d.pick((INT8, INT16)))
    return d.build(d.builder.op("DEQUANTIZE", (x,), dtype=FLOAT32))


@one_op("CAST")
def cast(d: Draft) -> Case:
    source, target = d.pick(((INT8, FLOAT32), (INT8, INT32), (INT32, INT8), (INT32, FLOAT32), (INT16, INT32)))
    x = d.builder.input(d.shape(1, 4), source)
    made = attributes("CAST", in_data_type=source, out_data_type=target)
    return d.build(d.builder.op("CAST", (x,), made, dtype=target))


# Recurrent


@one_op("SVDF")
def svdf(d: Draft) -> Case:
    batch, depth, units, rank, memory = d.number(1, 2), d.number(1, 9), d.number(1, 5), d.number(1, 2), d.number(1, 6)
    b, filters = d.builder, units * rank
    x = d.input((batch, depth), INT8, d.quantization(INT8, 0.05, 1.5))
    feature = d.weights((filters, depth), None)
    state_scale = d.scale(0.002, 1.5)
    time = b.constant(
        (filters, memory),
        INT16,
        d.rng.integers(-2000, 2001, (filters, memory)),
        quantization=Quantization((d.scale(0.0005, 1.5),), (0,)),
    )
    bias = b.constant(
        (units,),
        INT32,
        d.rng.integers(-3000, 3001, units),
        quantization=Quantization((float(np.float32(state_scale * d.scale_of(time))),), (0,)),
    )
    state = b.variable((batch, filters * memory), INT16, quantization=Quantization((state_scale,), (0,)))
    made = attributes("SVDF", rank=rank, fused_activation_function=d.pick((Activation.NONE, Activation.RELU)))
    quantization = d.quantization(INT8, 0.05)
    return d.build(b.op("SVDF", (x, feature, time, bias, state), made, quantization=quantization))


@one_op("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm(d: Draft) -> Case:
    batch, time, depth, units = d.number(1, 2), d.number(1, 4), d.number(1, 6), d.number(1, 5)
    b, time_major = d.builder, d.flag()
    x = d.input((time, batch, depth) if time_major else (batch, time, depth), INT8, d.quantization(INT8, 0.02, 1.5))
    hidden = Quantization((1 / 128,), (int(d.rng.integers(-8, 9)),))
    inner = [d.weights((units, depth), None) for _ in range(4)]
    recurrent = [d.weights((units, units), None) for _ in range(4)]
    biases = [
        b.constant(
            (units,),
            INT32,
            d.rng.integers(-3000, 3001, units),
            quantization=Quantization((float(np.float32(d.scale_of(x) * d.scale_of(w))),), (0,)),
        )
        for w in inner
    ]
    states = [
        b.variable((batch, units), INT8, quantization=hidden),
        b.variable((batch, units), INT16, quantization=Quantization((2.0**-11,), (0,))),
    ]
    inputs = (x, *inner, *recurrent, ABSENT, ABSENT, ABSENT, *biases, ABSENT, ABSENT, *states, *(ABSENT,) * 4)
    made = attributes(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        fused_activation_function=Activation.TANH,
        cell_clip=d.pick((0.0, 10.0)),
        time_major=time_major,
    )
    return d.build(b.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, made, quantization=hidden))

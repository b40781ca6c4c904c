"""Which networks to try of the operators that compute: element by element, along axes, in windows, sums of products."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from one_operator import STORED, TYPES, Network, Operand, constant, joined, lists, stretched, tensor, zero_of

__all__: list[str] = []

# ---------------------------------------------------------------------------------------------------------------------
# Element by element

_UNARY_OPTIONS = {
    "ABS": "AbsOptions",
    "NEG": "NegOptions",
    "SQUARE": "SquareOptions",
    "EXP": "ExpOptions",
    "COS": "CosOptions",
    "LOGICAL_NOT": "LogicalNotOptions",
    "ZEROS_LIKE": "ZerosLikeOptions",
    "HARD_SWISH": "HardSwishOptions",
    "QUANTIZE": "QuantizeOptions",
    "LEAKY_RELU": "LeakyReluOptions",
}
_POSITIVE = frozenset({"SQRT", "RSQRT", "LOG"})
_SIGMOIDS = frozenset({"LOGISTIC", "TANH"})


@lists(
    *("ABS", "NEG", "SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "SIN", "COS", "FLOOR", "CEIL", "ROUND", "LOGICAL_NOT"),
    *("ZEROS_LIKE", "ELU", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH"),
)
def _unary(name: str) -> Iterator[Network]:
    fields: dict[str, Any] = {"low": 0.01, "high": 90.0} if name in _POSITIVE else {}
    for dtype, shape in product(TYPES, ((2, 3, 5, 7), (3, 200), (11,))):
        for scale, zero, out_scale, out_zero in ((0.05, -7, 0.04, 3), (0.01, 0, 1 / 256, -128), (0.5, -128, 0.5, -128)):
            if dtype not in STORED and scale != 0.05:
                continue
            if name in _SIGMOIDS:
                out_scale = 1 / 32768 if dtype == "int16" else (1 / 256 if name == "LOGISTIC" else 1 / 128)
                out_zero = -128 if name == "LOGISTIC" else 0
            source = tensor(shape, dtype, scale, zero, **(fields if dtype == "float32" else {}))
            output = tensor(shape, dtype, out_scale, out_zero)
            options: dict[str, Any] = {"alpha": 0.2} if name == "LEAKY_RELU" else {}
            label = f"{dtype} {shape} {scale} {zero} -> {out_scale} {out_zero}"
            yield joined(label, name, [source], [output], _UNARY_OPTIONS.get(name, ""), **options)
    if name in _SIGMOIDS:
        for dtype, scale in product(("int8", "int16"), (1e-5, 0.3, 7.9, 8.0, 16.0, 100.0)):
            out_scale = 1 / 32768 if dtype == "int16" else (1 / 256 if name == "LOGISTIC" else 1 / 128)
            source = tensor((3, 200), dtype, scale, 4)
            output = tensor((3, 200), dtype, out_scale, -128 if name == "LOGISTIC" else 0)
            yield joined(f"{dtype} scale {scale}", name, [source], [output])


_BINARY_OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "DIV": "DivOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "FLOOR_DIV": "FloorDivOptions",
    "FLOOR_MOD": "FloorModOptions",
    "LOGICAL_AND": "LogicalAndOptions",
    "LOGICAL_OR": "LogicalOrOptions",
}
_COMPARISONS = {
    "EQUAL": "EqualOptions",
    "NOT_EQUAL": "NotEqualOptions",
    "LESS": "LessOptions",
    "LESS_EQUAL": "LessEqualOptions",
    "GREATER": "GreaterOptions",
    "GREATER_EQUAL": "GreaterEqualOptions",
}
_BROADCASTS = (
    ((1, 4, 5, 3), (1, 4, 5, 3)),
    ((1, 4, 5, 3), (1, 1, 1, 3)),
    ((1, 4, 5, 3), (3,)),
    ((1, 1, 5, 1), (2, 4, 1, 3)),
    ((1, 4, 5, 3), ()),
    ((7,), (7,)),
    ((2, 2, 3, 2, 4), (1, 2, 3, 1, 4)),
)
_FUSED = frozenset({"ADD", "SUB", "MUL", "DIV"})


@lists(*_BINARY_OPTIONS, *_COMPARISONS)
def _binary(name: str) -> Iterator[Network]:
    table = _BINARY_OPTIONS.get(name) or _COMPARISONS[name]
    for dtype, (a, b) in product(TYPES, _BROADCASTS):
        # Divisors that are never 0: integers trap there.
        divides = name in ("DIV", "FLOOR_DIV", "FLOOR_MOD")
        limits = {"low": 1, "high": 90} if divides and dtype != "float32" else {}
        left = tensor(a, dtype, 0.05, -5)
        right = tensor(b, dtype, 0.03, -20 if divides else 11, **limits)
        output = Operand(stretched(a, b), "bool") if name in _COMPARISONS else tensor(stretched(a, b), dtype, 0.06, 2)
        for fused in (0, 1, 3) if name in _FUSED and a == b == (1, 4, 5, 3) else (0,):
            options: dict[str, Any] = {"fusedActivationFunction": fused} if name in _FUSED else {}
            yield joined(f"{dtype} {a} {b} fused {fused}", name, [left, right], [output], table, **options)
        if a == b == (1, 4, 5, 3) and dtype in STORED:
            same = tensor(a, dtype, 0.05, -5, **limits)
            yield joined(
                f"{dtype} one scale",
                name,
                [left, same],
                [tensor(a, dtype, 0.05, -5) if name not in _COMPARISONS else output],
                table,
            )
            fixed = constant(same.drawn(np.random.default_rng(7)), dtype, scale=0.03, zero_point=zero_of(dtype, 11))
            yield joined(f"{dtype} constant", name, [left, fixed], [output], table)
            yield joined(f"{dtype} constant first", name, [fixed, right], [output], table)


@lists("ADD_N")
def _add_n(name: str) -> Iterator[Network]:
    for dtype, count, shape, alike in product(TYPES, (2, 3, 5), ((1, 4, 5, 3), (6,)), (True, False)):
        sources = [tensor(shape, dtype, 0.05 if alike else 0.05 / (1 + i), 3 if alike else 3 * i) for i in range(count)]
        yield joined(f"{dtype} of {count} alike {alike}", name, sources, [tensor(shape, dtype, 0.1, -4)], "AddNOptions")


@lists("SELECT_V2", "SELECT")
def _select(name: str) -> Iterator[Network]:
    shapes = (((1, 4, 5, 3),) * 3, ((1, 4, 1, 1), (1, 4, 5, 3), (3,)), ((5,), (5,), (5,)), ((), (2, 3), (2, 3)))
    for dtype, (c, a, b) in product(TYPES, shapes):
        operands = [Operand(c, "bool"), tensor(a, dtype), tensor(b, dtype)]
        output = tensor(stretched(stretched(a, b), c), dtype)
        yield joined(
            f"{dtype} {c} {a} {b}", name, operands, [output], "SelectV2Options" if name[-1] == "2" else "SelectOptions"
        )


# ---------------------------------------------------------------------------------------------------------------------
# Along axes

_REDUCERS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_PROD")


@lists(*_REDUCERS)
def _reduce(name: str) -> Iterator[Network]:
    shapes = (
        ((1, 4, 5, 3), (1, 2)),
        ((2, 4, 5, 3), (3,)),
        ((2, 4, 5, 3), (-1, 1)),
        ((2, 3, 4), (0,)),
        ((6, 5), (0, 1)),
    )
    for dtype, (shape, axes), keep in product(TYPES, shapes, (True, False)):
        folded = {axis % len(shape) for axis in axes}
        out = [1 if i in folded else size for i, size in enumerate(shape) if keep or i not in folded]
        for out_scale, out_zero in ((0.05, -5), (0.07, 9)):
            if dtype not in STORED and out_scale != 0.05:
                continue
            label = f"{dtype} {shape} {axes} keep {keep} {out_scale}"
            source, output = tensor(shape, dtype, 0.05, -5), tensor(out, dtype, out_scale, out_zero)
            yield joined(label, name, [source, constant(list(axes))], [output], "ReducerOptions", keepDims=keep)


@lists("ARG_MAX", "ARG_MIN")
def _arg(name: str) -> Iterator[Network]:
    table = "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions"
    for dtype, (shape, axis), out in product(
        TYPES, (((2, 4, 5, 3), 3), ((2, 4, 5, 3), 1), ((3, 7), -1), ((9,), 0)), ("int32", "int64")
    ):
        result = [size for i, size in enumerate(shape) if i != axis % len(shape)]
        code = 2 if out == "int32" else 4
        operands = [tensor(shape, dtype), constant(axis)]
        yield joined(
            f"{dtype} {shape} {axis} to {out}", name, operands, [Operand(tuple(result), out)], table, outputType=code
        )


@lists("CUMSUM")
def _cumsum(name: str) -> Iterator[Network]:
    for dtype, (shape, axis), exclusive, reverse in product(
        TYPES, (((2, 4, 5, 3), 1), ((3, 7), -1), ((9,), 0)), (False, True), (False, True)
    ):
        label = f"{dtype} {shape} {axis} {exclusive} {reverse}"
        operands = [tensor(shape, dtype, 0.05, -5), constant(axis)]
        output = tensor(shape, dtype, 0.09, 6)
        yield joined(label, name, operands, [output], "CumsumOptions", exclusive=exclusive, reverse=reverse)


@lists("L2_NORMALIZATION", "SOFTMAX", "LOG_SOFTMAX")
def _over_channels(name: str) -> Iterator[Network]:
    table = {"L2_NORMALIZATION": "L2NormOptions", "SOFTMAX": "SoftmaxOptions"}.get(name, "LogSoftmaxOptions")
    options: dict[str, Any] = {"beta": 1.0} if name == "SOFTMAX" else {}
    results = {"L2_NORMALIZATION": (1 / 128, 0), "SOFTMAX": (1 / 256, -128), "LOG_SOFTMAX": (16 / 256, 127)}
    for dtype, shape, scale in product(TYPES, ((2, 4, 5, 3), (3, 17), (9,)), (0.05, 0.2)):
        out_scale, out_zero = results[name]
        out_scale = 1 / 32768 if dtype == "int16" and name == "SOFTMAX" else out_scale
        output = tensor(shape, dtype, out_scale, out_zero)
        yield joined(f"{dtype} {shape} {scale}", name, [tensor(shape, dtype, scale, 5)], [output], table, **options)


# ---------------------------------------------------------------------------------------------------------------------
# Windows


@lists("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
def _pools(name: str) -> Iterator[Network]:
    for dtype, (kernel, stride), padding, fused in product(TYPES, ((2, 2), (3, 1), (3, 2)), (0, 1), (0, 1, 3)):
        size = [-(-s // stride) if padding == 0 else (s - kernel) // stride + 1 for s in (7, 6)]
        fields: dict[str, Any] = {
            "filterWidth": kernel,
            "filterHeight": kernel,
            "strideW": stride,
            "strideH": stride,
            "padding": padding,
            "fusedActivationFunction": fused,
        }
        source, output = tensor((1, 7, 6, 3), dtype), tensor((1, *size, 3), dtype)
        yield joined(
            f"{dtype} {kernel}/{stride} {padding} {fused}", name, [source], [output], "Pool2DOptions", **fields
        )


# ---------------------------------------------------------------------------------------------------------------------
# Sums of products


def _bias(channels: int, dtype: str) -> Operand:
    wide = {"int64": 5000, "int32": 2000, "float32": 2}[dtype]
    return constant(np.random.default_rng(5).integers(-wide, wide, channels), dtype)


@lists("FULLY_CONNECTED")
def _fully_connected(name: str) -> Iterator[Network]:
    for (dtype, weights), bias, runs, fused in product(
        (("int8", "int8"), ("int16", "int8"), ("int16", "int16"), ("uint8", "uint8"), ("float32", "float32")),
        ("", "int32", "int64", "float32"),
        (False, True),
        (0, 1),
    ):
        for zero in (0, 3):
            stored = tensor((7, 12), weights, 0.02, zero)
            if not runs:
                stored = constant(
                    stored.drawn(np.random.default_rng(1)), weights, scale=0.02, zero_point=zero_of(weights, zero)
                )
            source, output = tensor((3, 12), dtype, 0.05, -5), tensor((3, 7), dtype, 0.3, 8)
            operands = [source, stored, _bias(7, bias) if bias else None]
            label = f"{dtype} {weights} bias {bias} run-time weights {runs} fused {fused} zero {zero}"
            yield joined(label, name, operands, [output], "FullyConnectedOptions", fusedActivationFunction=fused)


@lists("CONV_2D", "DEPTHWISE_CONV_2D")
def _convolution(name: str) -> Iterator[Network]:
    depthwise = name[0] == "D"
    shape, channels = ((1, 3, 3, 8), 8) if depthwise else ((5, 3, 3, 4), 5)
    for (dtype, weights), bias, runs, (padding, stride) in product(
        (("int8", "int8"), ("int16", "int8"), ("uint8", "uint8"), ("float32", "float32")),
        ("", "int32", "int64", "float32"),
        (False, True),
        ((0, 1), (1, 2)),
    ):
        size = [-(-s // stride) if padding == 0 else (s - 3) // stride + 1 for s in (7, 6)]
        scales = (0.02,) if weights == "uint8" else tuple(0.01 + 0.003 * i for i in range(channels))
        axis = 3 if depthwise else 0
        stored = Operand(
            shape, weights, scale=scales if len(scales) > 1 else 0.02, zero_point=zero_of(weights, 0), axis=axis
        )
        if not runs:
            elements = stored.drawn(np.random.default_rng(1))
            stored = Operand(shape, weights, elements, stored.scale, stored.zero_point, axis)
        source, output = tensor((1, 7, 6, 4), dtype, 0.05, -5), tensor((1, *size, channels), dtype, 0.3, 8)
        fields: dict[str, Any] = {
            "padding": padding,
            "strideW": stride,
            "strideH": stride,
            "fusedActivationFunction": 1,
        }
        if depthwise:
            fields["depthMultiplier"] = 2
        operands = [source, stored, _bias(channels, bias) if bias else None]
        label = f"{dtype} {weights} bias {bias} run-time weights {runs} {padding} {stride}"
        table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        yield joined(label, name, operands, [output], table, **fields)


@lists("TRANSPOSE_CONV")
def _transpose_conv(name: str) -> Iterator[Network]:
    for (dtype, weights), bias, runs, (padding, stride) in product(
        (("int8", "int8"), ("int16", "int8"), ("uint8", "uint8"), ("float32", "float32")),
        ("", "int32", "int64", "int16", "float32"),
        (False, True),
        ((0, 1), (1, 2)),
    ):
        size = [s * stride + (max(3 - stride, 0) if padding else 0) for s in (4, 5)]
        stored = Operand((5, 3, 3, 4), weights, scale=tuple(0.01 + 0.003 * i for i in range(5)))
        if not runs:
            stored = Operand(stored.shape, weights, stored.drawn(np.random.default_rng(1)), stored.scale)
        source, output = tensor((1, 4, 5, 4), dtype, 0.05, -5), tensor((1, *size, 5), dtype, 0.3, 8)
        fields: dict[str, Any] = {"padding": padding, "strideW": stride, "strideH": stride}
        added = [] if not bias else [constant(np.arange(5) * 300, bias)]
        operands = [constant([1, *size, 5]), stored, source, *added]
        label = f"{dtype} {weights} bias {bias} run-time weights {runs} {padding} {stride}"
        yield joined(label, name, operands, [output], "TransposeConvOptions", **fields)


@lists("BATCH_MATMUL")
def _matmul(name: str) -> Iterator[Network]:
    for dtype, adj_x, adj_y, (lead_a, lead_b) in product(
        TYPES, (False, True), (False, True), (((), ()), ((2,), (2,)), ((2, 3), (1, 3)))
    ):
        a, b = ((4, 6) if not adj_x else (6, 4)), ((6, 5) if not adj_y else (5, 6))
        operands = [tensor((*lead_a, *a), dtype, 0.05, -5), tensor((*lead_b, *b), dtype, 0.04, 3)]
        output = tensor((*stretched(lead_a, lead_b), 4, 5), dtype, 0.3 if dtype != "int16" else 60.0, 7)
        yield joined(
            f"{dtype} {adj_x} {adj_y} {lead_a} {lead_b}",
            name,
            operands,
            [output],
            "BatchMatMulOptions",
            adjX=adj_x,
            adjY=adj_y,
        )


# ---------------------------------------------------------------------------------------------------------------------
# Recurrent


@lists("UNIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(name: str) -> Iterator[Network]:
    """As converters store it: 24 inputs, states that are variables, and five intermediates."""
    for dtype, batch, time_major, clip, stored in product(
        ("int8", "int16", "float32"), (1, 2), (False, True), (0.0, 1.5), ("", "int16", "float32")
    ):
        for bias in ("int32", "int64") if dtype == "int16" else ("float32",) if dtype == "float32" else ("int32",):
            label = f"{dtype} batch {batch} time first {time_major} clip {clip} intermediates {stored} bias {bias}"
            yield _lstm_of(name, label, dtype, batch, time_major, clip, stored, bias)


def _lstm_of(
    name: str, label: str, dtype: str, batch: int, time_major: bool, clip: float, stored: str, bias: str
) -> Network:
    depth, units, steps = 5, 6, 4
    random, weights = np.random.default_rng(11), "float32" if dtype == "float32" else "int8"

    def fixed(shape: tuple[int, ...], kind: str, scale: float, spread: float) -> Operand:
        drawn = random.uniform(-spread, spread, shape)
        return constant(drawn, kind, scale=scale)

    around = (steps, batch) if time_major else (batch, steps)
    spread = 0.5 if dtype == "float32" else 127
    inner = tuple(fixed((units, depth), weights, 0.01 + 0.001 * i, spread) for i in range(4))
    back = tuple(fixed((units, units), weights, 0.008 + 0.001 * i, spread) for i in range(4))
    biases = tuple(fixed((units,), bias, 3e-4, 0.1 if dtype == "float32" else 900) for _ in range(4))
    hidden_scale = 1 / 32768 if dtype == "int16" else 0.008
    hidden = tensor((batch, units), dtype, hidden_scale, -3, is_variable=True)
    cell = tensor((batch, units), "float32" if dtype == "float32" else "int16", 2.0**-11, is_variable=True)
    source, output = tensor((*around, depth), dtype, 0.03, 5), tensor((*around, units), dtype, hidden_scale, -3)
    kept = [Operand((0,), stored, scale=2.0**-12)] * 4 if stored else []
    inputs = [source, *inner, *back, None, None, None, *biases, None, None, hidden, cell, None, None, None, None]
    return joined(
        label,
        name,
        inputs,
        [output],
        "UnidirectionalSequenceLSTMOptions",
        intermediates=[Operand((0,), one.dtype, scale=one.scale) for one in kept] + [hidden_like(hidden)] * bool(kept),
        fusedActivationFunction=4,
        cellClip=clip,
        timeMajor=time_major,
    )


def hidden_like(hidden: Operand) -> Operand:
    """The intermediate of the hidden state: only its quantisation counts."""
    return Operand((0,), hidden.dtype, scale=hidden.scale, zero_point=hidden.zero_point)

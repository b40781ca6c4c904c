"""Each ONNX operator between quantisers, against ONNX Runtime, which computes it in floats, and against TFLM.

TFLM has to agree with mcusim byte for byte on the exported file. ONNX Runtime rounds once, from floats: a step apart at
most, but for the operators that TFLite rounds twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import Kernels, run_litert, run_tflm

pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")

from onnx_networks import Maker, run_runtime, stored, unstored  # noqa: E402

from mcusim.execution import execute  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.tflite_writer import write_tflite  # noqa: E402

Array = NDArray[Any]
Build = Callable[["Between"], Any]


class Between(Maker):
    """A maker whose values lie on chosen grids."""

    def __init__(self, shape: Sequence[int], kind: str, opset: int) -> None:
        super().__init__(shape, 3)
        self.kind, self.opset = kind, opset
        low = 0 if kind == "uint8" else -128 if kind == "int8" else -32768
        self.zero = 131 if kind == "uint8" else 3 if kind == "int8" else 0
        self.span = 65535 if kind == "int16" else 255
        self.low = low

    def grid(self, x: str, scale: float, zero_point: int | None = None) -> str:
        """x, quantised and dequantised."""
        zero = self.zero if zero_point is None else zero_point
        s, z = self.constant(scale), self.constant(zero, self.kind)
        return str(self.op("DequantizeLinear", self.op("QuantizeLinear", x, s, z), s, z))

    def grid_each(self, x: str, scales: Sequence[float], zero_points: Sequence[int]) -> str:
        """x on a scale a channel. Zero points count from the type's lowest."""
        s, z = self.constant(scales), self.constant([self.low + zero for zero in zero_points], self.kind)
        return str(self.op("DequantizeLinear", self.op("QuantizeLinear", x, s, z, axis=1), s, z, axis=1))

    def weights(self, shape: Sequence[int], axis: int | None = 0, kind: str = "int8") -> str:
        """Quantised weights, a scale a channel."""
        values = self.random.integers(-127, 128, tuple(shape))
        zero = 128 if kind == "uint8" else 0
        count = shape[axis] if axis is not None else 1
        scales = self.random.uniform(0.5, 1.5, count) / 127 / np.sqrt(np.prod(shape[1:]) / 2)
        if kind == "asymmetric":  # a zero point, and weights that reach beyond int8 without it
            kind, zero, values = "uint8", 77, self.random.integers(-77, 179, tuple(shape))
        stored_values = self.constant(values + zero, kind)
        if axis is None:
            return str(self.op("DequantizeLinear", stored_values, self.constant(scales[0]), self.constant(zero, kind)))
        zeros = self.constant(np.full(count, zero), kind)
        return str(self.op("DequantizeLinear", stored_values, self.constant(scales), zeros, axis=axis))


@dataclass(frozen=True)
class Case:
    build: Build
    shape: tuple[int, ...] = (1, 6, 8, 9)
    opset: int = 17
    steps: int = 1
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ("TRANSPOSE", "DEQUANTIZE")
    kinds: tuple[str, ...] = field(default=("int8", "uint8"))


X = 0.03
"""The input's scale."""


def _case(
    build: Callable[[Between, str], Any], out: float | None = 0.02, zero: int | None = None, **options: Any
) -> Case:
    """Input on its grid, the operators, output on its own (None: on the input's)."""

    def whole(m: Between) -> Any:
        x = m.grid("input", X)
        y = build(m, x)
        names = (y,) if isinstance(y, str) else y
        return [m.grid(name, X if out is None else out, zero) for name in names]

    return Case(whole, **options)


def _conv(
    w: Sequence[int], kind: str = "int8", axis: int | None = 0, **attributes: Any
) -> Callable[[Between, str], Any]:
    return lambda m, x: m.op("Conv", x, m.weights(w, axis, kind), kernel_shape=list(w[2:]), **attributes)


def _op(name: str, **attributes: Any) -> Callable[[Between, str], Any]:
    return lambda m, x: m.op(name, x, **attributes)


def _with(name: str, *constants: tuple[Any, str], **attributes: Any) -> Callable[[Between, str], Any]:
    return lambda m, x: m.op(name, x, *(m.constant(v, k) if k else v for v, k in constants), **attributes)


def _resize(scales: Sequence[float], **attributes: Any) -> Callable[[Between, str], Any]:
    return lambda m, x: m.op("Resize", x, "", m.constant(scales), **attributes)


def _two(name: str, shape: Sequence[int], **attributes: Any) -> Callable[[Between, str], Any]:
    """The operator with a quantised constant of this shape."""

    def build(m: Between, x: str) -> Any:
        constant = m.grid(m.constant(m.random.normal(0, 1, tuple(shape))), 0.025)
        return m.op(name, x, constant, **attributes)

    return build


def _attention(m: Between, x: str) -> Any:
    turned = m.op("Transpose", x, perm=[0, 1, 3, 2])
    return m.op("MatMul", x, turned)


def _shuffle(m: Between, x: str) -> Any:
    x = m.op("Conv", x, m.weights((8, 6, 1, 1)), kernel_shape=[1, 1])
    x = m.grid(x, 0.02)
    x = m.op("Reshape", x, m.integers(1, 2, 4, 8, 9))
    x = m.op("Reshape", m.op("Transpose", x, perm=[0, 2, 1, 3, 4]), m.integers(1, 8, 8, 9))
    return m.op("Conv", x, m.weights((4, 8, 1, 1)), kernel_shape=[1, 1])


def _flat_dense(m: Between, x: str) -> Any:
    x = m.grid(m.op("Conv", x, m.weights((6, 6, 3, 3)), kernel_shape=[3, 3]), 0.02)
    return m.op("Gemm", m.op("Flatten", x), m.weights((5, 6 * 6 * 7)), transB=1)


def _residual(m: Between, x: str) -> Any:
    y = m.grid(m.op("Conv", x, m.weights((6, 6, 3, 3)), kernel_shape=[3, 3], pads=[1] * 4), 0.021, None)
    return m.op("Relu", m.op("Add", x, y))


def _hard_swish(m: Between, x: str) -> Any:
    six, zero = m.constant(6.0), m.constant(0.0)
    return m.op("Div", m.op("Mul", x, m.op("Clip", m.op("Add", x, m.constant(3.0)), zero, six)), m.constant(6.0))


def _turned(m: Between, x: str) -> Any:
    """A network of TensorFlow's: transposes around each convolution, which all cancel."""
    y = m.op("Transpose", x, perm=[0, 3, 1, 2])
    y = m.op("Conv", y, m.weights((6, 6, 3, 3)), kernel_shape=[3, 3])
    return m.op("Transpose", y, perm=[0, 2, 3, 1])


def _pixels_apart(m: Between, x: str) -> Any:
    """As PyTorch exports PixelUnshuffle: a transpose of six axes, of which TFLM takes five."""
    x = m.op("Reshape", x, m.integers(1, 6, 4, 2, 3, 3))
    return m.op("Reshape", m.op("Transpose", x, perm=[0, 1, 3, 5, 2, 4]), m.integers(1, 36, 4, 3))


def _three(name: str) -> Callable[[Between, str], Any]:
    """The operator of x, of -x and of |x|: nothing rounds between."""

    def build(m: Between, x: str) -> Any:
        others = [m.grid(m.op(each, x), 0.031) for each in ("Neg", "Abs")]
        return m.op(name, x, *others)

    return build


def _arg_max(m: Between) -> Any:
    name = m.op("ArgMax", m.grid("input", X), axis=1)
    m.kinds[name] = m.onnx.TensorProto.INT64
    return [name]


def _norm(m: Between, x: str) -> Any:
    y = m.op("Conv", x, m.weights((6, 6, 3, 3)), kernel_shape=[3, 3])
    m.channels[y] = 6
    return m.norm(y)


def _error_function(m: Between, x: str) -> Any:
    """1 + erf(x / sqrt(2))."""
    return m.op("Add", m.op("Erf", m.op("Div", x, m.constant(np.sqrt(2)))), m.constant(1.0))


def _gelu_halved_first(m: Between, x: str) -> Any:
    return m.op("Mul", m.op("Mul", x, m.constant(0.5)), _error_function(m, x))


def _gelu_halved_last(m: Between, x: str) -> Any:
    return m.op("Mul", m.op("Mul", x, _error_function(m, x)), m.constant(0.5))


def _chosen(relation: str, shape: Sequence[int] = (1,)) -> Callable[[Between, str], Any]:
    """x where it holds against a constant, else a row of constants."""

    def build(m: Between, x: str) -> Any:
        bound, other = m.constant(m.random.normal(0, 1, tuple(shape))), m.constant(np.linspace(-1, 1, 9))
        return m.op("Where", m.op(relation, x, bound), x, other)

    return build


def _between_bounds(m: Between, x: str) -> Any:
    """Truths from a tensor of fewer axes, and logic between them."""
    low, high = m.op("Less", x, m.constant(-0.5)), m.op("GreaterOrEqual", m.constant(0.9), x)
    inside = m.op("And", m.op("Not", low), high)
    return m.op("Where", m.op("Or", inside, m.op("Equal", x, m.constant(1.5))), x, m.grid(m.op("Neg", x), 0.021))


def _average(**attributes: Any) -> Callable[[Between, str], Any]:
    return lambda m, x: m.op("AveragePool", x, **attributes)


def _largest_of_softmax(m: Between) -> Any:
    x = m.grid("input", X)
    y = m.op("ArgMax", m.op("Softmax", x, axis=1), axis=1)
    m.kinds[y] = m.onnx.TensorProto.INT64
    return (y,)


CASES: dict[str, Case] = {
    "gelu": _case(_gelu_halved_first, has=("GATHER",), lacks=("DEQUANTIZE", "MUL", "DEPTHWISE_CONV_2D")),
    "gelu, halved last": _case(_gelu_halved_last, has=("GATHER",), lacks=("DEQUANTIZE", "MUL", "DEPTHWISE_CONV_2D")),
    "gelu, one node": _case(_op("Gelu"), opset=20, has=("GATHER",), lacks=("DEQUANTIZE",)),
    "error function": _case(_error_function, out=0.009, zero=None, has=("GATHER",), lacks=("DEPTHWISE_CONV_2D",)),
    "where greater": _case(_chosen("Greater"), has=("GREATER", "SELECT_V2"), lacks=("TRANSPOSE",)),
    "where less, a channel": _case(_chosen("Less", (6, 1, 1)), has=("LESS", "SELECT_V2"), lacks=("TRANSPOSE",)),
    "where, a matrix": _case(_chosen("LessOrEqual", (5, 1)), shape=(5, 9), has=("LESS_EQUAL",), lacks=("TRANSPOSE",)),
    "logic": _case(_between_bounds, lacks=("TRANSPOSE",), has=("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "EQUAL")),
    "average inside": _case(
        _average(kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), has=("AVERAGE_POOL_2D", "STRIDED_SLICE")
    ),
    "average inside, to a ceiling": _case(
        _average(kernel_shape=[3, 3], strides=[3, 2], pads=[1] * 4, ceil_mode=1), opset=22,
        has=("AVERAGE_POOL_2D", "STRIDED_SLICE"),
    ),
    "average inside, off centre": _case(
        _average(kernel_shape=[4, 2], strides=[2, 3], pads=[2, 1, 2, 1]), has=("AVERAGE_POOL_2D", "MUL"), lacks=()
    ),
    "average inside, off centre, to a ceiling": _case(
        _average(kernel_shape=[5, 5], strides=[3, 3], pads=[2] * 4, ceil_mode=1), lacks=(), has=("MUL",)
    ),
    "average inside, 1d": _case(
        _average(kernel_shape=[3], strides=[2], pads=[1, 1]), shape=(1, 6, 20), has=("STRIDED_SLICE",)
    ),
    "place of a softmax's largest": Case(_largest_of_softmax, steps=0, has=("ARG_MAX",), lacks=("SOFTMAX",)),
    "place of the largest, int16": Case(
        _arg_max, steps=0, opset=21, has=("ARG_MAX", "DEQUANTIZE"), lacks=(), kinds=("int16",)
    ),
    "conv": _case(_conv((5, 6, 3, 3))),
    "conv per tensor": _case(_conv((5, 6, 3, 3), axis=None)),
    "conv uint8 weights": _case(_conv((5, 6, 3, 3), "uint8")),
    "conv asymmetric": _case(_conv((5, 6, 3, 3), "asymmetric", None), has=("CONCATENATION",)),
    "conv asymmetric, a channel": _case(_conv((5, 6, 3, 3), "asymmetric"), has=("CONCATENATION",)),
    "conv asymmetric, 1x1": _case(_conv((5, 6, 1, 1), "asymmetric", None), has=("FULLY_CONNECTED",)),
    "depthwise asymmetric": _case(_conv((6, 1, 3, 3), "asymmetric", group=6, pads=[1] * 4), has=("CONV_2D",)),
    "conv grouped asymmetric": _case(_conv((9, 2, 3, 3), "asymmetric", group=3)),
    "conv transpose asymmetric": _case(
        lambda m, x: m.op(
            "ConvTranspose", x, m.weights((6, 4, 2, 2), 1, "asymmetric"), strides=[2, 2], kernel_shape=[2, 2]
        )
    ),
    "gemm asymmetric": _case(
        lambda m, x: m.op("Gemm", x, m.weights((7, 30), None, "asymmetric"), transB=1),
        shape=(1, 30), lacks=("CONCATENATION",),
    ),
    "gemm asymmetric, a channel": _case(
        lambda m, x: m.op("Gemm", x, m.weights((7, 30), 0, "asymmetric"), transB=1), shape=(1, 30)
    ),
    "conv padded, stride 2": _case(_conv((5, 6, 3, 3), pads=[1] * 4, strides=[2, 2]), has=("PAD",)),
    "conv same upper": _case(_conv((5, 6, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2]), lacks=("PAD",)),
    "conv same lower": _case(_conv((5, 6, 4, 4), auto_pad="SAME_LOWER"), has=("PAD",)),
    "conv dilated": _case(_conv((5, 6, 3, 3), dilations=[2, 2], pads=[2] * 4), lacks=("PAD",)),
    "conv grouped": _case(_conv((9, 2, 3, 3), group=3)),
    "depthwise": _case(_conv((6, 1, 3, 3), group=6, pads=[1] * 4), has=("DEPTHWISE_CONV_2D",)),
    "depthwise, multiplier 2": _case(_conv((12, 1, 3, 5), group=6), has=("DEPTHWISE_CONV_2D",)),
    "conv uneven": _case(_conv((5, 6, 2, 5), pads=[0, 1, 2, 0], strides=[1, 3])),
    "conv int16": _case(_conv((5, 6, 3, 3)), out=2e-4, opset=21, kinds=("int16",)),
    "conv 1d": _case(_conv((5, 6, 3), pads=[1, 1], strides=[2]), shape=(1, 6, 20)),
    "conv relu6": _case(lambda m, x: m.relu6(_conv((5, 6, 3, 3))(m, x)), out=0.0235, zero=None, has=("CONV_2D",)),
    "conv clip odd": _case(lambda m, x: m.op("Clip", _conv((5, 6, 3, 3))(m, x), m.constant(-0.7), m.constant(1.3))),
    "conv batch norm": _case(_norm, lacks=("MUL", "ADD")),
    "conv transpose": _case(
        lambda m, x: m.op("ConvTranspose", x, m.weights((6, 4, 2, 2), 1), strides=[2, 2], kernel_shape=[2, 2])
    ),
    "conv transpose, cut": _case(
        lambda m, x: m.op(
            "ConvTranspose", x, m.weights((6, 4, 3, 3), 1), strides=[2, 2], kernel_shape=[3, 3], pads=[1] * 4,
            output_padding=[1, 1],
        ),
        has=("SLICE",),
    ),
    "conv transpose, k4 s2 p1": _case(
        lambda m, x: m.op(
            "ConvTranspose", x, m.weights((6, 4, 4, 4), 1), strides=[2, 2], kernel_shape=[4, 4], pads=[1] * 4
        ),
        lacks=("SLICE",),
    ),
    "gemm": _case(lambda m, x: m.op("Gemm", x, m.weights((7, 30), 0), transB=1), shape=(1, 30)),
    "gemm, plain": _case(lambda m, x: m.op("Gemm", x, m.weights((30, 7), 1)), shape=(2, 30)),
    "matmul": _case(lambda m, x: m.op("MatMul", x, m.weights((9, 7), 1)), shape=(1, 5, 9)),
    "matmul and bias": _case(
        lambda m, x: m.op("Add", m.op("MatMul", x, m.weights((9, 7), 1)), m.constant(m.random.normal(0, 1, 7))),
        shape=(1, 5, 9), lacks=("ADD",),
    ),
    "flatten and gemm": _case(_flat_dense, shape=(1, 6, 8, 9)),
    "attention": _case(_attention, out=0.2, shape=(1, 2, 5, 4), lacks=("DEQUANTIZE",)),
    "add": _case(_two("Add", (1, 6, 8, 9))),
    "add scalar": _case(_with("Add", (0.7, "float32"))),
    "add channel": _case(_with("Add", (np.linspace(-1, 1, 6).reshape(6, 1, 1), "float32"))),
    "add, broadcast row": _case(_two("Add", (9,))),
    "residual": _case(_residual, lacks=("RELU", "TRANSPOSE")),
    "sub": _case(_two("Sub", (1, 6, 1, 1))),
    "mul": _case(_two("Mul", (1, 6, 1, 1))),
    "mul scalar": _case(_with("Mul", (-0.6, "float32"))),
    "mul channel": _case(_with("Mul", (np.linspace(-1, 1, 6).reshape(1, 6, 1, 1), "float32"))),
    "mul scalar, rank 2": _case(_with("Mul", (0.31, "float32")), shape=(3, 10)),
    "max": _case(_two("Max", (1, 6, 8, 9))),
    "relu": _case(_op("Relu")),
    "relu same grid": _case(_op("Relu"), out=None),
    "clip": _case(_with("Clip", (-1.0, "float32"), (0.5, "float32"))),
    "relu6": _case(_with("Clip", (0.0, "float32"), (6.0, "float32"))),
    "leaky": _case(_op("LeakyRelu", alpha=0.13), steps=1),
    "prelu": _case(_with("PRelu", (np.linspace(0.1, 0.3, 6).reshape(6, 1, 1), "float32")), lacks=()),
    "sigmoid": _case(_op("Sigmoid"), out=1 / 256, zero=None),
    "tanh": _case(_op("Tanh"), out=1 / 128),
    "softmax": _case(_op("Softmax", axis=-1), out=1 / 256, shape=(1, 10)),
    "softmax, channels": _case(_op("Softmax", axis=1), out=1 / 256, lacks=()),
    "softmax, opset 11": _case(_op("Softmax"), out=1 / 256, shape=(1, 10), opset=11),
    "hard sigmoid": _case(_op("HardSigmoid", alpha=1 / 6, beta=0.5), out=1 / 255),
    "hard swish": _case(_op("HardSwish"), steps=1, has=("HARD_SWISH",)),
    "hard swish written out": _case(_hard_swish, has=("HARD_SWISH",), lacks=("MUL", "ADD")),
    "batch norm": _case(lambda m, x: m.norm(x) if m.channels.update({x: 6}) is None else x, has=("DEPTHWISE_CONV_2D",)),
    "max pool": _case(_op("MaxPool", kernel_shape=[2, 2], strides=[2, 2]), out=None),
    "max pool, padded": _case(_op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), out=None),
    "max pool, ceil": _case(_op("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1), out=None),
    "max pool, rescaled": _case(_op("MaxPool", kernel_shape=[2, 2])),
    "average pool": _case(_op("AveragePool", kernel_shape=[2, 3], strides=[2, 3]), out=None),
    "average pool, same": _case(_op("AveragePool", kernel_shape=[3, 3], auto_pad="SAME_UPPER"), out=None),
    "average pool, counted": _case(
        _op("AveragePool", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1), out=None
    ),
    "global average": _case(_op("GlobalAveragePool"), out=0.008),
    "global average, same grid": _case(_op("GlobalAveragePool"), out=None, has=("AVERAGE_POOL_2D",)),
    "mean of rows": _case(_op("ReduceMean", axes=[2], keepdims=0), out=0.02, lacks=()),
    "mean of channels": _case(_op("ReduceMean", axes=[1], keepdims=1), out=0.02, lacks=()),
    "pad": _case(_with("Pad", ((0, 0, 1, 2, 0, 0, 3, 0), "int64")), out=None),
    "pad value": _case(_with("Pad", ((0, 0, 1, 2, 0, 0, 3, 0), "int64"), (0.5, "float32")), out=None),
    "pad reflect": _case(_with("Pad", ((0, 0, 1, 2, 0, 0, 3, 0), "int64"), mode="reflect"), out=None),
    "pad negative": _case(_with("Pad", ((0, 0, -1, 0, 0, 0, 0, 2), "int64")), out=None),
    "pad, opset 10": _case(_op("Pad", pads=[0, 0, 1, 1, 0, 0, 1, 1]), out=None, opset=10),
    "concat": _case(lambda m, x: m.op("Concat", x, m.grid(m.op("Relu", x), 0.017), axis=1)),
    "concat rows": _case(lambda m, x: m.op("Concat", x, x, axis=2), out=None),
    "slice": _case(_with("Slice", ((1, 0), "int64"), ((5, 8), "int64"), ((1, 3), "int64")), out=None),
    "slice, strided": _case(
        _with("Slice", ((-1,), "int64"), ((-100,), "int64"), ((2,), "int64"), ((-2,), "int64")), out=None
    ),
    "split": _case(lambda m, x: m.op("Split", x, axis=1, outputs=3), out=None),
    "split uneven": _case(lambda m, x: m.op("Split", x, m.integers(1, 5), axis=1, outputs=2), out=None),
    "gather one": _case(_with("Gather", (2, "int64"), axis=1), out=None, lacks=()),
    "gather": _case(_with("Gather", ((5, 0, 2), "int64"), axis=1), out=None, lacks=()),
    "transpose": _case(lambda m, x: m.op("Relu", m.op("Transpose", x, perm=[0, 2, 3, 1])), out=None, lacks=()),
    "transpose, odd": _case(lambda m, x: m.op("Relu", m.op("Transpose", x, perm=[0, 3, 1, 2])), out=None, lacks=()),
    "layout of TensorFlow": _case(_turned, shape=(1, 8, 9, 6)),
    "reshape": _case(_with("Reshape", ((0, -1, 12), "int64")), out=None, lacks=()),
    "squeeze": _case(_with("Squeeze", ((0,), "int64")), out=None, lacks=()),
    "squeeze, opset 11": _case(_op("Squeeze", axes=[0]), out=None, lacks=(), opset=11),
    "unsqueeze": _case(_with("Unsqueeze", ((0, 3), "int64")), out=None, shape=(4, 6), lacks=()),
    "shuffle": _case(_shuffle, lacks=()),
    "depth to space": _case(_op("DepthToSpace", blocksize=2), out=None, shape=(1, 8, 4, 5)),
    "depth to space, crd": _case(_op("DepthToSpace", blocksize=2, mode="CRD"), out=None, shape=(1, 8, 4, 5), lacks=()),
    "space to depth": _case(_op("SpaceToDepth", blocksize=2), out=None, shape=(1, 3, 4, 6)),
    "nearest": _case(
        _resize((1, 1, 2, 2), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        out=None,
    ),
    "nearest, half pixel": _case(_resize((1, 1, 2, 3), mode="nearest"), out=None),
    "linear": _case(_resize((1, 1, 2, 2), mode="linear"), out=None),
    "linear, corners": _case(
        _resize((1, 1, 2, 2), mode="linear", coordinate_transformation_mode="align_corners"), out=None
    ),
    "arg max": Case(_arg_max, lacks=()),
    "reduce min": _case(_op("ReduceMin", axes=[2]), out=None, has=("REDUCE_MIN",)),
    "sum of three": _case(_three("Sum"), lacks=("TRANSPOSE",)),
    "sum of one": _case(_op("Sum"), out=None, lacks=()),
    "mean of three": _case(_three("Mean"), lacks=("TRANSPOSE",)),
    "maximum of three": _case(_three("Max"), lacks=("TRANSPOSE",)),
    "softplus": _case(_op("Softplus"), lacks=()),
    "mish": _case(_op("Mish"), lacks=(), opset=18),
    "softsign": _case(_op("Softsign"), out=0.008, lacks=()),
    "reciprocal": _case(lambda m, x: m.op("Reciprocal", m.op("Exp", x)), out=0.2, lacks=()),
    "gelu by tanh": _case(_op("Gelu", approximate="tanh"), lacks=(), opset=20),
    "cube": _case(_with("Pow", (3.0, "float32")), out=0.1, lacks=()),
    "inverse square": _case(lambda m, x: m.op("Pow", m.op("Exp", x), m.constant(-2.0)), out=0.5, lacks=()),
    "log softmax": _case(_op("LogSoftmax", axis=1), out=0.05, lacks=()),
    "length 1": _case(_op("LpNormalization", axis=3, p=2), out=0.01, lacks=()),
    "sum 1": _case(_op("LpNormalization", axis=1, p=1), out=0.01, lacks=()),
    "tile": _case(_with("Tile", ((1, 2, 1, 3), "int64")), out=None, has=("CONCATENATION",), lacks=("TILE",)),
    "expand": _case(
        lambda m, x: m.op("Expand", m.op("ReduceMax", x, axes=[3]), m.integers(1, 6, 8, 5)),
        out=None,
        has=("BROADCAST_TO",),
        lacks=("TILE",),
    ),
    "pixel unshuffle": _case(_pixels_apart, out=None, has=("TRANSPOSE",), lacks=()),
    "pad by the edge": _case(_with("Pad", ((0, 0, 1, 2, 0, 0, 0, 3), "int64"), mode="edge"), out=None),
    "transposed depthwise": _case(
        lambda m, x: m.op("ConvTranspose", x, m.weights((6, 1, 3, 3), None), kernel_shape=[3, 3], group=6)
    ),
    "transposed, groups": _case(
        lambda m, x: m.op(
            "ConvTranspose", x, m.weights((6, 4, 3, 3), 1), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, group=2
        )
    ),
}  # fmt: skip


def _channelwise(
    scales: Sequence[float],
    zero_points: Sequence[int],
    before: Callable[[Between, str], str],
    multiplier: int = 1,
    **options: Any,
) -> Case:
    """A convolution, an activation with a scale a channel, a depthwise convolution with a bias."""

    def build(m: Between, x: str) -> str:
        y = before(
            m, m.op("Conv", x, m.weights((6, 6, 3, 3)), m.constant(m.random.normal(0, 1, 6)), kernel_shape=[3, 3])
        )
        y = m.grid_each(y, scales, zero_points)
        bias = m.constant(m.random.normal(0, 1, 6 * multiplier))
        weights = m.weights((6 * multiplier, 1, 3, 3))
        return str(m.op("Conv", y, weights, bias, kernel_shape=[3, 3], pads=[1] * 4, group=6))

    return _case(build, **options)


_CHANNELS = (0.011, 0.02, 0.0023, 0.007, 0.015, 0.009)
"""Scales of activations: clamps at 6 lie beyond all of their integers."""

CASES |= {
    "a scale a channel": _channelwise(
        _CHANNELS, [0] * 6, lambda m, x: m.relu6(x), lacks=("DEQUANTIZE", "MINIMUM", "MAXIMUM"),
    ),
    "a scale a channel, signed, two each": _channelwise(
        _CHANNELS, [128] * 6, lambda m, x: x, 2, lacks=("DEQUANTIZE", "MINIMUM", "MAXIMUM")
    ),
    "a scale a channel, clamps within": _channelwise(
        [0.04, *_CHANNELS[1:]], [0] * 6, lambda m, x: m.relu6(x), has=("MINIMUM",), lacks=("DEQUANTIZE", "MAXIMUM")
    ),
    "a scale a channel, one unused": _channelwise(
        _CHANNELS, [0, 0, 128, 0, 0, 0], lambda m, x: m.relu(x), has=("MINIMUM",), lacks=("DEQUANTIZE", "MAXIMUM")
    ),
    "a scale a channel, a norm before": _channelwise(
        _CHANNELS, [0] * 6, lambda m, x: m.relu(m.norm(x)), lacks=("DEQUANTIZE", "MINIMUM")
    ),
    "a scale a channel, hard swish before": _channelwise(
        _CHANNELS, [20] * 6, lambda m, x: m.op("HardSwish", x), has=("HARD_SWISH", "MUL"), lacks=()
    ),
}  # fmt: skip


def _parameters() -> list[Any]:
    """uint8 says all that int8 does, and moves zero points too: int8 is left to the slow tests."""
    return [
        pytest.param(name, kind, id=f"{name}-{kind}", marks=[pytest.mark.slow] if kind == "int8" else [])
        for name, case in CASES.items()
        for kind in case.kinds
    ]


@pytest.mark.parametrize(("name", "kind"), _parameters())
def test_an_operator_between_quantisers(name: str, kind: str) -> None:
    case = CASES[name]
    maker = Between(case.shape, kind, case.opset)
    outputs = case.build(maker)
    content = maker.model(*outputs, opset=case.opset).SerializeToString()
    graph = parse_onnx(content, name="case", where="case.onnx")
    ops = [node.op for node in graph.nodes]
    assert set(case.has) <= set(ops), ops
    assert not set(case.lacks) & set(ops), ops
    real = np.random.default_rng(5).normal(0, 1.2, case.shape).astype(np.float32)
    given = stored(graph, graph.inputs[0], real)
    answers = execute(graph, [given])
    for answer, judged in zip(answers, run_tflm(write_tflite(graph), [given]), strict=True):
        np.testing.assert_array_equal(answer, judged)
    theirs = run_litert(write_tflite(graph), [given], kernels=Kernels.XNNPACK)
    for answer, other in zip(answers, theirs, strict=True):
        assert np.abs(answer.astype(np.int64) - other).max() <= 1
    for index, answer, wanted in zip(graph.outputs, answers, run_runtime(content, {"input": real}), strict=True):
        gap = np.abs(stored(graph, index, wanted).astype(np.int64) - answer.astype(np.int64))
        assert gap.max() <= case.steps, (gap.max(), float((gap > 0).mean()))
        assert unstored(graph, index, answer).shape == wanted.shape

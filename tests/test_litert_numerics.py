"""`--numerics litert` is what LiteRT's default interpreter answers: XNNPACK, and its own kernels where that declines.

Networks of one operator, drawn: scales, zero points, shapes, options, inputs at the ends of types. LiteRT judges.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import Kernels, Refused, run_litert
from tflite_maker import FLOAT32, INT8, INT16, INT32, INT64, NUMPY, UINT8, Maker, make_options

import mcusim
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.vendored import tflite_schema as schema

Draw = np.random.Generator
NETWORKS = 6
"""Of each kind."""
NAMES = {INT8: "int8", UINT8: "uint8", INT16: "int16", FLOAT32: "float32", INT32: "int32"}


def scale(draw: Draw, low: float = -3.0, high: float = 0.0) -> float:
    return float(np.float32(10 ** draw.uniform(low, high)))


def beside(draw: Draw, real: float) -> float:
    """A scale near another, at times far from it: what XNNPACK declines."""
    far = draw.random() < 0.15
    return float(np.float32(real * 2 ** (draw.uniform(-7, 7) if far else draw.uniform(-2, 3))))


def zero(draw: Draw, dtype: int) -> int:
    return (
        0 if dtype in (INT16, FLOAT32) else int(draw.integers(np.iinfo(NUMPY[dtype]).min, np.iinfo(NUMPY[dtype]).max))
    )


def elements(draw: Draw, dtype: int, shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype == FLOAT32:
        return draw.normal(0, 3, shape).astype(np.float32)
    ends = np.iinfo(NUMPY[dtype])
    if draw.random() < 0.25:
        return draw.choice([ends.min, ends.max], shape).astype(NUMPY[dtype])
    return draw.integers(ends.min, ends.max + 1, shape).astype(NUMPY[dtype])


def feed(made: Maker, shape: tuple[int, ...], dtype: int, real: float, draw: Draw) -> int:
    index = made.tensor(shape, dtype, None, (real,) if dtype != FLOAT32 else (), (zero(draw, dtype),))
    made.graph.inputs.append(index)
    return index


def result(made: Maker, shape: tuple[int, ...], dtype: int, real: float, draw: Draw) -> int:
    index = made.tensor(shape, dtype, None, (real,), (zero(draw, dtype),))
    made.graph.outputs.append(index)
    return index


def clamp(draw: Draw) -> int:
    return int(draw.choice([0, 0, 1, 2, 3]))


def binary(op: str) -> Callable[[Draw, int], Maker]:
    def network(draw: Draw, dtype: int) -> Maker:
        made, shape = Maker(), (1, int(draw.integers(1, 9)), 5, int(draw.integers(1, 20)))
        other = shape if draw.random() < 0.5 else (1, 1, 1, shape[3])
        a, b = scale(draw), scale(draw)
        out = beside(draw, 100 * a * b if op == "MUL" else max(a, b))
        first, second = feed(made, shape, dtype, a, draw), feed(made, other, dtype, b, draw)
        table = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[op]
        options = make_options(table, fusedActivationFunction=clamp(draw))
        made.operator(op, [first, second], [result(made, shape, dtype, out, draw)], options)
        return made

    return network


def unary(op: str, table: str = "", outputs: dict[int, float] | None = None) -> Callable[[Draw, int], Maker]:
    def network(draw: Draw, dtype: int) -> Maker:
        made, a = Maker(), scale(draw)
        if dtype == INT16:
            a = 2.0 ** -int(draw.integers(9, 14)) if draw.random() < 0.7 else a / 100
        source = feed(made, (1, 300), dtype, a, draw)
        out = result(made, (1, 300), dtype, beside(draw, a), draw)
        if outputs is not None:
            kept = made.graph.tensors[out].quantization
            kept.scale, kept.zeroPoint = [outputs[dtype]], [{INT8: -128, UINT8: 0, INT16: 0}[dtype]]
        alpha = float(np.float32(10 ** draw.uniform(-2, 0.3)))
        options = make_options(table, **({"alpha": alpha} if op == "LEAKY_RELU" else {})) if table else None
        made.operator(op, [source], [out], options)
        return made

    return network


def prelu(draw: Draw, dtype: int) -> Maker:
    made, a, shape = Maker(), scale(draw), (1, 5, 7, 8)
    source = feed(made, shape, dtype, a, draw)
    slopes = made.tensor((1, 1, 8), dtype, elements(draw, dtype, (1, 1, 8)), (0.01,), (zero(draw, dtype),))
    made.operator("PRELU", [source, slopes], [result(made, shape, dtype, beside(draw, a), draw)])
    return made


def quantize(draw: Draw, dtype: int) -> Maker:
    """To int8, or to int16 from float32 at times."""
    made, a = Maker(), scale(draw)
    source = feed(made, (1, 300), dtype, a, draw)
    to = dtype if dtype == UINT8 else INT16 if dtype == FLOAT32 and draw.random() < 0.5 else INT8
    out = scale(draw, -2.5, -0.5) if dtype == FLOAT32 else beside(draw, a)
    options = make_options("QuantizeOptions")
    made.operator("QUANTIZE", [source], [result(made, (1, 300), to, out, draw)], options)
    return made


def reduction(op: str) -> Callable[[Draw, int], Maker]:
    def network(draw: Draw, dtype: int) -> Maker:
        made, shape, a = Maker(), (1, int(draw.integers(1, 9)), int(draw.integers(1, 9)), 40), scale(draw)
        axes = sorted(int(axis) for axis in draw.choice([1, 2, 3], int(draw.integers(1, 4)), replace=False))
        count = math.prod(shape[axis] for axis in axes)
        source = feed(made, shape, dtype, a, draw)
        listed = made.tensor((len(axes),), INT32, axes)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        out = result(made, kept, dtype, beside(draw, a * (count if op == "SUM" else 1)), draw)
        made.operator(op, [source, listed], [out], make_options("ReducerOptions", keepDims=True))
        return made

    return network


def weighted(
    made: Maker, draw: Draw, dtype: int, shape: tuple[int, ...], axis: int, a: float
) -> tuple[list[int], float]:
    """Weights and bias, at times without a scale, and a scale that suits the sums."""
    channels = shape[axis]
    many = draw.random() < 0.6 and dtype != UINT8
    scales = tuple(scale(draw, -3.5, -1) for _ in range(channels if many else 1))
    kind, zeros = (UINT8, (zero(draw, UINT8),)) if dtype == UINT8 else (INT8, (0,) * len(scales))
    drawn = elements(draw, kind, shape)
    weights = made.tensor(shape, kind, np.maximum(drawn, -127) if kind == INT8 else drawn, scales, zeros, axis)
    if not many:
        made.graph.tensors[weights].quantization.quantizedDimension = 0
    own = tuple(float(np.float32(a) * np.float32(one)) for one in scales) if draw.random() < 0.8 else ()
    bias = made.tensor(
        (channels,), INT64 if dtype == INT16 else INT32, draw.integers(-3000, 3000, channels), bias_scales=own
    )
    depth = math.prod(shape) // channels
    return [weights, bias], beside(draw, 40 * a * float(np.median(scales)) * math.sqrt(depth))


def convolution(op: str) -> Callable[[Draw, int], Maker]:
    def network(draw: Draw, dtype: int) -> Maker:
        made, a = Maker(), scale(draw) / (300 if dtype == INT16 else 1)
        channels, outputs = int(draw.integers(1, 20)), int(draw.integers(1, 20))
        source = feed(made, (1, 6, 5, channels), dtype, a, draw)
        is_deep = op == "CONV_2D"
        shape = (outputs, 3, 2, channels) if is_deep else (1, 3, 2, channels)
        rest, real = weighted(made, draw, dtype, shape, 0 if is_deep else 3, a)
        out = result(made, (1, 6, 5, outputs if is_deep else channels), dtype, real, draw)
        fields: dict[str, object] = {"strideW": 1, "strideH": 1, "fusedActivationFunction": clamp(draw)}
        if not is_deep:
            fields["depthMultiplier"] = 1
        table = "Conv2DOptions" if is_deep else "DepthwiseConv2DOptions"
        made.operator(op, [source, *rest], [out], make_options(table, **fields))
        return made

    return network


def dense(draw: Draw, dtype: int) -> Maker:
    made, a = Maker(), scale(draw) / (300 if dtype == INT16 else 1)
    rows, depth, units = int(draw.choice([1, 5])), int(draw.integers(1, 40)), int(draw.integers(1, 40))
    source = feed(made, (rows, depth), dtype, a, draw)
    rest, real = weighted(made, draw, dtype, (units, depth), 0, a)
    out = result(made, (rows, units), dtype, real, draw)
    options = make_options("FullyConnectedOptions", fusedActivationFunction=clamp(draw))
    made.operator("FULLY_CONNECTED", [source, *rest], [out], options)
    return made


def dense_of_computed(draw: Draw, dtype: int) -> Maker:
    """Weights that the network is fed: XNNPACK takes none, and ruy rounds halves upwards."""
    made, a = Maker(), scale(draw)
    source, weights = feed(made, (5, 20), dtype, a, draw), feed(made, (30, 20), dtype, 0.01, draw)
    if dtype == INT8:
        made.graph.tensors[weights].quantization.zeroPoint = [0]
    out = result(made, (5, 30), dtype, beside(draw, a * 2), draw)
    made.operator("FULLY_CONNECTED", [source, weights, -1], [out], make_options("FullyConnectedOptions"))
    return made


def transposed(draw: Draw, dtype: int) -> Maker:
    made, a, stride = Maker(), scale(draw), int(draw.integers(1, 3))
    channels, outputs = int(draw.integers(1, 10)), int(draw.integers(1, 10))
    size = made.tensor((4,), INT32, [1, 4 * stride, 3 * stride, outputs])
    source = feed(made, (1, 4, 3, channels), dtype, a, draw)
    rest, real = weighted(made, draw, dtype, (outputs, 2, 3, channels), 0, a)
    made.graph.tensors[rest[1]].quantization = None
    out = result(made, (1, 4 * stride, 3 * stride, outputs), dtype, real, draw)
    options = make_options("TransposeConvOptions", strideW=stride, strideH=stride)
    made.operator("TRANSPOSE_CONV", [size, rest[0], source], [out], options)
    return made


def matrices(draw: Draw, dtype: int) -> Maker:
    made, a, b = Maker(), scale(draw), scale(draw)
    depth = int(draw.integers(1, 12))
    first, second = feed(made, (2, 5, depth), dtype, a, draw), feed(made, (2, depth, 7), dtype, b, draw)
    if draw.random() < 0.7:
        made.graph.tensors[second].quantization.zeroPoint = [0]
    out = result(made, (2, 5, 7), dtype, beside(draw, 60 * a * b * math.sqrt(depth)), draw)
    made.operator("BATCH_MATMUL", [first, second], [out], make_options("BatchMatMulOptions"))
    return made


def resized(draw: Draw, dtype: int) -> Maker:
    made, a = Maker(), scale(draw)
    height, width, rows, cols = (int(size) for size in draw.integers(1, [9, 9, 30, 30]))
    source = feed(made, (1, height, width, 5), dtype, a, draw)
    size = made.tensor((2,), INT32, [rows, cols])
    out = made.tensor((1, rows, cols, 5), dtype, None, (a,), tuple(made.graph.tensors[source].quantization.zeroPoint))
    made.graph.outputs.append(out)
    how = [{}, {"alignCorners": True}, {"halfPixelCenters": True}][int(draw.integers(3))]
    made.operator("RESIZE_BILINEAR", [source, size], [out], make_options("ResizeBilinearOptions", **how))
    return made


LOGISTICS, TANHS = {INT8: 1 / 256, UINT8: 1 / 256, INT16: 2.0**-15}, {INT16: 2.0**-15}
BYTES, ALL = (INT8, UINT8), (INT8, UINT8, INT16)
KINDS: dict[str, tuple[Callable[[Draw, int], Maker], tuple[int, ...]]] = {
    "ADD": (binary("ADD"), BYTES),
    "SUB": (binary("SUB"), BYTES),
    "MUL": (binary("MUL"), ALL),
    "RELU": (unary("RELU"), ALL),
    "RELU6": (unary("RELU6"), ALL),
    "LEAKY_RELU": (unary("LEAKY_RELU", "LeakyReluOptions"), ALL),
    "ABS": (unary("ABS"), (INT8, INT16)),
    "ELU": (unary("ELU"), (INT8,)),
    "LOGISTIC": (unary("LOGISTIC", outputs=LOGISTICS), ALL),
    "TANH": (unary("TANH", outputs=TANHS), (INT16,)),
    "PRELU": (prelu, BYTES),
    "QUANTIZE": (quantize, (INT8, UINT8, FLOAT32)),
    "MEAN": (reduction("MEAN"), ALL),
    "SUM": (reduction("SUM"), ALL),
    "CONV_2D": (convolution("CONV_2D"), ALL),
    "DEPTHWISE_CONV_2D": (convolution("DEPTHWISE_CONV_2D"), ALL),
    "FULLY_CONNECTED": (dense, ALL),
    "FULLY_CONNECTED of computed weights": (dense_of_computed, BYTES),
    "TRANSPOSE_CONV": (transposed, (INT8,)),
    "BATCH_MATMUL": (matrices, (INT8,)),
    "RESIZE_BILINEAR": (resized, ALL),
}
CASES = [(name, dtype) for name, (_, dtypes) in KINDS.items() for dtype in dtypes]


@pytest.mark.parametrize(("kind", "dtype"), CASES, ids=[f"{name}-{NAMES[dtype]}" for name, dtype in CASES])
def test_one_operator(kind: str, dtype: int) -> None:
    compared = 0
    for seed in range(NETWORKS):
        draw = np.random.default_rng([seed, dtype, *kind.encode()])
        made = KINDS[kind][0](draw, dtype)
        fed = [made.graph.tensors[index] for index in made.graph.inputs]
        inputs = [elements(draw, tensor.type, tuple(tensor.shape)) for tensor in fed]
        content = made.pack()
        try:
            [right] = run_litert(content, inputs, kernels=Kernels.XNNPACK)
        except Refused:
            continue
        [ours] = mcusim.execute(parse_tflite(content, name=kind, where=kind), inputs, numerics="litert")
        np.testing.assert_array_equal(ours, right, err_msg=f"{kind}, network {seed}")
        compared += 1
    assert compared > NETWORKS // 2


def test_xnnpack_takes_no_convolution_of_int4() -> None:
    """So ruy multiplies its weights, unpacked: of one output in a hundred the two differ."""
    draw, made = np.random.default_rng(1), Maker()
    weights = draw.integers(-7, 8, (16, 3, 3, 24)).astype(np.int8)
    packed = (weights.ravel()[::2] & 15 | weights.ravel()[1::2] << 4).astype(np.uint8).tobytes()
    source = made.tensor((1, 12, 12, 24), INT8, None, (0.05,), (17,))
    kept = made.tensor(weights.shape, schema.TensorType.INT4, packed, (0.037,), (0,))
    bias = made.tensor((16,), INT32, draw.integers(-900, 900, 16), bias_scales=(float(np.float32(0.05 * 0.037)),))
    out = made.tensor((1, 12, 12, 16), INT8, None, (0.0913,), (3,))
    made.graph.inputs, made.graph.outputs = [source], [out]
    made.operator("CONV_2D", [source, kept, bias], [out], make_options("Conv2DOptions", strideW=1, strideH=1))
    made.model.operatorCodes[0].version = 8
    content, inputs = made.pack(), [draw.integers(-128, 128, (1, 12, 12, 24)).astype(np.int8)]
    [right] = run_litert(content, inputs, kernels=Kernels.XNNPACK)
    [ours] = mcusim.execute(parse_tflite(content, name="int4", where="int4"), inputs, numerics="litert")
    np.testing.assert_array_equal(ours, right)


def test_halves_of_a_bound_go_to_the_even_integer() -> None:
    """6 / scale is 10.5: XNNPACK clamps at 10, TFLM at 11."""
    made = Maker()
    a = made.tensor((1, 256), INT8, None, (4 / 7,), (0,))
    b = made.tensor((1, 1), INT8, [0], (4 / 7,), (0,))
    out = made.tensor((1, 256), INT8, None, (4 / 7,), (0,))
    made.graph.inputs, made.graph.outputs = [a], [out]
    made.operator("ADD", [a, b], [out], make_options("AddOptions", fusedActivationFunction=3))
    content, inputs = made.pack(), [np.arange(-128, 128, dtype=np.int8)[None]]
    graph = parse_tflite(content, name="bound", where="bound")
    [right] = run_litert(content, inputs, kernels=Kernels.XNNPACK)
    [ours] = mcusim.execute(graph, inputs, numerics="litert")
    [device] = mcusim.execute(graph, inputs, numerics="tflm")
    np.testing.assert_array_equal(ours, right)
    assert (right.max(), device.max()) == (10, 11)


def test_a_mean_starts_from_a_float() -> None:
    """The exact mean is 47.499995 below the zero point; XNNPACK's float32 line, which starts there, rounds it to 48."""
    made, stored = Maker(), np.full((1, 71, 1), -96, np.int8)
    stored[0, 0] -= 18
    source = made.tensor(stored.shape, INT8, None, (0.08250057697296143,), (-44,))
    axes = made.tensor((1,), INT32, [1])
    out = made.tensor((1, 1, 1), INT8, None, (0.09075675904750824,), (84,))
    made.graph.inputs, made.graph.outputs = [source], [out]
    made.operator("MEAN", [source, axes], [out], make_options("ReducerOptions", keepDims=True))
    content = made.pack()
    [right] = run_litert(content, [stored], kernels=Kernels.XNNPACK)
    [ours] = mcusim.execute(parse_tflite(content, name="mean", where="mean"), [stored], numerics="litert")
    assert (ours.item(), right.item()) == (36, 36)


def test_what_the_network_computes_is_no_weight() -> None:
    """The same numbers as constants are XNNPACK's; computed, they are ruy's. On this tie the two differ."""
    answers = []
    for is_constant in (False, True):
        made, identity = Maker(), np.eye(4, dtype=np.int8)
        source = made.tensor((1, 4), INT8, None, (1.0,), (0,))
        weights = made.tensor((4, 4), INT8, identity if is_constant else None, (1.0,), (0,))
        out = made.tensor((1, 4), INT8, None, (8.0,), (0,))
        made.graph.inputs, made.graph.outputs = [source] if is_constant else [source, weights], [out]
        made.operator("FULLY_CONNECTED", [source, weights, -1], [out], make_options("FullyConnectedOptions"))
        content, inputs = made.pack(), [np.array([[-4, 4, 12, -12]], np.int8), identity][: 2 - is_constant]
        [right] = run_litert(content, inputs, kernels=Kernels.XNNPACK)
        [ours] = mcusim.execute(parse_tflite(content, name="tie", where="tie"), inputs, numerics="litert")
        np.testing.assert_array_equal(ours, right)
        answers.append(ours.tolist())
    assert answers == [[[0, 1, 2, -1]], [[0, 0, 2, -2]]]

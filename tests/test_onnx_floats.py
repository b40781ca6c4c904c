"""Layers of a quantised network that have no scale: they compute in floats, as the network says.

TFLM agrees byte for byte on the exported file; ONNX Runtime to what the order of a sum makes of float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import run_tflm

pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")

from onnx_networks import run_runtime, stored, unstored
from test_onnx_operators import Between, X

from mcusim.execution import execute
from mcusim.frontends.onnx import parse_onnx
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph

Array = NDArray[Any]
Build = Callable[[Between, str], str]


def _conv(m: Between, x: str, channels: int = 6, **attributes: Any) -> str:
    y: str = m.op("Conv", x, m.weights((channels, 6, 3, 3)), kernel_shape=[3, 3], pads=[1] * 4, **attributes)
    m.channels[y] = channels
    return y


def _dense(m: Between, x: str) -> str:
    flat = m.op("Flatten", m.grid(m.op("GlobalMaxPool", x), X))
    return str(m.op("Gemm", flat, m.weights((5, 6)), m.constant(m.random.normal(0, 1, 5)), transB=1))


def _excluded(m: Between, x: str) -> str:
    """A layer left out of the quantising, float weights and all, in the middle of a network."""
    y = m.op("Conv", x, m.constant(m.random.normal(0, 0.2, (6, 6, 1, 1))), kernel_shape=[1, 1])
    m.channels[y] = 6
    return str(m.grid(m.relu(m.norm(y)), 0.02))


TAILS: dict[str, tuple[Build, tuple[str, ...]]] = {
    "dense": (_dense, ("FULLY_CONNECTED",)),
    "dense and softmax": (lambda m, x: m.op("Softmax", _dense(m, x), axis=-1), ("FULLY_CONNECTED", "SOFTMAX")),
    "dense, unit length": (lambda m, x: m.op("LpNormalization", _dense(m, x), axis=1), ("DIV",)),
    "convolution": (_conv, ("CONV_2D",)),
    "convolution and norm": (lambda m, x: m.relu6(m.norm(_conv(m, x))), ("CONV_2D",)),
    "convolution, turned": (lambda m, x: m.op("Transpose", _conv(m, x), perm=[0, 2, 3, 1]), ("CONV_2D",)),
    "convolution, reshaped": (lambda m, x: m.op("Reshape", _conv(m, x), m.integers(1, 2, 3, -1)), ("RESHAPE",)),
    "softmax over channels": (lambda m, x: m.op("Softmax", _conv(m, x), axis=1), ("SOFTMAX",)),
    "depthwise": (
        lambda m, x: m.op("Conv", x, m.weights((12, 1, 3, 3)), kernel_shape=[3, 3], group=6),
        ("DEPTHWISE_CONV_2D",),
    ),
    "groups": (lambda m, x: m.op("Conv", x, m.weights((9, 2, 3, 3)), kernel_shape=[3, 3], group=3), ("CONV_2D",)),
    "transposed": (
        lambda m, x: m.op("ConvTranspose", x, m.weights((6, 4, 3, 3), 1), strides=[2, 2], kernel_shape=[3, 3]),
        ("TRANSPOSE_CONV",),
    ),
    "matrix": (lambda m, x: m.op("MatMul", x, m.weights((9, 5), 1)), ("FULLY_CONNECTED",)),
    "two activations": (lambda m, x: m.op("MatMul", x, m.op("Transpose", x, perm=[0, 1, 3, 2])), ("BATCH_MATMUL",)),
    "boxes": (
        lambda m, x: m.op("Mul", m.op("Exp", _conv(m, x)), m.constant(np.linspace(0.1, 2, 6).reshape(6, 1, 1))),
        ("EXP", "MUL"),
    ),
    "pooled": (lambda m, x: m.op("MaxPool", _conv(m, x), kernel_shape=[2, 2], strides=[2, 2]), ("MAX_POOL_2D",)),
    "joined": (lambda m, x: m.op("Concat", _conv(m, x), x, axis=1), ("CONCATENATION",)),
}


def imported(build: Build, kind: str = "uint8") -> tuple[Graph, bytes]:
    m = Between((1, 6, 8, 9), kind, 17)
    content = m.model(build(m, m.grid("input", X))).SerializeToString()
    return parse_onnx(content, name="tail", where="tail.onnx"), content


def run_against_both(build: Build) -> tuple[Graph, Array, Array]:
    """The imported graph, its answer, and ONNX Runtime's in the same order of axes. TFLM has to answer the same."""
    graph, content = imported(build)
    real = np.random.default_rng(5).normal(0, 1.2, (1, 6, 8, 9)).astype(np.float32)
    given = stored(graph, graph.inputs[0], real)
    (answer,), (judged,) = execute(graph, [given]), run_tflm(write_tflite(graph), [given])
    np.testing.assert_array_equal(answer, judged)
    (wanted,) = run_runtime(content, {"input": real})
    return graph, unstored(graph, graph.outputs[0], answer), wanted


@pytest.mark.parametrize("name", TAILS)
def test_a_tail_without_scales_stays_in_floats(name: str) -> None:
    build, ops = TAILS[name]
    graph, answer, wanted = run_against_both(build)
    assert set(ops) <= {node.op for node in graph.nodes}
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, wanted, rtol=1e-5, atol=1e-5)
    assert any("computed in floats, as the network says, for its output has no scale" in n for n in graph.source.notes)


def test_a_layer_left_out_of_the_quantising_stays_in_floats() -> None:
    graph, answer, wanted = run_against_both(_excluded)
    assert [node.op for node in graph.nodes] == ["DEQUANTIZE", "CONV_2D", "QUANTIZE"]
    weights = graph.tensors[graph.nodes[1].inputs[1]]
    assert weights.dtype is DType.FLOAT32
    output = graph.tensors[graph.outputs[0]].quantization
    assert output is not None
    np.testing.assert_allclose((answer - np.float32(output.zero_points[0])) * output.scales[0], wanted, atol=0.0201)
    assert any("its weights have no scale" in note for note in graph.source.notes)


def test_dequantisers_of_one_value_are_one() -> None:
    """Some exporters write a dequantiser for each reader: x * hard sigmoid(x) is seen through them."""

    def build(m: Between, x: str) -> str:
        s, z = m.constant(0.02), m.constant(5, "uint8")
        whole = m.op("QuantizeLinear", _conv(m, x), s, z)
        left = m.op("DequantizeLinear", whole, s, z)
        right = m.op("DequantizeLinear", whole, m.constant(0.02), m.constant(5, "uint8"))
        return str(m.grid(m.op("Mul", left, m.op("HardSigmoid", right, alpha=1 / 6, beta=0.5)), 0.02))

    graph, _ = imported(build)
    assert [node.op for node in graph.nodes] == ["CONV_2D", "HARD_SWISH"]

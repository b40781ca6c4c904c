"""Networks in the shapes of well-known ones, quantised by ONNX Runtime in its usual ways: a verdict, and whose answer.

On the exported file TFLM has to agree byte for byte. ONNX Runtime computes in floats between the quantisers, so its
bytes are compared too, and how many are equal is held from below (docs/onnx.md has the table).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles import Kernels, run_litert, run_tflm

onnx = pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")

from onnx_networks import (  # noqa: E402
    MODES,
    NETWORKS,
    STYLES,
    Maker,
    calibration,
    compared,
    float_network,
    quantised,
    rewritten,
    runtime_saturates,
    stored,
)

import mcusim  # noqa: E402
from mcusim.execution import execute  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.tflite_writer import write_tflite  # noqa: E402
from mcusim.graph import Graph  # noqa: E402

Array = NDArray[Any]

QUICK = {"mobilenet_v2": "qop-u8s8", "ds_cnn": "qdq-u8s8", "shufflenet": "qdq-s8", "autoencoder": "qdq-u8u8"}
UNFIT = {("unet", "qdq-s16"): "TFLM has no int16 RESIZE_BILINEAR"}
"""What TFLM does not run, and why."""


def _cases() -> list[Any]:
    return [
        pytest.param(name, mode, id=f"{name}-{mode}", marks=[] if QUICK.get(name) == mode else [pytest.mark.slow])
        for name in NETWORKS
        for mode in MODES
    ]


@pytest.mark.filterwarnings("ignore")  # of the quantiser
@pytest.mark.parametrize(("name", "mode"), _cases())
def test_a_quantised_network(name: str, mode: str, tmp_path: Path) -> None:
    model = float_network(name)
    content = quantised(model, tmp_path, **MODES[mode])
    graph = parse_onnx(content, name=name, where=f"{name}.onnx")
    _assert_simulates(graph)
    feeds = calibration(model, 2, 7)
    for feed in feeds:
        _assert_equals_tflm(graph, stored(graph, graph.inputs[0], feed["input"]), is_judged=(name, mode) not in UNFIT)
    _assert_runs_in_litert(graph, stored(graph, graph.inputs[0], feeds[0]["input"]))
    if mode == "qop-u8s8" and runtime_saturates():
        pytest.skip("equal to TFLM; ONNX Runtime saturates sums of uint8 by int8 on this processor, which has no VNNI")
    equal, step = compared(graph, content, feeds)
    assert step <= 12, (equal, step)


def _assert_runs_in_litert(graph: Graph, given: Array) -> None:
    """LiteRT's default kernels, XNNPACK among them, take the exported file; they round once where TFLM's do twice."""
    answers = execute(graph, [given])
    for answer, theirs in zip(answers, run_litert(write_tflite(graph), [given], kernels=Kernels.XNNPACK), strict=True):
        assert answer.shape == theirs.shape
        assert np.abs(answer.astype(np.float64) - theirs).max() <= 12


def _assert_simulates(graph: Graph) -> None:
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert report.sram.arena_bytes > 0
    assert report.flash.model_bytes == len(write_tflite(graph)) == graph.source.file_bytes


def _assert_equals_tflm(graph: Graph, given: Array, *, is_judged: bool) -> None:
    answers = execute(graph, [given])
    if is_judged:
        for answer, judged in zip(answers, run_tflm(write_tflite(graph), [given]), strict=True):
            np.testing.assert_array_equal(answer, judged)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "resnet" else [pytest.mark.slow]) for name in NETWORKS]
)
def test_a_network_of_a_quantisation_aware_tool(name: str, style: str) -> None:
    content = rewritten(float_network(name), style)
    graph = parse_onnx(content, name=name, where=f"{name}.onnx")
    feeds = calibration(float_network(name), 2, 7)
    for feed in feeds:
        _assert_equals_tflm(graph, stored(graph, graph.inputs[0], feed["input"]), is_judged=True)
    _assert_runs_in_litert(graph, stored(graph, graph.inputs[0], feeds[0]["input"]))
    equal, step = compared(graph, content, feeds)
    assert step <= 10, (equal, step)


def test_bytes_as_input() -> None:
    """An image of bytes, cast to floats and scaled before the first quantiser: bytes go in, as int8."""
    m = Maker((1, 3, 8, 8))
    x = m.op("Mul", m.op("Cast", "input", to=1), m.constant(1 / 255))
    s, z = m.constant(1 / 255), m.constant(-128, "int8")
    x = m.op("DequantizeLinear", m.op("QuantizeLinear", x, s, z), s, z)
    model = m.model(m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    graph = parse_onnx(model.SerializeToString(), name="bytes", where="bytes.onnx")
    image = m.random.integers(0, 256, (1, 3, 8, 8))
    given = (image - 128).astype(np.int8).transpose(0, 2, 3, 1)
    [answer] = execute(graph, [np.ascontiguousarray(given)])
    pooled = image.reshape(1, 3, 4, 2, 4, 2).max((3, 5)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(answer.astype(np.int64) + 128, pooled)


def test_a_shape_that_is_computed_from_an_open_batch() -> None:
    """As older exporters flatten: Shape, Gather, Unsqueeze, Concat, Reshape. The batch is open; weights are shared."""
    m = Maker((1, 3, 8, 8))

    def grid(x: str) -> str:
        s, z = m.constant(0.05), m.constant(3, "int8")
        return str(m.op("DequantizeLinear", m.op("QuantizeLinear", x, s, z), s, z))

    stored_weights = m.constant(m.random.integers(-90, 90, (3, 3, 3, 3)), "int8")
    weights = m.op("DequantizeLinear", stored_weights, m.constant(0.01), m.constant(0, "int8"))
    x = grid("input")
    for _ in range(2):
        x = grid(m.op("Relu", m.op("Conv", x, weights, kernel_shape=[3, 3], pads=[1] * 4)))
    count = m.op("Unsqueeze", m.op("Gather", m.op("Shape", x), m.constant(0, "int64"), axis=0), m.integers(0))
    x = m.op("Reshape", x, m.op("Concat", count, m.integers(-1), axis=0))
    head = m.op("DequantizeLinear", m.constant(m.random.integers(-90, 90, (192, 4)), "int8"), m.constant(0.01))
    model = m.model(grid(m.op("MatMul", x, head)))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    content = model.SerializeToString()
    graph = parse_onnx(content, name="open", where="open.onnx")
    assert [node.op for node in graph.nodes] == ["CONV_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    equal, step = compared(graph, content, [{"input": m.random.normal(0, 1, (1, 3, 8, 8)).astype(np.float32)}])
    assert step <= 1, (equal, step)


@pytest.mark.filterwarnings("ignore")
def test_transposes_cancel(tmp_path: Path) -> None:
    """NCHW becomes NHWC once: convolutional networks keep no transpose but those of their own shuffles."""
    for name, transposes in (("resnet", 0), ("mobilenet_v3", 0), ("shufflenet", 2)):
        graph = parse_onnx(quantised(float_network(name), tmp_path), name=name, where=name)
        assert sum(node.op == "TRANSPOSE" for node in graph.nodes) == transposes, name

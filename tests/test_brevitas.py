"""Modules trained and exported by Brevitas' own package: QuantizeLinear, Clip, DequantizeLinear, fewer bits among them.

TFLM has to agree byte for byte on the exported file. ONNX Runtime computes in floats between the quantisers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import run_tflm

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
pytest.importorskip("onnxoptimizer", reason="onnxoptimizer, which Brevitas exports with, is not installed")
layers = pytest.importorskip("brevitas.nn", reason="Brevitas is not installed", exc_type=ImportError)
exporting = pytest.importorskip("brevitas.export", reason="Brevitas is not installed", exc_type=ImportError)
quantisers = pytest.importorskip("brevitas.quant", reason="Brevitas is not installed", exc_type=ImportError)

from onnx_networks import calibration, compared, stored  # noqa: E402

import mcusim  # noqa: E402
from mcusim.execution import execute  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.tflite_writer import write_tflite  # noqa: E402

nn, flatten = torch.nn, torch.flatten
pytestmark = [pytest.mark.torch, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def _activation(bits: int = 8) -> Any:
    return layers.QuantReLU(bit_width=bits, return_quant_tensor=True)


class Separable(nn.Module):
    """MobileNetV1: 4-bit pointwise weights, a scale a channel; activations of 7 bits."""

    def __init__(self) -> None:
        super().__init__()
        each = {"weight_quant": quantisers.Int8WeightPerChannelFloat, "bias": True}
        parts: list[Any] = [layers.QuantIdentity(bit_width=8, return_quant_tensor=True)]
        parts += [layers.QuantConv2d(3, 8, 3, 2, 1, **each), _activation()]
        for inner, outer, stride in ((8, 16, 1), (16, 24, 2)):
            parts += [layers.QuantConv2d(inner, inner, 3, stride, 1, groups=inner, **each), _activation(7)]
            parts += [layers.QuantConv2d(inner, outer, 1, weight_bit_width=4, **each), _activation()]
        self.body = nn.Sequential(*parts)
        self.head = layers.QuantLinear(24 * 64, 10, True)
        self.out = layers.QuantIdentity(bit_width=8)

    def forward(self, x: Any) -> Any:
        return self.out(self.head(flatten(self.body(x), 1)))


class Residual(nn.Module):
    """ResNet: batch norms behind convolutions, a quantised sum, integers for biases."""

    def __init__(self) -> None:
        super().__init__()
        self.given = layers.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.stem, self.norm = layers.QuantConv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.first = _activation()
        biased = {"bias": True, "bias_quant": quantisers.Int32Bias}
        self.a, self.middle = layers.QuantConv2d(8, 8, 3, padding=1, **biased), _activation()
        self.b = layers.QuantConv2d(8, 8, 3, padding=1, **biased)
        self.sum = layers.QuantEltwiseAdd()
        self.pool = nn.MaxPool2d(2)
        self.head, self.out = layers.QuantLinear(8 * 64, 6, True), layers.QuantIdentity(bit_width=8)

    def forward(self, x: Any) -> Any:
        x = self.first(self.norm(self.stem(self.given(x))))
        x = torch.relu(self.sum(x, self.b(self.middle(self.a(x)))))
        return self.out(self.head(flatten(self.pool(x), 1)))


class Dense(nn.Module):
    """An autoencoder of 4-bit weights."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (40, 24, 8, 24)
        parts: list[Any] = [layers.QuantIdentity(bit_width=8, return_quant_tensor=True)]
        for inner, outer in pairwise(sizes):
            parts += [layers.QuantLinear(inner, outer, True, weight_bit_width=4), _activation()]
        parts += [layers.QuantLinear(24, 40, True), layers.QuantIdentity(bit_width=8)]
        self.layers = nn.Sequential(*parts)

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Keywords(nn.Module):
    """DS-CNN on unsigned input, scales that are powers of two as fixed-point hardware has them."""

    def __init__(self) -> None:
        super().__init__()
        fixed = {"weight_quant": quantisers.Int8WeightPerTensorFixedPoint, "bias": True}
        act = {"act_quant": quantisers.Uint8ActPerTensorFixedPoint, "return_quant_tensor": True}
        self.given = layers.QuantIdentity(quantisers.Int8ActPerTensorFixedPoint, return_quant_tensor=True)
        self.a, self.b = layers.QuantConv2d(1, 8, (10, 4), 2, **fixed), layers.QuantConv2d(8, 8, 3, groups=8, **fixed)
        self.first, self.second = layers.QuantReLU(**act), layers.QuantReLU(**act)
        self.head, self.out = (
            layers.QuantLinear(8 * 18 * 2, 12, **fixed),
            layers.QuantIdentity(quantisers.Int8ActPerTensorFixedPoint),
        )

    def forward(self, x: Any) -> Any:
        x = self.second(self.b(self.first(self.a(self.given(x)))))
        return self.out(self.head(flatten(x.value, 1)))


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "separable": (Separable, (1, 3, 32, 32)),
    "residual": (Residual, (1, 3, 16, 16)),
    "dense": (Dense, (1, 40)),
    "keywords": (Keywords, (1, 1, 49, 10)),
}


@cache
def exported(name: str, folder: Path) -> bytes:
    torch.manual_seed(len(name))
    torch.set_num_threads(1)
    made, shape = MODULES[name]
    module = made()
    for _ in range(4):  # activations learn their ranges
        module(torch.randn(shape))
    path = folder / "net.onnx"
    exporting.export_onnx_qcdq(module.eval(), torch.randn(shape), export_path=str(path), opset_version=18, dynamo=False)
    return path.read_bytes()


@pytest.mark.parametrize("name", MODULES)
def test_a_module_of_brevitas(name: str, tmp_path: Path) -> None:
    import onnx

    content = exported(name, tmp_path)
    graph = parse_onnx(content, name=name, where=f"{name}.onnx")
    written = write_tflite(graph)
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert report.flash.model_bytes == len(written)
    assert "DEQUANTIZE" not in {node.op for node in graph.nodes}
    feeds = calibration(onnx.load_from_string(content), 3, 7)
    for feed in feeds:
        given = stored(graph, graph.inputs[0], next(iter(feed.values())))
        for answer, judged in zip(execute(graph, [given]), run_tflm(written, [given]), strict=True):
            np.testing.assert_array_equal(answer, judged)
    equal, step = compared(graph, content, feeds)
    assert equal > 0.5, (equal, step)
    assert step <= 3, (equal, step)

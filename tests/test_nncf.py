"""Networks as NNCF's own package quantises them: scales a channel before depthwise convolutions, floats at the end.

On the exported file TFLM has to agree byte for byte, and ONNX Runtime to a few steps of the scale where there is one.
"""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from oracles import run_tflm

pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")
nncf = pytest.importorskip("nncf", reason="NNCF is not installed (extra `exporters`)")

from onnx_networks import NETWORKS, calibration, float_network, run_runtime, stored  # noqa: E402

import mcusim  # noqa: E402
from mcusim.execution import execute  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.tflite_writer import write_tflite  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
PRESETS = ("PERFORMANCE", "MIXED")
"""Symmetric activations, or symmetric weights alone."""
QUICK = {("mobilenet_v2", "MIXED"), ("ds_cnn", "PERFORMANCE")}


def quantised(name: str, preset: str) -> bytes:
    """The network as `nncf.quantize` leaves it."""
    logging.getLogger("nncf").setLevel(logging.ERROR)
    model = float_network(name)
    with contextlib.redirect_stdout(io.StringIO()):
        made = nncf.quantize(
            model,
            nncf.Dataset(calibration(model)),
            preset=nncf.QuantizationPreset[preset],
            target_device=nncf.TargetDevice.CPU,
            subset_size=8,
        )
    return bytes(made.SerializeToString())


def _cases() -> list[Any]:
    return [
        pytest.param(name, preset, id=f"{name}-{preset}", marks=[] if (name, preset) in QUICK else [pytest.mark.slow])
        for name in NETWORKS
        for preset in PRESETS
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), _cases())
def test_a_network_of_nncf(name: str, preset: str) -> None:
    content = quantised(name, preset)
    graph = parse_onnx(content, name=name, where=f"{name}.onnx")
    exported = write_tflite(graph)
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert report.flash.model_bytes == len(exported)
    for feed in calibration(float_network(name), 2, 7):
        given = stored(graph, graph.inputs[0], feed["input"])
        answers = execute(graph, [given])
        for answer, judged in zip(answers, run_tflm(exported, [given]), strict=True):
            np.testing.assert_array_equal(answer, judged)
        for index, answer, wanted in zip(graph.outputs, answers, run_runtime(content, feed), strict=True):
            exact = stored(graph, index, wanted).astype(np.float64)
            is_real = graph.tensors[index].quantization is None  # NNCF leaves outputs in floats
            bound = 0.1 * np.abs(exact).max() if is_real else 6
            assert np.abs(exact - answer).max() <= bound


@pytest.mark.slow
def test_every_command_takes_it(tmp_path: Path) -> None:
    path, out = tmp_path / "net.onnx", tmp_path / "net.tflite"
    path.write_bytes(quantised("mobilenet_v1", "PERFORMANCE"))
    assert run("run", str(path), "--profile", "stm32h743", "--runtime", "tflm").code == 0
    done = run("export", str(path), str(out))
    assert done.code == 0
    assert "a scale a channel became one" in done.out
    assert "layers equal" in run("diff", str(path), str(out)).out

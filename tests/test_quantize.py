"""`mcusim quantize`: float ONNX and calibration data to .tflite, with the scales that TFLite's kernels want."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from numpy.typing import NDArray
from oracles import run_tflm

onnx = pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")

from onnx_networks import calibration, float_network  # noqa: E402

import mcusim  # noqa: E402
from mcusim.cli.schema import document_schema  # noqa: E402
from mcusim.execution import execute  # noqa: E402

Array = NDArray[Any]
pytestmark = pytest.mark.filterwarnings("ignore")  # of the quantiser


@pytest.fixture
def files(tmp_path: Path) -> Path:
    model = float_network("unet")
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", input=np.concatenate([feed["input"] for feed in calibration(model, 8)]))
    return tmp_path


def quantise(folder: Path, *more: str, code: int = 0) -> str:
    done = run(
        "quantize", str(folder / "net.onnx"), "--data", str(folder / "data.npz"), "-o", str(folder / "o.tflite"), *more
    )
    assert done.code == code, done.err
    return done.out + done.err


def test_the_document_keeps_to_its_schema(files: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(quantise(files, "--json", "-"))
    assert (document["schema_version"], document["size_bytes"]) == (1, (files / "o.tflite").stat().st_size)
    jsonschema.validate(document, document_schema("quantize"))


def test_a_float_network_becomes_a_tflite_file(files: Path) -> None:
    text = quantise(files)
    assert "on 8 samples: " in text
    assert "dB above its quantisation noise" in text
    graph = mcusim.load(files / "o.tflite")
    given = [np.random.default_rng(1).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)]
    answer, judged = execute(graph, given), run_tflm((files / "o.tflite").read_bytes(), given)
    np.testing.assert_array_equal(answer[0], judged[0])
    ops = [node.op for node in graph.nodes]
    assert ops.count("QUANTIZE") == 2, (
        ops
    )  # a concatenation's inputs lie on its scale, but for one that others read too
    for node in graph.nodes:
        if node.op == "LOGISTIC":
            assert graph.tensors[node.outputs[0]].quantization == mcusim.graph.Quantization((2.0**-8,), (-128,))


def test_weights_in_a_file_beside_the_model(files: Path) -> None:
    """As torch.onnx.export writes them."""
    quantise(files)
    whole = (files / "o.tflite").read_bytes()
    onnx.save(float_network("unet"), files / "net.onnx", save_as_external_data=True, size_threshold=0)
    assert len(list(files.glob("*"))) == 4
    quantise(files)
    assert (files / "o.tflite").read_bytes() == whole


@pytest.mark.parametrize(
    "options",
    [("--method", "percentile", "--percentile", "99.9"), ("--per-tensor",), ("--bits", "16"), ("--method", "entropy")],
    ids=" ".join,
)
@pytest.mark.slow
def test_each_way(options: tuple[str, ...], files: Path) -> None:
    document = json.loads(quantise(files, *options, "--json", "-"))
    assert document["outputs"][0]["sqnr_db"] > 15
    is_wide = "16" in options
    graph = mcusim.load(files / "o.tflite")
    assert graph.tensors[graph.inputs[0]].dtype == ("int16" if is_wide else "int8")


def test_hard_swish_is_one_operator(tmp_path: Path) -> None:
    model = float_network("mobilenet_v3")
    onnx.save(model, tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", input=np.concatenate([feed["input"] for feed in calibration(model, 4)]))
    assert "the same largest element on" in quantise(tmp_path)
    ops = [node.op for node in mcusim.load(tmp_path / "o.tflite").nodes]
    assert ops.count("HARD_SWISH") == 4, ops


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"other": np.zeros((4, 1, 16, 16), np.float32), "more": np.zeros(1)}, "it has no array 'input'"),
        ({"input": np.zeros((4, 16, 16, 1), np.float32)}, "give N samples as the network takes them, Nx1x16x16"),
        ({"input": np.zeros((0, 1, 16, 16), np.float32)}, "give N samples"),
        ({"input": np.full((4, 1, 16, 16), np.nan, np.float32)}, "not finite"),
    ],
)
def test_data_that_do_not_fit(arrays: dict[str, Array], match: str, files: Path) -> None:
    np.savez(files / "data.npz", **arrays)
    assert match in quantise(files, code=2)
    assert not (files / "o.tflite").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--method", "best"), "no method"),
        (("--percentile", "3"), "no percentile"),
        (("--bits", "4"), "activations of 4 bits"),
    ],
)
def test_options_that_make_no_sense(options: tuple[str, ...], match: str, files: Path) -> None:
    assert match in quantise(files, *options, code=2)


def test_a_quantised_network_is_not_quantised_again(files: Path) -> None:
    from onnx_networks import quantised

    (files / "net.onnx").write_bytes(quantised(float_network("unet"), files))
    assert "is quantised already" in quantise(files, code=2)

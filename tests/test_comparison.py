"""`mcusim diff`: where two runs part, and what quantising costs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcusim
from mcusim import GraphBuilder
from mcusim.cli import main
from mcusim.errors import InputError
from mcusim.execution.comparison import (
    Layer,
    Recording,
    compare,
    first_difference,
    quantization_noise,
    recorded,
    restored,
    stored_inputs,
)
from mcusim.execution.floating import dequantize
from mcusim.graph import DType, Graph, Quantization
from mcusim.render.comparison import difference_lines
from mcusim.render.text import ASCII

Array = np.ndarray[Any, Any]


def recording(label: str, **arrays: Any) -> Recording:
    return Recording(label, tuple(Layer(name, "ADD", np.array(values, np.int8)) for name, values in arrays.items()))


def test_first_layer_and_element_that_differ() -> None:
    a = recording("a", one=[[1, 2], [3, 4]], two=[[1, 2], [3, 4]], three=[5])
    b = recording("b", one=[[1, 2], [3, 4]], two=[[1, 2], [0, 5]], three=[5])
    layers = compare(a, b).layers
    difference = first_difference(layers)
    assert difference is not None
    assert (difference.name, difference.first, difference.values) == ("two", (1, 0), (3.0, 0.0))
    assert (difference.differing, difference.elements, difference.max_abs, difference.mean_abs) == (2, 4, 3.0, 1.0)
    assert first_difference(compare(a, a).layers) is None


def test_int8_differences_do_not_wrap() -> None:
    [layer] = compare(recording("a", x=[-128]), recording("b", x=[127])).layers
    assert layer.max_abs == 255


def test_networks_with_other_names_are_compared_by_place() -> None:
    [layer] = compare(recording("a", x=[1, 2]), recording("b", y=[1, 3])).layers
    assert layer.first == (1,)
    with pytest.raises(InputError, match="no layers of the same name"):
        compare(recording("a", x=[1, 2]), recording("b", y=[1]))


def test_layers_without_a_partner_are_counted() -> None:
    a, b = recording("a", x=[1], y=[2], z=[3]), recording("b", x=[1], v=[2, 2])
    comparison = compare(a, b)
    assert (len(comparison.layers), comparison.unpaired_a, comparison.unpaired_b) == (1, 2, 1)
    [headline, *_] = difference_lines("a against b", comparison, "", 100, ASCII)
    assert headline.plain == "a against b: 1 shared layer equal; 2 layers of A and 1 of B have no partner"


def convolution() -> Graph:
    b = GraphBuilder("small")
    rng = np.random.default_rng(0)
    x = b.input((1, 6, 6, 2), quantization=Quantization((0.1,), (0,)))
    weights = b.constant(
        (3, 3, 3, 2),
        values=rng.integers(-127, 128, (3, 3, 3, 2)),
        quantization=Quantization((0.01, 0.02, 0.005), (0, 0, 0), 0),
    )
    bias = b.constant(
        (3,), DType.INT32, values=[100, -50, 0], quantization=Quantization((0.001, 0.002, 0.0005), (0, 0, 0), 0)
    )
    return b.build([b.op("CONV_2D", [x, weights, bias], quantization=Quantization((0.2,), (5,)))])


def test_noise_is_that_of_a_float_convolution() -> None:
    graph = convolution()
    x = np.random.default_rng(1).integers(-128, 128, (1, 6, 6, 2), dtype=np.int8)
    trace = mcusim.execute(graph, x, trace=True)
    [noise] = quantization_noise(graph, trace)
    weights, bias = (dequantize(t, t.constant) for t in graph.tensors if t.constant is not None)
    real = np.zeros((4, 4, 3))
    for r in range(4):
        for c in range(4):
            patch = 0.1 * x[0, r : r + 3, c : c + 3].astype(np.float64)
            real[r, c] = [(patch * weights[o]).sum() + bias[o] for o in range(3)]
    given = 0.2 * (trace.outputs[0][0].astype(np.float64) - 5)
    expected = 10 * math.log10((real**2).sum() / ((real - given) ** 2).sum())
    assert noise.sqnr_db == pytest.approx(expected, abs=1e-3)
    place = real / 0.2 + 5
    assert noise.saturated == pytest.approx(float(((place > 127.5) | (place < -128.5)).mean()))


@pytest.mark.slow
def test_every_corpus_network_has_a_float_twin(corpus: Path) -> None:
    for name in ("mlperf_ic01_resnet8_int8", "mww_v2_okay_nabu", "mcunet_5fps_vww", "tinymaix_mnist_dw_q"):
        graph = mcusim.load(corpus / "models" / f"{name}.tflite")
        rng = np.random.default_rng(0)
        x = [rng.integers(-128, 128, graph.tensors[t].shape, dtype=np.int8) for t in graph.inputs]
        layers = quantization_noise(graph, mcusim.execute(graph, x, trace=True))
        assert not any(layer.is_restarted for layer in layers)
        assert layers[0].sqnr_db is not None
        assert layers[0].sqnr_db > 20


def test_traces_survive_a_file(tmp_path: Path) -> None:
    graph = convolution()
    x = np.ones((1, 6, 6, 2), np.int8)
    trace = mcusim.execute(graph, x, trace=True)
    size_bytes = sum(array.nbytes for array in trace.tensors.values())
    assert repr(trace) == f"<Trace of {graph.name}: {len(trace.tensors)} tensors, {size_bytes:,} bytes, 1 outputs>"
    arrays = {f"{i}:{graph.tensors[i].name}": array for i, array in trace.tensors.items()}
    input_key = f"{graph.inputs[0]}:{graph.tensors[graph.inputs[0]].name}"
    assert stored_inputs(graph, arrays, "t").popitem()[1] == input_key
    comparison = compare(recorded(graph, trace, "a"), restored(arrays, "b", {input_key}))
    assert first_difference(comparison.layers) is None
    assert (comparison.unpaired_a, comparison.unpaired_b) == (0, 0)
    with pytest.raises(InputError, match="holds no input"):
        stored_inputs(graph, {"other": x}, "t")


@pytest.mark.slow
def test_diff_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["diff", "mcunet-vww0", "--seed", "1"]
    assert main([*base, "--numerics", "tflm,litert"]) == 0
    out = capsys.readouterr().out
    assert "layers differ" in out
    assert "on random input, seed 1; --input FILE for real data" in out
    assert "first: layer" in out
    assert main([*base, "--numerics", "tflm,tflm"]) == 0
    assert "layers equal" in capsys.readouterr().out
    assert main([*base, "--numerics", "tflm,tflm", "--check"]) == 0
    assert main([*base, "--numerics", "tflm,litert", "--check"]) == 1
    assert "layers differ" in capsys.readouterr().out
    assert main([*base, "--float", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"name", "sqnr_db", "saturated", "dead_channels"} <= set(document["layers"][0])
    trace = str(tmp_path / "t.npz")
    assert main(["exec", "mcunet-vww0", "--seed", "1", "--input", "random", "--trace", trace]) == 0
    capsys.readouterr()
    assert main(["diff", trace, "mcunet-vww0", "--seed", "1", "--json", str(tmp_path / "d.json")]) == 0
    out = capsys.readouterr().out
    assert ": all " in out
    assert "on the input that the trace holds" in out
    document = json.loads((tmp_path / "d.json").read_text())
    assert (document["unpaired_a"], document["unpaired_b"]) == (0, 0)
    np.savez(tmp_path / "part.npz", **dict(list(np.load(trace).items())[:2]))
    assert main(["diff", trace, str(tmp_path / "part.npz")]) == 0
    out = capsys.readouterr().out
    assert "have no partner" in out
    assert ": all " not in out
    assert main(["diff", trace, str(tmp_path / "part.npz"), "--check"]) == 1
    assert main(["diff", trace, trace, "--check"]) == 0
    capsys.readouterr()
    np.savez(tmp_path / "other.npz", x=np.zeros(3, np.int8))
    assert main(["diff", str(tmp_path / "other.npz"), "mcunet-vww0", "--seed", "1"]) == 2
    assert "holds no input" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["mcunet-vww0"], "what should it be compared with?"),
        (["mcunet-vww0", "--numerics", "a,b,c"], "names 3 modes"),
        (["none.npz", "--float"], "a saved trace cannot be run in float"),
        (["none.npz", "none.npz"], "cannot be read"),
        (["mcunet-vww0", "mcunet-vww0"], "has no weights"),
        (["mcunet-vww0", "mcunet-vww1", "--seed", "1"], "different inputs, int8 1x64x64x3 and int8 1x80x80x3"),
        (["mcunet-vww0", "--numerics", "tflm,exact"], "no numeric mode 'exact'"),
        (["mcunet-vww0", "mcunet-vww0", "--numerics", "tflm,litert"], "two modes are for A alone"),
        (["a.npz", "b.npz", "--numerics", "tflm"], "--numerics: saved traces are not run again"),
        (["a.npz", "b.npz", "--input", "x.npy"], "--input: saved traces are not run again"),
        (["a.npz", "b.npz", "--seed", "1"], "--seed: saved traces are not run again"),
        (["a.npz", "--numerics", "tflm,litert"], "what should it be compared with?"),
        (["a.npz", "mcunet-vww0", "--input", "random"], "never compared with a run on random data"),
        (["mcunet-vww0", "mcunet-vww0", "--float"], "B is given"),
        (["mcunet-vww0", "--float", "--check"], "--check: quantised layers always differ"),
        (["mcunet-vww0", "--float", "--numerics", "tflm,litert"], "one mode with float32"),
    ],
)
def test_diff_refuses_in_one_sentence(capsys: pytest.CaptureFixture[str], args: list[str], sentence: str) -> None:
    assert main(["diff", *args]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1

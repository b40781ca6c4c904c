"""What ONNX files are refused, and how: one sentence that names the node and says what would help."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

onnx = pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")

from onnx_networks import Maker, compared  # noqa: E402

import mcusim  # noqa: E402
from mcusim.errors import McusimError  # noqa: E402
from mcusim.frontends.onnx import parse_onnx  # noqa: E402
from mcusim.frontends.onnx.reading import MAX_NODES  # noqa: E402
from mcusim.limits import memory_limit  # noqa: E402


def small(*, shape: tuple[int, ...] = (1, 3, 8, 8), op: Callable[[Maker, str], Any] | None = None) -> Any:
    """A convolution between quantisers, with an operator behind it."""
    m = Maker(shape)
    m.channels["input"] = 3
    x = grid(m, "input")
    weights = m.op(
        "DequantizeLinear",
        m.constant(m.random.integers(-9, 9, (4, 3, 3, 3)), "int8"),
        m.constant(0.02),
        m.constant(0, "int8"),
    )
    x = grid(m, m.op("Conv", x, weights, kernel_shape=[3, 3]))
    if op is not None:
        x = grid(m, op(m, x))
    return m.model(x)


def grid(m: Maker, x: str, scale: float = 0.05, zero_point: Any = 0, kind: str = "int8") -> str:
    s, z = m.constant(scale), m.constant(zero_point, kind)
    return str(m.op("DequantizeLinear", m.op("QuantizeLinear", x, s, z), s, z))


def refused(model: Any, match: str) -> None:
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(McusimError, match=match):
        parse_onnx(content, name="net", where="net.onnx")


def test_the_small_network_is_taken() -> None:
    assert [node.op for node in parse_onnx(small().SerializeToString(), name="n", where="n").nodes] == ["CONV_2D"]


@pytest.mark.parametrize(
    ("op", "match"),
    [
        (lambda m, x: m.op("Erf", m.op("Sqrt", x)), r"node 'n_erf\d+' \(Erf\): TFLM has no Erf, .*\n  fix: .*ReLU"),
        (lambda m, x: m.op("Selu", x), r"cannot express Selu"),
        (lambda m, x: m.op("Resize", x, "", m.constant([1, 1, 2, 2]), mode="cubic"), r"resizes by 'cubic'"),
        (lambda m, x: m.op("Pad", x, m.integers(0, 0, 1, 1, 0, 0, 1, 1), mode="wrap"), r"pads by 'wrap'"),
        (lambda m, x: m.op("Pad", x, m.integers(0, 0, 40, 1, 0, 0, 1, 1), mode="edge"), r"pads 40 elements by 'edge'"),
        (lambda m, x: m.op("Pow", x, m.constant(2.5)), "no such power"),
    ],
)  # fmt: skip
def test_an_operator_is_refused_by_its_node(op: Callable[[Maker, str], Any], match: str) -> None:
    refused(small(op=op), match)


def test_a_float_network_is_told_how_to_quantise_it() -> None:
    m = Maker((1, 3, 8, 8))
    refused(m.model(m.relu(m.conv("input", 4))), r"not quantised: it computes in floats\n  fix: .*mcusim quantize")


def test_dynamic_quantisation() -> None:
    m = Maker((1, 8))
    a, s, z = m.op("DynamicQuantizeLinear", "input", outputs=3)
    refused(m.model(m.op("DequantizeLinear", a, s, z)), r"computed at run time \(dynamic")


def test_scales_that_are_no_numbers() -> None:
    for scale in (np.nan, np.inf, -1.0):
        m = Maker((1, 8))
        refused(m.model(m.op("Relu", grid(m, "input", scale))), "no numbers to divide by")


def test_scales_a_channel_before_opset_13() -> None:
    """As quantize_static writes them for networks of older opsets, which ONNX Runtime refuses itself."""
    m = Maker((1, 3, 8, 8))
    scales, zeros = m.constant(np.full(3, 0.1)), m.constant(np.zeros(3), "int8")
    stored = m.op("QuantizeLinear", "input", scales, zeros, axis=1)
    made = m.model(m.op("DequantizeLinear", stored, scales, zeros, axis=1))
    made.opset_import[0].version = 11
    refused(made, r"a scale for each channel, which came with opset 13; the file has 11\n  fix: convert")


@pytest.mark.parametrize(
    ("op", "before"),
    [
        ("Relu", lambda m, x: m.relu(x)),
        ("Max", lambda m, x: m.op("Max", x, m.constant(0.5))),
        ("Mul", lambda m, x: m.op("Mul", x, m.constant(0.5))),
        ("HardSigmoid", lambda m, x: m.op("HardSigmoid", m.op("Sqrt", x))),
        ("Pow", lambda m, x: m.op("Pow", x, m.constant(2.0))),
        ("Softsign", lambda m, x: m.op("Softsign", x)),
    ],
)
def test_activations_with_a_scale_a_channel(op: str, before: Callable[[Maker, str], Any]) -> None:
    """Before a depthwise convolution they are taken (tests/test_onnx_operators.py); a sum needs one scale.

    The operator is that of the file, whatever stands for it here.
    """

    def each(m: Maker, x: str) -> Any:
        scales, zeros = m.constant(np.linspace(0.01, 0.04, 4)), m.constant(np.zeros(4), "int8")
        stored = m.op("QuantizeLinear", before(m, x), scales, zeros, axis=1)
        return m.op("Add", x, m.op("DequantizeLinear", stored, scales, zeros, axis=1))

    refused(small(op=each), rf"\({op}\): its output has a scale a channel, and not only depthwise .*\n  fix: .*NNCF")


def test_int16_with_a_zero_point() -> None:
    m = Maker((1, 8))
    made = m.model(m.op("Relu", grid(m, "input", 0.01, 5, "int16")))
    refused(made, r"int16 with zero point 5, .*\n  fix: .*'ActivationSymmetric': True")


def test_weights_alone() -> None:
    m = Maker((1, 8))
    weights = m.op("DequantizeLinear", m.constant(np.ones((8, 4)), "int8"), m.constant(0.1), m.constant(0, "int8"))
    refused(m.model(m.op("MatMul", "input", weights)), r"only its weights are quantised.*\n  fix: quantise it: `mcusim")


@pytest.mark.parametrize(("axis", "is_taken"), [(0, True), (1, False), (2, False)])
def test_a_dynamic_axis(axis: int, is_taken: bool) -> None:
    """An open batch is 1; any other open axis is refused."""
    model = small()
    model.graph.input[0].type.tensor_type.shape.dim[axis].ClearField("dim_value")
    model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = "N"
    if is_taken:
        graph = parse_onnx(model.SerializeToString(), name="net", where="net.onnx")
        assert graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 3)
    else:
        refused(model, rf"dynamic axis: axis {axis} is 'N'\n  fix: export it with fixed shapes")


def test_custom_domains_functions_opsets_and_sparse_tensors() -> None:
    model = small()
    model.graph.node[-1].domain = "ai.acme"
    refused(model, "custom domain 'ai.acme'")
    for opset, match in ((9, "older"), (9999, "newer")):
        model = small()
        model.opset_import[0].version = opset
        refused(model, f"opset {opset} is {match}")
    model = small()
    model.graph.sparse_initializer.add()
    refused(model, "sparse|malformed")


def test_too_many_nodes() -> None:
    model = small()
    for index in range(MAX_NODES):
        model.graph.node.append(onnx.helper.make_node("Relu", [f"v{index}"], [f"v{index + 1}"]))
    refused(model, r"20,\d+ nodes, and 20,000 are taken at most")


def test_a_cycle() -> None:
    model = small()
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]
    refused(model, "malformed")


MALFORMED: dict[str, tuple[Callable[[Any], object], str]] = {
    "order": (lambda m: m.graph.node[0].input.__setitem__(0, m.graph.output[0].name), "read before anything writes it"),
    "operator": (lambda m: setattr(m.graph.node[0], "op_type", "Nothing"), "no operator Nothing in opset"),
    "inputs": (lambda m: m.graph.node[0].ClearField("input"), "an operator has 0 inputs, and takes 2 to 3"),
    "outputs": (lambda m: m.graph.node[-1].output.append("again"), "an operator has 2 outputs, and gives 1 to 1"),
    "attribute": (lambda m: setattr(_kernel_shape(m), "name", "n" * 900), f"attribute {'n' * 60}... is none of"),
    "value": (lambda m: setattr(_kernel_shape(m), "type", 1), "attribute kernel_shape has a value of another type"),
    "twice": (lambda m: m.graph.node.append(m.graph.node[-1]), "is written more than once"),
    "constant": (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "is there twice"),
    "unwritten": (lambda m: setattr(m.graph.output[0], "name", "nobody"), "nothing writes the output 'nobody'"),
    "later": (lambda m: setattr(m, "ir_version", 99), "format is version 99, and onnx here knows"),
    "few bytes": (
        lambda m: setattr(m.graph.initializer[0], "raw_data", b"1"),
        "has fewer bytes than its shape",
    ),
    "no bytes": (lambda m: m.graph.initializer[0].ClearField("raw_data"), "has its elements twice or never"),
    "no type": (lambda m: m.graph.initializer[0].ClearField("data_type"), "a field data_type of a tensor is empty"),
    "no name": (lambda m: m.graph.node[0].ClearField("op_type"), "a field op_type of a node is empty or missing"),
}


def _kernel_shape(model: Any) -> Any:
    return next(each for node in model.graph.node for each in node.attribute if each.name == "kernel_shape")


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_the_checker_refuses_is_said_in_our_words(kind: str) -> None:
    damage, sentence = MALFORMED[kind]
    model = small()
    damage(model)
    with pytest.raises(McusimError) as caught:
        parse_onnx(model.SerializeToString(), name="net", where="net.onnx")
    assert sentence in caught.value.what
    assert len(str(caught.value)) < 300
    assert not re.search("ValidationError|TensorProto|schema|SSA|Context", str(caught.value))


def test_external_data(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(small(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert len(mcusim.load(path).nodes) == 1
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(McusimError, match=r"'weights.bin', which is not there\n  fix: copy that file"):
        mcusim.load(path)
    model = onnx.load(path, load_external_data=False)
    for location in ("../weights.bin", "/etc/passwd", "a/../../b"):
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        with pytest.raises(McusimError, match="outside of the model's folder"):
            parse_onnx(model.SerializeToString(), name="n", where="n", folder=tmp_path)


def test_a_bomb_is_refused_before_it_is_built() -> None:
    m = Maker((1, 3, 8, 8))
    x = grid(m, "input")
    big = m.op(
        "ConstantOfShape", m.integers(1 << 20, 1 << 20), value=onnx.numpy_helper.from_array(np.zeros(1, np.float32))
    )
    refused(m.model(grid(m, m.op("Add", x, big))), "gives 1,099,511,627,776 elements")


def _doubled(m: Maker, x: str) -> str:
    for _ in range(40):
        x = m.op("Concat", x, x, axis=2)
    return x


def _enlarged(m: Maker, x: str) -> str:
    for _ in range(12):
        x = grid(m, m.op("Resize", x, "", m.constant([1.0, 1.0, 8.0, 8.0]), mode="nearest"))
    return x


@pytest.mark.parametrize("op", [_doubled, _enlarged])
def test_maps_beyond_32_bits_are_refused_before_anything_is_made_for_them(op: Callable[[Maker, str], Any]) -> None:
    refused(small(op=op), r"\((Concat|Resize)\): it gives [\d,]+ elements: .*\n  fix: use smaller maps")


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("strides", [1 << 40, 1], r"its strides are \(1099511627776, 1\)\n  fix: give 2 numbers from 1 to"),
        ("pads", [1 << 30] * 4, "use smaller maps"),
        ("kernel_shape", [-3, 3], r"its kernel_shape is \(-3, 3\), and its weights say \(3, 3\)"),
    ],
)
def test_windows_that_cannot_be(name: str, value: list[int], match: str) -> None:
    model = small()
    [node] = [node for node in model.graph.node if node.op_type == "Conv"]
    for attribute in [each for each in node.attribute if each.name == name]:
        node.attribute.remove(attribute)
    node.attribute.append(onnx.helper.make_attribute(name, value))
    refused(model, match)


def test_texts_are_no_numbers() -> None:
    model = small()
    tensor = model.graph.initializer[0]
    tensor.data_type, tensor.raw_data = onnx.TensorProto.STRING, b""
    tensor.string_data.append(b"x")
    refused(model, r"tensor 'c1': its elements are texts")


@pytest.mark.parametrize("scale", [3e38, 1e-45, float("inf"), float("nan")])
def test_absurd_scales_are_no_warnings(scale: float) -> None:
    """Whatever overflows on the way: a sentence, or a network; a warning of numpy's would be an error here."""
    model = small()
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(tuple(tensor.dims), scale, np.float32), tensor.name))
    with contextlib.suppress(McusimError):
        parse_onnx(model.SerializeToString(), name="net", where="net.onnx")


def test_external_data_counts_against_the_limit(tmp_path: Path) -> None:
    """Ten tensors that name one file each: what they take is told before it is read."""
    with (tmp_path / "weights.bin").open("wb") as stream:
        stream.truncate(1 << 20)  # a hole takes no room
    model = small()
    for index in range(10):
        tensor = model.graph.initializer.add(name=f"w{index}", data_type=onnx.TensorProto.INT8, dims=[1 << 20])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with memory_limit(5 << 20), pytest.raises(McusimError, match=r"reading its external data would take 6.0 MiB"):
        mcusim.load(path)


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "-5"), ("offset", "9" * 30), ("length", "x"), ("length", "9" * 30)]
)
def test_places_beyond_external_data(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    model = small()
    tensor = model.graph.initializer.add(name="w", data_type=onnx.TensorProto.INT8, dims=[64])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    tensor.external_data.add(key=key, value=value)
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(McusimError, match=r"cannot be read: an offset or a length is beyond the file"):
        mcusim.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["doubled", "many", "turned"])
def test_many_constants_of_constants_are_refused(kind: str) -> None:
    """Each by itself is of a size that is taken."""
    m = Maker((1, 3, 8, 8))
    x, constant = grid(m, "input"), m.constant(np.zeros(1 << 10))
    fill = onnx.numpy_helper.from_array(np.zeros(1, np.float32))
    turned = m.op("ConstantOfShape", m.integers(1 << 11, 1 << 13), value=fill) if kind == "turned" else ""
    for _ in range(20):
        if kind == "doubled":
            constant = m.op("Concat", constant, constant, axis=0)
        elif kind == "many":
            constant = m.op("Mul", m.op("ConstantOfShape", m.integers(1 << 24), value=fill), m.constant([2.0]))
        else:  # what lies in another order is copied
            turned = m.op("Reshape", m.op("Transpose", turned), m.integers(1 << 11, 1 << 13))
            constant = m.op("Reshape", turned, m.integers(-1))
        x = m.op("Add", x, m.op("Slice", constant, m.integers(0), m.integers(1)))
    refused(m.model(grid(m, x)), "constants made of constants take too much memory\n  fix: fold them when exporting")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.onnx", b"", "empty"),
        ("b.onnx", b"<!DOCTYPE html><html>", "web page"),
        ("c.onnx", b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        ("d.onnx", b"\x1c\0\0\0TFL3" + bytes(99), "is a .tflite file"),
        ("e.onnx", bytes(99), "no ONNX model|no network"),
        ("f.onnx", b"\x08\x08\x3a\x80\x80\x80\x80\x08" + bytes(99), "no ONNX model|no network"),
    ],
)
def test_files_of_other_kinds(name: str, content: bytes, match: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(McusimError, match=match):
        mcusim.load(tmp_path / name)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch pwned'\ntR.")
    for name in ("net.pt", "net.pth", "net.onnx"):
        (tmp_path / name).write_bytes(archive.getvalue())
        with pytest.raises(McusimError, match="PyTorch"):
            mcusim.load(tmp_path / name)
    assert not Path("pwned").exists()


CONTENT = small().SerializeToString()


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_files_are_taken_or_refused(changes: list[tuple[int, int]]) -> None:
    """Nothing but a McusimError comes out of whatever bytes."""
    content = bytearray(CONTENT)
    for place, value in changes:
        content[place] = value
    with contextlib.suppress(McusimError):
        parse_onnx(bytes(content), name="net", where="net.onnx")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused(CONTENT, r"needs the package `onnx`\n  fix: pip install 'mcusim\[onnx\]'")


@pytest.mark.parametrize(
    ("finer", "words"),
    [
        (1.0, "one scale only, 0.00390625; a QUANTIZE behind it gives the network's"),
        (3.9, "a QUANTIZE behind it gives the network's, 0.0010016, which is finer: up to 2 of its steps are lost"),
        (
            20.0,
            "computed in floats, for TFLite's SOFTMAX on integers has one scale only, 0.00390625, and the network's",
        ),
    ],
)
def test_a_softmax_on_a_scale_of_its_own(finer: float, words: str) -> None:
    """TFLite's kernel has 1/256 alone; a QUANTIZE behind it cannot bring back what that did not tell apart."""
    m = Maker((1, 40))
    softmax = m.op("Softmax", grid(m, "input"), axis=-1)
    content = m.model(grid(m, softmax, 1 / 256 / finer, -120)).SerializeToString()
    graph = parse_onnx(content, name="n", where="n")
    [note] = [note for note in graph.source.notes if "SOFTMAX" in note]
    assert words in note
    assert ("finer" in note) == (finer > 1)
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")
    feed = {"input": np.random.default_rng(1).normal(0, 1, (1, 40)).astype(np.float32)}
    _, step = compared(graph, content, [feed])
    assert step <= (3 if finer == 3.9 else 1)


def test_the_command_says_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    m = Maker((1, 3, 8, 8))
    path.write_bytes(m.model(m.relu(m.conv("input", 4))).SerializeToString())
    done = run("run", str(path), "--profile", "stm32h743")
    assert done.code == 2
    assert "not quantised" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_a_window_that_only_the_onnx_package_counts(kind: str) -> None:
    """Before opset 22 its inference keeps a window that begins behind the map; ONNX Runtime never does."""
    m = Maker((1, 3, 8, 9))
    pooled = m.op(kind, grid(m, "input"), kernel_shape=[3, 3], strides=[3, 2], pads=[1] * 4, ceil_mode=1)
    made = m.model(grid(m, pooled))
    refused(made, r"by ceil_mode .* before opset 22 the onnx package counts .*\n  fix: .*\(model, 22\)")
    newer = import_module("onnx.version_converter").convert_version(made, 22).SerializeToString()
    graph = parse_onnx(newer, name="pool", where="it")
    assert [graph.tensors[index].shape for index in graph.outputs] == [(1, 3, 5, 3)]


@pytest.mark.parametrize("kind", ["Add", "Mul", "Max", "Div"])
def test_operands_that_do_not_broadcast_are_named(kind: str) -> None:
    """The map before the convolution is of another size."""

    def with_an_earlier_one(m: Maker, x: str) -> Any:
        return m.op(kind, x, grid(m, "input"))

    refused(small(op=with_an_earlier_one), rf"\({kind}\).*do not go together")


def test_a_missing_file_has_its_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "kws_int8.onnx").write_bytes(b"")
    with pytest.raises(McusimError) as caught:
        mcusim.load(tmp_path / "kws_int.onnx")
    assert caught.value.fix == f"did you mean '{tmp_path / 'kws_int8.onnx'}'?"

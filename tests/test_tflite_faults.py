""".tflite files that are damaged, hostile or out of scope: each gets one sentence, none does harm."""

from __future__ import annotations

import re
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tflite_maker import FLOAT16, FLOAT32, INT8, Maker, schema, tiny_network

from mcusim.errors import McusimError, ModelError
from mcusim.frontends.checks import refuse_float
from mcusim.frontends.tflite import parse_tflite, read_tflite
from mcusim.graph import Graph

SECONDS_ALLOWED = 10.0


def parse(content: bytes) -> Graph:
    return parse_tflite(content, name="net", where="net.tflite")


def assert_refused(made: Maker, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        parse(made.pack())


# --- bad input: files


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("empty.tflite", b"", "the file is empty"),
        ("short.tflite", b"TFL3", r"has only 4 bytes\n  fix: give"),
        ("wrong.tflite", b"\x1c\0\0\0TFL2" + bytes(99), r"is not a .tflite file: bytes 4 to 8 are b'TFL2'"),
        ("net.onnx", b"\x08\x07\x12\x07pytorch\x1a\x031.9" + bytes(99), r"ONNX model\n  fix: name it"),
        ("net.tflite", b"\x08\x07\x12\x07pytorch\x1a\x031.9" + bytes(99), r"ONNX model\n  fix: name it"),
        ("weird.onnx", bytes(99), "ONNX model"),
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), r"Keras model\n  fix: .*from_keras_model"),
        ("net.keras", b"PK\x03\x04" + bytes(20) + b"metadata.jsonPK config.json model.weights.h5", "Keras model"),
        ("net.zip", b"PK\x03\x04" + bytes(99), r"zip archive\n  fix: unpack"),
        ("net.pt", b"PK\x03\x04" + bytes(20) + b"archive/data.pkl", r"PyTorch model\n  fix: .*ai-edge-torch"),
        ("saved_model.pb", b"\x08\x01\x12\xd5\x04" + bytes(99), r"SavedModel\n  fix: .*from_saved_model"),
        ("net.pte", b"\x1c\0\0\0ET12" + bytes(99), "ExecuTorch program"),
        ("net.ort", b"\x1c\0\0\0ORTM" + bytes(99), "ONNX Runtime"),
        ("net.gguf", b"GGUF\x03" + bytes(99), "GGUF"),
        ("net.safetensors", b"\x40\0\0\0\0\0\0\0" + b'{"__metadata__"', "safetensors"),
        (
            "net.tflite",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1",
            r"Git LFS pointer.*\n.*git lfs pull",
        ),
        ("net.tflite", b"<!DOCTYPE html><html>", r"web page\n  fix: download"),
        ("net.cc", b"alignas(16) const unsigned char g_model[] = {0x1c,", "C source"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and " " not in value else "",
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=match) as caught:
        read_tflite(path)
    assert caught.value.where == str(path)


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "kws_small.tflite").write_bytes(b"")
    with pytest.raises(ModelError, match=r"no such file\n  fix: did you mean '.*kws_small.tflite'"):
        read_tflite(tmp_path / "kws_smal.tflite")
    with pytest.raises(ModelError, match="no such file, nor its folder"):
        read_tflite(tmp_path / "nowhere" / "net.tflite")
    with pytest.raises(ModelError, match=r"cannot be read|no such file"):
        read_tflite("net\0.tflite")


def test_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        read_tflite(tmp_path)
    (tmp_path / "a.tflite").write_bytes(b"")
    with pytest.raises(ModelError, match=r"is a folder.*\n  fix: give one of its files: a.tflite"):
        read_tflite(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ModelError, match="folder is a TensorFlow SavedModel"):
        read_tflite(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="devices are files")
def test_devices_are_refused() -> None:
    with pytest.raises(ModelError, match="not a regular file"):
        read_tflite("/dev/zero")


# --- bad input: networks


def set_inputs(made: Maker, operator: int, inputs: list[int]) -> None:
    made.graph.operators[operator].inputs = inputs


def set_shape(made: Maker, tensor: int, shape: list[int], signature: list[int] | None = None) -> None:
    made.graph.tensors[tensor].shape = shape
    made.graph.tensors[tensor].shapeSignature = signature


def set_scale(made: Maker, tensor: int, scales: list[float], zero_points: list[int]) -> None:
    made.graph.tensors[tensor].quantization.scale = scales
    made.graph.tensors[tensor].quantization.zeroPoint = zero_points


BAD_NETWORKS = {
    "no subgraph": (lambda m: setattr(m.model, "subgraphs", []), "holds no network"),
    "version": (lambda m: setattr(m.model, "version", 7), "schema version 7"),
    "input index": (lambda m: set_inputs(m, 0, [99, 1]), "tensor 99 as input, and there are 8"),
    "negative index": (lambda m: set_inputs(m, 0, [-2, 1]), "tensor -2 as input"),
    "output index": (lambda m: setattr(m.graph.operators[0], "outputs", [-1]), "tensor -1 as output"),
    "graph output index": (lambda m: setattr(m.graph, "outputs", [8]), "the model|subgraph 0 has tensor 8 as output"),
    "opcode index": (lambda m: setattr(m.graph.operators[0], "opcodeIndex", 9), "operator code 9 of 3"),
    "negative opcode": (
        lambda m: (
            setattr(m.model.operatorCodes[0], "builtinCode", -5),
            setattr(m.model.operatorCodes[0], "deprecatedBuiltinCode", -5),
        ),
        "operator code 0 is -5",
    ),
    "buffer index": (lambda m: setattr(m.graph.tensors[3], "buffer", 77), "tensor 3 'tensor_3': .* buffer 77"),
    "read before written": (lambda m: m.graph.operators.reverse(), "tensor 5 'tensor_5' is read before"),
    "written twice": (
        lambda m: m.graph.operators.append(m.graph.operators[0]),
        "tensor 2 'tensor_2' is written a second",
    ),
    "constant written": (lambda m: setattr(m.graph.operators[0], "outputs", [3]), "is written a second"),
    "input twice": (
        lambda m: setattr(m.graph, "inputs", [0, 0]),
        "tensor 0 'tensor_0' is an input of the network twice",
    ),
    "dynamic shape": (lambda m: set_shape(m, 0, [1, -1, -1, 2]), r"dynamic shape, \(1, -1, -1, 2\)\n  fix: .*fixed"),
    "placeholder shape": (
        lambda m: set_shape(m, 0, [1, 1, 1, 2], [-1, -1, -1, 2]),
        r"dynamic shape, \(-1, -1, -1, 2\)",
    ),
    "empty shape": (lambda m: set_shape(m, 5, [1, 0, 4, 3]), "has no elements"),
    "rank": (lambda m: set_shape(m, 0, [1] * 1000), "tensor 0 has 1,000 dimensions"),
    "huge": (lambda m: set_shape(m, 0, [2**31 - 1] * 4), "tensor 0 'tensor_0': has shape"),
    "data size": (lambda m: set_shape(m, 3, [3, 3, 3, 3]), "tensor 3 'tensor_3': its data has 54 bytes, .* takes 81"),
    "element type": (lambda m: setattr(m.graph.tensors[0], "type", 99), "element type number 99"),
    "sparse": (lambda m: setattr(m.graph.tensors[3], "sparsity", schema.SparsityParametersT()), "stored sparse"),
    "external": (lambda m: setattr(m.graph.tensors[3], "externalBuffer", 3), "in another file"),
    "zero points": (lambda m: set_scale(m, 3, [1, 2, 3], [0, 0]), "3 scales and 2 zero points"),
    "zero point range": (lambda m: set_scale(m, 0, [1], [1000]), "zero point outside int8"),
    "scales": (lambda m: set_scale(m, 3, [1] * 7, [0]), "7 scales, and no axis"),
    "nan scale": (lambda m: set_scale(m, 0, [float("nan")], [0]), "impossible scale"),
    "zero scale": (lambda m: set_scale(m, 0, [0.0], [0]), "impossible scale"),
    "options kind": (
        lambda m: setattr(m.graph.operators[1], "builtinOptionsType", 17),
        "operator 1 .CONV_2D. has ReshapeOptions",
    ),
    "padding": (lambda m: setattr(m.graph.operators[1].builtinOptions, "padding", 9), "impossible padding"),
    "activation": (
        lambda m: setattr(m.graph.operators[1].builtinOptions, "fusedActivationFunction", 77),
        "impossible fused_activation_function",
    ),
    "stride": (lambda m: setattr(m.graph.operators[1].builtinOptions, "strideW", 0), "node 1 .CONV_2D.*stride"),
    "shape": (lambda m: set_shape(m, 5, [1, 4, 3, 4]), "stored output shape 1x4x3x4 contradicts .* 1x4x4x3"),
}


@pytest.mark.parametrize(("spoil", "match"), BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_bad_networks_are_refused(spoil: Any, match: str) -> None:
    made = tiny_network()
    spoil(made)
    assert_refused(made, match)


def test_batch_of_unknown_size_is_no_dynamic_shape() -> None:
    made = tiny_network()
    set_shape(made, 0, [1, 4, 4, 2], [-1, 4, 4, 2])
    assert parse(made.pack()).tensors[0].shape == (1, 4, 4, 2)


def test_weights_of_zero_and_negative_scale_are_accepted() -> None:
    made = tiny_network()
    set_scale(made, 3, [0.0, -0.5, 0.1], [0])
    assert parse(made.pack()).tensors[3].quantization is not None


# --- float networks


def test_float_network_is_refused_with_the_converter_settings() -> None:
    graph = parse(tiny_network(FLOAT32, FLOAT32).pack())
    with pytest.raises(ModelError, match=r"^net.tflite: is a float32 network.*\n  fix: .*TFLITE_BUILTINS_INT8"):
        refuse_float(graph)


def test_hybrid_network_is_named() -> None:
    graph = parse(tiny_network(FLOAT32, INT8).pack())
    with pytest.raises(ModelError, match="is a hybrid network"):
        refuse_float(graph)


def test_float16_network_is_named() -> None:
    made = tiny_network(FLOAT32, FLOAT32)
    half = made.tensor((3, 3, 3, 2), FLOAT16, np.zeros(54), scales=())
    made.graph.tensors[3].buffer = 0
    widen = made.operator("DEQUANTIZE", [half], [3])
    made.graph.operators = [widen, *made.graph.operators[:-1]]
    with pytest.raises(ModelError, match="is a float16 network"):
        refuse_float(parse(made.pack()))


def test_float_around_an_integer_network_is_fine() -> None:
    made = tiny_network()
    outer_in, outer_out = made.tensor((1, 4, 4, 2), FLOAT32, scales=()), made.tensor((1, 48), FLOAT32, scales=())
    quantise = made.operator("QUANTIZE", [outer_in], [0])
    dequantise = made.operator("DEQUANTIZE", [7], [outer_out])
    made.graph.operators = [quantise, *made.graph.operators[:3], dequantise]
    made.graph.inputs, made.graph.outputs = [outer_in], [outer_out]
    refuse_float(parse(made.pack()))
    refuse_float(parse(tiny_network().pack()))


# --- any bytes at all


def assert_harmless(content: bytes) -> None:
    """The reader gives a graph or a mcusim error that names the file, soon."""
    start = time.perf_counter()
    try:
        graph = parse(content)
        refuse_float(graph)
    except McusimError as error:
        refusal = str(error)
    else:
        refusal = "net.tflite: fine\n  fix: nothing"
    assert re.fullmatch(r"net\.tflite.*: .+\n  fix: .+", refusal)
    assert time.perf_counter() - start < SECONDS_ALLOWED


def mutated(content: bytes, edits: list[tuple[str, float, int]]) -> bytes:
    """Each edit: what to do, where (as a fraction of the size), and a number for it."""
    changed = bytearray(content)
    for kind, fraction, number in edits:
        at = int(fraction * len(changed))
        if kind == "flip":
            changed[at : at + 1] = bytes(byte ^ (1 << number % 8) for byte in changed[at : at + 1])
        elif kind == "truncate":
            del changed[at:]
        elif kind == "splice":
            source = number % max(len(changed), 1)
            changed[at : at + 16] = changed[source : source + 16]
        elif kind == "point":
            at -= at % 4
            changed[at : at + 4] = struct.pack("<i", (number % max(len(changed), 1) & ~3) - at)
        else:
            at -= at % 4
            changed[at : at + 4] = struct.pack("<I", number)
    return bytes(changed)


NUMBERS = st.one_of(
    st.integers(0, 300), st.sampled_from((2**31 - 1, 2**31, 2**32 - 1, 2**16)), st.integers(0, 2**32 - 1)
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(("flip", "overwrite", "overwrite", "point", "splice", "truncate")),
        st.floats(0, 1, exclude_max=True),
        NUMBERS,
    ),
    min_size=1,
    max_size=6,
)

TINY = tiny_network().pack()
FUZZED = ("seanet_conv20", "seanet_strided_slice0", "tflm_hello_world_int8", "tinymaix_mnist_dw_q", "mww_v2_okay_nabu")


@given(edits=EDITS)
def test_mutated_network_is_harmless(edits: list[tuple[str, float, int]]) -> None:
    assert_harmless(mutated(TINY, edits))


@pytest.mark.parametrize("name", FUZZED)
@given(edits=EDITS)
@example(edits=[("splice", 0.8664398483913672, 587)])
def test_mutated_corpus_network_is_harmless(corpus: Path, name: str, edits: list[tuple[str, float, int]]) -> None:
    assert_harmless(mutated((corpus / "models" / f"{name}.tflite").read_bytes(), edits))


@given(content=st.binary(max_size=200))
def test_any_bytes_are_harmless(content: bytes) -> None:
    assert_harmless(content)
    assert_harmless(content[:4] + b"TFL3" + content[4:])


def test_every_truncation_is_refused() -> None:
    for size in range(len(TINY)):
        with pytest.raises(ModelError, match=r"^net.tflite"):
            parse(TINY[:size])


def test_every_word_overwritten_is_harmless() -> None:
    for at in range(0, len(TINY), 4):
        for number in (0, 1, 2**31 - 1, 2**32 - 1):
            assert_harmless(TINY[:at] + struct.pack("<I", number) + TINY[at + 4 :])


def aliased(tables: int, elements: int) -> bytes:
    """A file of `tables` tensors that are all one, whose shape has `elements` dimensions."""
    made = tiny_network()
    set_shape(made, 0, [1] * elements)
    content = bytearray(made.pack())
    table = int.from_bytes(content[:4], "little")

    def follow(table: int, slot: int) -> int:
        vtable = table - struct.unpack_from("<i", content, table)[0]
        field = table + struct.unpack_from("<H", content, vtable + 4 + 2 * slot)[0]
        target: int = field + struct.unpack_from("<I", content, field)[0]
        return target

    subgraphs = follow(table, 2)
    subgraph = subgraphs + 4 + struct.unpack_from("<I", content, subgraphs + 4)[0]
    tensors = follow(subgraph, 0)
    first = tensors + 4 + struct.unpack_from("<I", content, tensors + 4)[0]
    vtable = subgraph - struct.unpack_from("<i", content, subgraph)[0]
    field = subgraph + struct.unpack_from("<H", content, vtable + 4)[0]
    # Offsets point forwards only: a copy of the tensor behind the vector would lose its parts, so its vtable, which may
    # lie anywhere, and its other fields are left; what counts is that each is visited.
    vector = len(content)
    struct.pack_into("<I", content, field, vector - field)
    content += struct.pack("<I", tables)
    end = vector + 4 + 4 * tables
    for index in range(tables):
        content += struct.pack("<I", end - (vector + 4 + 4 * index))
    tensor_vtable = first - struct.unpack_from("<i", content, first)[0]
    body = bytearray(content[first : first + 64])
    struct.pack_into("<i", body, 0, end - tensor_vtable)
    shape_at = struct.unpack_from("<H", content, tensor_vtable + 4)[0]
    struct.pack_into("<I", body, shape_at, 64 - shape_at)
    return bytes(content + body + struct.pack("<I", elements) + struct.pack("<I", 1) * elements)


@pytest.mark.slow
def test_aliased_parts_do_not_take_quadratic_time() -> None:
    """100,000 tensors that are one table, with 100,000 dimensions: 10 thousand million elements to read, if one did."""
    assert_harmless(aliased(100_000, 100_000))
    assert_harmless(aliased(100_000, 4))

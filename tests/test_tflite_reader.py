"""Reading .tflite files: every network of the corpus as its manifest says, and any other bytes without harm."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPO, CorpusModel
from tflite_maker import INT32, make_options, schema, tiny_network

from mcusim import execute
from mcusim.errors import ModelError
from mcusim.frontends.checks import refuse_float
from mcusim.frontends.tflite import parse_tflite, read_tflite
from mcusim.frontends.tflite_options import DTYPES
from mcusim.frontends.tflite_tables import BUILTIN_OPTIONS, BUILTIN_OPTIONS_2, OPTIONS
from mcusim.graph import ABSENT, Activation, Attributes, DType, Graph, Padding
from mcusim.ops import OPS


def parse(content: bytes) -> Graph:
    return parse_tflite(content, name="net", where="net.tflite")


# --- the corpus: judged by its manifest


def macs_of(graph: Graph) -> int:
    total = 0
    for node in graph.nodes:
        rows, cols = (node.signature.output.rows, node.signature.output.cols) if node.outputs else (1, 1)
        total += OPS[node.op].work(node.signature, rows, cols, 1).macs
    return total


def params_of(graph: Graph) -> int:
    """Elements of the weights and biases; what shares a buffer counts once, as in the manifest."""
    used = {
        node.inputs[position]
        for node in graph.nodes
        for position in OPS[node.op].parameters
        if position < len(node.inputs) and node.inputs[position] != ABSENT
    }
    return sum({id(graph.tensors[i].constant): graph.tensors[i].type.elements for i in used}.values())


def test_corpus_network_is_as_its_manifest_says(corpus_model: CorpusModel) -> None:
    graph = read_tflite(corpus_model.path)
    refuse_float(graph)
    row = corpus_model.row
    assert graph.name == corpus_model.name
    assert graph.source.file_bytes == int(row["bytes"])
    assert ["x".join(map(str, graph.tensors[i].shape)) for i in graph.inputs] == row["input_shape"].split("; ")
    assert ["x".join(map(str, graph.tensors[i].shape)) for i in graph.outputs] == row["output_shape"].split("; ")
    counts = {name.rpartition("v")[0]: int(n) for name, n in (op.split(":") for op in row["ops"].split())}
    all_nodes = [node for each in (graph, *graph.subgraphs) for node in each.nodes]
    assert {op: sum(node.op == op for node in all_nodes) for op in {node.op for node in all_nodes}} == counts
    per_channel = any(t.quantization is not None and t.quantization.is_per_channel for t in graph.tensors)
    assert str(per_channel) == row["per_channel"]
    assert f"{macs_of(graph) / 1e6:.4f}" == row["macs_M"]
    assert f"{params_of(graph) / 1e3:.2f}" == row["params_k"]


def test_corpus_tensors_equal_those_of_the_generated_api(corpus_model: CorpusModel) -> None:
    content = corpus_model.path.read_bytes()
    graph, model = parse(content), schema.ModelT.InitFromPackedBuf(content)
    for ours, theirs in zip((graph, *graph.subgraphs), model.subgraphs, strict=True):
        for tensor, stored in zip(ours.tensors, theirs.tensors, strict=True):
            assert tensor.name == (stored.name or b"").decode()
            assert tensor.shape == tuple([] if stored.shape is None else stored.shape)
            assert tensor.dtype is DTYPES[stored.type]
            assert tensor.is_variable == stored.isVariable
            raw = model.buffers[stored.buffer].data
            has_constant = raw is not None and len(raw) > 0 and tensor.dtype.bits > 0
            assert (tensor.constant is not None) == has_constant
            if tensor.constant is not None and tensor.dtype.bits >= 8:
                assert tensor.constant.tobytes() == raw.tobytes()
                assert not tensor.constant.flags.writeable
            if tensor.quantization is not None:
                assert tensor.quantization.scales == tuple(stored.quantization.scale.tolist())
                assert tensor.quantization.zero_points == tuple(stored.quantization.zeroPoint.tolist())
        for node, stored in zip(ours.nodes, theirs.operators, strict=True):
            assert node.inputs == tuple([] if stored.inputs is None else stored.inputs)
            assert node.outputs == tuple([] if stored.outputs is None else stored.outputs)


def test_streaming_network_has_resources_and_an_initialising_subgraph(corpus: Path) -> None:
    graph = read_tflite(corpus / "models" / "mww_v2_okay_nabu.tflite")
    assert DType.RESOURCE in {tensor.dtype for tensor in graph.tensors}
    assert [len(each.inputs) for each in graph.subgraphs] == [0]


def test_variables_are_known(corpus: Path) -> None:
    graph = read_tflite(corpus / "models" / "tflm_keyword_scrambled.tflite")
    assert sum(tensor.is_variable for tensor in graph.tensors) == 7


def test_bias_with_the_axis_of_its_weights_is_accepted(corpus: Path) -> None:
    graph = read_tflite(corpus / "models" / "tflm_person_detect.tflite")
    biases = [t for t in graph.tensors if len(t.shape) == 1 and t.quantization and t.quantization.is_per_channel]
    assert len(biases) > 0
    assert {t.quantization.axis for t in biases if t.quantization} == {0}


# --- what a graph holds


def test_tiny_network() -> None:
    made = tiny_network()
    content = made.pack()
    graph = parse(content)
    pad, conv, reshape = graph.nodes
    assert [node.op for node in graph.nodes] == ["PAD", "CONV_2D", "RESHAPE"]
    assert [node.name for node in graph.nodes] == ["tensor_2", "tensor_5", "tensor_7"]
    values = {field.name: getattr(conv.attributes, field.name) for field in dataclasses.fields(conv.attributes)}
    assert values["padding"] is Padding.VALID
    assert values["fused_activation_function"] is Activation.RELU6
    assert (values["stride_w"], values["dilation_w_factor"], values["pads"]) == (1, 1, None)
    assert pad.signature.input(1).values == (0, 0, 1, 1, 1, 1, 0, 0)
    assert reshape.signature.input(1).values == (1, 48)
    assert conv.signature.input(2).values is None, "a bias is no value that shapes depend on"
    assert graph.source.file_bytes == len(content)
    weights = graph.tensors[3]
    assert weights.quantization is not None
    assert weights.quantization.scales == pytest.approx((0.1, 0.2, 0.3))
    assert weights.constant is not None
    np.testing.assert_array_equal(weights.constant, np.arange(54).reshape(3, 3, 3, 2))
    assert np.shares_memory(weights.constant, np.frombuffer(content, np.uint8)) or not weights.constant.flags.owndata


def test_options_that_the_file_leaves_out_are_those_of_the_schema() -> None:
    made = tiny_network()
    made.graph.operators[1].builtinOptions = make_options("Conv2DOptions", strideW=1, strideH=1)
    made.graph.tensors[2].shape, made.graph.tensors[0].shape = [1, 4, 4, 2], [1, 2, 2, 2]
    (conv,) = (node for node in parse(made.pack()).nodes if node.op == "CONV_2D")
    assert conv.attributes == dataclasses.replace(
        conv.attributes, padding=Padding.SAME, fused_activation_function=Activation.NONE, dilation_h_factor=1
    )


def test_unknown_operators_load() -> None:
    made = tiny_network()
    made.operator("CUSTOM", [7, -1], [made.tensor((1, 7))], custom="MyOp")
    made.operator("HASHTABLE_LOOKUP", [8], [made.tensor((1, 7))])
    made.graph.outputs = [9]
    custom, lookup = parse(made.pack()).nodes[3:]
    assert (custom.op, lookup.op) == ("CUSTOM:MyOp", "HASHTABLE_LOOKUP")
    assert custom.attributes == Attributes()
    assert custom.signature.inputs[1] is None


@pytest.mark.parametrize(("old", "new"), [(3, 0), (3, 3), (0, 3), (127, 3)], ids=str)
def test_the_larger_operator_code_counts(old: int, new: int) -> None:
    made = tiny_network()
    code = made.model.operatorCodes[1]
    code.deprecatedBuiltinCode, code.builtinCode = old, new
    if max(old, new) == 3:
        assert parse(made.pack()).nodes[1].op == "CONV_2D"
    else:
        assert parse(made.pack()).nodes[1].op == "PLACEHOLDER_FOR_GREATER_OP_CODES"


def test_int4_weights_are_unpacked() -> None:
    made = tiny_network()
    made.graph.tensors[3].type = schema.TensorType.INT4
    made.model.buffers[made.graph.tensors[3].buffer].data = np.full(27, 0xF7, np.uint8)
    weights = parse(made.pack()).tensors[3]
    assert (weights.dtype, weights.size_bytes) == (DType.INT4, 27)
    assert weights.constant is not None
    assert weights.constant.dtype == np.int8
    np.testing.assert_array_equal(weights.constant.ravel(), [7, -1] * 27)


def test_buffers_behind_the_flatbuffer_are_read() -> None:
    made = tiny_network()
    buffer = made.model.buffers[made.graph.tensors[3].buffer]
    weights = buffer.data.tobytes()
    buffer.data, buffer.offset, buffer.size = None, 1 << 20, len(weights)
    size = -(-len(made.pack()) // 16) * 16
    buffer.offset = size
    content = made.pack().ljust(size, b"\0") + weights
    constant = parse(content).tensors[3].constant
    assert constant is not None
    assert constant.tobytes() == weights
    with pytest.raises(ModelError, match="past the end of the file"):
        parse(content[:-1])


def test_tensors_that_share_a_buffer_share_their_array() -> None:
    made = tiny_network()
    twin = made.tensor((3,), INT32)
    made.graph.tensors[twin].buffer = made.graph.tensors[4].buffer
    tensors = parse(made.pack()).tensors
    assert tensors[twin].constant is tensors[4].constant


def test_equal_node_names_are_told_apart() -> None:
    made = tiny_network()
    for tensor in made.graph.tensors:
        tensor.name = "same\x1b[31m"
    assert [node.name for node in parse(made.pack()).nodes] == [
        "same\ufffd[31m",
        "same\ufffd[31m#1",
        "same\ufffd[31m#2",
    ]


# --- the schema as data


@pytest.mark.slow
def test_schema_tables_are_what_the_generator_writes() -> None:
    pytest.importorskip("ruff")
    spec = importlib.util.spec_from_file_location("gen_tflite_tables", REPO / "scripts" / "gen_tflite_tables.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    written = (REPO / "mcusim" / "frontends" / "tflite_tables.py").read_text(encoding="utf-8")
    assert generator.generate() == written


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.options], ids=lambda op: op.name)
def test_every_attribute_has_its_field(op: Any) -> None:
    """A misspelt attribute would silently keep its default."""
    table = OPTIONS[op.options]
    for field in dataclasses.fields(op.attributes):
        camel = "".join(part[:1].upper() + part[1:] for part in field.name.split("_"))
        assert camel in table or field.default is None, f"{op.options} has no {camel}"


def test_options_tables_equal_the_generated_api() -> None:
    for name in {*BUILTIN_OPTIONS.values(), *BUILTIN_OPTIONS_2.values()} - {"NONE"}:
        defaults = vars(getattr(schema, name + "T")())
        for field, (_, code, default) in OPTIONS[name].items():
            stored = defaults[field[:1].lower() + field[1:]]
            assert stored == default or (stored is None and code in ("text", f"[{code[1:-1]}]"))


def test_scales_without_a_zero_point_are_named_where_they_are_needed() -> None:
    """To TFLM such a tensor has scale 0, and it answers zeros; a bias it does not look at."""
    made = tiny_network()
    made.graph.tensors[4].quantization = schema.QuantizationParametersT()
    made.graph.tensors[4].quantization.scale = [0.05]
    whole = parse_tflite(made.pack(), name="net", where="net.tflite")
    assert (whole.tensors[4].quantization, whole.tensors[4].lacks_zero_point) == (None, True)
    feed = np.ones((1, 4, 4, 2), np.int8)
    assert execute(whole, [feed])[0].any()
    made.graph.tensors[5].quantization.zeroPoint = None
    graph = parse_tflite(made.pack(), name="net", where="net.tflite")
    sentence = r"'tensor_5' has scales and no zero point: TFLM takes it as not quantised"
    with pytest.raises(ModelError, match=sentence):
        execute(graph, [feed])

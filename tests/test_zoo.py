"""The zoo: published digits, names, and the networks that were released as files, node by node."""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from mcusim import zoo
from mcusim.errors import ModelError
from mcusim.frontends.description import graph_from_dict
from mcusim.frontends.tflite import read_tflite
from mcusim.graph import DType, Graph, Node
from mcusim.ops import OPS

# Rows of tables/model_zoo_2020.csv and model_zoo_2022.csv: MACs and parameters in millions, as printed.
PRINTED_2020 = {
    "mbv2-w0.3-r80": ("7.3", "0.63"),
    "mbv2-w0.35-r144": ("23.5", "0.75"),
    "proxyless-w0.25-r112": ("10.7", "0.57"),
    "proxyless-w0.3-r176": ("38.3", "0.75"),
    "mcunet-in3": ("81.8", "0.74"),
    "mcunet-in2": ("67.3", "0.73"),
    "mcunet-in4": ("125.9", "1.7"),
    "mcunet-256kb-int4": ("134.5", "1.4"),
    "mcunet-320kb-int4": ("170.0", "1.4"),
    "mcunet-512kb-int4": ("466.8", "3.3"),
    "mcunet-in1": ("12.8", "0.6"),
    "mcunet-in0": ("6.4", "0.7"),
}
PRINTED_2022 = {
    "mbv2-w0.35": ("23.5", "0.75"),
    "proxyless-w0.3": ("38.3", "0.75"),
    "mcunet-in0": ("6.4", "0.75"),
    "mcunet-in1": ("12.8", "0.64"),
    "mcunet-in2": ("67.3", "0.73"),
    "mcunet-in3": ("81.8", "0.74"),
    "mcunet-in4": ("125.9", "1.73"),
    "mcunet-vww0": ("6.0", "0.37"),
    "mcunet-vww1": ("11.6", "0.43"),
    "mcunet-vww2": ("55.8", "0.64"),
}
# Networks whose count does not round to what their source prints; nothing else may join them.
DIFFER = {"mbv1-w0.75-r224": {"macs"}, "mbv2-w1.0-r224": {"macs", "params"}, "mnasnet-b1-r224": {"macs"}}

# (MACs, weights and biases), counted independently: corpus manifest, in its digits.
MANIFEST = {
    "mcunet-in3": ("81.7855", "729.72"),
    "mcunet-vww1": ("11.5788", "426.63"),
    "person-det": ("18.2963", "163.49"),
    "mcunetv2_large": ("216.8153", "1799.21"),
}
RELEASED = {
    "mcunet-in3": "mcunet_320kb_1mb_imagenet",
    "mcunet-vww1": "mcunet_5fps_vww",
    "person-det": "mcunet_detection",
    "mcunetv2_large": "mcunetv2_large",
}
ARCHITECTURES = 26


def macs_of(graph: Graph) -> int:
    total = 0
    for node in graph.nodes:
        output = node.signature.output
        total += OPS[node.op].work(node.signature, output.rows, output.cols, 1).macs
    return total


def params_of(graph: Graph) -> int:
    return sum(
        node.signature.input(index).elements
        for node in graph.nodes
        for index in OPS[node.op].parameters
        if node.signature.has(index)
    )


def assert_rounds_to(count: int, unit: int, printed: str) -> None:
    assert (Decimal(count) / unit).quantize(Decimal(printed), rounding=ROUND_HALF_UP) == Decimal(printed)


def rounds_to(count: int, printed: str) -> bool:
    return (Decimal(count) / 10**6).quantize(Decimal(printed), rounding=ROUND_HALF_UP) == Decimal(printed)


def test_every_architecture_is_there() -> None:
    assert len(zoo.names()) == ARCHITECTURES
    assert {"mcunet-in3", "person-det", "smallcifar", "mcunetv2_large", "mbv2-rd-r224-INFERRED"} <= set(zoo.names())


@pytest.mark.parametrize("name", zoo.names())
def test_counts_equal_every_published_digit_but_the_known_ones(name: str) -> None:
    graph, entry = zoo.build(name), zoo.describe(name)
    counts = {"macs": macs_of(graph), "params": zoo.published_params(graph)}
    missed = {
        field
        for figures in entry.published
        for field, printed in (("macs", figures.macs), ("params", figures.params))
        if printed and not rounds_to(counts[field], printed)
    }
    assert missed == set(entry.differs) == DIFFER.get(name, set())
    assert not missed or entry.note, "a mismatch is said aloud"


@pytest.mark.parametrize(("name", "printed"), [*PRINTED_2020.items(), *PRINTED_2022.items()])
def test_the_model_zoos_of_2020_and_2022(name: str, printed: tuple[str, str]) -> None:
    graph, entry = zoo.build(name), zoo.describe(name)
    assert printed in {(figures.macs, figures.params) for figures in entry.published}
    assert_rounds_to(macs_of(graph), 10**6, printed[0])
    assert_rounds_to(zoo.published_params(graph), 10**6, printed[1])


@pytest.mark.parametrize("name", MANIFEST)
def test_macs_and_params_of_the_files(name: str) -> None:
    graph = zoo.build(name)
    assert_rounds_to(macs_of(graph), 10**6, MANIFEST[name][0])
    assert_rounds_to(params_of(graph), 10**3, MANIFEST[name][1])


def test_published_figures_travel_with_the_graph() -> None:
    published = zoo.build("mcunet-in3").source.published
    assert published is not None
    assert (published.macs_text, published.params_text) == ("81.8", "0.74")
    assert (published.macs, published.params) == (81.8e6, 0.74e6)
    assert published.provenance.startswith("mit-han-lab/mcunet README")
    assert zoo.build("smallcifar").source.published is None


def test_published_params_by_hand() -> None:
    # conv 3x3x3x4 + batch norm, depthwise 3x3x4 + batch norm, classifier 4 -> 5 with its bias
    description = {
        "input": [8, 8, 3],
        "layers": [
            {"op": "conv_2d", "kernel": 3, "out_channels": 4},
            {"op": "depthwise_conv_2d", "kernel": 3},
            {"op": "average_pool_2d"},
            {"op": "conv_2d", "kernel": 1, "out_channels": 5},
            {"op": "reshape", "shape": [1, -1]},
            {"op": "softmax"},
        ],
    }
    graph = graph_from_dict(description)
    assert zoo.published_params(graph) == (108 + 8) + (36 + 8) + (20 + 5)
    assert params_of(graph) == (108 + 4) + (36 + 4) + (20 + 5)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("mcunet-10fps", "mcunet-in0"),
        ("mcunet-5fps", "mcunet-in1"),
        ("mcunet-256kb-1mb", "mcunet-in2"),
        ("mcunet-320kB", "mcunet-in3"),
        ("mcunet-320kb-1mb", "mcunet-in3"),
        ("mcunet-320kb-1mb_imagenet", "mcunet-in3"),
        ("mcunet_320kb_1mb_imagenet", "mcunet-in3"),
        ("MCUNet-320KB-ImageNet-r176", "mcunet-in3"),
        ("mcunet-512kb-2mb", "mcunet-in4"),
        ("mcunet-10fps-vww", "mcunet-vww0"),
        ("mcunet-5fps-vww", "mcunet-vww1"),
        ("mcunet_5fps_vww", "mcunet-vww1"),
        ("mcunet-320kb-1mb-vww", "mcunet-vww2"),
        ("mcunet-320kB-vww", "mcunet-vww2"),
        ("mcunet-256kb-1mb-int4_imagenet", "mcunet-256kb-int4"),
        ("mbv2-w0.35", "mbv2-w0.35-r144"),
        ("mbv2-320kB", "mbv2-w0.35-r144"),
        ("proxyless-w0.3", "proxyless-w0.3-r176"),
        ("mcunet_detection", "person-det"),
        ("mcunetv2-large", "mcunetv2_large"),
        ("SmallCifar", "smallcifar"),
        ("mbv2-rd", "mbv2-rd-r224-INFERRED"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert zoo.resolve(alias) == zoo.describe(alias).name == name


def test_no_name_stands_for_two_networks() -> None:
    keys = Counter(name.lower().replace("_", "-") for name in (*zoo.names(), *zoo.aliases()))
    assert not [key for key, count in keys.items() if count > 1]
    assert set(zoo.aliases().values()) <= set(zoo.names())
    for alias, name in zoo.aliases().items():
        assert zoo.resolve(alias) == name


@pytest.mark.parametrize("name", ["mcunet-in33", "../secret", "", "mcunet-in3.tflite"])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(ModelError, match=r"no published network has this name(?s:.*)mcusim models"):
        zoo.build(name)


@pytest.mark.parametrize("name", zoo.names())
def test_what_is_told_of_each(name: str) -> None:
    entry = zoo.describe(name)
    assert entry.source
    assert entry.dataset
    assert entry.input_shape[0] == 1
    graph = zoo.build(name)
    assert graph.name == name
    assert [graph.tensors[index].shape for index in graph.inputs] == [entry.input_shape]
    assert graph.tensors[graph.inputs[0]].dtype is entry.dtype
    if "r" + str(entry.resolution[0]) not in name.split("-"):
        assert not [part for part in name.split("-") if part[0] == "r" and part[1:].isdigit()]


def test_assumptions_are_said_aloud() -> None:
    noted = {
        name for name in zoo.names() if {"INFERRED", "ASSUMED"} & set(zoo.describe(name).note.split(":")[0].split(","))
    }
    assert noted == {"mbv2-rd-r224-INFERRED", "mbv2-w0.3-r64", "proxyless-w0.3-r64", "smallcifar"}


@pytest.mark.parametrize("name", ["mcunet-256kb-int4", "mcunet-320kb-int4", "mcunet-512kb-int4"])
def test_int4_networks_count_half_a_byte(name: str) -> None:
    graph = zoo.build(name)
    assert {t.dtype for t in graph.tensors if not t.is_constant} == {DType.INT4}
    conv = next(node for node in graph.nodes if node.op == "CONV_2D")
    assert conv.signature.input(1).dtype is DType.INT4
    assert conv.signature.input(1).size_bytes * 2 == conv.signature.input(1).elements


def test_a_detector_says_how_its_outputs_are_read() -> None:
    graph, entry = zoo.build("person-det"), zoo.describe("person-det")
    assert entry.detection is not None
    rows, cols = entry.resolution
    assert [graph.tensors[index].shape for index in graph.outputs] == [
        (1, rows // stride, cols // stride, len(anchors) // 2 * (5 + entry.detection.classes))
        for stride, anchors in zip(entry.detection.strides, entry.detection.anchors, strict=True)
    ]


@pytest.mark.parametrize("name", sorted(set(zoo.names()) - {"person-det", "mcunetv2_large"}))
def test_a_pad_stands_before_every_convolution_but_the_classifier(name: str) -> None:
    graph = zoo.build(name)
    for node in graph.nodes:
        if node.op not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            continue
        producer = graph.producer.get(node.inputs[0])
        before = None if producer is None else graph.nodes[producer]
        if node.name == "classifier":
            assert before is not None
            assert before.op == "AVERAGE_POOL_2D"
            continue
        _, kernel_h, kernel_w, _ = node.signature.input(1).shape
        assert before is not None
        assert before.op == "PAD"
        assert before.signature.input(1).values == (0, 0, *(kernel_h // 2,) * 2, *(kernel_w // 2,) * 2, 0, 0)


def without_wrapping(graph: Graph) -> list[Node]:
    """Nodes without the conversion of a float input and output."""
    return [node for node in graph.nodes if node.op not in ("QUANTIZE", "DEQUANTIZE")]


@pytest.mark.parametrize("name", RELEASED)
def test_equal_to_the_released_file_node_by_node(name: str, corpus: Path) -> None:
    ours, theirs = zoo.build(name), read_tflite(corpus / "models" / f"{RELEASED[name]}.tflite")
    pairs = list(zip(ours.nodes, without_wrapping(theirs), strict=True))
    same = {-1: -1}  # our tensor -> theirs, for what nodes computed
    for index, (mine, real) in enumerate(pairs):
        assert mine.op == real.op, f"node {index}"
        if mine.op == "ADD":  # newer converters write another value of an option of int16 additions
            assert (mine.signature.inputs, mine.signature.outputs) == (real.signature.inputs, real.signature.outputs)
        else:
            assert mine.signature is real.signature, f"node {index}"
        for our_input, their_input in zip(mine.inputs, real.inputs, strict=True):
            assert same.get(our_input, their_input) == their_input, f"node {index} reads another tensor"
        same |= zip(mine.outputs, real.outputs, strict=True)


def test_one_convolution_of_the_released_file_has_no_pad() -> None:
    counts = Counter(node.op for node in zoo.build("mcunet-in3").nodes)
    assert counts == {
        "ADD": 11,
        "AVERAGE_POOL_2D": 1,
        "CONV_2D": 37,
        "DEPTHWISE_CONV_2D": 18,
        "PAD": 54,
        "RESHAPE": 1,
    }


def test_a_network_is_found_by_its_own_name_without_reading_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "aliases", lambda: pytest.fail("all files are read"))
    assert zoo.resolve("MCUNet_in3") == "mcunet-in3"

"""The builder: shapes, constants, names, padding, and errors that name the node."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from mcusim.errors import ModelError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import ABSENT, Activation, DType, Graph, Padding, Quantization
from mcusim.ops import OPS


def test_a_small_network() -> None:
    b = GraphBuilder("tiny")
    x = b.input((1, 32, 32, 3))
    x = b.conv_2d(x, 8, kernel=3, stride=2, padding=1, activation=Activation.RELU6, name="stem")
    y = b.depthwise_conv_2d(x, kernel=5)
    x = b.add(y, x)
    x = b.max_pool_2d(x, 2)
    x = b.average_pool_2d(x)
    graph = b.build([b.softmax(b.fully_connected(b.reshape(x, (1, -1)), 10))])

    assert [node.op for node in graph.nodes] == [
        "PAD",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "ADD",
        "MAX_POOL_2D",
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
        "SOFTMAX",
    ]
    shapes = [graph.tensors[node.outputs[0]].shape for node in graph.nodes]
    assert shapes[:4] == [(1, 34, 34, 3), (1, 16, 16, 8), (1, 16, 16, 8), (1, 16, 16, 8)]
    assert shapes[4:] == [(1, 8, 8, 8), (1, 1, 1, 8), (1, 8), (1, 10), (1, 10)]
    assert [node.name for node in graph.nodes][:3] == ["stem/pad", "stem", "depthwise_conv_2d_2"]
    assert graph.name == "tiny"
    assert graph.tensors[graph.inputs[0]].dtype is DType.INT8


def test_weights_are_constants_without_elements_and_biases_int32() -> None:
    b = GraphBuilder()
    x = b.input((1, 8, 8, 4))
    graph = b.build([b.conv_2d(x, 6, kernel=(3, 1), groups=2)])
    weights, bias = (graph.tensors[index] for index in graph.nodes[0].inputs[1:])
    assert (weights.shape, weights.dtype, weights.is_constant) == ((6, 3, 1, 2), DType.INT8, True)
    assert (bias.shape, bias.dtype, bias.is_constant) == ((6,), DType.INT32, True)
    assert weights.constant is None
    assert bias.constant is None
    assert weights.quantization is None


@pytest.mark.parametrize(
    ("dtype", "weights", "bias"),
    [
        (DType.INT4, DType.INT4, DType.INT32),
        (DType.INT16, DType.INT8, DType.INT64),
        (DType.FLOAT32, DType.FLOAT32, DType.FLOAT32),
    ],
)
def test_parameters_follow_the_activations(dtype: DType, weights: DType, bias: DType) -> None:
    b = GraphBuilder(dtype=dtype)
    graph = b.build([b.conv_2d(b.input((1, 4, 4, 2)), 2, 1)])
    assert [graph.tensors[index].dtype for index in graph.nodes[0].inputs] == [dtype, weights, bias]
    assert graph.tensors[graph.outputs[0]].dtype is dtype


def test_a_layer_without_bias() -> None:
    b = GraphBuilder()
    graph = b.build([b.fully_connected(b.input((1, 12)), 3, bias=False)])
    assert graph.nodes[0].inputs[2] == ABSENT
    assert not graph.nodes[0].signature.has(2)


def test_a_number_as_padding_is_a_pad_node_even_where_it_is_zero() -> None:
    b = GraphBuilder()
    x = b.conv_2d(b.input((1, 8, 8, 4)), 4, 1, padding=0)
    graph = b.build([b.depthwise_conv_2d(x, (3, 5), padding=(1, 2))])
    assert [node.op for node in graph.nodes] == ["PAD", "CONV_2D", "PAD", "DEPTHWISE_CONV_2D"]
    first, second = (graph.nodes[index].signature.input(1) for index in (0, 2))
    assert first.values == (0,) * 8
    assert second.values == (0, 0, 1, 1, 2, 2, 0, 0)
    paddings = graph.tensors[graph.nodes[2].inputs[1]].constant
    assert paddings is not None
    assert paddings.dtype == np.int32
    assert paddings.tolist() == [[0, 0], [1, 1], [2, 2], [0, 0]]


def test_equal_layers_share_signatures_and_static_constants() -> None:
    def build() -> tuple[object, ...]:
        b = GraphBuilder()
        x = b.input((1, 9, 9, 4))
        for _ in range(2):
            x = b.conv_2d(x, 4, 3, padding=1)
        graph = b.build([x])
        assert graph.nodes[0].inputs[1] == graph.nodes[2].inputs[1]
        return tuple(node.signature for node in graph.nodes)

    first, second = build(), build()
    assert first[0] is first[2]
    assert all(a is b for a, b in zip(first, second, strict=True))


def test_known_constants_and_quantisation_are_kept() -> None:
    b = GraphBuilder()
    quantization = Quantization((0.5,), (3,))
    x = b.input((1, 2, 2, 1), quantization=quantization)
    weights = b.constant((1, 1, 1, 1), DType.INT8, [7], quantization=quantization)
    bias = b.constant((1,), DType.INT32, np.array([5]))
    y = b.op("CONV_2D", [x, weights, bias], quantization=quantization)
    axes = b.constant((2,), DType.INT32, [1, 2])
    graph = b.build([b.op("MEAN", [y, axes])])
    assert graph.tensors[weights].constant is not None
    assert graph.tensors[y].quantization == quantization
    assert graph.tensors[bias].type.values is None, "a bias is no part of what a layer is"
    assert graph.tensors[axes].type.values == (1, 2)
    assert graph.tensors[graph.outputs[0]].shape == (1, 1)


def test_any_operator_and_its_output_type() -> None:
    b = GraphBuilder(dtype=DType.FLOAT32)
    x = b.op("QUANTIZE", [b.input((1, 4))], dtype=DType.INT8)
    graph = b.build([b.unary("HARD_SWISH", x)])
    assert graph.tensors[graph.outputs[0]].dtype is DType.INT8


def test_several_outputs() -> None:
    b = GraphBuilder()
    axis = b.integers((3,), ())
    attributes = OPS["SPLIT"].attributes(num_splits=2)  # type: ignore[call-arg]
    parts = b.op_outputs("SPLIT", [axis, b.input((1, 4, 4, 6))], attributes)
    graph = b.build([b.concatenation(parts)])
    assert [graph.tensors[part].shape for part in parts] == [(1, 4, 4, 3)] * 2
    assert graph.tensors[graph.outputs[0]].shape == (1, 4, 4, 6)
    with pytest.raises(ModelError, match="has 2 outputs"):
        b.op("SPLIT", [axis, graph.outputs[0]], attributes)


def test_numpy_integers_pass_and_become_plain() -> None:
    b = GraphBuilder()
    input_shape: Any = np.array([1, 7, 7, 5])
    three: Any = np.int64(3)
    flat: Any = np.array([1, -1])
    x = b.conv_2d(b.input(input_shape), three, three)
    shape = b.type_of(b.reshape(x, flat)).shape
    assert shape == (1, 147)
    assert all(type(size) is int for size in (*b.type_of(x).shape, *shape))


def test_errors_name_the_node() -> None:
    b = GraphBuilder("net")
    x = b.input((1, 8, 8, 3))
    with pytest.raises(ModelError, match=r"^stem \(CONV_2D\): out_channels is 0\n  fix: use 1 or more"):
        b.conv_2d(x, 0, 3, name="stem")
    with pytest.raises(ModelError, match=r"conv_2d_0 \(CONV_2D\): 3 input and 4 output channels do not split"):
        b.conv_2d(x, 4, 3, groups=2)
    with pytest.raises(ModelError, match=r"big \(CONV_2D\): window 9x9 does not fit"):
        b.conv_2d(x, 4, 9, padding=Padding.VALID, name="big")
    with pytest.raises(ModelError, match=r"CONV_3D.*(?s:.*)did you mean 'conv_2d'"):
        b.op("CONV_3D", [x])
    with pytest.raises(ModelError, match="got Conv2DAttributes"):
        b.op("ADD", [x, x], OPS["CONV_2D"].attributes())
    with pytest.raises(ModelError, match="there is no tensor 99"):
        b.conv_2d(99, 4, 3)
    with pytest.raises(ModelError, match=r"tensor 'x': has shape \(1, 0, 2\)"):
        b.input((1, 0, 2), name="x")
    with pytest.raises(ModelError, match="its elements are not"):
        b.constant((2,), DType.INT8, [1, 2, 3])
    with pytest.raises(ModelError, match="negative"):
        b.pad(x, -1, 0, 0, 0)
    with pytest.raises(ModelError, match="network 'net': has no outputs"):
        b.build([])
    with pytest.raises(ModelError, match="has no inputs"):
        GraphBuilder().build([0])
    assert b.build([x]).nodes == ()


@pytest.mark.parametrize("word", ["same", "valid"])
def test_a_word_means_what_its_enumeration_means(word: str) -> None:
    """A word equals the member of that value without being it: what asks `is Padding.VALID` took "valid" for SAME."""

    def made(padding: Any, activation: Any) -> Graph:
        builder = GraphBuilder("words")
        x = builder.conv_2d(builder.input((1, 9, 9, 3)), 4, 3, stride=2, padding=padding, activation=activation)
        return builder.build([builder.max_pool_2d(x, 2, padding=padding)])

    by_word, by_member = made(word, "relu"), made(Padding(word), Activation.RELU)
    assert [node.signature for node in by_word.nodes] == [node.signature for node in by_member.nodes]
    assert write_tflite(with_seeded_weights(by_word)) == write_tflite(with_seeded_weights(by_member))


def test_an_unknown_word_is_refused_with_those_that_are_known() -> None:
    builder, word = GraphBuilder("words"), cast("Any", "full")
    with pytest.raises(ModelError, match="padding is 'full'") as caught:
        builder.conv_2d(builder.input((1, 9, 9, 3)), 4, 3, padding=word)
    assert caught.value.fix == "use 'same' or 'valid'"


def test_scales_are_those_that_a_file_holds() -> None:
    """0.03 is no float32: an exported copy would compute with another scale, and differ where a sum ends in a half."""
    builder = GraphBuilder("scales")
    x = builder.input((1, 4), quantization=Quantization((0.03,), (0,)))
    graph = builder.build([builder.op("RELU", (x,), quantization=Quantization((0.1,), (-3,)))])
    again = parse_tflite(write_tflite(graph), name="again", where="again")
    assert [t.quantization for t in again.tensors] == [t.quantization for t in graph.tensors]
    assert graph.tensors[0].quantization == Quantization((float(np.float32(0.03)),), (0,))
    with pytest.raises(ModelError, match="float32"):
        builder.input((1, 4), quantization=Quantization((1e300,), (0,)))

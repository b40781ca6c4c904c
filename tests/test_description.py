"""Networks as plain data: branches, blocks, borders, and errors that name the layer and the key."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.errors import ModelError
from mcusim.frontends.description import graph_from_dict
from mcusim.frontends.layers import LAYERS
from mcusim.frontends.wording import words_for
from mcusim.graph import DType, Graph
from mcusim.ops import OPS

TINY: dict[str, Any] = {
    "name": "tiny",
    "input": [32, 32, 3],
    "layers": [
        {"op": "conv_2d", "kernel": 3, "stride": 2, "out_channels": 8, "activation": "relu6"},
        {"op": "mbconv", "kernel": 5, "expand": 4, "out_channels": 8, "shortcut": True},
        {"op": "average_pool_2d"},
        {"op": "reshape", "shape": [1, -1]},
        {"op": "fully_connected", "out_channels": 10},
    ],
}


def one_layer(layer: Mapping[str, Any], shape: tuple[int, ...] = (8, 8, 4), **network: Any) -> Graph:
    return graph_from_dict({"input": list(shape), "layers": [layer], **network})


def ops_of(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes]


def output_shape(graph: Graph) -> tuple[int, ...]:
    return graph.tensors[graph.outputs[0]].shape


def test_a_chain() -> None:
    graph = graph_from_dict(TINY)
    assert graph.name == "tiny"
    assert ops_of(graph) == [
        "CONV_2D",
        *("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D", "ADD"),
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    assert [node.name for node in graph.nodes][:3] == ["conv_2d_1", "mbconv_2/expand", "mbconv_2/depthwise"]
    assert output_shape(graph) == (1, 10)


def test_the_description_is_not_changed_and_gives_equal_graphs() -> None:
    before = repr(TINY)
    first, second = graph_from_dict(TINY), graph_from_dict(TINY)
    assert repr(TINY) == before
    assert all(a.signature is b.signature for a, b in zip(first.nodes, second.nodes, strict=True))


def test_branches_and_several_inputs_and_outputs() -> None:
    graph = graph_from_dict(
        {
            "inputs": {"left": [8, 8, 4], "right": [1, 16, 16, 4]},
            "dtype": "int16",
            "outputs": ["both", "down"],
            "layers": [
                {"op": "max_pool_2d", "size": 2, "input": "right", "name": "down"},
                {"op": "add", "inputs": ["left", "down"], "name": "sum"},
                {"op": "concatenation", "inputs": ["sum", "left"], "name": "both"},
            ],
        }
    )
    assert [graph.tensors[index].name for index in graph.inputs] == ["left", "right"]
    assert [graph.tensors[index].shape for index in graph.outputs] == [(1, 8, 8, 8), (1, 8, 8, 4)]
    assert graph.tensors[graph.outputs[0]].dtype is DType.INT16


def test_every_kind_of_layer_builds() -> None:
    needed: dict[str, dict[str, Any]] = {
        "conv_2d": {"out_channels": 4},
        "separable_conv": {"out_channels": 4},
        "mbconv": {"out_channels": 4},
        "fully_connected": {"out_channels": 4},
        "add": {"inputs": ["input", "input"]},
        "sub": {"inputs": ["input", "input"]},
        "mul": {"inputs": ["input", "input"]},
        "concatenation": {"inputs": ["input", "input"]},
        "pad": {"amount": [0, 1, 0, 1]},
        "reshape": {"shape": [1, -1]},
        "transpose": {"order": [0, 3, 1, 2]},
    }
    for op in LAYERS:
        assert one_layer({"op": op, **needed.get(op, {})}).nodes[-1].op in OPS, op


@pytest.mark.parametrize(
    ("style", "ops"),
    [
        ("same", ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]),
        ("valid", ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]),
        ("explicit", ["PAD", "CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "PAD", "CONV_2D"]),
        ("explicit-strided", ["CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D"]),
    ],
)
def test_border_styles(style: str, ops: list[str]) -> None:
    layer = {"op": "mbconv", "kernel": 3, "stride": 2, "expand": 2, "out_channels": 4}
    graph = one_layer(layer, padding=style)
    assert ops_of(graph) == ops
    assert output_shape(graph) == (1, 3 if style == "valid" else 4, 3 if style == "valid" else 4, 4)


def test_a_layer_overrules_the_style() -> None:
    layer = {"op": "conv_2d", "kernel": [3, 5], "out_channels": 2}
    assert ops_of(one_layer({**layer, "padding": "valid"}, padding="explicit")) == ["CONV_2D"]
    graph = one_layer({**layer, "padding": [1, 2]})
    assert ops_of(graph) == ["PAD", "CONV_2D"]
    assert output_shape(graph) == (1, 8, 8, 2)


def test_squeeze_and_excitation() -> None:
    graph = one_layer({"op": "mbconv", "expand": 2, "squeeze": 2, "out_channels": 4, "shortcut": True})
    gate = ["MEAN", "MEAN", "CONV_2D", "CONV_2D", "ADD", "MUL", "MUL"]
    assert ops_of(graph) == ["CONV_2D", "DEPTHWISE_CONV_2D", *gate, "CONV_2D", "ADD"]


def test_numbers_and_containers_of_numpy_and_others_pass() -> None:
    layer = MappingProxyType({"op": "conv_2d", "kernel": (np.int64(3), 3), "out_channels": np.int32(6)})
    graph = graph_from_dict(MappingProxyType({"input": np.array([8, 8, 4]).tolist(), "layers": (layer,)}))
    assert output_shape(graph) == (1, 8, 8, 6)


CONV = {"op": "conv_2d", "out_channels": 4}


@pytest.mark.parametrize(
    ("layer", "where", "what", "fix"),
    [
        ({**CONV, "stide": 2}, "layer 1 (conv_2d)", "has an unknown key 'stide'", "did you mean 'stride'"),
        ({**CONV, "zzz": 2}, "layer 1 (conv_2d)", "has an unknown key 'zzz'", "its keys are op, name"),
        ({"op": "conv2d"}, "layer 1", "'conv2d' is not a kind of layer", "did you mean 'conv_2d'"),
        ({"out_channels": 4}, "layer 1", "has no `op`", "say what it is"),
        ({"op": "conv_2d"}, "layer 1 (conv_2d)", "has no `out_channels`", "add `out_channels`"),
        (
            {**CONV, "out_channels": "4"},
            "layer 1 (conv_2d)",
            "`out_channels` is '4'",
            "use a whole number of 1 or more",
        ),
        ({**CONV, "kernel": 2.5}, "layer 1 (conv_2d)", "`kernel` is 2.5", "use a whole number or a list of 2, each a"),
        ({**CONV, "kernel": [3]}, "layer 1 (conv_2d)", "`kernel` is [3]", "list of 2"),
        ({**CONV, "kernel": 0}, "layer 1 (conv_2d)", "kernel is 0", "use 1 or more"),
        ({**CONV, "padding": "sam"}, "layer 1 (conv_2d)", "`padding` is 'sam'", "one of same, valid"),
        ({**CONV, "padding": -1}, "layer 1 (conv_2d)", "negative", "use 0 or more"),
        ({**CONV, "activation": "gelu"}, "layer 1 (conv_2d)", "`activation` is 'gelu'", "use one of none, relu"),
        ({**CONV, "input": "inptu"}, "layer 1 (conv_2d)", "there is no layer or input named 'inptu'", "'input'"),
        ({**CONV, "input": 7}, "layer 1 (conv_2d)", "there is no layer or input named 7", "use one of"),
        ({**CONV, "input": "input", "inputs": ["input"]}, "layer 1 (conv_2d)", "has both", "keep one"),
        ({**CONV, "inputs": "input"}, "layer 1 (conv_2d)", "`inputs` is 'input'", "a list of names"),
        ({**CONV, "inputs": ["input"] * 2}, "layer 1 (conv_2d)", "has 2 inputs instead of 1", "one `input`"),
        ({**CONV, "name": "input"}, "layer 1 (conv_2d)", "the name 'input' is taken", "a name of its own"),
        ({**CONV, "name": 3}, "layer 1 (conv_2d)", "`name` is 3", "as a string"),
        ({"op": "add"}, "layer 1 (add)", "has 1 inputs instead of 2", "a list of 2 layer names"),
        ({"op": "mbconv", "out_channels": 5, "shortcut": True}, "layer 1 (mbconv)", "has a shortcut", "stride is 1"),
        ({"op": "mbconv", "out_channels": 5, "expand": 1.1}, "layer 1 (mbconv)", "not a whole number", "`expand`"),
        ({"op": "resize_nearest_neighbor", "scale": 0}, "layer 1 (resize_nearest_neighbor)", "size is (0, 0)", "1"),
        ({"op": "max_pool_2d", "size": 9}, "layer 1 (max_pool_2d)", "does not fit", "smaller"),
        ({"op": "max_pool_2d", "size": -1}, "layer 1 (max_pool_2d)", "size is -1", "1 or more"),
    ],
)
def test_wrong_layers(layer: dict[str, Any], where: str, what: str, fix: str) -> None:
    with pytest.raises(ModelError) as caught:
        one_layer(layer)
    assert caught.value.where == where
    assert what in caught.value.what
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ([], "is a list"),
        ({"input": [8, 8, 3]}, "has no `layers`"),
        ({"input": [8, 8, 3], "layers": []}, "has no layers"),
        ({"layers": [CONV]}, "has no input"),
        ({"inputs": {}, "layers": [CONV]}, "has no input"),
        ({"input": [8, 8, 3], "inputs": {"a": [1]}, "layers": [CONV]}, "has both"),
        ({"input": [8, -8, 3], "layers": [CONV]}, "has shape"),
        ({"input": "8x8", "layers": [CONV]}, "`input` is '8x8'"),
        ({"input": [8, 8, 3], "layers": [3]}, "`layers` is"),
        ({"input": [8, 8, 3], "layer": [CONV], "layers": [CONV]}, "unknown key 'layer'"),
        ({"input": [8, 8, 3], "layers": [CONV], "dtype": "int7"}, "`dtype` is 'int7'"),
        ({"input": [8, 8, 3], "layers": [CONV], "padding": "half"}, "`padding` is 'half'"),
        ({"input": [8, 8, 3], "layers": [CONV], "outputs": ["x"]}, "named 'x'"),
        ({"input": [8, 8, 3], "layers": [CONV], "outputs": []}, "has no outputs"),
    ],
)
def test_wrong_networks(description: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        graph_from_dict(description)
    assert message in caught.value.what
    assert caught.value.fix


def test_a_wrong_dtype_is_told_the_known_ones() -> None:
    with pytest.raises(ModelError) as caught:
        graph_from_dict({"input": [8, 8, 3], "layers": [CONV], "dtype": "int9"})
    assert "int8" in caught.value.fix
    assert "int16" in caught.value.fix


@pytest.mark.parametrize("options", sorted({layer.options for layer in LAYERS.values()}, key=str))
def test_every_key_has_words(options: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(options):
        assert words_for(field.type), field.name


def test_errors_count_layers_from_one_and_name_the_network() -> None:
    with pytest.raises(ModelError, match=r"^layer 2 \(conv_2d\): has an unknown key 'strides'"):
        graph_from_dict({"input": [8, 8, 3], "layers": [CONV, {**CONV, "strides": 2}]})
    with pytest.raises(ModelError, match=r"^network 'mine': has no layers"):
        graph_from_dict({"name": "mine", "input": [8, 8, 3], "layers": []})


KEYS = sorted(
    {key for layer in LAYERS.values() for key in layer.options.__struct_fields__} | {"name", "input", "inputs"}
)
NUMBERS = st.integers(-3, 12) | st.sampled_from([0.5, float("nan"), 2**40])
VALUES: st.SearchStrategy[Any] = (
    NUMBERS
    | st.lists(NUMBERS, max_size=5)
    | st.sampled_from(["same", "valid", "relu6", "input", "", None, True, {}, [[]], ["input", "input"]])
)


@given(
    op=st.sampled_from(sorted(LAYERS)),
    options=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=5),
)
def test_whatever_is_described_gives_a_graph_or_a_model_error(
    op: str, options: dict[str, Any], shape: list[int]
) -> None:
    known = {key: value for key, value in options.items() if key in LAYERS[op].options.__struct_fields__}
    for layer in ({"op": op, **options}, {"op": op, "out_channels": 4, **known}, {"op": op, **known}):
        with contextlib.suppress(ModelError):
            graph = graph_from_dict({"input": shape, "layers": [layer]})
            assert all(min(t.shape, default=1) > 0 for t in graph.tensors if not t.is_constant)

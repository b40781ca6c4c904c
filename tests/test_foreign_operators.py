"""Files for accelerators and operators of TensorFlow itself are told as such; a stale shape names its maker."""

from __future__ import annotations

import numpy as np
import pytest
from operator_lines import parse
from oracles import Refused, run_tflm
from tflite_maker import FLOAT32, Maker, make_options

from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.vendored import tflite_schema
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.refusals import refusals_of
from mcusim.simulation.simulate import simulate

BOOL = tflite_schema.TensorType.BOOL

FOREIGN = {
    "ethos-u": "give the file from before Vela",
    "NeutronGraph": "give the file from before the Neutron converter",
    "XC_conv2d_v2": "give the file from before xformer",
    "edgetpu-custom-op": "give the file from before edgetpu_compiler",
    "FlexTensorListReserve": "convert with TFLITE_BUILTINS alone",
    "TensorListSetItem": "unroll the layer",
}


@pytest.mark.parametrize("runtime", ["tflm", "tflm-cmsis-nn", "tinyengine", "x-cube-ai", "hale"])
@pytest.mark.parametrize(("name", "sentence"), FOREIGN.items(), ids=FOREIGN)
def test_the_reason_is_whose_operator_it_is(runtime: str, name: str, sentence: str) -> None:
    network = parse(f"CUSTOM:{name} int8[1,4] > int8[1,4]")
    graph = parse_tflite(network.content(), name="one", where="one")
    whys = [refusal.why for refusal in refusals_of(graph, RUNTIMES[runtime])]
    assert len(whys) == 1
    assert whys[0].startswith(f"{name} is ")
    assert sentence in whys[0]


def test_the_memory_of_an_operator_that_mcusim_does_not_know_is_not_known() -> None:
    """ST lists it, so that it is imported; what its memory would be without the operator's own is told."""
    graph = parse_tflite(parse("GELU int8[1,4] > int8[1,4]").content(), name="one", where="one")
    report = simulate(graph, profile="stm32h743")
    assert report.runtime.name == "x-cube-ai"
    assert report.verdict.value == "unknown"
    assert "x-cube-ai, 1 layer: what X-CUBE-AI takes for GELU is not known here" in " ".join(report.warnings)


def test_a_custom_operator_of_unknown_make_has_no_runtime() -> None:
    graph = parse_tflite(parse("CUSTOM:Mine int8[1,4] > int8[1,4]").content(), name="one", where="one")
    report = simulate(graph, profile="stm32h743")
    assert report.verdict.value == "unknown"
    assert "X-CUBE-AI has no kernel for Mine, a custom operator" in " ".join(
        refusal.why for refusal in refusals_of(graph, RUNTIMES["x-cube-ai"])
    )


def test_a_dynamic_shape_in_a_loop_body_is_not_the_reason() -> None:
    """What Keras makes of an RNN: lists of tensors that grow in the loop, of shapes with -1."""
    made = Maker()
    made.tensor((1, 4))
    made.tensor((-1, 4))
    made.operator("CUSTOM", [0], [1], custom="FlexTensorListStack")
    made.graph.inputs, made.graph.outputs = [0], [1]
    with pytest.raises(ModelError, match="FlexTensorListStack is an operator of TensorFlow itself") as caught:
        parse_tflite(made.pack(), name="rnn", where="rnn.tflite")
    assert "has a dynamic shape" in caught.value.what
    assert "TFLITE_BUILTINS" in caught.value.fix


def test_a_dynamic_shape_without_such_operators_is() -> None:
    made = Maker()
    made.tensor((-1, 4))
    made.tensor((-1, 4))
    made.operator("RELU", [0], [1])
    made.graph.inputs, made.graph.outputs = [0], [1]
    with pytest.raises(ModelError, match="has a dynamic shape"):
        parse_tflite(made.pack(), name="x", where="x.tflite")


def test_a_stale_shape_names_the_operator_that_makes_it() -> None:
    """The custom operator's result was stored for another batch than the sum behind it asks for."""
    made = Maker()
    made.tensor((1, 4))
    made.tensor((1, 9))
    made.tensor((1, 4))
    made.operator("CUSTOM", [0], [1], custom="Mystery")
    made.operator("ADD", [1, 0], [2], make_options("AddOptions"))
    made.graph.inputs, made.graph.outputs = [0], [2]
    with pytest.raises(ModelError, match=r"input 0 \(1x9\) is made by node 0 \(CUSTOM:Mystery\)") as caught:
        parse_tflite(made.pack(), name="x", where="x.tflite")
    assert "fixed shapes" in caught.value.fix


def test_a_checked_shape_is_not_said_to_be_stale() -> None:
    made = Maker()
    made.tensor((1, 4), FLOAT32)
    made.tensor((1, 4), FLOAT32)
    made.tensor((1, 9), FLOAT32)
    made.operator("RELU", [0], [1])
    made.operator("ADD", [1, 0], [2], make_options("AddOptions"))
    made.graph.inputs, made.graph.outputs = [0], [2]
    with pytest.raises(ModelError, match="contradicts the inputs") as caught:
        parse_tflite(made.pack(), name="x", where="x.tflite")
    assert "stale" not in caught.value.what


def test_a_scale_of_zero_is_none_where_none_is_needed() -> None:
    """Some converters write it for results that count (int32): TFLM does not look at it."""
    made = Maker()
    made.tensor((1, 4))
    made.tensor((1, 4), FLOAT32, scales=(0.0,))
    made.operator("DEQUANTIZE", [0], [1])
    made.graph.inputs, made.graph.outputs = [0], [1]
    assert parse_tflite(made.pack(), name="x", where="x.tflite").tensors[1].quantization is None


def test_a_body_that_the_runtime_refuses_is_a_refusal_of_the_network() -> None:
    """TFLM prepares every subgraph, also a branch that is never taken; the wheel refuses this file."""
    made = Maker()
    made.tensor((), BOOL, scales=())
    made.tensor((1, 4))
    made.tensor((1, 4))
    for name, op in (("then", "RELU"), ("else", "NEG")):
        body = made.subgraph(name)
        body.tensor((1, 4))
        body.tensor((1, 4))
        body.operator(op, [0], [1])
        body.graph.inputs, body.graph.outputs = [0], [1]
    made.operator("IF", [0, 1], [2], make_options("IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2))
    made.graph.inputs, made.graph.outputs = [0, 1], [2]
    content = made.pack()
    graph = parse_tflite(content, name="branch", where="branch.tflite")
    report = simulate(graph, profile="stm32f412", runtime="tflm")
    assert report.runtime.runs is False
    assert any("NEG: input 0 is int8, and must be float32" in warning for warning in report.warnings)
    with pytest.raises(Refused):
        run_tflm(content, [np.array(True), np.ones((1, 4), np.int8)])


def test_an_index_of_another_type_is_the_reason() -> None:
    """It is a constant, so that it is none cannot be what is wrong."""
    network = parse("TRANSPOSE int8[1,4,4,3] int16[4]=0,3,1,2@ > int8[1,3,4,4] | TransposeOptions")
    with pytest.raises(ModelError, match=r"input 1 \(\w+\) is int16, and says the output's shape"):
        parse_tflite(network.content(), name="x", where="x.tflite")

"""Which operators X-CUBE-AI is said to import, against the list that ST publishes."""

from __future__ import annotations

import pytest
from conftest import CorpusModel
from operator_lines import networks, parse

import mcusim
from mcusim.errors import ModelError
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import Graph
from mcusim.report import Verdict
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.choosing import why_not
from mcusim.runtimes.refusals import refusals_of
from mcusim.runtimes.x_cube_ai_conditions import X_CUBE_AI_CONDITIONS

TABLE = """
ABS ADD ADD_N ARG_MAX ARG_MIN ATAN2 AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CAST
CEIL CONCATENATION CONV_2D COS DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FlexErf
FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GELU GREATER GREATER_EQUAL HARD_SWISH L2_NORMALIZATION
LEAKY_RELU LESS LESS_EQUAL LOCAL_RESPONSE_NORMALIZATION LOG LOG_SOFTMAX LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC
MAX_POOL_2D MAXIMUM MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 POW PRELU QUANTIZE REDUCE_ANY REDUCE_MAX
REDUCE_MIN REDUCE_PROD RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2
ROUND RSQRT SCATTER_ND SELECT SELECT_V2 SHAPE SIGN SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V
SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TOPK_V2 TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK ZEROS_LIKE
"""
"""https://stedgeai-dc.st.com/assets/embedded-docs/supported_ops_tflite.html, ST Edge AI Core 4.0.0, summary table."""

LISTED = TABLE.split()

X_CUBE_AI = RUNTIMES["x-cube-ai"]
CONTROL = frozenset({"IF", "WHILE", "CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "SVDF"})


def one(line: str) -> Graph:
    return parse_tflite(parse(line).content(), name="one", where="one")


def why(line: str) -> list[str]:
    return [refusal.why for refusal in refusals_of(one(line), X_CUBE_AI)]


def test_the_operators_are_those_of_the_list() -> None:
    assert len(LISTED) == 102
    assert {op.removeprefix("CUSTOM:") for op in X_CUBE_AI_CONDITIONS} == set(LISTED)
    assert not CONTROL & set(X_CUBE_AI_CONDITIONS)


def test_int8_and_float32_networks_of_each_operator_are_taken_where_it_is_listed() -> None:
    """A listed operator without an integer version runs as a float one; int16 and what is not listed never does."""
    taken, refused = set(), set()
    for op, each in networks().items():
        for network in each:
            answers = {network.tensors[place].dtype for place in network.operators[0].outputs}
            try:
                graph = parse_tflite(network.content(), name="one", where="one")
            except ModelError:
                continue
            is_refused = any(True for _ in refusals_of(graph, X_CUBE_AI))
            (refused if is_refused else taken).add(op)
            if op not in X_CUBE_AI_CONDITIONS or ("int16" in answers and op != "SELECT_V2"):
                assert is_refused, network.label
    assert taken <= set(X_CUBE_AI_CONDITIONS)
    assert len(taken) > 60


@pytest.mark.parametrize(
    ("line", "sentence"),
    {
        "CONV_2D int8[1,8,8,3] int8[4,3,3,3]=@0.02 int32[4]= > int8[1,8,8,4] | Conv2DOptions padding=0 strideW=1"
        " strideH=1 dilationWFactor=2 dilationHFactor=2": "dilation 2 is not supported for integers",
        "FULLY_CONNECTED float32[1,4] int8[2,4]=@0.02 float32[2]= > float32[1,2]": "mixed operators are not supported",
        "ADD int16[1,4] int16[1,4] > int16[1,4]": "input 0 is int16, and must be float32, int8 or uint8",
        "ADD int32[1,4] int32[1,4] > int32[1,4]": "input 0 is int32, and must be",
        "CONCATENATION int8[1,4] int8[1,4] > int8[2,4] | ConcatenationOptions axis=0": "joining along the batch",
        "TRANSPOSE int8[1,4,3] int32[3]=1,0,2 > int8[4,1,3]": "moving the batch is not supported",
        "REVERSE_V2 int8[1,4,4,3] int32[2]=1,2 > int8[1,4,4,3]": "it reverses 2 axes, and may reverse one",
        "TILE int8[1,4] int32[2]=2,1 > int8[2,4]": "repeating along the batch is not supported",
        "GATHER int8[6,4] int32[2]=1,2 > int8[2,4] | GatherOptions axis=0": "it gathers along axis 0",
        "SOFTMAX int8[1,5,4] > int8[1,5,4]@0.00390625,-128 | SoftmaxOptions beta=1.0": "may have the channels only",
        "SPLIT int32[]=1 int8[1,4] > int8[1,2] int8[1,2] | SplitOptions numSplits=2": "a part is 2 wide",
        "RELU int8[1,1,1,1,1,1,4] > int8[1,1,1,1,1,1,4]": "a tensor has 7 dimensions, and may have 6",
        "RELU int8[1,70000] > int8[1,70000]": "a dimension is 70,000, and may be 65,535",
        "CUMSUM int32[1,4] int32[]=1 > int32[1,4]": "CUMSUM is not among the operators that ST lists for X-CUBE-AI",
    }.items(),
)
def test_limits_that_the_list_names(line: str, sentence: str) -> None:
    [reason] = why(line)
    assert sentence in reason


@pytest.mark.parametrize(
    "line",
    [
        "CONV_2D float32[1,8,8,3] float32[4,3,3,3]= float32[4]= > float32[1,8,8,4] | Conv2DOptions padding=0 strideW=1"
        " strideH=1 dilationWFactor=2 dilationHFactor=2",
        "CONCATENATION int8[1,4] int8[1,4] > int8[1,8] | ConcatenationOptions axis=-1",
        "TRANSPOSE int8[1,4,3] int32[3]=0,2,1 > int8[1,3,4]",
        "SOFTMAX int8[1,4] > int8[1,4]@0.00390625,-128 | SoftmaxOptions beta=1.0",
        "SPLIT int32[]=1 int8[1,2] > int8[1,1] int8[1,1] | SplitOptions numSplits=2",
        "GATHER int8[1,6,4] int32[2]=1,2 > int8[1,2,4] | GatherOptions axis=1",
        "ARG_MAX int8[1,4] int32[]=1 > int32[1]",
        "LESS float32[1,4] float32[1,4] > bool[1,4]",
    ],
)
def test_what_is_within_them_is_taken(line: str) -> None:
    assert why(line) == []


def test_no_verdict_rests_on_an_operator_that_is_not_listed() -> None:
    report = mcusim.simulate(
        one("CUMSUM float32[1,4] int32[]=1 > float32[1,4]"), profile="stm32h743", runtime="x-cube-ai"
    )
    assert report.verdict is Verdict.UNKNOWN
    assert report.runtime.runs is False


@pytest.mark.corpus
def test_the_corpus_networks_that_the_list_does_not_hold(corpus_model: CorpusModel) -> None:
    """int16 and streaming networks, SVDF, shapes that are computed, and one that is divided in parts of 32."""
    reason, _ = why_not(mcusim.load(corpus_model.path), X_CUBE_AI)
    names = ("seanet", "mww_", "keyword_scrambled", "tinymaix_mbnet128", "split")
    assert not reason or any(name in corpus_model.path.name for name in names), reason

"""Each operator's account of itself: shapes and work, against enumerations that share no code with it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodes import constant, infer, ints, node

from mcusim import GraphBuilder, execute
from mcusim.errors import ModelError
from mcusim.graph import DType, Padding, Signature, tensor_type
from mcusim.ops import OPS, Movement
from mcusim.ops.batch_matmul import BatchMatMulAttributes
from mcusim.ops.concatenation import ConcatenationAttributes
from mcusim.ops.conv_2d import Conv2DAttributes
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.ops.fully_connected import FullyConnectedAttributes
from mcusim.ops.gather import GatherAttributes
from mcusim.ops.pack import PackAttributes
from mcusim.ops.registry import Work
from mcusim.ops.reshape import ReshapeAttributes
from mcusim.ops.shared.pooling import Pool2DAttributes
from mcusim.ops.shared.reduction import ReducerAttributes
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.ops.split import SplitAttributes
from mcusim.ops.split_v import SplitVAttributes
from mcusim.ops.squeeze import SqueezeAttributes
from mcusim.ops.strided_slice import StridedSliceAttributes
from mcusim.ops.svdf import SvdfAttributes
from mcusim.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstmAttributes
from mcusim.ops.unpack import UnpackAttributes

KNOWN = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS
BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COPY COS CUMSUM CUSTOM:CIRCULAR_BUFFER CUSTOM:SignalDelay
CUSTOM:SignalEnergy CUSTOM:SignalFftAutoScale CUSTOM:SignalFilterBank CUSTOM:SignalFilterBankLog
CUSTOM:SignalFilterBankSpectralSubtraction CUSTOM:SignalFilterBankSquareRoot CUSTOM:SignalFramer CUSTOM:SignalIrfft
CUSTOM:SignalOverlapAdd CUSTOM:SignalPCAN CUSTOM:SignalRfft CUSTOM:SignalStacker CUSTOM:SignalWindow
CUSTOM:TFLite_Detection_PostProcess DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU
EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT
LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL ONE_HOT PACK PAD PADV2
PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH
SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TILE TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
ROUNDED = {
    "TRANSPOSE_CONV": {"macs", "inputs", "read_bytes"},
    "RESIZE_BILINEAR": {"inputs"},
    "RESIZE_NEAREST_NEIGHBOR": {"inputs"},
    "PAD": {"inputs", "read_bytes"},
    "TILE": {"inputs", "read_bytes"},
    "MEAN": {"inputs", "read_bytes"},
}
"""Parts of the work that do not divide by the output's rows and columns, and are rounded down."""


def test_every_operator_is_discovered():
    assert sorted(OPS) == sorted(KNOWN.split())


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_definitions_are_complete(op):
    assert op.summary
    assert op.attributes() == op.attributes()
    hash(op.attributes())


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_attributes_name_fields_of_the_schema(op):
    schema = pytest.importorskip("mcusim.frontends.vendored.tflite_schema")
    if op.name.startswith("CUSTOM:"):
        return
    if not op.options:
        assert not fields(op.attributes)
        return
    table = getattr(schema, op.options)
    for field in fields(op.attributes):
        accessor = "".join(part[0].upper() + part[1:] for part in field.name.split("_"))
        if not hasattr(table, accessor):
            assert field.default is None, f"{op.options} has no {accessor}: its default must be None"


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_attribute_defaults_are_those_of_the_schema(op):
    reader = pytest.importorskip("mcusim.frontends.tflite_options")
    tables = pytest.importorskip("mcusim.frontends.flatbuffer")
    # A table without fields, and its vtable of 4 bytes.
    empty = tables.Table(tables.Flatbuffer(bytes((0, 0, 0, 0, 4, 0, 4, 0, 4, 0, 0, 0)), "nothing"), 8, "nothing")
    # What a file leaves out is a stride or multiplier of 0, and SAME: no useful default for graphs built in memory.
    ours = {"padding", "stride_w", "stride_h", "depth_multiplier"}
    if op.needs_options:
        with pytest.raises(ModelError, match="lacks its options"):
            reader.read_attributes(empty, op)
        return
    attributes = reader.read_attributes(empty, op)
    for field in fields(op.attributes):
        if field.name not in ours:
            assert field.default is not MISSING
            assert getattr(attributes, field.name) == field.default


X = tensor_type((1, 6, 8, 12))
VECTOR = tensor_type((2, 6))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "expected"),
    [
        ("FULLY_CONNECTED", [X, constant(5, 12)], FullyConnectedAttributes(keep_num_dims=True), (1, 6, 8, 5)),
        ("FULLY_CONNECTED", [X, constant(5, 12)], None, (48, 5)),
        ("ADD", [X, tensor_type((8, 1))], None, (1, 6, 8, 12)),
        ("ADD", [tensor_type((3, 1)), tensor_type((4,))], None, (3, 4)),
        ("MEAN", [X, ints(1, -2)], None, (1, 12)),
        ("SUM", [X, ints(3, shape=())], ReducerAttributes(True), (1, 6, 8, 1)),
        ("ARG_MAX", [VECTOR, ints(-1, shape=())], None, (2,)),
        ("RESHAPE", [X, ints(-1, 12)], None, (48, 12)),
        ("RESHAPE", [X], ReshapeAttributes((4, -1)), (4, 144)),
        ("RESHAPE", [tensor_type((1,)), ints()], None, ()),
        ("RESHAPE", [tensor_type((0, 3)), ints(0, 3)], None, (0, 3)),
        ("SQUEEZE", [tensor_type((1, 3, 1))], None, (3,)),
        ("SQUEEZE", [tensor_type((1, 3, 1))], SqueezeAttributes((-1,)), (1, 3)),
        ("EXPAND_DIMS", [VECTOR, ints(-1)], None, (2, 6, 1)),
        ("PACK", [VECTOR, VECTOR], PackAttributes(2, -1), (2, 6, 2)),
        ("UNPACK", [VECTOR], UnpackAttributes(2, 0), ((6,), (6,))),
        ("SPLIT", [ints(-1), VECTOR], SplitAttributes(3), ((2, 2),) * 3),
        ("SPLIT_V", [VECTOR, ints(1, -1), ints(1)], SplitVAttributes(2), ((2, 1), (2, 5))),
        ("SHAPE", [X], None, (4,)),
        ("GATHER", [VECTOR, constant(3, 2, dtype=DType.INT32)], GatherAttributes(1), (2, 3, 2)),
        ("GATHER", [VECTOR, constant(2, 3, dtype=DType.INT32)], GatherAttributes(1, 1), (2, 3)),
        ("SLICE", [VECTOR, ints(0, 2), ints(-1, 3)], None, (2, 3)),
        ("STRIDED_SLICE", [VECTOR, ints(1), ints(0), ints(1)], StridedSliceAttributes(shrink_axis_mask=1), (6,)),
        (
            "STRIDED_SLICE",
            [X, ints(0, 0, 2), ints(0, 0, 5), ints(1, 1, 1)],
            StridedSliceAttributes(ellipsis_mask=1, new_axis_mask=2),
            (1, 6, 8, 1, 3),
        ),
        (
            "STRIDED_SLICE",
            [VECTOR, ints(0, 2), ints(1, 3), ints(1, 1)],
            StridedSliceAttributes(offset=True),
            (1, 3),
        ),
        ("TILE", [VECTOR, ints(2, 0)], None, (4, 0)),
        (
            "BATCH_MATMUL",
            [tensor_type((3, 1, 4, 5)), tensor_type((2, 6, 5))],
            BatchMatMulAttributes(adj_y=True),
            (3, 2, 4, 6),
        ),
        ("SVDF", [tensor_type((1, 40)), constant(32, 40), constant(32, 10)], SvdfAttributes(rank=2), (1, 16)),
        ("PRELU", [X, constant(1, 1, 12)], None, (1, 6, 8, 12)),
        ("VAR_HANDLE", [], None, ()),
    ],
)
def test_inferred_shapes(op, inputs, attributes, expected):
    assert infer(op, inputs, attributes) == expected


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        ("ADD", [X, tensor_type((5,))], None, "do not broadcast"),
        ("ADD", [X], None, r"input 1 \(input\) is missing"),
        ("CONV_2D", [X, constant(4, 3, 3, 12)], Conv2DAttributes(stride_h=0), "below 1"),
        ("CONV_2D", [X, constant(4, 3, 3, 12)], Conv2DAttributes(Padding.SAME, stride_h=0), "below 1"),
        ("CONV_2D", [tensor_type((1, 4, 4, 0)), constant(4, 3, 3, 12)], None, "do not go with"),
        ("DEPTHWISE_CONV_2D", [X, constant(1, 3, 3, 24)], None, "are not 24 output channels"),
        ("AVERAGE_POOL_2D", [X], None, "below 1"),
        ("MAX_POOL_2D", [VECTOR], None, "not NHWC"),
        ("MEAN", [X, tensor_type((2,), DType.INT32)], None, "not a constant"),
        ("MEAN", [X, ints(4)], None, "axis 4"),
        ("RESHAPE", [X, ints(5, 7)], None, "do not fill"),
        ("RESHAPE", [X, ints(-1, -1)], None, "do not fill"),
        ("RESHAPE", [X, ints(-1, 0)], None, "do not fill"),
        ("RESHAPE", [X, ints(-2, -288)], None, "do not fill"),
        ("RESHAPE", [X, tensor_type((2,), DType.INT32)], None, "not a constant"),
        ("FULLY_CONNECTED", [VECTOR, constant(4, 5)], None, "does not split into rows"),
        ("CONCATENATION", [], None, "missing"),
        ("CONCATENATION", [X, VECTOR], ConcatenationAttributes(3), "do not join"),
        ("TRANSPOSE", [VECTOR, ints(0, 0)], None, "does not order"),
        ("STRIDED_SLICE", [VECTOR, ints(0), ints(1), ints(0)], None, "stride is 0"),
        ("STRIDED_SLICE", [VECTOR, ints(2), ints(3), ints(1)], StridedSliceAttributes(shrink_axis_mask=1), "outside"),
        ("SPLIT", [ints(1), VECTOR], None, "does not split"),
        ("PACK", [VECTOR], None, "values_count"),
        ("SQUEEZE", [VECTOR], SqueezeAttributes((0,)), "is not 1"),
        ("READ_VARIABLE", [tensor_type((), DType.RESOURCE)], None, "does not follow"),
    ],
)
def test_malformed_nodes_are_refused(op, inputs, attributes, message):
    with pytest.raises(ModelError, match=message):
        infer(op, inputs, attributes)


LSTM = [tensor_type((1, 5, 4))] + [constant(8, 4)] * 4 + [constant(8, 8)] * 4
CALLS = [
    node("CONV_2D", [X, constant(7, 3, 3, 12), constant(7)], Conv2DAttributes(Padding.SAME)),
    node("DEPTHWISE_CONV_2D", [X, constant(1, 3, 3, 12)], DepthwiseConv2DAttributes(Padding.SAME, 2, 2)),
    node("TRANSPOSE_CONV", [ints(1, 12, 16, 3), constant(3, 3, 3, 12), X], WindowAttributes(Padding.SAME, 2, 2)),
    node("AVERAGE_POOL_2D", [X], Pool2DAttributes(Padding.SAME, 2, 2, filter_width=2, filter_height=2)),
    node("ADD", [X, X]),
    node("MUL", [X, constant(12)]),
    node("LOGISTIC", [X]),
    node("SOFTMAX", [X]),
    node("MEAN", [X, ints(2)], ReducerAttributes(True)),
    node("PAD", [X, ints(0, 0, 1, 2, 1, 1, 0, 0)]),
    node("CONCATENATION", [X, X], ConcatenationAttributes(1)),
    node("SPLIT", [ints(3), X], SplitAttributes(2)),
    node("TILE", [X, ints(1, 2, 1, 1)]),
    node("TRANSPOSE", [X, ints(0, 2, 1, 3)]),
    node("RESIZE_NEAREST_NEIGHBOR", [X, ints(5, 9)]),
    node("RESIZE_BILINEAR", [X, ints(5, 9)]),
]


@given(st.sampled_from(CALLS), st.data())
def test_work_is_bilinear(call, data):
    op, rows, cols = OPS[call.op], call.output.rows, call.output.cols
    whole = op.work(call, rows, cols, 2)
    top, left = data.draw(st.integers(0, rows)), data.draw(st.integers(0, cols))
    for a, b in (
        (op.work(call, top, cols, 1), op.work(call, rows - top, cols, 1)),
        (op.work(call, rows, left, 1), op.work(call, rows, cols - left, 1)),
    ):
        for name in ("macs", "outputs", "inputs", "read_bytes", "written_bytes", "weight_bytes", "calls"):
            parts, total = getattr(a, name) + getattr(b, name), getattr(whole, name)
            slack = whole.taps * call.input(0).channels if name in ROUNDED.get(call.op, ()) else 0
            assert total - slack <= parts <= total, name


@pytest.mark.parametrize(
    ("call", "macs"),
    [
        (node("CONV_2D", [X, constant(8, 3, 3, 6)]), 4 * 6 * 8 * 9 * 6),
        (node("DEPTHWISE_CONV_2D", [X, constant(1, 3, 3, 12)]), 4 * 6 * 12 * 9),
        (node("TRANSPOSE_CONV", [ints(1, 8, 10, 3), constant(3, 3, 3, 12), X]), 6 * 8 * 12 * 9 * 3),
        (node("FULLY_CONNECTED", [tensor_type((2, 6)), constant(5, 6)]), 2 * 6 * 5),
        (node("BATCH_MATMUL", [tensor_type((3, 4, 5)), tensor_type((5, 6))]), 3 * 4 * 5 * 6),
        (node("SVDF", [VECTOR, constant(8, 6), constant(8, 10)], SvdfAttributes(rank=1)), 2 * 8 * (6 + 10)),
        (node("UNIDIRECTIONAL_SEQUENCE_LSTM", LSTM, UnidirectionalSequenceLstmAttributes()), 5 * 4 * 8 * (4 + 8)),
        (node("MUL", [X, X]), 0),
        (node("AVERAGE_POOL_2D", [X], Pool2DAttributes(filter_height=6, filter_width=8)), 0),
    ],
    ids=lambda case: case.op if isinstance(case, Signature) else "",
)
def test_multiply_accumulates(call, macs):
    assert OPS[call.op].work(call, call.output.rows, call.output.cols, 1).macs == macs


def test_work_counts_bytes_and_constants():
    call = node("ADD", [X, constant(12)])
    assert OPS["ADD"].work(call, 6, 8, 3) == Work(
        OPS["ADD"].work(call, 1, 1, 1).kind,
        outputs=576,
        inputs=576,
        read_bytes=576,
        written_bytes=576,
        weight_bytes=36,
        channels_in=12,
        channels_out=12,
        calls=3,
    )
    assert (
        OPS["ASSIGN_VARIABLE"].work(node("ASSIGN_VARIABLE", [tensor_type((), DType.RESOURCE), X]), 1, 1, 1).outputs
        == 576
    )


def test_schedules_do_not_count_movement():
    moving = {name for name, op in OPS.items() if op.movement is not Movement.COMPUTES}
    assert moving >= {"PAD", "RESHAPE", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE", "CONCATENATION", "STRIDED_SLICE"}
    assert {name for name, op in OPS.items() if op.movement is Movement.RELABELS} == {
        "RESHAPE",
        "SQUEEZE",
        "EXPAND_DIMS",
    }


UNKNOWABLE = {"READ_VARIABLE"}
"""A variable's handle does not say its shape."""


def test_real_networks_have_the_shapes_that_are_inferred(corpus_model):
    tflite = pytest.importorskip("mcusim.frontends.tflite")
    graph = tflite.read_tflite(Path(corpus_model.path))
    macs, parameters = 0, {}
    for part in (graph, *graph.subgraphs):
        for call in (n.signature for n in part.nodes):
            computed = call.op == "RESHAPE" and call.inputs[1:] and not call.input(1).is_constant
            if call.op not in UNKNOWABLE and not computed:
                assert OPS[call.op].infer(call.attributes, call.inputs) == tuple(t.shape for t in call.outputs)
    for part in graph.nodes:
        call = part.signature
        rows, cols = (call.output.rows, call.output.cols) if call.outputs else (1, 1)
        macs += OPS[call.op].work(call, rows, cols, 1).macs
        for index in OPS[call.op].parameters:
            if call.has(index) and call.input(index).is_constant:
                # Tensors that share a buffer of the file share their elements: these are counted once.
                elements = graph.tensors[part.inputs[index]].constant
                parameters[id(elements)] = call.input(index).elements
    assert f"{macs / 1e6:.4f}" == corpus_model.row["macs_M"]
    assert f"{sum(parameters.values()) / 1e3:.2f}" == corpus_model.row["params_k"]


def test_a_shape_is_of_integers() -> None:
    builder = GraphBuilder("shape")
    graph = builder.build([builder.op("SHAPE", [builder.input((1, 128, 4, 4))])])
    with pytest.raises(ModelError, match="SHAPE of a shape as int8 is not supported"):
        execute(graph, [np.zeros((1, 128, 4, 4), np.int8)])

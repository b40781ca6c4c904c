"""Each operator's account of itself: shapes, halos and work, against enumerations that share no code with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Padding, Signature, TensorType, signature, tensor_type
from mcusim.ops import OPS, Movement
from mcusim.ops.batch_matmul import BatchMatMulAttributes
from mcusim.ops.blocks import BlockAttributes
from mcusim.ops.concatenation import ConcatenationAttributes
from mcusim.ops.conv_2d import Conv2DAttributes
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.ops.fully_connected import FullyConnectedAttributes
from mcusim.ops.gather import GatherAttributes
from mcusim.ops.mirror_pad import MirrorPadAttributes
from mcusim.ops.pack import PackAttributes
from mcusim.ops.pooling import Pool2DAttributes
from mcusim.ops.reduction import ReducerAttributes
from mcusim.ops.registry import Work
from mcusim.ops.reshape import ReshapeAttributes
from mcusim.ops.resizing import ResizeAttributes
from mcusim.ops.split import SplitAttributes
from mcusim.ops.split_v import SplitVAttributes
from mcusim.ops.squeeze import SqueezeAttributes
from mcusim.ops.strided_slice import StridedSliceAttributes
from mcusim.ops.svdf import SvdfAttributes
from mcusim.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstmAttributes
from mcusim.ops.unpack import UnpackAttributes
from mcusim.ops.windows import WindowAttributes
from mcusim.region import Span, clip

KNOWN = """
ADD ARG_MAX ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL CALL_ONCE CAST CONCATENATION CONV_2D COPY
DEPTHWISE_CONV_2D
DEPTH_TO_SPACE DEQUANTIZE DIV EXPAND_DIMS FULLY_CONNECTED GATHER HARD_SWISH LEAKY_RELU LOGISTIC LOG_SOFTMAX MAXIMUM
MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SHAPE SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE SUB SUM
SVDF TANH TILE TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE
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

SIZES = st.integers(1, 12)
KERNELS = st.integers(1, 5)
STRIDES = st.integers(1, 4)
PADDINGS = st.sampled_from(Padding)


def constant(*shape: int, dtype: DType = DType.INT8) -> TensorType:
    return tensor_type(shape, dtype, True)


def ints(*values: int, shape: tuple[int, ...] | None = None) -> TensorType:
    """A constant operand."""
    return tensor_type((len(values),) if shape is None else shape, DType.INT32, True, values)


def node(op: str, inputs: Sequence[TensorType | None], attributes: Attributes | None = None) -> Signature:
    """A node whose output shapes are inferred."""
    chosen = OPS[op].attributes() if attributes is None else attributes
    shapes = OPS[op].infer(chosen, inputs)
    return signature(op, chosen, tuple(inputs), tuple(tensor_type(shape) for shape in shapes))


def infer(op: str, inputs: Sequence[TensorType | None], attributes: Attributes | None = None) -> Any:
    shapes = OPS[op].infer(OPS[op].attributes() if attributes is None else attributes, inputs)
    return shapes[0] if len(shapes) == 1 else shapes


@st.composite
def spans(draw: st.DrawFn, size: int) -> Span:
    start = draw(st.integers(0, size - 1))
    return Span(start, draw(st.integers(start + 1, size)))


Reads = Callable[[int], set[int]]


def assert_needs(draw: Callable[..., Any], call: Signature, reads: Sequence[tuple[int, Reads, Reads]]) -> None:
    """What each input in `reads` (index, rows read by an output row, columns by a column) must give a random region."""
    rows, cols = draw(spans(call.output.rows)), draw(spans(call.output.cols))
    for index, row_reads, col_reads in reads:
        source = call.input(index)
        region = OPS[call.op].needs(call, index, rows, cols)
        assert region is not None
        expected_rows = naive.hull(set().union(*map(row_reads, range(*rows))), source.rows)
        expected_cols = naive.hull(set().union(*map(col_reads, range(*cols))), source.cols)
        assert clip(region.rows, source.rows) == expected_rows
        assert clip(region.cols, source.cols) == expected_cols


def moved(move: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int, int, int]) -> tuple[Reads, Reads]:
    """Reads of an operator that moves elements as `move` moves an array; -1 marks what comes from elsewhere."""

    def along(axis: int) -> Reads:
        origin = move(naive.labels(shape, axis))
        return lambda place: {int(p) for p in np.unique(np.take(origin, place, axis)) if p >= 0}

    return along(1), along(2)


def test_every_operator_is_discovered():
    assert sorted(OPS) == sorted(KNOWN.split())


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_definitions_are_complete(op):
    assert op.summary
    assert set(op.overwrites) <= {0, 1}
    assert op.attributes() == op.attributes()
    hash(op.attributes())


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_attributes_name_fields_of_the_schema(op):
    schema = pytest.importorskip("mcusim.frontends.tflite_schema")
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
    found = reader.read_attributes(empty, op)
    for field in fields(op.attributes):
        if field.name not in ours:
            assert field.default is not MISSING
            assert getattr(found, field.name) == field.default


@given(SIZES, SIZES, KERNELS, KERNELS, STRIDES, STRIDES, st.integers(1, 3), PADDINGS, st.data())
def test_convolutions_need_what_their_taps_touch(h, w, kh, kw, sh, sw, dilation, padding, data):
    same = padding is Padding.SAME
    outputs = naive.window_outputs(h, kh, sh, dilation, same), naive.window_outputs(w, kw, sw, dilation, same)
    assume(min(outputs) > 0)
    source = tensor_type((1, h, w, 4))
    window = {"padding": padding, "stride_h": sh, "stride_w": sw}
    dilated = {"dilation_h_factor": dilation, "dilation_w_factor": dilation}
    calls = [
        node("CONV_2D", [source, constant(6, kh, kw, 4)], Conv2DAttributes(**window, **dilated)),
        node(
            "DEPTHWISE_CONV_2D",
            [source, constant(1, kh, kw, 8)],
            DepthwiseConv2DAttributes(**window, **dilated, depth_multiplier=2),
        ),
    ]
    if dilation == 1:
        pool = Pool2DAttributes(**window, filter_height=kh, filter_width=kw)
        calls += [node("AVERAGE_POOL_2D", [source], pool), node("MAX_POOL_2D", [source], pool)]
    for call in calls:
        assert (call.output.rows, call.output.cols) == outputs
        reads = (
            0,
            lambda o: naive.window_reads(o, h, kh, sh, dilation, same),
            lambda o: naive.window_reads(o, w, kw, sw, dilation, same),
        )
        assert_needs(data.draw, call, [reads])


@given(SIZES, SIZES, KERNELS, KERNELS, STRIDES, STRIDES, PADDINGS, st.data())
def test_transposed_convolution_needs_what_lands_on_its_outputs(h, w, kh, kw, sh, sw, padding, data):
    attributes = WindowAttributes(padding=padding, stride_h=sh, stride_w=sw)
    run_time_shape = tensor_type((4,), DType.INT32)
    call = node("TRANSPOSE_CONV", [run_time_shape, constant(3, kh, kw, 2), tensor_type((1, h, w, 2))], attributes)
    assert infer("TRANSPOSE_CONV", [ints(*call.output.shape), *call.inputs[1:]], attributes) == call.output.shape
    same = padding is Padding.SAME
    reads = (
        2,
        lambda o: naive.transpose_conv_reads(o, h, call.output.rows, kh, sh, same),
        lambda o: naive.transpose_conv_reads(o, w, call.output.cols, kw, sw, same),
    )
    assert_needs(data.draw, call, [reads])


@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from([(False, False), (True, False), (False, True)]), st.data())
def test_resizes_need_what_they_mix(h, w, out_h, out_w, flags, data):
    attributes = ResizeAttributes(*flags)
    for op, dtype, oracle in (
        ("RESIZE_NEAREST_NEIGHBOR", DType.INT8, naive.nearest_reads),
        ("RESIZE_BILINEAR", DType.INT8, naive.bilinear_reads),
        ("RESIZE_BILINEAR", DType.FLOAT32, naive.bilinear_float_reads),
    ):
        call = node(op, [tensor_type((1, h, w, 2), dtype), ints(out_h, out_w)], attributes)
        assert call.output.shape == (1, out_h, out_w, 2)
        reads = (
            0,
            lambda o, oracle=oracle: oracle(o, h, out_h, *flags),
            lambda o, oracle=oracle: oracle(o, w, out_w, *flags),
        )
        assert_needs(data.draw, call, [reads])


@given(SIZES, SIZES, st.lists(st.integers(0, 4), min_size=4, max_size=4), st.data())
def test_pads_need_what_they_surround(h, w, border, data):
    shape, pads = (1, h, w, 2), [(0, 0), tuple(border[:2]), tuple(border[2:]), (0, 1)]
    flat = ints(*(size for pair in pads for size in pair), shape=(4, 2))
    call = node("PAD", [tensor_type(shape), flat])
    origin = moved(lambda a: np.pad(a, pads, constant_values=-1), shape)
    assert call.output.shape == np.pad(np.zeros(shape), pads).shape
    assert_needs(data.draw, call, [(0, *origin)])
    for mode, name in enumerate(("reflect", "symmetric")):
        if max(border[:2]) <= h - 1 + mode and max(border[2:]) <= w - 1 + mode:
            mirror = node("MIRROR_PAD", [tensor_type(shape), flat], MirrorPadAttributes(mode))
            origin = moved(lambda a, name=name: np.pad(a, pads, name), shape)
            assert_needs(data.draw, mirror, [(0, *origin)])


@given(st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=4), st.sampled_from([1, 2, 3, -1]), st.data())
def test_concatenation_needs_its_part_of_each_input(sizes, axis, data):
    shapes = [[1, 5, 6, 3] for _ in sizes]
    for shape, (size, _) in zip(shapes, sizes, strict=True):
        shape[axis] = size
    call = node("CONCATENATION", [tensor_type(tuple(s)) for s in shapes], ConcatenationAttributes(axis))
    arrays = [np.full(shape, -1) for shape in shapes]

    def reads(index: int, along: int) -> Reads:
        parts = list(arrays)
        parts[index] = naive.labels(tuple(shapes[index]), along)
        joined = np.concatenate(parts, axis)
        return lambda place: {int(p) for p in np.unique(np.take(joined, place, along)) if p >= 0}

    assert call.output.shape == np.concatenate(arrays, axis).shape
    if axis in (1, 2):
        assert_needs(data.draw, call, [(i, reads(i, 1), reads(i, 2)) for i in range(len(shapes))])
    else:
        assert_needs(data.draw, call, [(i, lambda o: {o}, lambda o: {o}) for i in range(len(shapes))])


BOUNDS = st.integers(-14, 14)


@given(
    SIZES,
    SIZES,
    st.lists(st.tuples(BOUNDS, BOUNDS, st.sampled_from([-3, -2, -1, 1, 2, 3])), min_size=2, max_size=2),
    st.integers(0, 15),
    st.integers(0, 15),
    st.data(),
)
def test_strided_slices_are_numpy_slices(h, w, bounds, begin_mask, end_mask, data):
    shape = (1, h, w, 3)
    entries = [(0, 1, 1), *bounds, (0, 3, 1)]
    box = tuple(
        slice(None if begin_mask >> i & 1 else begin, None if end_mask >> i & 1 else end, stride)
        for i, (begin, end, stride) in enumerate(entries)
    )
    expected = np.zeros(shape)[box].shape
    assume(0 not in expected)
    operands = [ints(*column) for column in zip(*entries, strict=True)]
    attributes = StridedSliceAttributes(begin_mask=begin_mask, end_mask=end_mask)
    call = node("STRIDED_SLICE", [tensor_type(shape), *operands], attributes)
    assert call.output.shape == expected
    assert_needs(data.draw, call, [(0, *moved(lambda a: a[box], shape))])


@given(st.permutations(range(4)), st.data())
def test_transpose_needs_where_rows_and_columns_come_from(order, data):
    shape = (2, 5, 6, 7)
    call = node("TRANSPOSE", [tensor_type(shape), ints(*order)])
    assert call.output.shape == np.zeros(shape).transpose(order).shape
    if {1, 2}.isdisjoint(order[1:3]):
        assert OPS["TRANSPOSE"].needs(call, 0, Span(0, 1), Span(0, 1)) is None
        return
    rows, cols = data.draw(spans(call.output.rows)), data.draw(spans(call.output.cols))
    region = OPS["TRANSPOSE"].needs(call, 0, rows, cols)
    for axis, span in ((1, region.rows), (2, region.cols)):
        shown = naive.labels(shape, axis).transpose(order)[:, slice(*rows), slice(*cols)]
        assert (span.start, span.stop) == naive.hull(shown.ravel().tolist(), shape[axis])


@given(SIZES, SIZES, st.integers(1, 3), st.integers(1, 3), st.data())
def test_tiles_slices_and_blocks_need_what_they_show(h, w, times_h, times_w, data):
    shape = (1, h, w, 2)
    tile = node("TILE", [tensor_type(shape), ints(1, times_h, times_w, 1)])
    assert_needs(data.draw, tile, [(0, *moved(lambda a: np.tile(a, (1, times_h, times_w, 1)), shape))])

    top, left = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    box = node("SLICE", [tensor_type(shape), ints(0, top, left, 0), ints(1, -1, w - left, 2)])
    assert_needs(data.draw, box, [(0, *moved(lambda a: a[:, top:, left:], shape))])

    block = BlockAttributes(times_h)
    deep = node("DEPTH_TO_SPACE", [tensor_type((1, h, w, 2 * times_h**2))], block)
    reads = (0, lambda o: {o // times_h}, lambda o: {o // times_h})
    assert deep.output.shape == (1, h * times_h, w * times_h, 2)
    assert_needs(data.draw, deep, [reads])
    flat = node("SPACE_TO_DEPTH", [deep.output], block)
    assert flat.output.shape == deep.input(0).shape
    reads = (0, *(lambda o: set(range(o * times_h, (o + 1) * times_h)) for _ in range(2)))
    assert_needs(data.draw, flat, [reads])


@given(SIZES, SIZES, st.lists(st.booleans(), min_size=2, max_size=2), st.data())
def test_broadcast_inputs_are_needed_whole_where_they_repeat(h, w, repeats, data):
    small = tensor_type((1, 1 if repeats[0] else h, 1 if repeats[1] else w, 3))
    call = node("ADD", [tensor_type((1, h, w, 3)), small])
    place = (lambda o: {o}), (lambda o: {0})
    reads = [(0, place[0], place[0]), (1, place[repeats[0]], place[repeats[1]])]
    assert_needs(data.draw, call, reads)


X = tensor_type((1, 6, 8, 12))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "index", "expected"),
    [
        ("RELU", [X], None, 0, ((1, 3), (2, 4))),
        ("QUANTIZE", [X], None, 0, ((1, 3), (2, 4))),
        ("SOFTMAX", [X], None, 0, ((1, 3), (2, 4))),
        ("SOFTMAX", [tensor_type((1, 12))], None, 0, None),
        ("ADD", [X, tensor_type((12,))], None, 1, ((0, 1), (0, 1))),
        ("ADD", [X, constant(12)], None, 1, None),
        ("MEAN", [X, ints(1, 2)], ReducerAttributes(True), 0, None),
        ("MEAN", [X, ints(2)], ReducerAttributes(True), 0, ((1, 3), (0, 8))),
        ("MEAN", [X, ints(-1)], ReducerAttributes(True), 0, ((1, 3), (2, 4))),
        ("MEAN", [X, ints(-1)], None, 0, None),
        ("FULLY_CONNECTED", [X, constant(5, 12)], None, 0, None),
        ("SPLIT", [ints(3), X], SplitAttributes(3), 1, ((1, 3), (2, 4))),
        ("SPLIT", [ints(1), X], SplitAttributes(3), 1, None),
        ("GATHER", [X, constant(4, dtype=DType.INT32)], GatherAttributes(3), 0, ((1, 3), (2, 4))),
        ("GATHER", [X, constant(4, dtype=DType.INT32)], GatherAttributes(1), 0, None),
        ("RESHAPE", [X, ints(1, 6, 8, -1)], None, 0, ((1, 3), (2, 4))),
        ("RESHAPE", [X, ints(1, 8, 6, 12)], None, 0, None),
        ("PAD", [X, ints(1, 0, 0, 0, 0, 0, 0, 0)], None, 0, None),
    ],
)
def test_what_a_region_needs(op, inputs, attributes, index, expected):
    call = node(op, inputs, attributes)
    assert OPS[op].needs(call, index, Span(1, 3), Span(2, 4)) == expected


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

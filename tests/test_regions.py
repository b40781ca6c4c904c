"""What each operator must be given for a region of its output, against enumerations that share no code with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nodes import constant, infer, ints, node

from mcusim.graph import DType, Padding, Signature, tensor_type
from mcusim.ops import OPS
from mcusim.ops.concatenation import ConcatenationAttributes
from mcusim.ops.conv_2d import Conv2DAttributes
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.ops.gather import GatherAttributes
from mcusim.ops.mirror_pad import MirrorPadAttributes
from mcusim.ops.shared.blocks import BlockAttributes
from mcusim.ops.shared.pooling import Pool2DAttributes
from mcusim.ops.shared.reduction import ReducerAttributes
from mcusim.ops.shared.resizing import ResizeAttributes
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.ops.split import SplitAttributes
from mcusim.ops.strided_slice import StridedSliceAttributes
from mcusim.region import Span, clip

SIZES = st.integers(1, 12)
KERNELS = st.integers(1, 5)
STRIDES = st.integers(1, 4)
PADDINGS = st.sampled_from(Padding)


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

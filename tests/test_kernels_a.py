"""The kernels that compute: against naive versions, piece by piece against whole, and on top of their own input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import naive_kernels as naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mcusim.errors import ModelError
from mcusim.graph import Attributes, DType, Padding, Quantization, Shape, Tensor, signature, tensor_type
from mcusim.ops import OPS
from mcusim.ops.registry import Call, Numerics, Pads, Piece
from mcusim.region import Span, clip

Array = np.ndarray[Any, Any]
RANGES = {DType.INT8: (-128, 127), DType.INT16: (-32768, 32767), DType.UINT8: (0, 255)}
SEEDS = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class One:
    """A node with its numbers, and the arrays that go into it (None for absent inputs)."""

    call: Call
    arrays: tuple[Array | None, ...]


def tensor(
    shape: Shape, dtype: DType = DType.INT8, scale: float = 0.05, zero: int = 0, elements: Array | None = None
) -> Tensor:
    quantization = Quantization((scale,), (zero,))
    values = tuple(elements.ravel().tolist()) if elements is not None and dtype is DType.INT32 else None
    return Tensor("t", tensor_type(shape, dtype, elements is not None, values), quantization, elements)


def random(rng: np.random.Generator, shape: Shape, dtype: DType) -> Array:
    low, high = RANGES[dtype]
    return rng.integers(low, high + 1, shape).astype(dtype.value)


def make(
    op: str,
    attributes: Attributes,
    inputs: Sequence[tuple[Tensor, Array] | None],
    dtype: DType = DType.INT8,
    scale: float = 0.1,
    zero: int = 0,
) -> One:
    """A node; its output's shape is inferred."""
    tensors = tuple(None if each is None else each[0] for each in inputs)
    types = tuple(None if t is None else t.type for t in tensors)
    shape = OPS[op].infer(attributes, types)[0]
    output = tensor(shape, dtype, scale, zero)
    call = Call(signature(op, attributes, types, (output.type,)), tensors, (output,), f"node {op}")
    return One(call, tuple(None if each is None else each[1] for each in inputs))


def activation(rng: np.random.Generator, shape: Shape, dtype: DType, scale: float, zero: int) -> tuple[Tensor, Array]:
    return tensor(shape, dtype, scale, zero), random(rng, shape, dtype)


def constant(elements: Array, dtype: DType, scale: float | tuple[float, ...] = 1.0, axis: int = 0) -> Any:
    made = tensor(elements.shape, dtype, 1.0, 0, elements)
    scales = scale if isinstance(scale, tuple) else (scale,)
    return replace(made, quantization=Quantization(scales, (0,) * len(scales), axis)), elements


def run_piece(one: One, prepared: object, rows: Span, cols: Span, output: Array) -> None:
    """Run a kernel on the region, with exactly the input that `needs` asks for."""
    op, call = OPS[one.call.signature.op], one.call
    arrays, origins = [], []
    for index, array in enumerate(one.arrays):
        region = None if array is None else op.needs(call.signature, index, rows, cols)
        if array is None or region is None or call.input(index).is_constant or array.ndim != 4:
            arrays.append(array)
            origins.append((0, 0))
            continue
        row, col = clip(region.rows, array.shape[1]), clip(region.cols, array.shape[2])
        arrays.append(array[:, row.start : row.stop, col.start : col.stop])
        origins.append((row.start, col.start))
    import_module(f"mcusim.ops.kernels.{op.kernel}").run(prepared, arrays, [output], Piece(rows, cols, tuple(origins)))


def prepare(one: One) -> Any:
    prepare_op = OPS[one.call.signature.op].prepare
    assert prepare_op is not None
    return prepare_op(one.call)


def whole(one: One) -> Array:
    output = one.call.outputs[0]
    output_array = np.empty(output.shape, output.dtype.value)
    run_piece(one, prepare(one), Span(0, output.type.rows), Span(0, output.type.cols), output_array)
    return output_array


def assert_pieces_equal_whole(one: One, rng: np.random.Generator) -> None:
    """Any tiling of the output, computed piece by piece, gives what the whole gives; so does computing in place."""
    expected = whole(one)
    output = one.call.outputs[0]
    if len(output.shape) == 4:
        prepared, pieced = prepare(one), np.empty_like(expected)
        cuts = [
            [0, *sorted(set(rng.integers(1, size, 2).tolist())), size] if size > 1 else [0, size]
            for size in output.shape[1:3]
        ]
        for top, bottom in zip(cuts[0], cuts[0][1:], strict=False):
            for left, right in zip(cuts[1], cuts[1][1:], strict=False):
                target = pieced[:, top:bottom, left:right]
                run_piece(one, prepared, Span(top, bottom), Span(left, right), target)
        np.testing.assert_array_equal(pieced, expected)
    for index in OPS[one.call.signature.op].overwrites(one.call.signature):
        array = one.arrays[index]
        if array is not None and not one.call.input(index).is_constant and array.nbytes == expected.nbytes:
            shared = array.copy()
            inplace = replace(one, arrays=(*one.arrays[:index], shared, *one.arrays[index + 1 :]))
            on_top = shared.view(expected.dtype).reshape(expected.shape)
            spans = Span(0, output.type.rows), Span(0, output.type.cols)
            run_piece(inplace, prepare(one), *spans, on_top)
            np.testing.assert_array_equal(on_top, expected)


def assert_elements(elements: Array, expected: Array, dtype: DType) -> None:
    low, high = RANGES[dtype]
    clamped = np.vectorize(lambda value: naive.clamp(int(value), low, high), otypes=[np.int64])(expected)
    np.testing.assert_array_equal(elements.astype(np.int64), clamped)


WINDOWS = st.tuples(
    st.integers(3, 7),  # rows
    st.integers(3, 7),  # columns
    st.integers(1, 3),  # kernel height
    st.integers(1, 3),  # kernel width
    st.integers(1, 2),  # stride of rows
    st.integers(1, 3),  # stride of columns
)


def attributes_of(op: str, window: tuple[int, ...], **more: Any) -> Any:
    _, _, _, _, stride_h, stride_w = window
    return OPS[op].attributes(stride_h=stride_h, stride_w=stride_w, **more)


def scaled(sums: Array, scales: Sequence[float], wide: bool, zero: int) -> Array:
    stored = np.empty(sums.shape, object)
    for place in np.ndindex(*sums.shape):
        stored[place] = naive.scaled(int(sums[place]), scales[place[-1]], wide) + zero
    return stored


@given(
    WINDOWS,
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([DType.INT8, DType.INT16]),
    st.sampled_from([Padding.SAME, Padding.VALID, Pads(1, 0, 2, 1)]),
    st.integers(1, 2),
    SEEDS,
)
def test_convolutions(
    window: tuple[int, ...], groups: int, in_c: int, out_c: int, dtype: DType, pad: Any, dilation: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    height, width, kh, kw, stride_h, stride_w = window
    explicit = None if isinstance(pad, Padding) else pad
    if pad is not Padding.SAME:
        assume((kh - 1) * dilation < height and (kw - 1) * dilation < width)
    attributes = attributes_of(
        "CONV_2D",
        window,
        padding=pad if explicit is None else Padding.VALID,
        pads=explicit,
        dilation_h_factor=dilation,
        dilation_w_factor=dilation,
    )
    zero = int(rng.integers(-100, 100)) if dtype is DType.INT8 else 0
    w = random(rng, (out_c * groups, kh, kw, in_c), DType.INT8)
    scales = tuple(float(np.float32(s)) for s in rng.uniform(1e-4, 1e-2, len(w)))
    bias = rng.integers(-1000, 1000, len(w)).astype("int32" if dtype is DType.INT8 else "int64")
    x = activation(rng, (1, height, width, in_c * groups), dtype, 0.0625, zero)
    inputs = [x, constant(w, DType.INT8, scales), constant(bias, DType(str(bias.dtype)))]
    one = make("CONV_2D", attributes, inputs, dtype, 0.25, 3 if dtype is DType.INT8 else 0)
    out = one.call.outputs[0].shape[1:3]
    before = (explicit.top, explicit.left) if explicit else (0, 0)
    if pad is Padding.SAME:
        reach = [
            (size - 1) * stride + (k - 1) * dilation + 1
            for size, stride, k in zip(out, window[4:], (kh, kw), strict=True)
        ]
        before = tuple(max(r - size, 0) // 2 for r, size in zip(reach, (height, width), strict=True))
    sums = naive.conv(
        x[1][0], w, bias, zero_point=zero, stride=(stride_h, stride_w), dilation=(dilation,) * 2, before=before, out=out
    )
    reals = [0.0625 * s / 0.25 for s in scales]
    expected = scaled(sums, reals, dtype is DType.INT16, 3 if dtype is DType.INT8 else 0)
    assert_elements(whole(one)[0], expected, dtype)
    assert_pieces_equal_whole(one, rng)


@given(WINDOWS, st.integers(1, 4), st.integers(1, 3), st.sampled_from(list(Padding)), SEEDS)
def test_depthwise_convolutions_are_grouped_ones(
    window: tuple[int, ...], in_c: int, multiplier: int, padding: Padding, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    height, width, kh, kw, _, _ = window
    w = random(rng, (1, kh, kw, in_c * multiplier), DType.INT8)
    bias = constant(rng.integers(-500, 500, in_c * multiplier).astype(np.int32), DType.INT32)
    x = activation(rng, (1, height, width, in_c), DType.INT8, 0.5, -7)
    depthwise = attributes_of("DEPTHWISE_CONV_2D", window, padding=padding, depth_multiplier=multiplier)
    one = make("DEPTHWISE_CONV_2D", depthwise, [x, constant(w, DType.INT8, 0.01), bias], scale=0.5, zero=5)
    grouped = np.ascontiguousarray(w.transpose(3, 1, 2, 0))
    conv = attributes_of("CONV_2D", window, padding=padding)
    other = make("CONV_2D", conv, [x, constant(grouped, DType.INT8, 0.01), bias], scale=0.5, zero=5)
    np.testing.assert_array_equal(whole(one), whole(other))
    assert_pieces_equal_whole(one, rng)


@given(WINDOWS, st.integers(1, 3), st.integers(1, 3), st.sampled_from(list(Padding)), SEEDS)
def test_transposed_convolutions(window: tuple[int, ...], in_c: int, out_c: int, padding: Padding, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width, kh, kw, stride_h, stride_w = window
    w = random(rng, (out_c, kh, kw, in_c), DType.INT8)
    bias = rng.integers(-500, 500, out_c).astype(np.int32)
    x = activation(rng, (1, height, width, in_c), DType.INT8, 0.5, 9)
    attributes = attributes_of("TRANSPOSE_CONV", window, padding=padding)
    types = (tensor_type((4,), DType.INT32), tensor_type(w.shape), x[0].type)
    shape = np.array(OPS["TRANSPOSE_CONV"].infer(attributes, types)[0], np.int32)
    inputs = [constant(shape, DType.INT32), constant(w, DType.INT8, 0.01), x, constant(bias, DType.INT32)]
    one = make("TRANSPOSE_CONV", attributes, inputs, scale=0.5, zero=-4)
    out = tuple(int(size) for size in shape[1:3])
    before = (0, 0)
    if padding is Padding.SAME:
        sizes = zip(out, (stride_h, stride_w), (kh, kw), strict=True)
        before = tuple(naive_same(size, stride, kernel) for size, stride, kernel in sizes)
    sums = naive.transpose_conv(x[1][0], w, bias, zero_point=9, stride=(stride_h, stride_w), before=before, out=out)
    assert_elements(whole(one)[0], scaled(sums, [0.5 * 0.01 / 0.5] * out_c, False, -4), DType.INT8)
    assert_pieces_equal_whole(one, rng)


def naive_same(size: int, stride: int, kernel: int) -> int:
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2


@given(WINDOWS, st.booleans(), st.sampled_from(list(Padding)), st.sampled_from(list(RANGES)), SEEDS)
def test_pools(window: tuple[int, ...], average: bool, padding: Padding, dtype: DType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width, kh, kw, stride_h, stride_w = window
    op = "AVERAGE_POOL_2D" if average else "MAX_POOL_2D"
    x = activation(rng, (1, height, width, 2), dtype, 0.1, 0)
    one = make(op, attributes_of(op, window, padding=padding, filter_height=kh, filter_width=kw), [x], dtype)
    before = (0, 0)
    if padding is Padding.SAME:
        sizes = zip((height, width), (stride_h, stride_w), (kh, kw), strict=True)
        before = tuple(naive_same(size, stride, kernel) for size, stride, kernel in sizes)
    expected = naive.pool(x[1][0], (kh, kw), (stride_h, stride_w), before, one.call.outputs[0].shape[1:3], average)
    assert_elements(whole(one)[0], expected, dtype)
    assert_pieces_equal_whole(one, rng)


SHAPES = st.sampled_from(
    [(1, 3, 4, 2), (1, 1, 4, 2), (1, 3, 1, 2), (1, 3, 4, 1), (1, 1, 1, 1), (4, 2), (2,), (3, 4, 2)]
)


@given(st.sampled_from(["ADD", "SUB", "MUL"]), SHAPES, st.booleans(), st.sampled_from([DType.INT8, DType.INT16]), SEEDS)
def test_broadcasting_arithmetic(op: str, shape: Shape, is_constant: bool, dtype: DType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = tuple(float(np.float32(s)) for s in rng.uniform(0.01, 0.1, 2))
    zeros = tuple(int(z) for z in rng.integers(-50, 50, 3)) if dtype is DType.INT8 else (0, 0, 0)
    a = activation(rng, (1, 3, 4, 2), dtype, scales[0], zeros[0])
    other = random(rng, shape, dtype)
    b = (tensor(shape, dtype, scales[1], zeros[1], other if is_constant else None), other)
    one = make(op, OPS[op].attributes(), [a, b], dtype, 0.125, zeros[2])
    left = 15 if dtype is DType.INT16 else 20

    def element(x: int, y: int) -> int:
        if op == "MUL":
            return naive.multiply(int(x), int(y), zeros, (*scales, 0.125))
        return naive.add(int(x), int(y), zeros, (*scales, 0.125), -1 if op == "SUB" else 1, left)

    expected = np.vectorize(element, otypes=[object])(*np.broadcast_arrays(a[1], other))
    assert_elements(whole(one), expected, dtype)
    assert_pieces_equal_whole(one, rng)


@given(st.sampled_from(["MEAN", "SUM"]), st.sets(st.integers(0, 3), min_size=1), st.booleans(), SEEDS)
def test_reductions(op: str, axes: set[int], keep_dims: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = activation(rng, (1, 3, 4, 5), DType.INT8, 0.03, 11)
    listed = constant(np.array([axis - 4 for axis in axes], np.int32), DType.INT32)
    one = make(op, OPS[op].attributes(keep_dims=keep_dims), [x, listed], scale=0.07, zero=-3)
    kept = [axis for axis in range(4) if axis not in axes]
    rows = x[1].transpose(*kept, *sorted(axes)).reshape(*[x[1].shape[axis] for axis in kept], -1)
    expected = np.empty(rows.shape[:-1], object)
    for place in np.ndindex(*expected.shape):
        expected[place] = naive.mean_or_sum([int(v) for v in rows[place]], (11, -3), (0.03, 0.07), op == "MEAN")
    assert_elements(whole(one), expected.reshape(one.call.outputs[0].shape), DType.INT8)
    assert_pieces_equal_whole(one, rng)


@pytest.mark.parametrize("op", ["RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "SOFTMAX", "TANH", "LOGISTIC"])
def test_element_by_element_pieces(op: str) -> None:
    rng = np.random.default_rng(7)
    scale, zero = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(op, (0.1, 0))
    attributes = OPS[op].attributes(beta=1.0) if op == "SOFTMAX" else OPS[op].attributes()
    assert_pieces_equal_whole(
        make(op, attributes, [activation(rng, (1, 5, 6, 7), DType.INT8, 0.05, 4)], scale=scale, zero=zero), rng
    )


def fully_connected(weights: Array, bias: Array, **more: Any) -> One:
    x = (tensor((1, weights.shape[1]), zero=-1), np.full((1, weights.shape[1]), 127, np.int8))
    inputs = [x, constant(weights, DType.INT8, 0.5), constant(bias, DType.INT32)]
    return make("FULLY_CONNECTED", OPS["FULLY_CONNECTED"].attributes(), inputs, **more)


def test_sums_beyond_32_bits_wrap() -> None:
    """Real networks have dead channels whose bias is near 2**31."""
    one = fully_connected(np.full((1, 9), 127, np.int8), np.array([2**31 - 1], np.int32), scale=1e6)
    prepared = prepare(one)
    assert prepared.accumulator.wraps
    total = 2**31 - 1 + 9 * 127 * 128 - 2**32
    assert whole(one)[0, 0] == naive.clamp(naive.scaled(total, 0.05 * 0.5 / 1e6), -128, 127)


def test_bounds_are_proven_per_channel() -> None:
    weights = np.array([[-128, 127], [1, 0]], np.int8)
    accumulator = prepare(fully_connected(weights, np.array([5, -6], np.int32))).accumulator
    assert accumulator.bound.tolist() == [255 * 128 + 5, 128 + 6]
    assert not accumulator.wraps


@pytest.mark.parametrize(
    ("numerics", "expected"),
    [(Numerics.TFLM, 2), (Numerics.LITERT, 2), (Numerics.TINYENGINE_FLOAT, 1)],
)
def test_numeric_modes(numerics: Numerics, expected: int) -> None:
    """128 * 12 * 0.05 * 0.5 / 25.6 is 1.5."""
    one = fully_connected(np.full((1, 1), 12, np.int8), np.array([0], np.int32), scale=25.6)
    assert whole(replace(one, call=replace(one.call, numerics=numerics)))[0, 0] == expected


def test_what_has_no_arithmetic_is_refused_by_name() -> None:
    rng = np.random.default_rng(1)
    a = activation(rng, (1, 2), DType.INT8, 0.1, 0)
    with pytest.raises(ModelError, match="node NEG: NEG of int8 to int8 is not supported"):
        prepare(make("NEG", OPS["NEG"].attributes(), [a]))
    with pytest.raises(ModelError, match="node TANH: TANH of int8 to int16"):
        prepare(make("TANH", OPS["TANH"].attributes(), [a], DType.INT16))

"""Elements of 4 and 2 bits: how they are packed and counted, and what is computed on them.

int4 weights are judged by TFLM. It computes on no int4 or int2 activations, and nobody's int2 weights: of those the
oracle is the plain arithmetic of affine quantisation, clamped to the narrower range, in Python integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import naive_kernels as naive
import numpy as np
import pytest
from drafts import inputs_for
from hypothesis import given
from hypothesis import strategies as st
from oracles import Refused, run_litert, run_tflm

from mcusim import execution, zoo
from mcusim.arithmetic.packing import pack, pack_at, unpack, unpack_at
from mcusim.errors import InputError, ModelError
from mcusim.execution.streams import KERNEL_SET, PLAIN
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.signatures import attributes_for
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import Activation, DType, Graph, Padding, Quantization, tensor_type
from mcusim.ops import OPS
from mcusim.runtimes import RUNTIMES
from mcusim.searching import CUT_KINDS, search
from mcusim.simulation.simulate import simulate

INT8, INT4, INT2 = DType.INT8, DType.INT4, DType.INT2
BITS = {INT8: 8, INT4: 4, INT2: 2}
RANGES = {dtype: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for dtype, bits in BITS.items()}
PACKED = st.sampled_from([INT4, INT2])


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def _kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setenv(KERNEL_SET, PLAIN)


# ---------------------------------------------------------------------------------------------------------------------
# Packing


@st.composite
def packed_lists(draw: st.DrawFn) -> tuple[DType, list[int]]:
    dtype = draw(PACKED)
    return dtype, draw(st.lists(st.integers(*RANGES[dtype]), min_size=1, max_size=40))


@given(packed_lists())
def test_elements_are_a_string_of_bits_the_first_lowest(case: tuple[DType, list[int]]) -> None:
    dtype, elements = case
    bits = BITS[dtype]
    number = sum((value % 2**bits) << (bits * place) for place, value in enumerate(elements))
    packed = pack(np.array(elements, np.int8), dtype)
    assert packed.tobytes() == number.to_bytes(-(-bits * len(elements) // 8), "little")
    assert unpack(packed, len(elements), dtype).tolist() == elements


@given(packed_lists(), st.integers(0, 20), st.integers(0, 9))
def test_neighbours_in_a_byte_stay(case: tuple[DType, list[int]], before: int, after: int) -> None:
    dtype, elements = case
    bits = BITS[dtype]
    whole = np.resize(np.array([-1, 0, 1, -2], np.int8), before + len(elements) + after)
    storage = pack(whole, dtype)
    pack_at(storage, before * bits, np.array(elements, np.int8), dtype)
    assert unpack_at(storage, before * bits, len(elements), dtype).tolist() == elements
    whole[before : before + len(elements)] = elements
    assert storage.tobytes() == pack(whole, dtype).tobytes()


@given(st.lists(st.integers(1, 7), min_size=4, max_size=4), PACKED)
def test_a_tensor_takes_whole_bytes_and_so_does_a_row(shape: list[int], dtype: DType) -> None:
    kind = tensor_type((1, *shape[1:]), dtype)
    assert kind.size_bytes == -(-np.prod(shape[1:]) * BITS[dtype] // 8)
    assert kind.row_bytes(2) == -(-2 * shape[3] * BITS[dtype] // 8)
    # As a .tflite file stores it: what the reader counts is what the writer wrote.
    elements = np.zeros(shape[1:], np.int8)
    assert len(pack(elements, dtype)) == kind.size_bytes


# ---------------------------------------------------------------------------------------------------------------------
# Arithmetic


SHAPES = {
    "CONV_2D": ((1, 5, 7, 3), (5, 3, 3, 3), 0),
    "DEPTHWISE_CONV_2D": ((1, 5, 7, 3), (1, 3, 3, 3), 3),
    "FULLY_CONNECTED": ((1, 9), (5, 9), 0),
}
"""Of the input and of the weights, and along which axis of them the output channels lie."""


@dataclass(frozen=True)
class Layer:
    """A network of one layer with weights, and the numbers in it."""

    graph: Graph
    weights: np.ndarray
    bias: np.ndarray
    zero_points: tuple[int, int]
    factors: list[float]


def quantized(rng: np.random.Generator, dtype: DType, scale: float) -> Quantization:
    """A range as wide as 8 bits of `scale`."""
    steps = 2 ** BITS[dtype] - 1
    return Quantization((float(np.float32(scale * 255 / steps)),), (int(rng.integers(*RANGES[dtype])),))


def made(op: str, kinds: tuple[DType, DType, DType], seed: int, *, per_channel: bool = True) -> Layer:
    """kinds: of input, weights and output."""
    rng = np.random.default_rng(seed)
    shape, weights_shape, axis = SHAPES[op]
    channels, limit = weights_shape[axis], 2 ** (BITS[kinds[1]] - 1)
    source, result = quantized(rng, kinds[0], 0.1), quantized(rng, kinds[2], 0.5)
    scales = tuple(float(s) for s in (rng.uniform(0.5, 2, channels) / limit).astype(np.float32))
    scales = scales if per_channel else scales[:1] * (1 if op == "FULLY_CONNECTED" else channels)
    weights = rng.integers(1 - limit, limit, weights_shape, dtype=np.int8)
    most = 2 ** BITS[kinds[0]] * limit // 4
    bias = rng.integers(-most, most + 1, channels).astype(np.int32)
    b = GraphBuilder(dtype=kinds[0])
    steps = tuple(float(np.float32(source.scales[0] * scale)) for scale in scales)
    zeros = (0,) * len(scales)
    inputs = [
        b.input(shape, quantization=source),
        b.constant(weights_shape, kinds[1], weights, quantization=Quantization(scales, zeros, axis)),
        b.constant((channels,), DType.INT32, bias, quantization=Quantization(steps, zeros, 0)),
    ]
    fields = (("stride_h", 2), ("stride_w", 1), ("padding", Padding.SAME)) if len(shape) == 4 else ()
    output = b.op(op, inputs, attributes_for(op, fields), dtype=kinds[2], quantization=result)
    factors = [source.scales[0] * scale / result.scales[0] for scale in scales]
    zero_points = source.zero_points[0], result.zero_points[0]
    return Layer(b.build([output]), weights.astype(int), bias, zero_points, factors * (channels // len(factors)))


def answer(layer: Layer, op: str, given: np.ndarray, dtype: DType) -> np.ndarray:
    """What a layer gives, in Python integers."""
    weights, (zero_in, zero_out) = layer.weights, layer.zero_points
    if op == "FULLY_CONNECTED":
        sums = ((given.astype(int) - zero_in) @ weights.T + layer.bias).astype(object)
    else:
        ohwi = weights if op == "CONV_2D" else weights.transpose(3, 1, 2, 0)
        image, bias = given[0].astype(int), layer.bias.tolist()
        geometry = {"stride": (2, 1), "dilation": (1, 1), "before": (1, 1), "out": (3, 7)}
        sums = naive.conv(image, ohwi, bias, zero_point=zero_in, **geometry)
    elements = np.zeros(sums.shape, int)
    for place in np.ndindex(*sums.shape):
        stored = naive.scaled(int(sums[place]), layer.factors[place[-1]]) + zero_out
        elements[place] = naive.clamp(stored, *RANGES[dtype])
    return elements


KINDS = [kinds for kinds in product((INT8, INT4, INT2), repeat=3) if kinds != (INT8, INT8, INT8)]


@pytest.mark.parametrize("op", SHAPES)
@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_layers_with_weights_equal_integer_arithmetic(op: str, kinds: tuple[DType, DType, DType]) -> None:
    seen = set()
    for seed in (1, 2):
        layer = made(op, kinds, seed)
        given_x = inputs_for(layer.graph, seed)
        output = execution.execute(layer.graph, list(given_x), check=True)[0]
        wanted = answer(layer, op, given_x[0], kinds[2])
        np.testing.assert_array_equal(output.reshape(wanted.shape), wanted)
        seen |= set(wanted.ravel().tolist())
    assert len(seen) > 2


@pytest.mark.parametrize("per_channel", [True, False], ids=["per channel", "per tensor"])
@pytest.mark.parametrize("op", SHAPES)
def test_int4_weights_equal_tflm(op: str, per_channel: bool) -> None:
    """The weights have an odd number of elements, so that a half-byte at the end is read too."""
    for seed in range(4):
        layer = made(op, (INT8, INT4, INT8), seed, per_channel=per_channel)
        given_x = inputs_for(layer.graph, seed)
        content = write_tflite(layer.graph)
        read = parse_tflite(content, name="int4", where="int4")
        assert INT4 in {tensor.dtype for tensor in read.tensors}
        ours = execution.execute(read, list(given_x))[0]
        if op == "FULLY_CONNECTED" and per_channel:  # TFLM takes int4 ones with one scale only; LiteRT rounds once
            with pytest.raises(Refused):
                run_tflm(content, given_x)
            np.testing.assert_array_equal(ours, answer(layer, op, given_x[0], INT8))
            assert np.abs(ours.astype(int) - run_litert(content, given_x)[0]).max() <= 1
            continue
        np.testing.assert_array_equal(ours, run_tflm(content, given_x)[0])
        if op == "CONV_2D":  # LiteRT's reference kernels have no int4 depthwise, and round FULLY_CONNECTED once
            np.testing.assert_array_equal(ours, run_litert(content, given_x)[0])


def two_maps(op: str, kinds: tuple[DType, DType, DType], seed: int) -> tuple[Graph, tuple[Quantization, ...]]:
    rng = np.random.default_rng(seed)
    quantizations = tuple(quantized(rng, kind, scale) for kind, scale in zip(kinds, (0.1, 0.15, 0.2), strict=True))
    b = GraphBuilder()
    inputs = [b.input((1, 3, 5, 3), kind, quantization=q) for kind, q in zip(kinds[:2], quantizations[:2], strict=True)]
    output = b.op(op, inputs, attributes_for(op, ()), dtype=kinds[2], quantization=quantizations[2])
    return b.build([output]), quantizations


@pytest.mark.parametrize("op", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("kinds", [(INT4, INT4, INT4), (INT4, INT2, INT8), (INT8, INT4, INT2)], ids="-".join)
def test_sums_and_products_equal_integer_arithmetic(op: str, kinds: tuple[DType, DType, DType]) -> None:
    graph, quantizations = two_maps(op, kinds, 3)
    first, second = inputs_for(graph, 3)
    output = execution.execute(graph, [first, second])[0]
    zeros, scales = ([getattr(q, name)[0] for q in quantizations] for name in ("zero_points", "scales"))
    for place in np.ndindex(*output.shape):
        pair = int(first[place]), int(second[place])
        if op == "MUL":
            stored = naive.multiply(*pair, tuple(zeros), tuple(scales))
        else:
            stored = naive.add(*pair, tuple(zeros), tuple(scales), 1 if op == "ADD" else -1, 20)
        assert output[place] == naive.clamp(stored, *RANGES[kinds[2]])


@pytest.mark.parametrize("dtype", [INT4, INT2])
def test_pools_and_means_equal_integer_arithmetic(dtype: DType) -> None:
    q = quantized(np.random.default_rng(5), dtype, 0.1)
    b = GraphBuilder(dtype=dtype)
    x = b.input((1, 6, 7, 3), quantization=q)
    kinds = {"average": b.average_pool_2d(x, 2), "maximum": b.max_pool_2d(x, 3, 2), "mean": b.mean(x)}
    graph = b.build(list(kinds.values()))
    tensors = tuple(replace(t, quantization=q) if not t.is_constant else t for t in graph.tensors)
    graph = replace(graph, tensors=tensors)
    given_x = inputs_for(graph, 6)[0]
    average, maximum, mean = execution.execute(graph, [given_x])
    image = given_x[0].astype(int)
    np.testing.assert_array_equal(average[0], naive.pool(image, (2, 2), (2, 2), (0, 0), (3, 3), True).astype(int))
    np.testing.assert_array_equal(maximum[0], naive.pool(image, (3, 3), (2, 2), (0, 0), (2, 3), False).astype(int))
    zero, scale = q.zero_points[0], q.scales[0]
    for channel in range(3):
        stored = naive.mean_or_sum(image[:, :, channel].ravel().tolist(), (zero, zero), (scale, scale), True)
        assert mean[0, channel] == naive.clamp(stored, *RANGES[dtype])


# ---------------------------------------------------------------------------------------------------------------------
# In the arena


def odd_network(dtype: DType) -> Graph:
    """Rows of an odd number of elements: nothing but the tensors themselves begins at a byte."""
    b = GraphBuilder(dtype=dtype)
    x = b.conv_2d(b.input((1, 13, 11, 3)), 5, 3, 1, 1, Activation.RELU6)
    x = b.depthwise_conv_2d(x, 3, 2, 1, Activation.RELU6)
    y = b.conv_2d(x, 5, 1)
    x = b.add(y, x)
    x = b.concatenation([x, y])
    x = b.average_pool_2d(b.conv_2d(x, 7, 3))
    return with_seeded_weights(b.build([b.reshape(x, (1, 7))]), 4)


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
@pytest.mark.parametrize("schedule", ["layer", "patch:2x3@3", "patch:3x2@4", "stream:2@3", "stream:1@4+patch:2x1@1"])
@pytest.mark.parametrize("dtype", [INT4, INT2])
def test_schedules_change_no_element(dtype: DType, schedule: str, runtime: str) -> None:
    graph = odd_network(dtype)
    for seed in (0, 1):
        inputs = list(inputs_for(graph, seed))
        wanted = execution.execute(graph, inputs)
        outputs = execution.execute(graph, inputs, schedule=schedule, runtime=runtime, check=True)
        np.testing.assert_array_equal(outputs[0], wanted[0])
    assert len(np.unique(wanted[0])) > 1


@pytest.mark.slow
def test_an_int4_network_is_the_int8_one_on_half_the_bytes() -> None:
    """Published architecture, no released weights: it runs in an arena that holds two activations a byte."""
    graph = with_seeded_weights(zoo.build("mcunet-256kb-int4"), 1)
    inputs = inputs_for(graph, 1)
    ready = execution.prepared(graph, runtime="tinyengine")
    assert ready.placement.arena_bytes == 204_800  # input and output of mbconv_3/expand: 80 x 80 x (16 + 48) / 2
    answers = execution.execute(graph, list(inputs), runtime="tinyengine")[0]
    assert len(np.unique(answers)) > 4
    np.testing.assert_array_equal(execution.execute(graph, list(inputs))[0], answers)
    stacked = execution.execute(graph, [np.concatenate([inputs[0], inputs[0]])])[0]
    np.testing.assert_array_equal(stacked, np.concatenate([answers, answers]))


def test_a_trace_shows_elements_one_a_byte() -> None:
    graph = odd_network(INT4)
    trace = execution.execute(graph, list(inputs_for(graph, 0)), trace=True)
    for index, array in trace.tensors.items():
        assert array.shape == graph.tensors[index].shape
        assert array.min() >= -8
        assert array.max() <= 7


# ---------------------------------------------------------------------------------------------------------------------
# What is refused


def test_an_input_beyond_four_bits_is_refused() -> None:
    graph = odd_network(INT4)
    wrong = np.full((1, 13, 11, 3), 8, np.int8)
    with pytest.raises(InputError, match=r"numbers from 8 to 8 came(.|\n)*from -8 to 7"):
        execution.execute(graph, [wrong])


def test_operators_without_narrow_arithmetic_are_refused() -> None:
    b = GraphBuilder(dtype=INT4)
    q = Quantization((0.1,), (0,))
    x = b.input((1, 8), quantization=q)
    graph = b.build([b.op("SOFTMAX", [x], attributes_for("SOFTMAX", (("beta", 1.0),)), quantization=q)])
    with pytest.raises(ModelError, match="SOFTMAX of int4 activations is not defined"):
        execution.execute(graph, [np.zeros((1, 8), np.int8)])


def test_runtimes_say_which_widths_they_take() -> None:
    graph = odd_network(INT4)
    call = next(node.signature for node in graph.nodes if node.op == "CONV_2D")
    for name in ("tflm", "tflm-cmsis-nn"):
        kernel = RUNTIMES[name].kernel(call)
        assert not kernel.supported
        assert "no kernels for int4 activations" in kernel.why
    kernel = RUNTIMES["tinyengine"].kernel(call)
    assert kernel.supported
    assert "never released" in kernel.caveat
    (warning,) = [
        w for w in simulate(graph, profile="stm32f412", runtime="tinyengine").warnings if "never released" in w
    ]
    assert warning.startswith("tinyengine, 6 layers: ")  # not the CONCATENATION, which its generator does not know
    int4_weights = made("CONV_2D", (INT8, INT4, INT8), 0).graph.nodes[0].signature
    assert RUNTIMES["tflm-cmsis-nn"].kernel(int4_weights).name == "arm_convolve_s4"
    int2_weights = made("CONV_2D", (INT8, INT2, INT8), 0).graph.nodes[0].signature
    assert "no kernels for int2 weights" in RUNTIMES["tflm"].kernel(int2_weights).why


def test_work_tells_the_widths() -> None:
    node = made("CONV_2D", (INT4, INT2, INT8), 0).graph.nodes[0]
    work = OPS["CONV_2D"].work(node.signature, 3, 7, 1)
    assert (work.input_bits, work.weight_bits, work.output_bits) == (4, 2, 8)
    assert work.weight_bytes == -(-135 * 2 // 8) + 5 * 4


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_a_search_counts_packed_pieces_as_the_plan_does(runtime: str) -> None:
    graph = odd_network(INT4)
    front = search(graph, profile="stm32f412", runtime=runtime, max_grid=5, max_stages=2, kinds=CUT_KINDS)
    assert len(front.points) > 1
    for point in front.points:
        report = simulate(
            graph, profile="stm32f412", runtime=runtime, schedule=point.schedule, input_place=point.input_place
        )
        assert report.sram.peak_bytes == point.peak_bytes

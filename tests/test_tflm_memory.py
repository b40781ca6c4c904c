"""TFLM's persistent bytes and scratch: against the interpreter's own figures, measured totals and hand-made sums."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import published
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_maker import INT32, Maker, make_options

from mcusim import zoo
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite, read_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Padding, Quantization, signature, tensor_type
from mcusim.lowering.lower import lower
from mcusim.memory.placement import place
from mcusim.ops.fully_connected import FullyConnectedAttributes
from mcusim.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstmAttributes
from mcusim.report import Verdict
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.cmsis_nn import CMSIS_NN_KERNELS, route
from mcusim.runtimes.tflm import exported_file_bytes
from mcusim.runtimes.tflm_allocations import BENCHMARK, FIRMWARE, WHEEL, AllocationRequest, grown, grown_by, growth_of
from mcusim.runtimes.tflm_cmsis_nn import BUILD as CMSIS_NN
from mcusim.runtimes.tflm_kernels import KERNELS
from mcusim.runtimes.tflm_persistent import tail_bytes, tail_items, tail_ledger
from mcusim.runtimes.tflm_storage import layout_bytes
from mcusim.schedule import LAYER
from mcusim.simulation.simulate import simulate

TFLM, TFLM_CMSIS_NN = RUNTIMES["tflm"], RUNTIMES["tflm-cmsis-nn"]


# ---------------------------------------------------------------------------------------------------------------------
# The tail


@pytest.mark.corpus(needs="tflm_total_bytes_x86_64")
def test_tail_equals_the_interpreters_on_a_64_bit_host(corpus_model):
    row = corpus_model.row
    graph = read_tflite(corpus_model.path)
    assert tail_bytes(graph, 8, WHEEL) == (int(row["tflm_total_bytes_x86_64"]) - int(row["tflm_head_bytes"]), "")


@pytest.mark.parametrize("name", published.TFLM_32_BIT_TOTAL_BYTES)
def test_total_equals_the_measured_one_on_32_bits(name, corpus):
    graph = read_tflite(corpus / "models" / f"{name}.tflite")
    report = simulate(graph, profile="stm32h743", runtime="tflm")
    sram = report.sram
    assert sram.measured_bytes == published.TFLM_32_BIT_TOTAL_BYTES[name]
    assert sram.harness_bytes == 2128, "named, and not counted"
    assert tail_bytes(graph, build=FIRMWARE).size_bytes == sram.persistent_bytes
    assert (
        sram.peak_bytes == sram.recommended_arena_bytes == sram.arena_bytes + sram.persistent_bytes + sram.setup_bytes
    )


@pytest.mark.parametrize("library", published.TFLM_H743_KIB)
def test_totals_meet_the_published_stm32h743_column(library):
    for name, kib in published.TFLM_H743_KIB[library].items():
        peak_kib = simulate(name, profile="stm32h743", runtime=library).sram.measured_bytes / 1024
        assert abs(peak_kib - kib) < 1, name  # the README truncates some and rounds others


@pytest.mark.parametrize("build", [BENCHMARK, FIRMWARE, WHEEL, CMSIS_NN], ids=["benchmark", "firmware", "wheel", "nn"])
@pytest.mark.parametrize("name", ["mcunet-in2", "person-det", "smallcifar"])
@pytest.mark.parametrize("pointer_bytes", [4, 8])
def test_items_and_ledger_sum_to_the_tail(name, build, pointer_bytes):
    graph = zoo.build(name)
    total = tail_bytes(graph, pointer_bytes, build).size_bytes
    assert sum(item.used_bytes for item in tail_items(graph, pointer_bytes, build)) == total
    assert sum(item.size_bytes for item in tail_ledger(graph, pointer_bytes, build)) == total


def test_small_tail_by_hand():
    """One convolution of 3 channels on 32 bits, added up from TFLM's headers."""
    builder = GraphBuilder("hand")
    graph = builder.build([builder.conv_2d(builder.input((1, 4, 4, 2)), 3, 1, padding=Padding.VALID)])
    used = 36 + 40 + 36  # arena allocator, planner, MicroAllocator
    used += 8 + 8 + 12 * 4 + 32  # builtin allocator, subgraph table, eval tensors, one node
    used += 28  # TfLiteConvParams
    assert used == 236
    used = 240 + 64  # OpDataConv: 56, aligned to 16
    used += 16 + 16  # three multipliers, three shifts
    for _ in ("input", "output"):
        used = -(-(used + 4) // 16) * 16 + 40 + 12 + 8  # list, TfLiteTensor, quantisation, zero points
    assert tail_bytes(graph, build=FIRMWARE).size_bytes == used


def test_quantisation_of_inputs_and_outputs_counts():
    builder = GraphBuilder("described")
    described = builder.build([builder.unary("RELU", builder.input((1, 8)))])
    from_file = replace(described, source=replace(described.source, file_bytes=100))
    kept = [[i.size_bytes for i in tail_items(g) if i.account == "inputs and outputs"] for g in (described, from_file)]
    assert kept == [[4, 40, 12, 8] * 2, [4, 40] * 2]  # assumption A3


def test_fully_connected_keeps_arrays_only_if_quantised_per_channel():
    def tail(scales: tuple[float, ...]) -> int:
        builder = GraphBuilder("fc")
        weights = builder.constant((3, 8), quantization=Quantization(scales, (0,) * len(scales)))
        return tail_bytes(builder.build([builder.op("FULLY_CONNECTED", [builder.input((1, 8)), weights])])).size_bytes

    assert tail((0.1, 0.2, 0.3)) - tail((0.1,)) == 2 * 16


def test_operators_nobody_has_counted_make_a_lower_bound():
    graph = parse_tflite(custom_network().pack(), name="custom", where="custom.tflite")
    tail = tail_bytes(graph)
    assert tail.size_bytes > 0
    assert "CUSTOM:Mystery" in tail.warning
    report = simulate(graph, profile="stm32h743", runtime="tflm")
    assert (report.sram.fits, report.verdict) == (None, Verdict.UNKNOWN)
    warnings = "\n".join(report.warnings)
    assert "TFLM has no kernel for Mystery" in warnings
    assert "lower bound" in warnings
    small = simulate(graph, profile="stm32h743", runtime="tflm", sram_budget_bytes=100)
    assert (small.sram.fits, small.verdict) == (False, Verdict.UNKNOWN)


def custom_network() -> Maker:
    made = Maker()
    for _ in range(2):
        made.tensor((1, 8))
    made.operator("CUSTOM", [0], [1], custom="Mystery")
    made.graph.inputs, made.graph.outputs = [0], [1]
    return made


@pytest.mark.parametrize("runtime", ["tflm", "tflm-cmsis-nn"])
def test_uint8_networks_are_refused(runtime):
    builder = GraphBuilder("old", DType.UINT8)
    report = simulate(
        builder.build([builder.conv_2d(builder.input((1, 8, 8, 4)), 8, 1)]), profile="stm32h743", runtime=runtime
    )
    assert report.verdict is Verdict.UNKNOWN
    assert any("uint8" in warning for warning in report.warnings)


def test_layouts():
    assert layout_bytes("i 2p b", 4) == (16, 4)
    assert layout_bytes("i 2p b", 8) == (32, 8)
    assert layout_bytes("q 7i 5p", 4) == (56, 8)
    assert layout_bytes("2b", 4) == (2, 1)


# ---------------------------------------------------------------------------------------------------------------------
# Scratch of the reference kernels, and the head with it, against the interpreter


@st.composite
def networks(draw) -> Maker:
    """Operators that ask for scratch, and some that do not, on few sizes: ties abound. Every input is read."""
    made = Maker()
    maps = [made.tensor(draw(SHAPES)) for _ in range(draw(st.integers(1, 2)))]
    made.graph.inputs = list(maps)
    for unread in [*maps, *[None] * draw(st.integers(0, 7))]:
        source = draw(st.sampled_from(maps)) if unread is None else unread
        made_map = draw(st.sampled_from([add, reduction, mirror_pad, transpose_conv, reshape_flat]))(made, source, draw)
        maps.append(made_map)
    made.graph.outputs = sorted({maps[-1], draw(st.sampled_from(maps[len(made.graph.inputs) :]))})
    return made


SHAPES = st.tuples(st.just(1), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4]), st.sampled_from([1, 4, 8, 16]))


def shape_of(made: Maker, index: int) -> tuple[int, ...]:
    return tuple(made.graph.tensors[index].shape)


def add(made: Maker, source: int, draw) -> int:
    output = made.tensor(shape_of(made, source))
    made.operator("ADD", [source, source], [output], make_options("AddOptions"))
    return output


def reduction(made: Maker, source: int, draw) -> int:
    op = draw(st.sampled_from(["MEAN", "SUM", "REDUCE_MAX"]))
    axes = made.tensor((2,), INT32, [1, 2])
    batch, _, _, channels = shape_of(made, source)
    output = made.tensor((batch, 1, 1, channels))
    made.operator(op, [source, axes], [output], make_options("ReducerOptions", keepDims=True))
    return output


def mirror_pad(made: Maker, source: int, draw) -> int:
    batch, height, width, channels = shape_of(made, source)
    pads = made.tensor((4, 2), INT32, [[0, 0], [1, 0], [0, 1], [0, 0]])
    output = made.tensor((batch, height + 1, width + 1, channels))
    made.operator("MIRROR_PAD", [source, pads], [output], make_options("MirrorPadOptions", mode=1))
    return output


def transpose_conv(made: Maker, source: int, draw) -> int:
    batch, height, width, channels = shape_of(made, source)
    stride, out_c = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 4]))
    shape = (batch, stride * height, stride * width, out_c)
    asked = made.tensor((4,), INT32, list(shape))
    ones = np.ones((out_c, 2, 2, channels))
    weights = made.tensor(ones.shape, elements=ones, scales=(0.5,) * out_c, zero_points=(0,) * out_c)
    output = made.tensor(shape)
    options = make_options("TransposeConvOptions", padding=0, strideW=stride, strideH=stride)
    made.operator("TRANSPOSE_CONV", [asked, weights, source], [output], options)
    return output


def reshape_flat(made: Maker, source: int, draw) -> int:
    shape = shape_of(made, source)
    target = (1, 1, 1, int(np.prod(shape)))
    asked = made.tensor((4,), INT32, list(target))
    output = made.tensor(target)
    made.operator("RESHAPE", [source, asked], [output], make_options("ReshapeOptions", newShape=list(target)))
    return output


@given(made=networks())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arena_equals_a_real_interpreters(capfd, made):
    runtime = pytest.importorskip("tflite_micro").runtime
    content = made.pack()
    capfd.readouterr()
    runtime.Interpreter.from_bytes(content, arena_size=1 << 20).print_allocations()
    printed = "".join(capfd.readouterr())
    head, tail = (int(re.search(rf"allocation {end} (\d+)", printed)[1]) for end in ("head", "tail"))
    graph = parse_tflite(content, name="random", where="random.tflite")
    assert place(lower(graph, LAYER, TFLM.rules), TFLM.planner).arena_bytes == head
    assert tail_bytes(graph, 8, WHEEL).size_bytes == tail


def asked(runtime, call) -> list[int]:
    return [size_bytes for _, size_bytes in runtime.rules.planned_scratch(call)]


def last_call(builder: GraphBuilder, output: int):
    return builder.build([output]).nodes[-1].signature


def test_reference_kernels_unpack_int4_weights():
    builder = GraphBuilder("int4")
    weights = builder.constant((3, 8), DType.INT4)
    call = last_call(builder, builder.op("FULLY_CONNECTED", [builder.input((1, 8)), weights]))
    assert asked(TFLM, call) == [24]


# ---------------------------------------------------------------------------------------------------------------------
# CMSIS-NN: functions and sizes by hand, from the library's *_get_buffer_sizes_*.c


def conv(in_c: int, out_c: int, kernel, **options):
    builder = GraphBuilder("conv")
    size = options.pop("size", (16, 16))
    return last_call(builder, builder.conv_2d(builder.input((1, *size, in_c)), out_c, kernel, **options))


def depthwise(in_c: int, kernel, **options):
    builder = GraphBuilder("depthwise", options.pop("dtype", DType.INT8))
    return last_call(builder, builder.depthwise_conv_2d(builder.input((1, 16, 16, in_c)), kernel, **options))


CMSIS_CASES = {
    "1x1": (conv(16, 8, 1), "arm_convolve_1x1_s8_fast", []),
    "1x1, stride 2": (conv(16, 8, 1, stride=2), "arm_convolve_1x1_s8", []),
    "first": (conv(3, 16, 3, stride=2), "arm_convolve_s8", [4 * 28]),  # 27 rounded up to 28
    "5x5": (conv(8, 8, 5), "arm_convolve_s8", [4 * 200]),
    "1xN": (conv(4, 8, (1, 3), size=(1, 16)), "arm_convolve_1_x_n_s8", [4 * 12]),
    "1xN, odd channels": (conv(3, 8, (1, 3), size=(1, 16)), "arm_convolve_s8", [4 * 12]),
    "dilated": (conv(4, 8, 3, dilation=2), "arm_convolve_s8", [4 * 36]),
    "grouped": (conv(8, 8, 3, groups=2), "arm_convolve_s8", [4 * 72]),
    "depthwise 3x3": (depthwise(24, 3), "arm_depthwise_conv_3x3_s8", []),
    "depthwise 7x7": (depthwise(24, 7), "arm_depthwise_conv_s8_opt", [2 * 24 * 49]),
    "depthwise x2": (depthwise(24, 5, multiplier=2), "arm_depthwise_conv_s8", []),
    "depthwise, dilated": (depthwise(24, 3, dilation=2), "arm_depthwise_conv_s8", []),
    "depthwise, 16 bits": (depthwise(24, 5, dtype=DType.INT16), "arm_depthwise_conv_fast_s16", [2 * 24 * 25]),
    "depthwise x2, 16 bits": (depthwise(24, 5, multiplier=2, dtype=DType.INT16), "arm_depthwise_conv_s16", []),
}


@pytest.mark.parametrize("case", CMSIS_CASES)
def test_cmsis_nn_function_and_scratch(case):
    call, function, scratch_bytes = CMSIS_CASES[case]
    kernel = TFLM_CMSIS_NN.kernel(call)
    assert (kernel.name, kernel.supported, bool(kernel.why)) == (function, True, True)
    assert asked(TFLM_CMSIS_NN, call) == scratch_bytes


def test_cmsis_nn_pools_and_elementwise():
    builder = GraphBuilder("others")
    x = builder.input((1, 8, 8, 6))
    pool = last_call(builder, builder.average_pool_2d(x, 2))
    assert (route(pool).function, asked(TFLM_CMSIS_NN, pool)) == ("arm_avgpool_s8", [24])
    assert route(last_call(builder, builder.max_pool_2d(x, 2))).function == "arm_max_pool_s8"
    assert route(last_call(builder, builder.add(x, x))).function == "arm_elementwise_add_s8"
    assert route(last_call(builder, builder.mul(x, builder.input((1, 1, 1, 6))))).function == ""
    mean = last_call(builder, builder.mean(x))
    assert TFLM_CMSIS_NN.kernel(mean).name == "reference MEAN"
    assert asked(TFLM_CMSIS_NN, mean) == asked(TFLM, mean) == [24, 16, 8]


@pytest.mark.parametrize(("in_c", "expected"), [(20, [4 * 180, 9 * 20 * 4]), (16, [4 * (7 * 2 + 3) * 4 * 3])])
def test_cmsis_nn_transposed_convolution(in_c, expected):
    made = Maker()
    source = made.tensor((1, 8, 8, in_c))
    asked_shape = made.tensor((4,), INT32, [1, 16, 16, 4])
    ones = np.ones((4, 3, 3, in_c))
    weights = made.tensor(ones.shape, elements=ones, scales=(0.5,) * 4, zero_points=(0,) * 4)
    output = made.tensor((1, 16, 16, 4))
    options = make_options("TransposeConvOptions", padding=0, strideW=2, strideH=2)
    made.operator("TRANSPOSE_CONV", [asked_shape, weights, source], [output], options)
    made.graph.inputs, made.graph.outputs = [source], [output]
    graph = parse_tflite(made.pack(), name="up", where="up.tflite")
    assert asked(TFLM_CMSIS_NN, graph.nodes[0].signature) == expected
    handles = [item for item in tail_items(graph, build=CMSIS_NN) if item.account == "scratch handles"]
    assert [item.size_bytes for item in handles] == [2 * 4]  # the request of 0 bytes has one too
    assert asked(TFLM, graph.nodes[0].signature) == [4 * 16 * 16 * 4]


def test_cmsis_nn_fully_connected_of_rank_3_is_a_1x1_convolution():
    builder = GraphBuilder("fc")
    x = builder.input((1, 5, 8))
    weights = builder.constant((6, 8))
    attributes = FullyConnectedAttributes(keep_num_dims=True)
    graph = builder.build([builder.op("FULLY_CONNECTED", [x, weights], attributes)])
    assert TFLM_CMSIS_NN.kernel(graph.nodes[0].signature).name == "arm_convolve_1x1_s8_fast"
    kept = [item.size_bytes for item in tail_items(graph, build=CMSIS_NN) if item.account == "FULLY_CONNECTED"]
    assert kept == [16, 76, 4 * 6, 4 * 6]  # parameters, kernel data, two arrays of 6 channels


@pytest.mark.parametrize(
    ("op", "size_bytes"),
    [("CONV_2D", 60), ("DEPTHWISE_CONV_2D", 60), ("FULLY_CONNECTED", 76), ("AVERAGE_POOL_2D", 36), ("SVDF", 40),
     ("TRANSPOSE_CONV", 76), ("BATCH_MATMUL", 36), ("SOFTMAX", 64)],
)  # fmt: skip
def test_cmsis_nn_op_data(op, size_bytes):
    assert layout_bytes(CMSIS_NN_KERNELS[op].data, 4)[0] == size_bytes
    assert layout_bytes(CMSIS_NN_KERNELS[op].data, 4)[0] > layout_bytes(KERNELS[op].data, 4)[0]


def test_lstm_scratch():
    absent = [None] * 24
    absent[0] = tensor_type((1, 5, 8))
    absent[19] = tensor_type((1, 6), DType.INT16)
    call = signature(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        UnidirectionalSequenceLstmAttributes(),
        tuple(absent),
        (tensor_type((1, 5, 6)),),
    )
    assert asked(TFLM, call) == [12] * 4
    assert asked(TFLM_CMSIS_NN, call) == [12] * 3


@pytest.mark.parametrize("name", ["mcunet-vww0", "smallcifar", "person-det"])
def test_flash_of_a_network_without_a_file_is_that_of_its_export(name):
    graph = zoo.build(name)
    written = len(write_tflite(with_seeded_weights(graph)))
    assert exported_file_bytes(graph) == pytest.approx(written, rel=0.005)


_REQUESTS = st.lists(
    st.builds(AllocationRequest, st.just(""), st.integers(1, 100), st.sampled_from([1, 4, 8, 16]), st.just("")),
    max_size=3,
)


@given(st.integers(0, 200), st.lists(_REQUESTS, max_size=6))
def test_the_tail_grows_by_what_is_asked_for_one_after_the_other(used, asked):
    expected = used
    for requests in asked:
        expected = grown(expected, tuple(requests))
    assert grown_by(used, [growth_of(tuple(requests)) for requests in asked]) == expected


@given(st.integers(0, 50), st.lists(st.integers(1, 30), max_size=6), st.sampled_from([4, 16]))
def test_the_tail_grows_by_whole_words_and_by_whole_lines(words, sizes, alignment):
    asked = [(AllocationRequest("", 4 * size, alignment, ""),) for size in sizes]
    expected = 4 * words
    for requests in asked:
        expected = grown(expected, requests)
    assert grown_by(4 * words, [growth_of(requests) for requests in asked]) == expected

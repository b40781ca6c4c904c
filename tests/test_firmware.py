"""The C of a network computes the executor's bytes: after every step, of every operator, in pieces, on each core."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lanes import HostLane, QemuLane, expected_steps, first_difference
from operator_catalogue import about
from strategies import ONE_OP, Case, inputs_for, networks
from strategies_schedules import cuttable_runs, schedules

from mcusim.errors import McusimError, ModelError
from mcusim.execution import execute
from mcusim.firmware.choice import choose, depthwise_kernel
from mcusim.firmware.code_sizes import code_sizes
from mcusim.firmware.emit import sources
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite import parse_tflite
from mcusim.graph import Activation, Graph, Padding
from mcusim.lowering.staging import resized
from mcusim.runtimes import find_runtime
from mcusim.schedule import LAYER, parse_schedule
from mcusim.simulation.emission import network_of, seeded
from mcusim.zoo.loading import load

HOST = HostLane()
QEMU = {core: QemuLane(core) for core in ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m3")}
needs_host = pytest.mark.skipif(not HOST.is_there, reason="no gcc on this machine")
needs_qemu = pytest.mark.skipif(
    not QEMU["cortex-m4"].is_there, reason="no arm-none-eabi-gcc or qemu-system-arm on this machine"
)
CORPUS = (
    ("mlperf_kws01_dscnn_int8", "layer"),
    ("mlperf_kws01_dscnn_int8", "patch:2x2@5"),
    ("mlperf_ic01_resnet8_int8", "layer"),
    ("mlperf_ic01_resnet8_int8", "stream:2@6"),
    ("mlperf_vww01_mbv1_025_96_int8", "patch:3x3@7"),
    ("mlperf_vww01_mbv1_025_96_int8", "stream:1@9"),
    ("mlperf_vww01_mbv1_025_96_int8", "patch:2x2@5+stream:4@4"),
    ("micronet_vww2", "patch:4x4@9"),
    ("mlperf_ad01_int8", "layer"),
    ("mww_v2_okay_nabu", "layer"),
    ("tflm_keyword_scrambled", "layer"),
    ("tflm_hello_world_int8", "layer"),
    ("tinymaix_mnist_dw_q", "layer"),
    ("seanet_transpose_conv4", "layer"),
)
ZOO = (("smallcifar", "layer"), ("mcunet-in0", "stream:1@12"), ("proxyless-w0.3-r64", "patch:2x2@9"))


def assert_same_steps(graph: Graph, schedule: str, seed: int = 0) -> None:
    """Emitted, built with all warnings as errors and run under sanitizers: every step gives the executor's bytes."""
    network, _ = network_of(graph, parse_schedule(schedule), "net")
    inputs = inputs_for(graph, seed)
    shown = HOST.run(sources(network).files, "net", inputs)
    assert first_difference(shown, list(expected_steps(graph, network.program, inputs))) == ""


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize(("name", "schedule"), CORPUS)
def test_corpus_networks_compute_the_executors_bytes(corpus: Path, name: str, schedule: str) -> None:
    assert_same_steps(load(str(corpus / "models" / f"{name}.tflite")), schedule)


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize(("name", "schedule"), ZOO)
def test_zoo_networks_compute_the_executors_bytes(name: str, schedule: str) -> None:
    assert_same_steps(seeded(load(name), 3), schedule)


@pytest.mark.parametrize("op", list(ONE_OP))
def test_a_choice_names_a_kernel_that_is_there(op: str) -> None:
    kernels = files("mcusim.firmware") / "kernels"

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=ONE_OP[op])
    def check(case: Case) -> None:
        for node in case.graph.nodes:
            choice = choose(node.signature)
            if choice is not None:
                is_made = choice.file.startswith("depthwise_") and "_by_" in choice.file
                assert is_made or (kernels / choice.file).is_file()

    check()


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("op", list(ONE_OP))
def test_one_operator_computes_the_executors_bytes(op: str) -> None:
    """Drawn networks of one operator. What has no kernel in C is refused by name."""

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=ONE_OP[op])
    def check(case: Case) -> None:
        graph = case.graph
        unserved = [node for node in graph.nodes if choose(node.signature) is None]
        try:
            execute(graph, list(inputs_for(graph, 1)))
        except McusimError:
            return
        if unserved:
            with pytest.raises(McusimError, match=unserved[0].op):
                sources(network_of(graph, LAYER, "net")[0])
            return
        assert_same_steps(graph, "layer", 1)

    check()


CATALOGUED = (
    "ADD_N", "CUMSUM", "L2_NORMALIZATION", "RSQRT", "LOGICAL_NOT", "LOGICAL_AND", "LOGICAL_OR", "REDUCE_ALL",
    "REDUCE_ANY", "EMBEDDING_LOOKUP", "GATHER_ND", "FILL", "ONE_HOT", "DYNAMIC_UPDATE_SLICE", "SELECT_V2",
    "FULLY_CONNECTED", "LOGISTIC", "TANH", "DIV", "MAXIMUM", "SQUARED_DIFFERENCE", "RELU", "RELU6", "RESIZE_BILINEAR",
    "MUL", "GREATER", "EQUAL",
)  # fmt: skip
"""Operators whose networks are listed, not drawn; dense layers for the weights that a network computes. Many know int16
or int32 too."""
WITHOUT_C = ("float32", "float16", "uint8", "int2", "int4", "uint4")


def is_served_as_executed(graph: Graph, feeds: list[np.ndarray], label: str) -> bool:
    """Whether the last operator has a kernel in C, which then computes the executor's bytes. It is named if not."""
    call = graph.nodes[-1].signature
    if choose(call) is None:
        with pytest.raises(ModelError, match=call.op):
            sources(network_of(graph, LAYER, "net")[0])
        return False
    network, _ = network_of(graph, LAYER, "net")
    made = sources(network)
    shown = HOST.run(made.files, "net", feeds)
    assert first_difference(shown, list(expected_steps(graph, network.program, feeds))) == "", label
    assert made.stored_bytes == find_runtime("mcusim").flash(graph).model_bytes, label
    return True


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("op", CATALOGUED)
def test_listed_operators_compute_the_executors_bytes(op: str) -> None:
    served = [network for network in about(op) if not network.label.startswith(WITHOUT_C)]
    answered = 0
    for listed in random.Random(op).sample(served, len(served)):
        feeds = [*map(np.asarray, listed.feeds(seed=1))]
        try:
            graph = parse_tflite(listed.content(), name=op, where=op)
            execute(graph, feeds)
        except McusimError:
            continue
        answered += is_served_as_executed(graph, feeds, listed.label)
        if answered == (12 if op in ("LOGISTIC", "TANH") else 3):  # int16 scales on either side of where products wrap
            return
    assert answered


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "types"), [("ABS", "int16"), ("RSQRT", "int16"), ("DIV", "int32"), ("CAST", "int64"), ("CAST", "int8")]
)
def test_listed_types_compute_the_executors_bytes(op: str, types: str) -> None:
    """Types that few networks of an operator have: a sample of all operators may miss them."""
    served = [network for network in about(op) if network.label.startswith(types)]
    answered = 0
    for listed in served:
        feeds = [*map(np.asarray, listed.feeds(seed=1))]
        if op == "RSQRT":  # of nothing negative
            feeds = [np.abs(feed) for feed in feeds]
        try:
            graph = parse_tflite(listed.content(), name=op, where=op)
            execute(graph, feeds)
        except McusimError:
            continue
        answered += is_served_as_executed(graph, feeds, listed.label)
    assert answered


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"])
def test_weights_that_the_network_computes(op: str) -> None:
    answered = set()
    for listed in about(op):
        if "run-time weights" not in listed.label or listed.label.startswith(WITHOUT_C):
            continue
        graph, feeds = parse_tflite(listed.content(), name=op, where=op), [*map(np.asarray, listed.feeds(seed=1))]
        if is_served_as_executed(graph, feeds, listed.label):
            answered.add(graph.nodes[-1].signature.output.dtype)
    assert len(answered) == 2  # int8 and int16


@pytest.mark.slow
@needs_host
def test_slices_that_begin_where_the_network_says() -> None:
    answered = set()
    for listed in about("SLICE"):
        graph = parse_tflite(listed.content(), name="SLICE", where="SLICE")
        kinds = graph.nodes[-1].signature.inputs
        if listed.label.startswith(WITHOUT_C) or kinds[1].is_constant or (kinds[0].dtype, kinds[1].dtype) in answered:
            continue
        feeds = [*map(np.asarray, listed.feeds(seed=1))]
        network, _ = network_of(graph, LAYER, "net")
        shown = HOST.run(sources(network).files, "net", feeds)
        assert first_difference(shown, list(expected_steps(graph, network.program, feeds))) == "", listed.label
        answered.add((kinds[0].dtype, kinds[1].dtype))
    assert len(answered) >= 4  # int8 and int16, from 32 and 64 bits


@needs_host
def test_a_divisor_of_0_gives_what_is_farthest_on_the_dividends_side() -> None:
    listed = next(network for network in about("DIV") if network.label.startswith("int8 (1, 4, 5, 3) (1, 4, 5, 3)"))
    graph = parse_tflite(listed.content(), name="DIV", where="DIV")
    zeros = [graph.tensors[index].quantization.zero_points[0] for index in (*graph.inputs, *graph.outputs)]
    dividend = np.resize(np.array([-128, zeros[0], 127], np.int8), (1, 4, 5, 3))
    network, _ = network_of(graph, LAYER, "net")
    shown = HOST.run(sources(network).files, "net", [dividend, np.full((1, 4, 5, 3), zeros[1], np.int8)])
    lowest, highest = network.prepared[0].stage.lowest, network.prepared[0].stage.highest
    right = np.clip(np.resize([-(1 << 31), zeros[2], 1 << 31], 60), lowest, highest)
    assert np.frombuffer(shown[-1][3], np.int8).tolist() == right.tolist()


@needs_host
@pytest.mark.parametrize(
    ("op", "label"), [("GATHER", "int8 int64 (4, 5, 3) (2,) 0 0"), ("GATHER_ND", "int8 int64 (4, 5) (3, 1)")]
)
def test_a_position_beyond_32_bits_shows_the_nearest_that_is(op: str, label: str) -> None:
    listed = next(network for network in about(op) if network.label == label)
    graph, feeds = parse_tflite(listed.content(), name=op, where=op), [*map(np.asarray, listed.feeds(seed=1))]
    asked, there = np.array([(1 << 32) + 1, -(1 << 33) + 2, 1]), np.array([3, 0, 1])
    beyond, inside = ([feeds[0], of[: feeds[1].size].reshape(feeds[1].shape)] for of in (asked, there))
    network, _ = network_of(graph, LAYER, "net")
    shown = HOST.run(sources(network).files, "net", beyond)
    assert first_difference(shown, list(expected_steps(graph, network.program, inside))) == ""


@needs_host
@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=networks(), draw=st.data())
def test_drawn_networks_and_schedules_compute_the_executors_bytes(case: Case, draw: st.DataObject) -> None:
    runtime = find_runtime("mcusim")
    graph = case.graph
    schedule = "layer"
    if cuttable_runs(graph, runtime):
        schedule = str(draw.draw(schedules(graph, runtime)))
    assert_same_steps(graph, schedule, 2)


@needs_qemu
@pytest.mark.slow
@pytest.mark.parametrize("core", list(QEMU))
@pytest.mark.parametrize(("name", "schedule"), [CORPUS[1], CORPUS[4]])
def test_an_emulated_cortex_m_computes_the_executors_bytes(corpus: Path, name: str, schedule: str, core: str) -> None:
    """DSP instructions on M4, M7 and M33, their stand-ins on the M3; loads that QEMU would trap are aligned."""
    assert_same_on(QEMU[core], load(str(corpus / "models" / f"{name}.tflite")), schedule)


def assert_same_on(lane: QemuLane, graph: Graph, schedule: str) -> None:
    network, _ = network_of(graph, parse_schedule(schedule), "net")
    inputs = inputs_for(graph, 0)
    steps = expected_steps(graph, network.program, inputs)
    wanted = [(step, row, col, QemuLane.digest(content)) for step, row, col, content in steps]
    assert lane.run(sources(network).files, "net", inputs) == wanted


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "schedule", "cols"),
    [
        (2, "stream:1@4", 19),
        (3, "patch:3x2@4", 19),
        (3, "stream:1@4", 3),
        (4, "stream:2@4", 19),
        (5, "stream:1@4", 19),
        (6, "stream:2@4", 3),
    ],
)
def test_depthwise_pieces_of_a_row_or_two(kernel: int, schedule: str, cols: int) -> None:
    """Whole fours of columns and what is left of them, rows outside the map, line buffers that begin anew."""
    builder = GraphBuilder("pieces")
    x = builder.conv_2d(builder.input((1, 21, cols, 3)), 10, 1, activation=Activation.RELU6)
    x = builder.depthwise_conv_2d(x, kernel, activation=Activation.RELU6)
    x = builder.depthwise_conv_2d(x, kernel, 2)
    graph = builder.build([builder.conv_2d(x, 4, 1)])
    assert_same_steps(with_seeded_weights(graph, kernel), schedule)


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "schedule", "cols"), [(4, "stream:3@2", 8), (5, "patch:3x4@1", 19), (6, "patch:4x3@1", 21)]
)
def test_depthwise_pieces_of_few_rows_and_columns(kernel: int, schedule: str, cols: int) -> None:
    """Each row of a piece is one block of one to four columns; rows may lie in a line buffer, or outside the map."""
    builder = GraphBuilder("pieces")
    x = builder.depthwise_conv_2d(builder.input((1, 21, cols, 6)), kernel, 2, activation=Activation.RELU6)
    graph = with_seeded_weights(builder.build([builder.depthwise_conv_2d(x, 3)]), kernel)
    network, _ = network_of(graph, parse_schedule(schedule), "net")
    assert f"kernels/depthwise_{kernel}x{kernel}_s2_by_4.h" in sources(network).files
    assert_same_steps(graph, schedule)


@pytest.mark.parametrize("kernel", range(4, 7))
def test_kernels_for_small_pieces_take_less_memory_and_no_more_code(kernel: int) -> None:
    (small, ring), (of_map, larger) = (depthwise_kernel(kernel, 2, rows, 4) for rows in (4, 5))
    assert ring.size_bytes < larger.size_bytes
    assert sum(code_sizes().depthwise[small].values()) < 1.05 * sum(code_sizes().depthwise[of_map].values())


@pytest.mark.parametrize("kernel", range(2, 8))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("rows", [1, 2])
def test_kernels_for_fewer_than_four_columns_are_smaller(kernel: int, stride: int, rows: int) -> None:
    """Nothing in them is for four columns at once, and so they are no larger than those of whole maps."""
    narrow, wide, of_map = (
        depthwise_kernel(kernel, stride, height, cols)[0] for height, cols in ((rows, 3), (rows, 4), (8, 3))
    )
    sizes = {name: sum(code_sizes().depthwise[name].values()) for name in (narrow, wide, of_map)}
    assert sizes[narrow] < min(1.05 * sizes[of_map], 0.8 * sizes[wide])


@needs_host
@pytest.mark.slow
@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("schedule", ["layer", "stream:8@1", "stream:3@1", "patch:2x2@1"])
def test_a_window_over_the_border_has_room_in_pieces_too(stride: int, schedule: str) -> None:
    """Five channels a pixel: such a window is put together byte by byte, behind the columns."""
    builder = GraphBuilder("border")
    x = builder.input((1, 23, 4, 5))
    y = builder.conv_2d(x, 9, 3, stride=stride, padding=Padding.SAME)
    graph = with_seeded_weights(builder.build([builder.conv_2d(y, 4, 1)]), 0)
    assert_same_steps(graph, schedule)


def with_scales(graph: Graph, factors: Mapping[int, float]) -> Graph:
    """The network with the scales of some channels of its last node's weights multiplied."""
    tensors, index = list(graph.tensors), graph.nodes[-1].inputs[1]
    quantization = tensors[index].quantization
    assert quantization is not None
    scales = tuple(scale * factors.get(channel, 1.0) for channel, scale in enumerate(quantization.scales))
    tensors[index] = replace(tensors[index], quantization=replace(quantization, scales=scales))
    return replace(graph, tensors=tuple(tensors))


@pytest.mark.slow
@needs_host
def test_sums_that_need_64_bits_are_requantised_channel_by_channel() -> None:
    """15 pixels, of which four go side by side, and seven channels, which go in pairs."""
    builder = GraphBuilder("careful")
    y = builder.conv_2d(builder.input((1, 3, 5, 8)), 7, 1)
    # A multiplier above 1, which the fast way of requantising cannot do.
    graph = with_scales(with_seeded_weights(builder.build([y]), 0), {0: 600.0})
    assert "NET_CAREFUL" in sources(network_of(graph, LAYER, "net")[0]).files["net.c"]
    assert len(np.unique(execute(graph, list(inputs_for(graph, 0)))[0][..., 1:])) > 7
    assert_same_steps(graph, "layer")


@pytest.mark.slow
@needs_host
@pytest.mark.parametrize(
    ("kernel", "activation", "schedule"),
    [
        (3, "NONE", "layer"),
        (3, "RELU6", "stream:1@2"),
        (5, "RELU6", "patch:2x2@2"),
        ((2, 3), "NONE", "stream:1@2"),
    ],
)
def test_only_the_channels_that_need_64_bits_take_them(
    kernel: int | tuple[int, int], activation: str, schedule: str
) -> None:
    """In a group of four, at its ends, and in the last one, which has fewer."""
    builder = GraphBuilder("careful")
    x = builder.conv_2d(builder.input((1, 13, 11, 3)), 11, 1)
    y = builder.depthwise_conv_2d(x, kernel, 2, activation=Activation[activation])
    graph = with_scales(with_seeded_weights(builder.build([y]), 0), {1: 600.0, 4: 700.0, 5: 600.0, 10: 900.0})
    text = sources(network_of(graph, parse_schedule(schedule), "net")[0]).files["net.c"]
    assert "net_1_shift[11]" in text
    assert "= NET_CAREFUL" not in text
    assert_same_steps(graph, schedule)


@pytest.mark.slow
@needs_host
@pytest.mark.parametrize("kind", ["conv", "depthwise", "dense"])
def test_channels_with_negative_scales_or_none_need_no_64_bits(kind: str) -> None:
    """A scale so small that its multiplier is 0 makes a channel whose sums may wrap; a negative one turns weights."""
    builder = GraphBuilder("odd")
    x = builder.input((1, 5, 6, 8))
    if kind == "dense":
        y = builder.fully_connected(x, 7)
    else:
        y = builder.conv_2d(x, 7, 3) if kind == "conv" else builder.depthwise_conv_2d(x, 3)
    graph = with_seeded_weights(builder.build([y]), 0)
    factors = {0: -1.0} if kind == "dense" else {1: -1.0, 2: 1e-25, 4: -1.0}
    graph = with_scales(graph, factors)
    assert "NET_CAREFUL" not in sources(network_of(graph, LAYER, "net")[0]).files["net.c"]
    assert_same_steps(graph, "layer")


def test_a_piece_has_as_much_working_memory_as_its_layer() -> None:
    builder = GraphBuilder("border")
    x = builder.input((1, 24, 24, 5))
    graph = builder.build([builder.conv_2d(x, 9, 3, padding=Padding.SAME)])
    call = graph.nodes[0].signature
    whole, piece = choose(call), choose(resized(call, 4, 4))
    assert whole is not None
    assert piece is not None
    assert piece.scratch == whole.scratch


@pytest.mark.skipif(not QemuLane("cortex-m4", uses_zig=True).is_there, reason="no ziglang, gcc for Arm or QEMU here")
@pytest.mark.slow
def test_clang_builds_the_same(corpus: Path) -> None:
    graph = load(str(corpus / "models" / "mlperf_kws01_dscnn_int8.tflite"))
    assert_same_on(QemuLane("cortex-m4", uses_zig=True), graph, "patch:2x2@5")

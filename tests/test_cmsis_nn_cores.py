"""Buffers of CMSIS-NN on each family of cores: against the library's own answers, and through a whole network.

`golden/cmsis_nn_buffers.csv` was asked of the `cmsis_nn` binding in the executorch wheel 1.5.1 (backends/cortex_m).
"""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import pytest

from mcusim.boards import load_board
from mcusim.boards.board import Core
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import DType, Padding, Signature, signature, tensor_type
from mcusim.ops.conv_2d import Conv2DAttributes
from mcusim.ops.depthwise_conv_2d import DepthwiseConv2DAttributes
from mcusim.ops.fully_connected import FullyConnectedAttributes
from mcusim.ops.shared.windows import WindowAttributes
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.cmsis_nn_cores import Family, family_of, family_scratch, kernels_of
from mcusim.runtimes.tflm_storage import StorageRequest
from mcusim.simulation.simulate import simulate

GOLDEN = Path(__file__).parent / "golden" / "cmsis_nn_buffers.csv"
TYPES = {"a8w8": (DType.INT8, DType.INT8), "a8w4": (DType.INT8, DType.INT4), "a16w8": (DType.INT16, DType.INT8)}


def rows() -> list[dict[str, str]]:
    with GOLDEN.open(newline="") as file:
        return list(csv.DictReader(file))


def call_of(row: dict[str, str]) -> Signature:
    op, (dtype, weights) = row["op"], TYPES[row["types"]]
    names = "batch rows cols channels kernel_h kernel_w out_channels groups stride_h stride_w dilation_h dilation_w"
    batch, height, width, in_c, kh, kw, out_c, groups, sh, sw, dh, dw = (int(row[name]) for name in names.split())
    padding = Padding(row["padding"])
    source = tensor_type((batch, height, width, in_c), dtype)
    options = {"padding": padding, "stride_h": sh, "stride_w": sw}
    dilated = {**options, "dilation_h_factor": dh, "dilation_w_factor": dw}

    def across(size: int, kernel: int, stride: int, dilation: int) -> int:
        return -(-size // stride) if padding is Padding.SAME else (size - (kernel - 1) * dilation - 1) // stride + 1

    output = tensor_type((batch, across(height, kh, sh, dh), across(width, kw, sw, dw), out_c), dtype)
    if op == "CONV_2D":
        learned = tensor_type((out_c, kh, kw, in_c // groups), weights, True)
        return signature(op, Conv2DAttributes(**dilated), (source, learned), (output,))
    if op == "DEPTHWISE_CONV_2D":
        learned = tensor_type((1, kh, kw, out_c), weights, True)
        attributes = DepthwiseConv2DAttributes(**dilated, depth_multiplier=groups)
        return signature(op, attributes, (source, learned), (output,))
    if op == "TRANSPOSE_CONV":
        learned = tensor_type((out_c, kh, kw, in_c), weights, True)
        output = tensor_type((batch, height * sh, width * sw, out_c), dtype)
        inputs = (tensor_type((4,), DType.INT32, True), learned, source)
        return signature(op, WindowAttributes(**options), inputs, (output,))
    if op == "FULLY_CONNECTED":
        inputs = (tensor_type((1, in_c), dtype), tensor_type((out_c, in_c), weights))
        return signature(op, FullyConnectedAttributes(), inputs, (tensor_type((1, out_c), dtype),))
    return signature(op, WindowAttributes(), (source,), (tensor_type((batch, 1, 1, in_c), dtype),))


@pytest.mark.parametrize("family", Family)
def test_buffers_are_the_librarys(family):
    """FULLY_CONNECTED with weights of run time: TFLM keeps the sums of constant ones."""
    asked = [row for row in rows() if row["family"] == family]
    assert len(asked) > 80
    for row in asked:
        scratch_bytes = sum(size for _, size in family_scratch(call_of(row), family))
        assert scratch_bytes == int(row["bytes"]), row


def test_every_core_has_a_family():
    assert {family_of(core) for core in Core} == set(Family)


def test_sums_of_constant_weights_are_kept_on_helium():
    builder = GraphBuilder("fc")
    graph = builder.build([builder.op("FULLY_CONNECTED", [builder.input((1, 8)), builder.constant((6, 8))])])
    call = StorageRequest(graph.nodes[0].signature)
    kept = {family: dict(kernels_of(family)["FULLY_CONNECTED"].buffers(call)) for family in Family}
    assert kept[Family.MVE] == {"sums of the weights": 24}
    assert kept[Family.DSP] == kept[Family.SCALAR] == {}
    assert kernels_of(Family.MVE)["FULLY_CONNECTED"].scratch(call) == ()


@pytest.mark.slow
def test_a_network_takes_what_its_board_asks():
    board = load_board("stm32h743")
    builder = GraphBuilder("depthwise")
    graph = builder.build([builder.depthwise_conv_2d(builder.input((1, 16, 16, 24)), 5)])
    arena: dict[Family, set[int]] = {}
    for core in Core:
        report = simulate(graph, profile=msgspec.structs.replace(board, core=core), runtime="tflm-cmsis-nn")
        assert report.sram.fits
        arena.setdefault(family_of(core), set()).add(report.sram.arena_bytes)
    assert all(len(sizes) == 1 for sizes in arena.values())
    tensors = 2 * 16 * 16 * 24
    assert arena[Family.SCALAR] == {tensors}
    assert arena[Family.DSP] == {tensors + 2 * 25 * 24}
    assert arena[Family.MVE] == {tensors + 4 * 124 * 25}


def test_a_runtime_is_built_once_for_a_core():
    runtime = RUNTIMES["tflm-cmsis-nn"]
    assert runtime.on("cortex-m7") is runtime
    assert runtime.on("cortex-m55") is runtime.on("cortex-m55") is not runtime
    assert runtime.on("cortex-m55").rules is runtime.on("cortex-m85").rules
    assert RUNTIMES["tflm"].on("cortex-m55") is RUNTIMES["tflm"]

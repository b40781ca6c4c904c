"""Which kernel serves a layer, the property that sends it there, and what would be faster; and how `ops` tells it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from commands import run
from rich.cells import cell_len

import mcusim
from mcusim import zoo
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import DType, Padding, Signature, tensor_type
from mcusim.lowering.lower import lower
from mcusim.ops import OPS
from mcusim.ops.registry import Pads
from mcusim.program import BufferKind
from mcusim.render.operators import Served, served_list
from mcusim.render.text import ASCII, UNICODE
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER


def conv(in_c: int, out_c: int, kernel, size=(16, 16), dtype=DType.INT8, **options) -> Signature:
    b = GraphBuilder("conv", dtype)
    return b.build([b.conv_2d(b.input((1, *size, in_c)), out_c, kernel, **options)]).nodes[-1].signature


def depthwise(in_c: int, kernel, batch: int = 1, **options) -> Signature:
    b = GraphBuilder("depthwise")
    return b.build([b.depthwise_conv_2d(b.input((batch, 16, 16, in_c)), kernel, **options)]).nodes[-1].signature


def dense(depth: int, units: int) -> Signature:
    b = GraphBuilder("dense")
    return b.build([b.fully_connected(b.input((1, depth)), units)]).nodes[-1].signature


def other(op: str, *shapes, **options) -> Signature:
    b = GraphBuilder(op)
    return b.build([getattr(b, op)(*map(b.input, shapes), **options)]).nodes[-1].signature


MAP = (1, 8, 8, 8)

TINYENGINE_CASES = {
    "1x1, 8 channels": (conv(8, 16, 1), "convolve_1x1_s8_ch8_fpreq", "8 input channels"),
    "1x1, 48 channels": (conv(48, 16, 1), "convolve_1x1_s8_ch48_fpreq", "unrolled"),
    "1x1, other": (conv(96, 24, 1), "convolve_1x1_s8_fpreq", "96 input channels"),
    "1x1, odd": (conv(16, 5, 1), "convolve_1x1_s8_oddch_fpreq", "odd output channels: 5"),
    "1x1, stride": (conv(16, 8, 1, stride=2), "", "stride 2x2"),
    "first": (conv(3, 16, 3, stride=2), "convolve_s8_kernel3_inputch3_stride2_pad1_fpreq", "3 input channels"),
    "3x3": (conv(16, 16, 3), "convolve_s8_kernel3_stride1_pad1_fpreq", "stride 1"),
    "3x3, stride, deep": (conv(16, 16, 3, stride=2), "", "3x3 convolution of stride 2x2"),
    "1x3": (conv(16, 16, (1, 3)), "", "1x3 convolution"),
    "5x5": (conv(3, 16, 5, stride=2), "", "5x5 convolution"),
    "grouped": (conv(8, 8, 3, groups=2), "", "grouped"),
    "dilated": (conv(8, 8, 3, dilation=2), "", "dilated"),
    "depthwise": (depthwise(24, 7, stride=2), "depthwise_kernel7x7_stride2_inplace_CHW_fpreq", "7x7, stride 2"),
    "depthwise, wide": (depthwise(24, (1, 3)), "depthwise_kernel1x3_stride1_inplace_CHW_fpreq", "generated"),
    "depthwise, tall": (depthwise(24, (3, 1)), "", "taller than wide"),
    "depthwise x2": (depthwise(24, 3, multiplier=2), "", "more than one filter"),
    "dense": (dense(64, 10), "convolve_1x1_s8_fpreq", "as a 1x1 convolution"),
    "add": (other("add", MAP, MAP), "add_fpreq", "element by element"),
    "gate": (other("mul", MAP, (1, 1, 1, 8)), "element_mult_nx1", "one value a channel"),
    "mul": (other("mul", MAP, MAP), "", "nothing else"),
    "pool": (other("average_pool_2d", MAP, size=2), "avg_pooling", "2x2"),
    "overlapping": (other("max_pool_2d", MAP, size=3, stride=2, padding=Padding.SAME), "", "overlap"),
    "softmax": (other("softmax", (1, 10)), "", "does not handle SOFTMAX"),
}


@pytest.mark.parametrize("case", TINYENGINE_CASES)
def test_tinyengine_names_the_property(case):
    call, function, why = TINYENGINE_CASES[case]
    kernel = RUNTIMES["tinyengine"].kernel(call)
    assert (kernel.name, kernel.supported) == (function, bool(function))
    assert why in kernel.why


RESHAPED = "TinyEngine's code generator does not handle RESHAPE"
"""It never has to: lowering relabels."""


@pytest.mark.parametrize("name", [name for name in zoo.names() if name != "smallcifar"])
def test_tinyengine_runs_the_networks_that_were_made_for_it(name):
    kernels = [RUNTIMES["tinyengine"].kernel(node.signature) for node in mcusim.load(name).nodes if node.op != "PAD"]
    assert {kernel.why for kernel in kernels if not kernel.supported} <= {RESHAPED}


def padded(in_c: int, out_c: int, kernel: int) -> Signature:
    """A convolution that pads by itself, as lowering makes of one behind a PAD."""
    folded = OPS["CONV_2D"].with_pads
    assert folded is not None
    made = folded(conv(in_c, out_c, kernel, padding=1), Pads(1, 1, 1, 1), tensor_type((1, 16, 16, in_c), DType.INT8))
    assert made is not None
    return made


def test_patches_have_kernels_that_pad():
    """The layers of the stage that look beyond their own place; those behind it keep their names."""
    whole, cut = [
        [layer for layer in mcusim.simulate("mcunet-vww1", profile="stm32f746", schedule=how).layers if layer.macs]
        for how in ("layer", "patch:2x2@5")
    ]
    changed = {
        ours.index: theirs.kernel for ours, theirs in zip(whole, cut, strict=True) if ours.kernel != theirs.kernel
    }
    first, *depthwise = changed.values()
    assert first == "patchpadding_convolve_s8_kernel3_inputch3_stride2"
    assert [name.removeprefix("patchpadding_") for name in depthwise] == [
        layer.kernel for layer in whole if layer.index in changed and layer.op == "DEPTHWISE_CONV_2D"
    ]
    assert len(depthwise) == 2


CMSIS_CASES = {
    "multiplier": (depthwise(24, 3, multiplier=2), "arm_depthwise_conv_s8", "depth multiplier 2", "one filter"),
    "four": (depthwise(24, 3, multiplier=4), "arm_depthwise_conv_s8", "depth multiplier 4", "four filters at a time"),
    "one channel": (depthwise(1, 5, multiplier=8), "arm_depthwise_conv_s8", "depth multiplier 8", "as CONV_2D"),
    "batch": (depthwise(24, 3, batch=2), "arm_depthwise_conv_s8", "batch", "batch 1"),
    "remainder": (depthwise(10, 3), "arm_depthwise_conv_3x3_s8", "3x3", "2 of 10 channels"),
    "even": (depthwise(24, 3), "arm_depthwise_conv_3x3_s8", "3x3", ""),
    "1x1, odd depth": (conv(9, 8, 1), "arm_convolve_1x1_s8_fast", "stride 1", "1 of 9 channels"),
    "1x1, padded": (padded(8, 8, 1), "arm_convolve_s8", "1x1, im2col", "without padding"),
    "row": (conv(3, 8, (1, 3), size=(1, 16)), "arm_convolve_s8", "1x3", "stride x channels is 3"),
    "first": (conv(3, 8, 3), "arm_convolve_s8", "3x3, im2col", ""),
    "broadcast": (other("add", MAP, (1, 1, 1, 8)), "reference ADD", "other types or shapes", "operands of one shape"),
    "mean": (other("mean", MAP), "reference MEAN", "not in CMSIS-NN", "AVERAGE_POOL_2D"),
}


@pytest.mark.parametrize("case", CMSIS_CASES)
def test_cmsis_nn_says_what_would_be_faster(case):
    call, function, why, hint = CMSIS_CASES[case]
    kernel = RUNTIMES["tflm-cmsis-nn"].kernel(call)
    assert kernel.name == function
    assert why in kernel.why
    assert hint in kernel.hint
    assert bool(hint) == bool(kernel.hint)


def test_a_pad_that_pads_nothing_is_pointed_out():
    b = GraphBuilder("pads")
    x = b.conv_2d(b.input(MAP), 8, kernel=1, padding=0)
    graph = b.build([b.conv_2d(x, 8, kernel=3, padding=1)])
    hints = [RUNTIMES["tflm"].kernel(node.signature).hint for node in graph.nodes if node.op == "PAD"]
    assert ["pads nothing" in hint for hint in hints] == [True, False]
    assert "pads itself" in hints[1]


@pytest.mark.parametrize("name", ["x-cube-ai", "plumerai", "hale", "microtvm", "microtvm-cmsis-nn"])
def test_closed_runtimes_say_so(name):
    assert "not public" in RUNTIMES[name].kernel(conv(8, 8, 1)).why


def test_reference_kernels_name_the_optimised_ones():
    assert "tflm-cmsis-nn" in RUNTIMES["tflm"].kernel(conv(8, 8, 1)).hint
    assert RUNTIMES["tflm"].kernel(other("softmax", (1, 10))).hint == ""


# ---------------------------------------------------------------------------------------------------------------------
# `mcusim ops MODEL`


def test_hints_are_told_once_with_their_layers():
    served = [Served(i, f"a/{i}", "CONV_2D", (1, 2, 2, 4), "k", True, "why", "faster so") for i in range(5)]
    served.append(Served(9, "a/9", "ADD", (1, 2, 2, 4), "add", True, "why", "faster so too"))
    lines = [line.plain for line in served_list("net", "rt", served, 80, UNICODE)]
    assert lines[-2:] == ["CONV_2D, 5 layers: faster so.", "ADD, layer 9: faster so too."]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_kernels_are_legible_at_every_width(width, glyphs):
    kernel = "arm_depthwise_conv_3x3_s8"
    served = [
        Served(10, "net/block_1/depthwise", "DEPTHWISE_CONV_2D", (1, 9, 9, 24), kernel, True, "3x3, padding up to 1")
    ]
    lines = [line.plain for line in served_list("net", "tflm-cmsis-nn", served * 2, width, glyphs)]
    assert max(map(cell_len, lines)) <= width
    assert kernel in lines[-1]
    assert ("3x3" in lines[-1].replace(kernel, "")) == (width >= 80)  # whole, or not there


def test_the_document_has_kernel_why_and_hint():
    code, out, _ = run("ops", "mcunet-vww0", "--runtime", "tflm-cmsis-nn", "--json")
    assert code == 0
    layer = json.loads(out)["layers"][0]
    assert (layer["kernel"], layer["why"]) == ("arm_pad_s8", "int8")
    assert layer["hint"].startswith("slow path: a copy")
    report = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="tflm-cmsis-nn").to_dict()
    assert (report["layers"][0]["why"], report["layers"][0]["hint"]) == (layer["why"], layer["hint"])


def test_scratch_of_fused_layers_keeps_its_role_in_its_name() -> None:
    """Names of fused nodes are joined; tables show the first, and showed a layer's scratch as its output twice."""
    b = GraphBuilder("fused")
    graph = b.build([b.conv_2d(b.input((1, 8, 8, 4)), 8, 3)])
    node = dataclasses.replace(graph.nodes[0], name="one;two;three")
    program = lower(dataclasses.replace(graph, nodes=(node, *graph.nodes[1:])), LAYER, RUNTIMES["tflm-cmsis-nn"].rules)
    scratch = [buffer.name for buffer in program.buffers if buffer.kind is BufferKind.SCRATCH]
    assert scratch == ["one im2col"]

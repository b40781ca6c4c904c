"""Bits of each tensor: the paper's algorithms, the networks that have them, and what the command line says."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import naive_bits as naive
import numpy as np
import pytest
from conftest import CorpusModel
from drafts import inputs_for
from hypothesis import given
from hypothesis import strategies as st

import mcusim
from mcusim import execution
from mcusim.errors import InputError, ModelError, PlanError, ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import ABSENT, Activation, DType, Graph
from mcusim.ops import OPS
from mcusim.precision import (
    BitAllocation,
    allocate_bits,
    allocation_of,
    chosen_bits,
    fit_bits,
    uniform_allocation,
    with_bits,
)
from mcusim.render.bits import bits_lines
from mcusim.render.text import ASCII

KIB = 1024
RUSCI = {
    "mbv1-w0.5-r192": ("stm32f412", 256 * KIB, 1024 * KIB),
    "mbv1-w0.75-r224": ("stm32h743", 512 * KIB, 2048 * KIB),
}
"""The two mixed-precision rows of Table 4: network, board, and the budgets that they are said to hold."""


def chain(channels: list[int], side: int = 6) -> Graph:
    """Pointwise convolutions, one after the other."""
    b = GraphBuilder("chain")
    x = b.input((1, side, side, channels[0]))
    for count in channels[1:]:
        x = b.conv_2d(x, count, 1, activation=Activation.RELU6)
    return b.build([x])


def residual() -> Graph:
    b = GraphBuilder("residual")
    x = b.conv_2d(b.input((1, 16, 16, 3)), 8, 3, 1, 1, Activation.RELU6)
    y = b.conv_2d(x, 48, 1, activation=Activation.RELU6)
    y = b.depthwise_conv_2d(y, 3, 1, 1, Activation.RELU6)
    x = b.add(b.conv_2d(y, 8, 1), x)
    y = b.conv_2d(x, 16, 3, 2, 1)
    y = b.average_pool_2d(y)
    return b.build([b.softmax(b.fully_connected(b.reshape(y, (1, 16)), 10))])


def widths(graph: Graph, allocation: BitAllocation) -> tuple[list[int], list[int]]:
    """Bits of the network's input and of each layer's output, and of each layer's weights."""
    tensors = [graph.inputs[0], *(node.outputs[0] for node in graph.nodes)]
    return (
        [allocation.activations.get(tensor, 8) for tensor in tensors],
        [allocation.weights[node.inputs[1]] for node in graph.nodes],
    )


# ---------------------------------------------------------------------------------------------------------------------
# The algorithms


@given(
    st.lists(st.integers(1, 64), min_size=3, max_size=9),
    st.fractions(Fraction(1, 8), 1),
    st.fractions(Fraction(1, 5), 1),
    st.sampled_from([2, 4]),
    st.sampled_from([Fraction(0), Fraction(3, 64), Fraction(1, 4)]),
)
def test_chains_are_cut_as_the_paper_cuts_them(
    channels: list[int], sram: Fraction, flash: Fraction, least: int, margin: Fraction
) -> None:
    graph = chain(channels)
    sizes = [36 * count for count in channels]
    weights = [a * b for a, b in pairwise(channels)]
    budgets = int(sram * max(a + b for a, b in pairwise(sizes))), int(flash * sum(weights))
    wanted = None
    try:
        wanted = naive.cut_activations(sizes, budgets[0], least), naive.cut_weights(weights, budgets[1], least, margin)
    except naive.Impossible:
        with pytest.raises(PlanError, match="at the fewest bits"):
            cut(graph, budgets, least, margin)
    if wanted is not None:
        allocation = cut(graph, budgets, least, margin)
        assert widths(graph, allocation) == wanted


def cut(graph: Graph, budgets: tuple[int, int], least: int, margin: Fraction) -> BitAllocation:
    return allocate_bits(
        graph,
        sram_bytes=budgets[0],
        flash_bytes=budgets[1],
        min_weight_bits=least,
        min_activation_bits=least,
        margin=float(margin),
    )


def test_a_small_chain_by_hand() -> None:
    """Tensors of 36 x (4, 8, 8, 2): layer 1 reads 288 and writes 288, the fullest. Weights 32, 64, 16."""
    graph = chain([4, 8, 8, 2])
    # Forward, layer 0 (144 + 288 > 420): its output, 4 bits. Layer 1 then takes 144 + 288 > 420: its wider output.
    allocation = allocate_bits(graph, sram_bytes=420, flash_bytes=112)
    assert widths(graph, allocation) == ([8, 4, 4, 8], [8, 8, 8])
    # The largest share is cut first, 64 to 32 bytes; then 32, 32, 16 of 80: the first of the two largest.
    assert widths(graph, allocate_bits(graph, sram_bytes=576, flash_bytes=80))[1] == [8, 4, 8]
    assert widths(graph, allocate_bits(graph, sram_bytes=576, flash_bytes=64))[1] == [4, 4, 8]


def test_the_margin_spares_later_layers() -> None:
    """Weights of 30, 36 and 36 bytes: without a margin the first of the largest is cut, with one the first layer."""
    graph = chain([5, 6, 6, 6])
    assert widths(graph, allocate_bits(graph, sram_bytes=10**6, flash_bytes=90, margin=0.0))[1] == [8, 4, 8]
    assert widths(graph, allocate_bits(graph, sram_bytes=10**6, flash_bytes=90, margin=0.1))[1] == [4, 8, 8]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUSCI)
def test_the_rows_of_table_4_hold_their_budgets_as_the_paper_counts(name: str) -> None:
    """Source: Rusci et al., the 1 MB + 256 kB and the 2 MB + 512 kB networks, which Table 4 quotes as < 256 kB, < 1 MB
    and < 512 kB, < 2 MB. Its tables take 10 bytes a channel (M0, N0, bias and Zw of ICN layers)."""
    _, sram, flash = RUSCI[name]
    graph = mcusim.load(name)
    channels = sum(
        node.signature.output.channels for node in graph.nodes if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D")
    )
    with pytest.raises(PlanError):
        allocate_bits(graph, sram_bytes=sram, flash_bytes=flash, min_weight_bits=8, min_activation_bits=8)
    allocation = allocate_bits(graph, sram_bytes=sram, flash_bytes=flash, tables_bytes=10 * channels)
    cut_graph = with_bits(graph, allocation)
    for node in cut_graph.nodes:
        if node.op != "PAD":  # folded into the convolution behind it
            around = node.signature.input(0).size_bytes + node.signature.output.size_bytes
            assert around <= sram
    stored = sum(cut_graph.tensors[tensor].size_bytes for tensor in allocation.weights)
    assert stored + 10 * channels <= flash
    # What is cut: early activations, and of the weights the last and largest.
    narrow = [index for index, bits in allocation.weights.items() if bits < 8]
    assert {cut_graph.tensors[index].name for index in narrow} <= {
        "classifier/weights", "separable_conv_13/project/weights", "separable_conv_14/project/weights"
    }  # fmt: skip


def test_shortcuts_count_beside_a_layer_and_are_cut_too() -> None:
    graph = residual()
    shortcut = graph.nodes[[n.op for n in graph.nodes].index("ADD")].inputs[1]
    # Expanded maps of 12,288 bytes each; the shortcut, 2,048, lies beside the depthwise convolution.
    just = allocate_bits(graph, sram_bytes=2 * 12_288 + 2_048, flash_bytes=10**6)
    assert set(just.activations.values()) == {8}
    cut_once = allocate_bits(graph, sram_bytes=2 * 12_288 + 2_047, flash_bytes=10**6)
    assert min(cut_once.activations.values()) == 4
    least = allocate_bits(graph, sram_bytes=2 * 3_072 + 512, flash_bytes=10**6)
    assert least.activations[shortcut] == 2
    with pytest.raises(PlanError, match=r"take 6\.5 KiB at the fewest bits, 1 B more"):
        allocate_bits(graph, sram_bytes=2 * 3_072 + 511, flash_bytes=10**6)


def test_what_must_stay_alike_stays_alike() -> None:
    graph = residual()
    allocation = allocate_bits(graph, sram_bytes=2 * 3_072 + 512, flash_bytes=700)
    for node in graph.nodes:
        if OPS[node.op].drawing.alike is not None:
            bits = {allocation.activations.get(tensor, 8) for tensor in (node.inputs[0], *node.outputs)}
            assert len(bits) == 1
    kept = {*graph.inputs, *graph.outputs, graph.nodes[-1].inputs[0]}  # SOFTMAX computes on 8 bits
    assert kept.isdisjoint(allocation.activations)


# ---------------------------------------------------------------------------------------------------------------------
# Networks with other widths


def test_types_memory_and_flash_follow() -> None:
    graph = residual()
    narrow = with_bits(graph, uniform_allocation(graph, weight_bits=4, activation_bits=2))
    for before, after in zip(graph.nodes, narrow.nodes, strict=True):
        assert after.signature.op == before.signature.op
        for index, kind in zip(after.inputs, after.signature.inputs, strict=True):
            assert index == ABSENT or narrow.tensors[index].type is kind
    before, after = (mcusim.simulate(g, profile="stm32f412", runtime="tinyengine") for g in (graph, narrow))
    weights = sum(graph.tensors[index].size_bytes for index in allocation_of(graph).weights)
    halved = sum(-(-graph.tensors[index].size_bytes // 2) for index in allocation_of(graph).weights)
    assert before.flash.total_bytes is not None
    assert after.flash.total_bytes == before.flash.total_bytes - weights + halved
    # The projection: input 12,288 elements, output and shortcut 2,048 each.
    assert after.sram.arena_bytes == (12_288 + 2 * 2_048) // 4
    assert before.sram.arena_bytes == 12_288 + 2 * 2_048
    assert with_bits(graph, allocation_of(graph)) is graph
    assert str(allocation_of(narrow)).startswith("w4:6, a2:")


def test_ranges_and_biases_keep_their_real_numbers() -> None:
    graph = with_seeded_weights(residual(), 2)
    narrow = with_bits(graph, uniform_allocation(graph, weight_bits=4, activation_bits=4))
    for index in allocation_of(graph).weights:
        old, new = graph.tensors[index], narrow.tensors[index]
        assert new.dtype is DType.INT4
        assert old.constant is not None
        assert new.constant is not None
        assert old.quantization is not None
        assert new.quantization is not None
        assert np.abs(new.constant).max() == 7
        shape = [1] * old.constant.ndim
        shape[old.quantization.axis] = -1
        steps = [np.array(t.quantization.scales).reshape(shape) for t in (old, new)]
        gap = np.abs(old.constant * steps[0] - new.constant * steps[1])
        assert (gap <= steps[1] / 2 * 1.0001).all()
    for index in allocation_of(graph).activations:
        old, new = graph.tensors[index].quantization, narrow.tensors[index].quantization
        assert old is not None
        assert new is not None
        for end, narrow_end in ((-128, -8), (127, 7)):
            real, kept = (q.scales[0] * (e - q.zero_points[0]) for q, e in ((old, end), (new, narrow_end)))
            assert abs(real - kept) <= new.scales[0] / 2 * 1.001
    for node in graph.nodes:
        if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            old, new = graph.tensors[node.inputs[2]], narrow.tensors[node.inputs[2]]
            assert old.quantization is not None
            assert new.quantization is not None
            real, kept = (np.array(t.quantization.scales) * t.constant for t in (old, new))
            assert (np.abs(real - kept) <= np.array(new.quantization.scales)).all()


@pytest.mark.slow
def test_a_mixed_network_runs_and_resembles_the_wide_one() -> None:
    graph = with_seeded_weights(residual(), 2)
    allocation = allocate_bits(graph, sram_bytes=14 * KIB, flash_bytes=1500)
    assert set(allocation.activations.values()) >= {4, 8}
    assert set(allocation.weights.values()) >= {4, 8}
    narrow = with_bits(graph, allocation)
    inputs = [inputs_for(graph, seed)[0] for seed in range(8)]
    thin = execution.execute(narrow, [inputs[0]])[0]
    patched = execution.execute(narrow, [inputs[0]], schedule="patch:2x2@4", runtime="tinyengine", check=True)[0]
    np.testing.assert_array_equal(patched, thin)
    wide = np.stack([execution.execute(graph, [x])[0] for x in inputs]).ravel().astype(float)
    alike = []
    for bits in (8, 4, 2):
        cut_graph = with_bits(graph, uniform_allocation(graph, weight_bits=bits, activation_bits=8))
        answers = np.stack([execution.execute(cut_graph, [x])[0] for x in inputs]).ravel().astype(float)
        alike.append(np.corrcoef(wide, answers)[0, 1])
    assert alike[0] > 0.999
    assert alike[1] > 0.8
    assert alike[2] < alike[1]


def test_wrong_allocations_are_refused() -> None:
    graph = residual()
    weights = next(iter(allocation_of(graph).weights))
    with pytest.raises(ModelError, match=r"would have 3 bits(.|\n)*use 8, 4, 2"):
        with_bits(graph, BitAllocation({}, {weights: 3}))
    with pytest.raises(ModelError, match="'input' keeps its width"):
        with_bits(graph, BitAllocation({graph.inputs[0]: 4}, {}))
    with pytest.raises(InputError, match=r"min_bits: it is 3(.|\n)*use 2, 4, 8"):
        fit_bits(graph, profile="stm32f412", min_bits=3)
    with pytest.raises(InputError, match="margin: it is 2"):
        allocate_bits(graph, sram_bytes=1, flash_bytes=1, margin=2)
    with pytest.raises(ScheduleError, match="bits are chosen for one schedule"):
        fit_bits(graph, profile="stm32f412", schedule="auto")


# ---------------------------------------------------------------------------------------------------------------------
# Fitting a board


@pytest.mark.parametrize("name", RUSCI)
def test_the_rows_of_table_4_fit_their_boards(name: str) -> None:
    profile, sram, flash = RUSCI[name]
    fit = fit_bits(name, profile=profile)
    assert fit.fits
    assert not fit.before.fits
    assert fit.report.fits
    assert fit.report.sram.peak_bytes <= sram < fit.before.sram.peak_bytes
    assert fit.report.flash.total_bytes is not None
    assert fit.before.flash.total_bytes is not None
    assert fit.report.flash.total_bytes <= flash < fit.before.flash.total_bytes
    assert fit.report.model.macs == fit.before.model.macs
    assert mcusim.simulate(fit.graph, profile=profile) == fit.report


def test_nothing_is_cut_where_all_fits() -> None:
    fit = fit_bits("mcunet-in2", profile="stm32f412")
    assert fit.fits
    assert fit.graph is fit.original
    assert fit.report == fit.before


def test_patches_leave_less_to_cut() -> None:
    layers, patched = (
        fit_bits("mbv2-w0.35-r144", profile="stm32f412", schedule=s, sram_budget_bytes=128 * KIB)
        for s in ("layer", "patch:3x3@13")
    )
    assert layers.fits
    assert patched.fits
    assert min(layers.allocation.activations.values()) < 8
    assert patched.graph is patched.original


def test_runtimes_cut_only_to_what_their_kernels_take() -> None:
    fit = fit_bits("mcunet-in2", profile="stm32h743", runtime="tflm", flash_budget_bytes=900 * KIB)
    assert fit.fits
    assert set(fit.allocation.weights.values()) == {8, 4}
    assert set(fit.allocation.activations.values()) == {8}
    assert fit.report.fits


def test_budgets_out_of_reach_say_how_far() -> None:
    fit = fit_bits("mcunet-in2", profile="stm32f410")
    assert not fit.fits
    lacking = fit.report.sram.peak_bytes - 32 * KIB, (fit.report.flash.total_bytes or 0) - 128 * KIB
    sram, flash = (f"{size / KIB:.1f} KiB" for size in lacking)
    assert fit.why == (
        f"with weights of 2 and activations of 2 bits everywhere it lacks {sram} of SRAM and {flash} of flash"
    )


# ---------------------------------------------------------------------------------------------------------------------
# Files


def test_where_no_layer_computes_nothing_can_be_cut() -> None:
    builder = GraphBuilder("reshaped only")
    x = builder.input((1, 800, 800, 1))
    graph = builder.build([builder.reshape(x, (1, 640_000))])
    fit = fit_bits(graph, profile="stm32f410", runtime="tinyengine")
    assert fit.layers == ()
    assert "of SRAM" in fit.why


def test_a_file_is_cut_too(tmp_path: Path) -> None:
    """Its plan and its size were those of the file; the cut network is none."""
    from mcusim.frontends.tflite import read_tflite
    from mcusim.zoo.export import export_model

    path = tmp_path / "net.tflite"
    export_model(residual(), path, 1)
    graph = read_tflite(path)
    narrow = with_bits(graph, uniform_allocation(graph, weight_bits=4, activation_bits=8))
    assert narrow.source.file_bytes is None
    again = tmp_path / "narrow.tflite"
    export_model(narrow, again)
    read = read_tflite(again)
    assert [t.dtype for t in read.tensors] == [t.dtype for t in narrow.tensors]
    given_x = list(inputs_for(graph, 3))
    np.testing.assert_array_equal(execution.execute(read, given_x)[0], execution.execute(narrow, given_x)[0])
    assert replace(read, name="").name == ""


def test_every_real_network_can_be_cut(corpus_model: CorpusModel) -> None:
    """Whatever operators it has, streaming state too: the plan holds, and what has weights runs with them cut."""
    graph = mcusim.load(corpus_model.path)
    before = allocation_of(graph)
    narrow = with_bits(graph, uniform_allocation(graph, weight_bits=4, activation_bits=4))
    assert set(allocation_of(narrow).activations.values()) <= {4}
    for tensor in (*graph.inputs, *graph.outputs):
        assert narrow.tensors[tensor].type is graph.tensors[tensor].type
    least = fit_bits(graph, profile="stm32f410")
    if least.fits:
        assert least.report.sram.peak_bytes <= 32 * KIB
    elif before.weights and least.fits is False:
        assert "it lacks" in least.why
    if float(corpus_model.row["macs_M"] or 0) < 1:
        outputs = execution.execute(narrow, list(inputs_for(graph, 0)), check=True)
        assert [array.shape for array in outputs] == [graph.tensors[index].shape for index in graph.outputs]


def test_fewer_bits_are_refused_where_sram_no_longer_holds_the_network() -> None:
    """TFLM unpacks int4 weights into scratch: half the flash, and 256 KiB of SRAM more than before."""
    b = mcusim.GraphBuilder("dense")
    graph = b.build([b.fully_connected(b.input((1, 1024)), 256)])
    asked: dict[str, Any] = {"profile": "stm32f412", "runtime": "tflm"}
    narrow = mcusim.simulate(chosen_bits(graph, "w4a8"), **asked)
    assert narrow.fits is False
    assert any(
        "unpacks weights below 8 bits into scratch" in warning and "256.0 KiB" in warning for warning in narrow.warnings
    )
    assert not any("unpacks" in warning for warning in mcusim.simulate(graph, **asked).warnings)
    fit = fit_bits(graph, flash_budget_bytes=250 << 10, **asked)
    assert fit.graph_is_unchanged
    assert not fit.fits
    assert fit.report.sram.peak_bytes == fit.before.sram.peak_bytes < 16 << 10
    assert "nothing is cut, as that takes SRAM from" in fit.why
    assert "tflm unpacks weights below 8 bits into scratch" in fit.why


def test_weights_are_not_cut_for_sram() -> None:
    """What lacks is SRAM, which fewer bits of weights do not give; tflm's kernels take activations of 8 bits only."""
    b = mcusim.GraphBuilder("dense")
    graph = b.build([b.fully_connected(b.input((1, 1024)), 256)])
    asked: dict[str, Any] = {"profile": "stm32f412", "runtime": "tflm", "sram_budget_bytes": 1 << 10}
    fitted = fit_bits(graph, **asked)
    assert fitted.before.fits is False
    assert fitted.graph_is_unchanged
    assert fitted.why.startswith("tflm takes no activations of fewer than 8 bits: it lacks ")
    assert fitted.why.endswith(" of SRAM")


def test_each_budget_cuts_what_it_holds() -> None:
    """Out of reach is the SRAM alone, or the flash alone: the other tensors keep their bits."""
    asked: dict[str, Any] = {"profile": "stm32h743", "runtime": "tinyengine"}
    sram = fit_bits("mcunet-in2", sram_budget_bytes=20 << 10, **asked)
    assert sram.why.startswith("with activations of 2 bits everywhere it lacks ")
    assert set(sram.allocation.weights.values()) == {8}
    flash = fit_bits("mcunet-in2", flash_budget_bytes=200 << 10, **asked)
    assert flash.why.startswith("with weights of 2 bits everywhere it lacks ")
    assert set(flash.allocation.activations.values()) == {8}


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_floats_are_not_cut(runtime: str) -> None:
    b = mcusim.GraphBuilder("floats", dtype=DType.FLOAT32)
    graph = b.build([b.fully_connected(b.input((1, 64)), 16)])
    fit = fit_bits(graph, profile="stm32f412", runtime=runtime, sram_budget_bytes=256)
    assert fit.graph_is_unchanged
    assert fit.why.startswith(
        "the network is a float32 network, and only integers are cut (quantise it first): it lacks"
    )
    verdict = mcusim.simulate(graph, profile="stm32f412", runtime=runtime, sram_budget_bytes=256).fits
    assert fit.fits is verdict
    shown = "".join(line.plain for line in bits_lines(fit, 200, ASCII))
    assert "No accuracy is lost" not in shown
    assert ("UNKNOWN" if verdict is None else "DOES NOT FIT") in shown

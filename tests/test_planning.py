"""Plans side by side, and the plan that a stock TFLM interpreter reads from the file."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from oracles import run_tflm

import mcusim
from mcusim import zoo
from mcusim.conventions import CONVENTIONS
from mcusim.errors import PlanError
from mcusim.frontends.tflite import read_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.graph import DType, Graph, retyped
from mcusim.lowering.reorder import reorder
from mcusim.memory.counting import compare_plans
from mcusim.memory.flash import flash_ledger
from mcusim.memory.planning import OFFLINE_METADATA, offline_plan, plan_memory
from mcusim.planners import check_plan
from mcusim.program import BufferKind
from mcusim.render.plan import ledger_lines, plan_lines
from mcusim.render.text import UNICODE
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.registry import LedgerItem

TRAVELS = {
    "mlperf_vww01_mbv1_025_96_int8": (73_728, 55_296),
    "mcunet_320kb_1mb_imagenet": (416_832, 397_920),
    "mww_v1_alexa": (21_216, 14_864),
    "mww_v2_okay_nabu": (4_096, 4_032),
    "tflm_person_detect": (55_296, 55_296),
}
"""Head of the interpreter without and with the plan, bytes."""


def head_bytes(content: bytes, capfd) -> int:
    """What the interpreter says it allocated."""
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime", reason="no tflite-micro (extra `oracles`)"
    )
    capfd.readouterr()
    runtime.Interpreter.from_bytes(content, arena_size=4 << 20).print_allocations()
    allocation = re.search(r"allocation head (\d+)", "".join(capfd.readouterr()))
    assert allocation
    return int(allocation[1])


def answers(content: bytes, graph: Graph, seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    inputs = [
        draw.integers(-128, 128, graph.tensors[t].shape).astype(graph.tensors[t].dtype.value) for t in graph.inputs
    ]
    return run_tflm(content, inputs, arena_bytes=4 << 20)


@pytest.mark.parametrize("name", TRAVELS)
def test_the_interpreter_allocates_what_the_plan_says_and_answers_the_same(corpus, capfd, name):
    path = corpus / "models" / f"{name}.tflite"
    graph = read_tflite(path)
    plan = offline_plan(graph)
    assert (plan.default_bytes, plan.arena_bytes) == TRAVELS[name]
    assert plan.arena_bytes == plan.lower_bound_bytes
    planned = write_tflite(graph, metadata={OFFLINE_METADATA: np.array(plan.vector, "<i4").tobytes()})
    assert head_bytes(path.read_bytes(), capfd) == plan.default_bytes
    assert head_bytes(planned, capfd) == plan.arena_bytes
    for seed in range(3):
        for before, after in zip(answers(path.read_bytes(), graph, seed), answers(planned, graph, seed), strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", ["mww_v1_alexa", "mltk_kws_on_off_v3"])
def test_a_better_order_answers_the_same_in_less(corpus, capfd, name):
    path = corpus / "models" / f"{name}.tflite"
    graph = read_tflite(path)
    reordered = reorder(graph, RUNTIMES["tflm"].rules)
    plan = offline_plan(reordered.graph)
    content = write_tflite(reordered.graph, metadata={OFFLINE_METADATA: np.array(plan.vector, "<i4").tobytes()})
    assert head_bytes(content, capfd) == plan.arena_bytes == reordered.peak_bytes < offline_plan(graph).arena_bytes
    for seed in range(3):
        for before, after in zip(answers(path.read_bytes(), graph, seed), answers(content, graph, seed), strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.corpus
def test_the_vector_fits_its_network(corpus_model):
    graph = read_tflite(corpus_model.path)
    plan = offline_plan(graph)
    version, subgraph, tensors, *offsets = plan.vector
    assert (version, subgraph) == (1, 0)
    assert tensors == len(offsets) == len(graph.tensors) + sum(len(s.tensors) for s in graph.subgraphs)
    assert plan.lower_bound_bytes <= plan.arena_bytes <= plan.default_bytes
    if plan.arena_bytes == plan.default_bytes:
        assert set(offsets) == {-1}, "nothing to gain: the interpreter plans as ever"
    for index, offset in enumerate(offsets):
        if offset != -1:
            assert offset % 16 == 0
            assert not graph.tensors[index].is_constant


def test_a_network_with_tensors_to_place_elsewhere_is_refused(corpus):
    graph = read_tflite(corpus / "models" / "mww_v2_okay_nabu.tflite")
    inner = zoo.build("smallcifar")
    mixed = Graph(graph.name, graph.tensors, graph.nodes, graph.inputs, graph.outputs, graph.source, (inner,))
    with pytest.raises(PlanError, match="would get an offset of the main graph"):
        offline_plan(mixed)


def test_only_tflm_reads_a_plan():
    with pytest.raises(PlanError, match="reads no plan from the model"):
        offline_plan(zoo.build("mcunet-vww0"), "tinyengine")


def test_everything_side_by_side():
    rows = compare_plans(zoo.build("mcunet-in3"))
    assert {row.name for row in rows} == {*RUNTIMES, *CONVENTIONS}
    assert {row.name for row in rows if row.unknown} == {n for n, runtime in RUNTIMES.items() if runtime.bounds_memory}
    totals = {row.name: row.total_bytes for row in rows}
    assert totals["tinyengine"] == 266_344
    assert totals["io"] == totals["live"] == 247_808
    for row in rows:
        assert row.total_bytes == sum(row.parts.values())
        assert row.what
    assert [row.is_placement for row in rows] == sorted([row.is_placement for row in rows], reverse=True)


def test_a_runtimes_plan_beside_the_best(corpus):
    plan = plan_memory(read_tflite(corpus / "models" / "mlperf_vww01_mbv1_025_96_int8.tflite"))
    assert (plan.arena_bytes, plan.best.arena_bytes) == (73_728, 55_296)
    assert plan.excess == pytest.approx(1 / 3)
    placed = [b for b in plan.program.buffers if b.kind is not BufferKind.HELD]
    check_plan(placed, plan.best.offset_bytes, plan.best.arena_bytes)


def old_style() -> Graph:
    """A convolution on uint8, which TFLM has no kernel for."""
    graph = zoo.build("smallcifar")
    tensors = tuple(
        replace(t, type=replace(t.type, dtype=DType.UINT8)) if t.dtype is DType.INT8 else t for t in graph.tensors
    )
    nodes = tuple(retyped(node, tensors) for node in graph.nodes)
    return replace(graph, tensors=tensors, nodes=nodes)


def test_a_plan_of_what_cannot_run_says_so():
    graph = old_style()
    plan = plan_memory(graph, "tflm")
    assert plan.refusals
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert set(plan.refusals) <= set(report.warnings)
    text = "\n".join(
        line.plain for line in plan_lines(plan, "", flash_ledger(graph, RUNTIMES["tflm"]), None, 100, UNICODE)
    )
    assert "! tflm cannot run" in text
    assert not plan_memory(mcusim.load("mcunet-vww0"), "tflm").refusals


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine"])
def test_steps_are_told_by_their_layers(runtime):
    graph = mcusim.load("mcunet-vww0")
    plan = plan_memory(graph, runtime)
    nodes = [graph.nodes[layer] for layer in plan.step_layers()]
    assert len(nodes) == len(plan.alive_bytes) > 10
    assert list(plan.step_names()) == [node.name for node in nodes]
    assert list(plan.step_ops()) == [node.op for node in nodes]


@pytest.mark.parametrize("missing", [0, 1, 500])
def test_what_no_item_of_the_model_tells_is_one_more(missing):
    graph, tflm = mcusim.load("smallcifar"), RUNTIMES["tflm"]
    model_bytes = tflm.flash(graph).model_bytes
    assert model_bytes
    known = (LedgerItem("weights", model_bytes - missing, ""),)
    items = flash_ledger(graph, replace(tflm, flash_ledger=lambda _: known)).model
    assert sum(item.size_bytes for item in items) == model_bytes
    assert len(items) == 1 + (missing > 0)


@pytest.mark.parametrize("name", ["mcunet-vww0", "smallcifar"])
def test_every_step_is_counted_with_one_kernel(name):
    """Where nothing is folded there are as many steps as layers."""
    graph = mcusim.load(name)
    ledger = flash_ledger(graph, RUNTIMES["tflm-cmsis-nn"])
    assert sum(kernel.layers for kernel in ledger.kernels) == len(plan_memory(graph, "tflm-cmsis-nn").step_names())
    assert len({kernel.name for kernel in ledger.kernels}) == len(ledger.kernels) > 2


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_ledger_tells_all_of_what_it_is(width):
    plan = plan_memory(mcusim.load("mcunet-vww0"), "tflm")
    items = RUNTIMES["tflm"].persistent_ledger(plan.program.graph)
    lines = [line.plain for line in ledger_lines("Persistent", items, width, UNICODE)]
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in line.split()]
    assert all(word in words for item in items for word in item.why.split())
    assert "…" not in "".join(lines)

"""Execution orders: against all topological orders of random graphs, each lowered and counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim import zoo
from mcusim.errors import PlanError
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.tflite import read_tflite
from mcusim.graph import Graph, Padding, signature
from mcusim.lowering import reorder as reordering
from mcusim.lowering.lower import lower
from mcusim.lowering.reorder import check_order, reorder
from mcusim.lowering.rules import LoweringRules
from mcusim.planners import live_bytes
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER

TFLM, TINYENGINE = RUNTIMES["tflm"].rules, RUNTIMES["tinyengine"].rules


def peak_bytes(graph: Graph, rules: LoweringRules) -> int:
    program = lower(graph, LAYER, rules)
    return max(live_bytes(program.buffers, program.length))


def with_order(graph: Graph, order) -> Graph:
    nodes = tuple(graph.nodes[i] for i in order)
    return Graph(graph.name, graph.tensors, nodes, graph.inputs, graph.outputs)


def is_topological(graph: Graph, order) -> bool:
    place = {node: time for time, node in enumerate(order)}
    return all(
        place[graph.producer[tensor]] < place[index]
        for index, node in enumerate(graph.nodes)
        for tensor in node.inputs
        if tensor in graph.producer
    )


def least_peak(graph: Graph, rules: LoweringRules) -> int:
    orders = filter(lambda order: is_topological(graph, order), permutations(range(len(graph.nodes))))
    return min(peak_bytes(with_order(graph, order), rules) for order in orders)


@st.composite
def branching_networks(draw) -> Graph:
    """Some nodes: pointwise and depthwise convolutions and ADDs on tensors of one resolution."""
    builder = GraphBuilder("random")
    tensors = [builder.input((1, 4, 4, draw(st.sampled_from([4, 16]))))]
    channels = {tensors[0]: builder.type_of(tensors[0]).channels}
    read: set[int] = set()
    for _ in range(draw(st.integers(2, 5))):
        source = draw(st.sampled_from(tensors))
        twins = [t for t in tensors if channels[t] == channels[source] and t != source]
        kind = draw(st.sampled_from(["conv", "depthwise", "add"]))
        read.add(source)
        if kind == "add" and twins:
            other = draw(st.sampled_from(twins))
            read.add(other)
            made = builder.add(source, other)
        elif kind == "depthwise":
            border = draw(st.sampled_from([0, Padding.VALID, Padding.VALID]))  # 0: a PAD node of its own
            made = builder.depthwise_conv_2d(source, 1, padding=border)
        else:
            made = builder.conv_2d(source, draw(st.sampled_from([4, 8, 16, 32])), 1, padding=Padding.VALID)
        channels[made] = builder.type_of(made).channels
        tensors.append(made)
    return builder.build([t for t in tensors if t not in read] or tensors[-1:])


@pytest.mark.slow
@pytest.mark.parametrize("rules", [TFLM, TINYENGINE], ids=["tflm", "tinyengine"])
@settings(max_examples=40)
@given(graph=branching_networks())
def test_no_topological_order_is_better(graph, rules):
    reordered = reorder(graph, rules)
    assert reordered.proved
    assert reordered.old_peak_bytes == peak_bytes(graph, rules)
    assert reordered.peak_bytes == peak_bytes(reordered.graph, rules) == least_peak(graph, rules)
    assert is_topological(graph, reordered.order)
    assert [graph.nodes[i] for i in reordered.order] == list(reordered.graph.nodes)


def test_the_first_step_takes_no_input_over():
    """An input is whole until the first step has run, so that step writes beside it, in place or not."""
    builder = GraphBuilder("chain")
    x = builder.depthwise_conv_2d(builder.input((1, 4, 4, 4)), 1, padding=Padding.VALID)
    reordered = reorder(builder.build([builder.depthwise_conv_2d(x, 1, padding=Padding.VALID)]), TINYENGINE)
    assert (reordered.old_peak_bytes, reordered.peak_bytes, reordered.lower_bound_bytes) == (128, 128, 128)


@given(graph=branching_networks())
def test_a_search_that_ends_early_is_honest(graph):
    early = reorder(graph, TFLM, sets=1)
    best = reorder(graph, TFLM)
    assert early.lower_bound_bytes <= best.peak_bytes <= early.peak_bytes <= early.old_peak_bytes
    assert early.peak_bytes == peak_bytes(early.graph, TFLM)


def two_branches() -> Graph:
    """Two branches that expand and project; the file runs both expansions first."""
    builder = GraphBuilder("branches")
    x = builder.input((1, 8, 8, 4))
    wide = [builder.conv_2d(x, 64, 1, padding=Padding.VALID) for _ in range(2)]
    narrow = [builder.conv_2d(w, 4, 1, padding=Padding.VALID) for w in wide]
    return builder.build([builder.add(*narrow)])


def test_a_branch_is_finished_before_the_next_begins():
    reordered = reorder(two_branches(), TFLM)
    assert reordered.order == (0, 2, 1, 3, 4)
    assert (reordered.old_peak_bytes, reordered.peak_bytes) == (64 * (64 + 64 + 4), 64 * (4 + 4 + 64))
    assert reordered.proved


def test_a_branch_whose_padding_is_folded_can_come_first():
    """The first node of the file leaves 16 KiB behind; the other branch is best over before that, PAD and all."""
    builder = GraphBuilder("padded")
    x = builder.input((1, 16, 16, 4))
    kept = builder.conv_2d(x, 64, 1, padding=Padding.VALID)
    wide = builder.conv_2d(x, 64, 3, padding=1)
    graph = builder.build([kept, builder.conv_2d(wide, 4, 1, padding=Padding.VALID)])
    better = reorder(graph, TINYENGINE)
    assert better.order == (1, 2, 3, 0)
    assert (better.old_peak_bytes, better.peak_bytes) == (256 * (64 + 64 + 4), 256 * (64 + 4 + 4))


@pytest.mark.parametrize("begun", [False, True])
def test_side_effects_keep_their_order(begun):
    """Operators that nobody knows may do anything, so they run in the file's order, whatever a better one would be."""
    builder = GraphBuilder("effects")
    x = builder.input((1, 8, 8, 4))
    wide = [builder.conv_2d(x, 64, 1, padding=Padding.VALID) for _ in range(2)]
    wide = [builder.unary("RELU", w) for w in wide] if begun else wide
    narrow = [builder.conv_2d(w, 4, 1, padding=Padding.VALID) for w in wide]
    known = builder.build([builder.add(*[builder.unary("RELU", n) for n in reversed(narrow)])])
    nodes = [
        replace(
            node, signature=signature("CUSTOM:Effect", node.attributes, node.signature.inputs, node.signature.outputs)
        )
        if node.op == "RELU"
        else node
        for node in known.nodes
    ]
    graph = replace(known, nodes=tuple(nodes))
    better = reorder(graph, TFLM)
    effects = [node.name for node in graph.nodes if node.op == "CUSTOM:Effect"]
    assert len(effects) == 2 + 2 * begun
    assert [node.name for node in better.graph.nodes if node.name in effects] == effects
    check_order(graph, better.order)


def test_a_chain_is_left_as_it_is():
    graph = zoo.build("mbv1-w0.5-r192")
    reordered = reorder(graph, TFLM)
    assert reordered.graph is graph
    assert reordered.proved


@pytest.mark.parametrize(
    ("order", "fault"), [((1, 0, 2, 3, 4), None), ((2, 0, 1, 3, 4), "not there yet"), ((0, 1, 2, 3), "no permutation")]
)
def test_the_check_of_an_order(order, fault):
    if fault is None:
        check_order(two_branches(), order)
    else:
        with pytest.raises(PlanError, match=fault):
            check_order(two_branches(), order)


IMPROVED = {"mltk_kws_on_off_v3": (21_568, 19_616), "mww_v1_alexa": (14_864, 14_208)}
"""Peak of live bytes under TFLM's rules before and after, of the corpus networks that another order makes smaller."""


@pytest.mark.corpus
def test_corpus_networks_in_their_best_order(corpus_model):
    graph = read_tflite(corpus_model.path)
    reordered = reorder(graph, TFLM)
    assert reordered.proved
    check_order(graph, reordered.order)
    same = reordered.old_peak_bytes
    assert (reordered.old_peak_bytes, reordered.peak_bytes) == IMPROVED.get(corpus_model.name, (same, same))
    effects = [n.name for n in graph.nodes if n.op in ("READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")]
    assert [n.name for n in reordered.graph.nodes if n.name in effects] == effects


def binary_tree(leaves: int) -> Graph:
    """All leaves are computed first, then added in pairs."""
    builder = GraphBuilder(f"tree of {leaves} leaves")
    source = builder.op("RELU", (builder.input((1, 8, 8, 4)),))
    level = [builder.op("RELU", (source,)) for _ in range(leaves)]
    while len(level) > 1:
        level = [builder.op("ADD", (a, b)) for a, b in zip(level[::2], level[1::2], strict=True)]
    return builder.build(level)


def sum_of_branches(branches: int) -> Graph:
    """All branches are computed first, then added to the sum, one after the other."""
    builder = GraphBuilder(f"{branches} branches")
    source = total = builder.op("RELU", (builder.input((1, 8, 8, 4)),))
    for branch in [builder.op("RELU", (source,)) for _ in range(branches)]:
        total = builder.op("ADD", (total, branch))
    return builder.build([total])


@pytest.mark.slow
def test_crowds_of_branches_are_reordered_within_the_limit_of_steps_tried():
    """No search ends on these: what is found by going on from where it stopped is one branch after the other."""
    one_map = 8 * 8 * 4
    tree = reorder(binary_tree(1024), TFLM)  # the source, a sum for each level, and the branch
    assert tree.peak_bytes == (1 + 10 + 1) * one_map
    assert not tree.proved
    summed = reorder(sum_of_branches(1000), TFLM)  # the source, the sum, its branch and the new sum
    assert summed.peak_bytes == 4 * one_map
    for reordered in (tree, summed):
        check_order(reordered.graph, range(len(reordered.graph.nodes)))


def test_steps_tried_are_limited(monkeypatch: pytest.MonkeyPatch):
    graph = sum_of_branches(60)
    monkeypatch.setattr(reordering, "STEPS_TRIED", 100)
    tried = []
    after = reordering._after
    monkeypatch.setattr(reordering, "_after", lambda *given: tried.append(given) or after(*given))
    assert reorder(graph, TFLM).peak_bytes == 4 * 8 * 8 * 4
    assert len(tried) < 100 + 61 + 2 * (100 + 2 * 121)  # the search, its last set, and two ways to the end

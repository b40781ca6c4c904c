"""The portfolio and the exact planner: against an optimum found by trying everything, and on hard instances."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import published
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcusim import zoo
from mcusim.frontends.tflite import read_tflite
from mcusim.graph import ABSENT
from mcusim.lowering.lower import lower
from mcusim.planners import PLANNERS, check_plan, live_bytes, peak_bytes, plan_optimal
from mcusim.planners.blocks import join
from mcusim.planners.crowded import place_crowded
from mcusim.planners.portfolio import crowded_portfolio, neighbours, place_each, portfolio, spread
from mcusim.planners.skyline import Budget, OutOfBudget, fit
from mcusim.program import Buffer, BufferKind
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER

# ---------------------------------------------------------------------------------------------------------------------
# The obvious optimum. Shares nothing with the planners: it does not even know blocks.


def heights(buffers: Sequence[Buffer]) -> list[dict[int, int]]:
    """For each chain of buffers that lie over each other: step -> bytes."""
    chain_of: dict[int, int] = {}
    chains: list[dict[int, int]] = []
    for index, buffer in enumerate(buffers):
        if buffer.over == ABSENT:
            chain_of[index] = len(chains)
            chains.append({})
        else:
            chain_of[index] = chain_of[buffer.over]
        chains[chain_of[index]].update(dict.fromkeys(range(buffer.first, buffer.end), buffer.size_bytes))
    return chains


def optimum(buffers: Sequence[Buffer]) -> int:
    """Bytes of the smallest plan: every chain in every order, each as low as it can lie on those before it."""
    chains = heights(buffers)
    alignment = {b.alignment for b in buffers}
    assert len(alignment) == 1

    def tops(placed: dict[int, int], left: frozenset[int], highest: int, best: int) -> Iterator[int]:
        if not left:
            yield highest
        for index in left:
            under = [o + chains[j][t] for j, o in placed.items() for t in chains[index] if t in chains[j]]
            offset = -(-max(under, default=0) // min(alignment)) * min(alignment)
            top = max(highest, offset + max(chains[index].values()))
            if top < best:
                for peak in tops({**placed, index: offset}, left - {index}, top, best):
                    best = min(best, peak)
                    yield peak

    everything = sum(max(chain.values()) + min(alignment) for chain in chains)
    return min(tops({}, frozenset(range(len(chains))), 0, everything + 1))


@st.composite
def small_instances(draw) -> list[Buffer]:
    """Up to seven buffers of one alignment; some take over the storage of one that ends where they start."""
    alignment = draw(st.sampled_from([1, 4]))
    buffers: list[Buffer] = []
    taken: set[int] = set()
    for index in range(draw(st.integers(1, 7))):
        first = draw(st.integers(0, 6))
        end = draw(st.integers(first + 1, 7))
        size, over = draw(st.integers(1, 12)), ABSENT
        ending = [i for i, b in enumerate(buffers) if b.end == first and i not in taken]
        if ending and draw(st.booleans()):
            over = draw(st.sampled_from(ending))
            taken.add(over)
            size = min(size, buffers[over].size_bytes)
        buffers.append(Buffer(f"b{index}", size, first, end, BufferKind.ACTIVATION, alignment, index, over))
    return buffers


@pytest.mark.slow
@settings(max_examples=300)
@given(buffers=small_instances())
def test_the_optimum_is_found_and_proved(buffers):
    plan = plan_optimal(buffers)
    check_plan(buffers, plan.offset_bytes, plan.arena_bytes)
    assert plan.proved
    assert plan.arena_bytes == optimum(buffers)


@pytest.mark.slow
@settings(max_examples=300)
@given(buffers=small_instances())
def test_the_search_says_yes_from_the_optimum_on(buffers):
    """Alone: before it, the planner tries plans that are found without a search, and most are the best already."""
    blocks, least = join(buffers), optimum(buffers)
    assert fit(blocks, least - 1, Budget(100_000)) is None
    for capacity in (least, least + 1):
        offsets = fit(blocks, capacity, Budget(100_000))
        assert offsets is not None
        check_plan(buffers, spread(len(buffers), blocks, offsets), capacity)


@settings(max_examples=400)
@given(buffers=small_instances())
def test_neighbours_have_the_heights_of_the_steps_that_they_share(buffers):
    chains, near = heights(buffers), neighbours(join(buffers))
    for mine, others in zip(chains, near, strict=True):
        expected = [
            (index, max(mine[t] for t in shared), max(theirs[t] for t in shared))
            for index, theirs in enumerate(chains)
            for shared in [mine.keys() & theirs.keys()]
            if shared and theirs is not mine
        ]
        assert sorted(others) == expected


def test_a_block_that_grows_where_its_neighbour_ends_is_small_beside_it():
    grows = [Buffer("small", 16, 0, 2), Buffer("large", 64, 2, 4, over=0), Buffer("beside", 32, 0, 2)]
    assert neighbours(join(grows)) == [[(1, 16, 32)], [(0, 32, 16)]]


def test_the_portfolio_is_the_smallest_of_all_that_it_tries_unless_one_is_enough():
    """Of crowds that fit badly first fit by size is seldom the best."""
    was_better = 0
    for seed in range(20):
        blocks = join(dense(14, 9, seed))
        near = neighbours(blocks)
        first = place_each(blocks, near, sorted(range(14), key=lambda i: -blocks[i].size_bytes), tightest=False)
        first_bytes = max(o + b.size_bytes for o, b in zip(first, blocks, strict=True))
        offsets, taken = portfolio(blocks, near, 0)
        assert max(o + b.size_bytes for o, b in zip(offsets, blocks, strict=True)) == taken <= first_bytes
        assert portfolio(blocks, near, 10**6)[1] >= taken
        was_better += taken < portfolio(blocks, near, 10**6)[1]
    assert was_better >= 3


@pytest.mark.slow
@settings(max_examples=400)
@given(buffers=small_instances())
def test_the_portfolio_of_the_crowded_tries_both_orders_unless_the_first_is_enough(buffers):
    blocks = join(buffers)

    def taken_bytes(order: list[int]) -> int:
        offsets = place_crowded(blocks, order, {})
        return max(offsets[index] + block.size_bytes for index, block in enumerate(blocks))

    by_size = taken_bytes(sorted(range(len(blocks)), key=lambda i: (-blocks[i].size_bytes, blocks[i].first)))
    by_start = taken_bytes(sorted(range(len(blocks)), key=lambda i: (blocks[i].first, -blocks[i].size_bytes)))
    assert crowded_portfolio(blocks, 0)[1] == min(by_size, by_start)
    assert crowded_portfolio(blocks, by_size)[1] == by_size
    offsets, taken = crowded_portfolio(blocks, 0)
    assert max(o + b.size_bytes for o, b in zip(offsets, blocks, strict=True)) == taken


@given(buffers=small_instances(), data=st.data())
def test_names_and_order_change_nothing_in_the_optimum(buffers, data):
    order = data.draw(st.permutations(range(len(buffers))))
    chains = [i for i in order if buffers[i].over == ABSENT]  # a buffer stays behind the one that it lies over
    order = sorted(
        order, key=lambda i: (buffers[i].over != ABSENT, i if buffers[i].over != ABSENT else chains.index(i))
    )
    place = {old: new for new, old in enumerate(order)}
    renamed = [
        buffers[i]._replace(
            name=f"x{place[i]}", tensor=place[i], over=place[buffers[i].over] if buffers[i].over != ABSENT else ABSENT
        )
        for i in order
    ]
    assert plan_optimal(renamed).arena_bytes == plan_optimal(buffers).arena_bytes


# ---------------------------------------------------------------------------------------------------------------------
# Instances made to be hard

UNREACHABLE = (
    (7, ((3, 0, 2), (4, 0, 4), (1, 2, 5), (2, 3, 6), (1, 4, 6), (4, 5, 8), (3, 6, 8))),
    (7, ((4, 0, 2), (3, 0, 3), (3, 2, 4), (1, 2, 5), (2, 3, 5), (2, 4, 6), (2, 4, 7), (3, 5, 8))),
    (6, ((2, 1, 2), (4, 0, 3), (1, 2, 4), (1, 2, 5), (1, 3, 5), (4, 4, 8), (2, 7, 8))),
)
"""Never more than so many bytes alive, and yet no plan fits into them: (size, first, end) of each buffer."""


@pytest.mark.parametrize("scale", [1, 16, 1000])
@pytest.mark.parametrize(("most_alive", "rows"), UNREACHABLE)
def test_an_optimum_above_the_live_bytes_is_proved(most_alive, rows, scale):
    buffers = [Buffer(f"b{i}", size * scale, first, end) for i, (size, first, end) in enumerate(rows)]
    plan = plan_optimal(buffers)
    assert max(live_bytes(buffers, 8)) == most_alive * scale
    assert plan.arena_bytes == plan.lower_bound_bytes == optimum(buffers) == (most_alive + 1) * scale
    assert plan.proved
    check_plan(buffers, plan.offset_bytes, plan.arena_bytes)


def test_several_unreachable_stretches_are_searched_apart():
    """Thirty copies one after the other: the search looks at each alone, not at their product."""
    most_alive, rows = UNREACHABLE[0]
    buffers = [Buffer(f"b{c}.{i}", s, 8 * c + f, 8 * c + e) for c in range(30) for i, (s, f, e) in enumerate(rows)]
    plan = plan_optimal(buffers)
    assert plan.arena_bytes == plan.lower_bound_bytes == most_alive + 1
    assert plan.nodes < 1000


def dense(count: int, steps: int, seed: int) -> list[Buffer]:
    """A crowd of buffers with sizes that fit badly: no network, a stress test."""
    draw = random.Random(seed)
    buffers = []
    for index in range(count):
        first = draw.randrange(steps)
        buffers.append(Buffer(f"b{index}", draw.randint(1, 60), first, draw.randint(first + 1, steps)))
    return buffers


@pytest.mark.parametrize("unit", [1, 16])
def test_a_search_that_ends_early_says_how_far_it_got(unit):
    buffers = [b._replace(size_bytes=unit * b.size_bytes, alignment=unit) for b in dense(60, 30, seed=3)]
    plan = plan_optimal(buffers, nodes=40)
    check_plan(buffers, plan.offset_bytes, plan.arena_bytes)
    assert not plan.proved
    assert max(live_bytes(buffers, 30)) <= plan.lower_bound_bytes < plan.arena_bytes
    assert 0 < plan.gap < 0.2
    assert plan.nodes <= 40
    assert plan == plan_optimal(buffers, nodes=40), "a limit in nodes is the same everywhere"


def test_a_budget_is_spent_to_its_last_node():
    budget = Budget(2)
    budget.spend()
    budget.spend()
    with pytest.raises(OutOfBudget):
        budget.spend()


def test_a_part_that_failed_is_not_searched_again_on_the_same_skyline():
    """A rectangle of 20 steps and 60 bytes, cut into 39 blocks: 1,174 nodes find it, without memory 2,165."""
    cut = [
        (0, 6, 6), (0, 6, 2), (6, 7, 8), (7, 20, 1), (7, 20, 3), (7, 20, 4), (0, 1, 52), (1, 2, 22), (1, 2, 30),
        (2, 3, 52), (3, 4, 15), (3, 4, 37), (4, 6, 32), (6, 11, 32), (11, 15, 32), (15, 16, 32), (4, 16, 4),
        (16, 20, 36), (4, 5, 1), (5, 7, 1), (7, 8, 1), (8, 10, 1), (10, 12, 1), (12, 13, 1), (4, 13, 1), (4, 13, 14),
        (13, 14, 4), (13, 14, 7), (14, 15, 11), (15, 16, 11), (16, 20, 11), (13, 20, 2), (13, 15, 2), (13, 15, 1),
        (15, 16, 2), (15, 16, 1), (16, 17, 3), (17, 18, 3), (18, 20, 3),
    ]  # fmt: skip
    buffers = [Buffer(f"b{i}", size_bytes, first, end, alignment=1) for i, (first, end, size_bytes) in enumerate(cut)]
    blocks = join(buffers)
    offsets = fit(blocks, 60, Budget(1500))
    assert offsets is not None
    check_plan(buffers, spread(len(buffers), blocks, offsets), 60)


def test_a_search_deeper_than_the_interpreters_stack():
    """A tower of 600 buffers that shrink one after the other, each with a small one beside its end."""
    tower = [Buffer(f"t{i}", 3 + i % 2, i, 1200 - i) for i in range(600)]
    plan = plan_optimal(tower, nodes=3000)
    check_plan(tower, plan.offset_bytes, plan.arena_bytes)
    assert fit(join(tower), sum(b.size_bytes for b in tower), Budget(10_000)) is not None


def test_a_block_that_shrinks_frees_its_upper_part():
    source = Buffer("in", 100, 0, 2)
    target = Buffer("out", 40, 2, 4, over=0)
    other = Buffer("other", 60, 2, 4)
    plan = plan_optimal([source, target, other])
    assert plan.offset_bytes == (0, 0, 40)
    assert plan.arena_bytes == 100
    assert plan.proved


def test_sizes_between_aligned_addresses_are_bounded_exactly():
    buffers = [Buffer(f"b{i}", 5, 0, 1, alignment=4) for i in range(3)]
    plan = plan_optimal(buffers)
    assert plan.arena_bytes == plan.lower_bound_bytes == 8 + 8 + 5


def test_nothing_to_place():
    held = Buffer("held", 9, 0, 1, BufferKind.HELD)
    for planner in PLANNERS.values():
        assert planner([]) == ()
    assert plan_optimal([held]).offset_bytes == (-1,)
    assert peak_bytes([held], [-1]) == plan_optimal([held]).arena_bytes == 0
    assert plan_optimal([held]).proved


# ---------------------------------------------------------------------------------------------------------------------
# Networks


def assert_proved(graph, runtime) -> int:
    program = lower(graph, LAYER, RUNTIMES[runtime].rules)
    planned = [b for b in program.buffers if b.kind is not BufferKind.HELD]
    plan = plan_optimal(planned)
    check_plan(planned, plan.offset_bytes, plan.arena_bytes)
    assert plan.proved
    assert plan.arena_bytes <= peak_bytes(program.buffers, RUNTIMES[runtime].planner(program.buffers))
    assert plan.nodes < 1000, "0.1 s or less"
    return plan.arena_bytes


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.corpus
def test_every_corpus_network_is_planned_minimally(corpus_model, runtime):
    arena_bytes = assert_proved(read_tflite(corpus_model.path), runtime)
    if runtime == "tflm":
        assert arena_bytes == published.OPTIMAL_TFLM_BYTES.get(corpus_model.name, arena_bytes)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", zoo.names())
def test_every_zoo_network_is_planned_minimally(name, runtime):
    assert_proved(zoo.build(name), runtime)

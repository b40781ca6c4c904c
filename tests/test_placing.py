"""Placement against the obvious way of doing it: 200 seeded instances, each byte of them looked at.

The same instances every time, so that a fault in a planner shows in the quick set too.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_planners import heights, optimum

from mcusim.errors import PlanError
from mcusim.graph import ABSENT
from mcusim.planners import check_plan, live_bytes, peak_bytes, plan_optimal
from mcusim.planners import crowded as crowded_module
from mcusim.planners import filled as filled_module
from mcusim.planners.blocks import join
from mcusim.planners.filled import FilledSteps
from mcusim.planners.first_fit import first_fit, tflm_greedy, tflm_place_rest, tinyengine_first_fit
from mcusim.planners.lower_bound import lower_bound_bytes
from mcusim.planners.portfolio import neighbours, place_each
from mcusim.program import Buffer, BufferKind

STEPS = 8


def instance(seed: int, most: int, alignments: Sequence[int]) -> list[Buffer]:
    """Some buffers take over the storage of one that ends where they start; some have no tensor."""
    rng = random.Random(seed)
    buffers: list[Buffer] = []
    taken: set[int] = set()
    for index in range(rng.randint(1, most)):
        first = rng.randint(0, STEPS - 2)
        end = rng.randint(first + 1, STEPS - 1)
        size, alignment, over = rng.randint(1, 12), rng.choice(alignments), ABSENT
        ending = [i for i, b in enumerate(buffers) if b.end == first and i not in taken]
        if ending and rng.random() < 0.5:
            over = rng.choice(ending)
            taken.add(over)
            size, alignment = min(size, buffers[over].size_bytes), buffers[over].alignment
        tensor = ABSENT if rng.random() < 0.2 else index
        buffers.append(Buffer(f"b{index}", size, first, end, BufferKind.ACTIVATION, alignment, tensor, over))
    return buffers


def bytes_of(buffer: Buffer, offset: int) -> set[tuple[int, int]]:
    """(step, address) of every byte that a buffer takes."""
    return {(t, a) for t in range(buffer.first, buffer.end) for a in range(offset, offset + buffer.size_bytes)}


def chains_of(buffers: Sequence[Buffer]) -> list[list[int]]:
    chain_of: dict[int, int] = {}
    chains: list[list[int]] = []
    for index, buffer in enumerate(buffers):
        chain_of[index] = len(chains) if buffer.over == ABSENT else chain_of[buffer.over]
        if buffer.over == ABSENT:
            chains.append([])
        chains[chain_of[index]].append(index)
    return chains


def largest_of(buffers: Sequence[Buffer], chain: Sequence[int]) -> int:
    return max(buffers[i].size_bytes for i in chain)


def placed_one_by_one(
    buffers: Sequence[Buffer], order: Sequence[Sequence[int]], known: dict[int, int] | None = None
) -> list[int]:
    """Every chain at the lowest aligned address at which all of its largest size is clear, address by address."""
    offsets = [-1] * len(buffers)
    used: set[tuple[int, int]] = set()
    for index, offset in (known or {}).items():
        offsets[index] = offset
        used |= bytes_of(buffers[index], offset)
    for chain in order:
        size = largest_of(buffers, chain)
        steps = range(min(buffers[i].first for i in chain), max(buffers[i].end for i in chain))
        alignment = buffers[chain[0]].alignment
        at = 0
        while any((t, a) in used for t in steps for a in range(at, at + size)):
            at += alignment
        for index in chain:
            offsets[index] = at
            used |= bytes_of(buffers[index], at)
    return offsets


@pytest.mark.parametrize("seeds", [range(100), range(100, 200)], ids=["first", "second"])
def test_first_fit_is_the_lowest_clear_address(seeds: range) -> None:
    for seed in seeds:
        buffers = instance(seed, 12, (4,))
        chains = chains_of(buffers)
        by_size = sorted(chains, key=lambda chain: -largest_of(buffers, chain))
        assert list(tinyengine_first_fit(buffers)) == placed_one_by_one(buffers, by_size), seed
        last = max((b.tensor for b in buffers), default=0)

        def late(chain: Sequence[int], buffers: Sequence[Buffer] = buffers, last: int = last) -> tuple[int, int]:
            tensor = buffers[chain[0]].tensor
            return -largest_of(buffers, chain), -(tensor if tensor >= 0 else last + 1 + chain[0])

        late_first = placed_one_by_one(buffers, sorted(chains, key=late))
        assert list(tflm_greedy(buffers)) == late_first, seed
        assert list(tflm_place_rest(buffers, [-1] * len(buffers))) == late_first, seed


def test_the_rest_goes_around_what_lies_already() -> None:
    buffers = [Buffer(f"b{i}", size, 0, 2, alignment=4, tensor=i) for i, size in enumerate((8, 4, 4, 12))]
    assert tflm_place_rest(buffers, [4, -1, 16, -1]) == (4, 0, 16, 20)
    assert tflm_place_rest(buffers, [0, -1, -1, -1]) == (0, 24, 20, 8)
    assert tflm_place_rest(buffers, [0, -1, -1, 12]) == (0, 24, 8, 12)
    # What is not aligned makes the others' places as odd: sizes alone are aligned.
    assert tflm_place_rest(buffers, [2, -1, -1, -1]) == (2, 26, 22, 10)


@pytest.mark.parametrize("tightest", [False, True])
def test_columns_of_numbers_place_as_pairs_do(tightest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(100):
        buffers = instance(seed, 14, (1, 4))
        blocks = join(buffers)
        order = sorted(range(len(blocks)), key=lambda index: -blocks[index].size_bytes)
        if not tightest:
            pairs = first_fit(buffers, blocks, order)
            with monkeypatch.context() as patched:
                patched.setattr(crowded_module, "MOST_PAIRS", -1)
                assert first_fit(buffers, blocks, order) == pairs, seed
        offset_of = crowded_module.place_crowded(blocks, order, {}, tightest=tightest)
        offsets = [offset_of[index] for index, block in enumerate(blocks)]
        spread = [0] * len(buffers)
        for block, offset in zip(blocks, offsets, strict=True):
            for member in block.members:
                spread[member] = offset
        check_plan(buffers, spread, peak_bytes(buffers, spread))


@given(
    steps=st.integers(1, 20),
    chunk_steps=st.integers(1, 5),
    asked=st.lists(
        st.tuples(st.integers(0, 19), st.integers(0, 20), st.integers(0, 3), st.integers(1, 3)), max_size=25
    ),
)
@example(steps=8, chunk_steps=2, asked=[(3, 4, 0, 1), (5, 6, 0, 2), (0, 8, 0, 3), (2, 7, 1, 1)])
@example(steps=8, chunk_steps=4, asked=[(0, 5, 0, 1), (6, 8, 0, 3), (0, 6, 0, 2)])
def test_levels_kept_by_chunks_are_those_kept_step_by_step(
    steps: int, chunk_steps: int, asked: list[tuple[int, int, int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(filled_module, "CHUNK_STEPS", chunk_steps)
        chunks, one_by_one = FilledSteps(steps), [0] * steps
        for first, end, level, rise in asked:
            end = min(end, steps)
            on_level = [step for step in range(first, end) if one_by_one[step] == level]
            for step in on_level:
                one_by_one[step] = level + rise
            assert chunks.raise_level(first, end, level, level + rise) == bool(on_level)
            assert chunks.highest(first, end) == max(one_by_one[first:end], default=0)
        assert [chunks.highest(step, step + 1) for step in range(steps)] == one_by_one


def test_the_tightest_gap_is_taken_where_that_is_asked_for() -> None:
    fixed = [Buffer("a", 4, 0, 1), Buffer("b", 4, 0, 1), Buffer("c", 4, 0, 1), Buffer("new", 2, 0, 1)]
    blocks = join(fixed)
    lies = {0: 0, 1: 12, 2: 18}  # gaps of 8 bytes from 4, and of 2 from 16
    assert crowded_module.place_crowded(blocks, [3], lies)[3] == 4
    assert crowded_module.place_crowded(blocks, [3], lies, tightest=True)[3] == 16


def test_of_pairs_too_the_tightest_gap_is_taken_also_where_it_is_the_lowest() -> None:
    blocks = join([Buffer("a", 4, 0, 1), Buffer("b", 4, 0, 1), Buffer("new", 2, 0, 1)])
    near = neighbours(blocks)
    for lies, tightest_at in (((2, 10, -1), 0), ((6, 12, -1), 10)):  # gaps of 2 and 4, of 6 and 2 bytes
        assert place_each(blocks, near, [2], tightest=False, known=lies)[2] == 0
        assert place_each(blocks, near, [2], tightest=True, known=lies)[2] == tightest_at


def test_what_lives_for_no_step_takes_nothing() -> None:
    lasting = [Buffer("a", 8, 0, 2), Buffer("b", 8, 1, 3)]
    assert lower_bound_bytes(join([*lasting, Buffer("never", 100, 2, 2)])) == lower_bound_bytes(join(lasting)) == 16


@pytest.mark.parametrize("alignment", [1, 4])
def test_the_optimum_of_seeded_instances(alignment: int) -> None:
    for seed in range(120):
        buffers = instance(seed, 6, (alignment,))
        plan = plan_optimal(buffers)
        check_plan(buffers, plan.offset_bytes, plan.arena_bytes)
        assert plan.arena_bytes == plan.lower_bound_bytes == optimum(buffers), seed


def test_no_plan_goes_below_the_bound() -> None:
    """Of one alignment the bound is the fullest step, all but one of its blocks rounded up."""
    for seed in range(200):
        for alignments in ((1,), (4,), (1, 2, 8)):
            buffers = instance(seed, 9, alignments)
            bound = lower_bound_bytes(join(buffers))
            assert bound <= peak_bytes(buffers, tinyengine_first_fit(buffers)), seed
            assert bound >= max(live_bytes(buffers, STEPS)), seed
            if len(alignments) == 1:
                [step] = alignments
                alive = [[chain[t] for chain in heights(buffers) if t in chain] for t in range(STEPS)]
                fullest = max(
                    sum(-(-size // step) * step for size in sizes) - max(-size % step for size in sizes)
                    for sizes in alive
                    if sizes
                )
                assert bound == fullest, seed


def test_blocks_of_two_alignments_are_bounded_at_every_step() -> None:
    buffers = [Buffer("a", 5, 0, 3, alignment=4), Buffer("b", 3, 1, 2, alignment=8), Buffer("c", 8, 3, 4, alignment=2)]
    assert lower_bound_bytes(join(buffers)) == 9  # step 1: 3 bytes up to 4, and 5 more
    assert lower_bound_bytes(join(buffers[2:])) == 8


@pytest.mark.parametrize(
    ("changed", "offset", "what"),
    [
        ({}, 1, "misaligned"),
        ({}, -4, "misaligned or outside"),
        ({}, 12, "outside the arena"),
        ({"first": 2}, 8, "never alive"),
        ({}, 4, "overlaps"),
        ({"over": 0, "first": 3, "end": 4}, 0, "does not take over"),
        ({"over": 0, "first": 2, "end": 3}, 8, "does not take over"),
        ({"over": 0, "first": 2, "end": 3, "size_bytes": 12}, 0, "does not take over"),
    ],
)
def test_a_wrong_plan_is_refused(changed: dict[str, int], offset: int, what: str) -> None:
    first = Buffer("first", 8, 0, 2, alignment=4)
    second = Buffer("second", 8, 0, 2, alignment=4)._replace(**changed)
    with pytest.raises(PlanError, match=what):
        check_plan([first, second], [0, offset], 20 if "size_bytes" in changed else 16)


def test_a_right_plan_is_taken_and_persistent_buffers_are_not_judged() -> None:
    first = Buffer("first", 8, 0, 2, alignment=4)
    check_plan([first, Buffer("second", 8, 0, 2, alignment=4)], [0, 8], 16)
    check_plan([first, Buffer("second", 8, 2, 3, alignment=4)], [0, 0], 8)
    check_plan([first, Buffer("over", 8, 2, 3, alignment=4, over=0)], [0, 0], 8)
    kept = Buffer("kept", 8, 0, 2, BufferKind.PERSISTENT, alignment=4)
    check_plan([first, kept], [0, 1], 8)
    with pytest.raises(PlanError, match="outside the arena"):
        check_plan([first, kept], [4, 0], 8)

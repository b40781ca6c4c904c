"""Crowds: so many blocks that no pairs of them are listed; the plan is that of the obvious rule, byte for byte."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcusim.planners import check_plan, crowded, peak_bytes, plan_optimal, tflm_greedy
from mcusim.planners.blocks import Block, Stretch, join
from mcusim.planners.crowded import is_crowded, place_crowded
from mcusim.planners.first_fit import first_fit
from mcusim.program import Buffer


@given(
    st.lists(
        st.tuples(st.integers(1, 90), st.integers(0, 12), st.integers(1, 8)).map(
            lambda t: Buffer("b", t[0], t[1], t[1] + t[2], alignment=4)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_crowded_first_fit_is_first_fit(buffers: list[Buffer]) -> None:
    blocks = join(buffers)
    order = sorted(range(len(blocks)), key=lambda index: -blocks[index].size_bytes)
    placed = place_crowded(blocks, order, {})
    assert [placed[index] for index in range(len(blocks))] == list(first_fit(buffers, blocks, order))
    for tightest in (False, True):
        tried = place_crowded(blocks, order, {}, tightest=tightest)
        offsets = [tried[index] for index in range(len(blocks))]
        check_plan(buffers, offsets, peak_bytes(buffers, offsets))


def _obviously(blocks: list[Block], order: list[int], fixed: dict[int, int], *, tightest: bool) -> dict[int, int]:
    """Each block above all that are alive with it, one after the other, in the first (tightest) gap that holds it."""
    offset_of = dict(fixed)
    for index in order:
        block = blocks[index]
        near = sorted(
            (offset, offset + stretch.size_bytes)
            for other, offset in offset_of.items()
            for stretch in blocks[other].stretches
            if stretch.first < block.end and stretch.end > block.first
        )
        lowest, rooms = 0, list[tuple[int, int]]()
        for offset, top in near:
            if offset - lowest >= block.size_bytes:
                rooms.append((offset - lowest, lowest))
            lowest = max(lowest, -(-top // block.alignment) * block.alignment)
        offset_of[index] = min(rooms)[1] if rooms and tightest else rooms[0][1] if rooms else lowest
    return offset_of


@pytest.mark.parametrize("seed", range(40))
def test_what_is_filled_below_hides_no_gap(seed: int) -> None:
    """Blocks that touch, of few sizes, some that lie already and not aligned: the obvious plan, byte for byte."""
    rng = random.Random(seed)
    count, length, sizes = rng.choice((40, 150)), rng.choice((3, 20, 100)), rng.choice(((256,), (0, 16, 48, 256, 300)))
    blocks: list[Block] = []
    for index in range(count):
        ends = sorted({rng.randrange(length) for _ in range(rng.choice((1, 1, 3)))} | {length + rng.randrange(9)})
        heights = [Stretch(first, end, rng.choice(sizes)) for first, end in pairwise(ends)]
        size_bytes = max(height.size_bytes for height in heights)
        alignment = rng.choice((1, 16)) if seed % 2 else 16
        blocks.append(Block((index,), size_bytes, ends[0], ends[-1], alignment, tuple(heights)))
    order = sorted(range(count), key=lambda index: (-blocks[index].size_bytes, -index if seed % 3 else index))
    fixed = {index: 16 * rng.randrange(60) + seed % 2 for index in order[: seed % 5]}
    for tightest in (False, True):
        rest = order[len(fixed) :]
        placed = place_crowded(blocks, rest, fixed, tightest=tightest)
        assert placed == _obviously(blocks, rest, fixed, tightest=tightest)


def test_how_far_all_is_filled_is_known_of_a_crowd() -> None:
    """Also where one fills the gap below another. So the look for a place begins where the crowd ends."""
    count = 500
    blocks = [Block((i,), 256, i, count + i, 16, (Stretch(i, count + i, 256),)) for i in range(count)]
    placed = crowded._Placed(blocks)
    placed.add(blocks[1], 256)
    for index in (0, *range(2, count)):
        placed.add(blocks[index], placed.gap_for(blocks[index], tightest=False))
        assert placed._filled.highest(0, 2 * count - 1) == 256 * max(index + 1, 2)


def test_crowds_are_planned_without_pairs() -> None:
    rng = random.Random(3)
    buffers = [Buffer(f"b{i}", rng.randrange(1, 500) * 16, i, 3000 - i, alignment=16, tensor=i) for i in range(1200)]
    assert is_crowded(join(buffers))
    plan = plan_optimal(buffers)
    assert plan.lower_bound_bytes <= plan.arena_bytes
    for offsets in (plan.offset_bytes, tflm_greedy(buffers)):
        assert peak_bytes(buffers, offsets) >= plan.lower_bound_bytes

"""ExecuTorch's planner: against the description of its algorithm, written down once more and simply."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from mcusim.planners import check_plan, executorch_greedy, peak_bytes
from mcusim.program import Buffer, BufferKind

SIZES = (16, 32, 48, 64, 160)


@st.composite
def drawn(draw: st.DrawFn) -> list[Buffer]:
    """Buffers in the order in which they appear, many of equal size."""
    buffers = []
    for index in range(draw(st.integers(1, 12))):
        first, length = draw(st.integers(0, 8)), draw(st.integers(1, 5))
        kind = draw(st.sampled_from((BufferKind.ACTIVATION, BufferKind.SCRATCH)))
        buffers.append(Buffer(f"b{index}", draw(st.sampled_from(SIZES)), first, first + length, kind, 16))
    return buffers


def simply(buffers: Sequence[Buffer]) -> list[int]:
    """Objects as lists of (buffer, offset): the first that is free, the first with room above, or a new one."""
    listed = sorted(range(len(buffers)), key=lambda i: (buffers[i].first, buffers[i].kind != BufferKind.SCRATCH, i))
    objects: list[list[tuple[int, int]]] = []
    while listed:
        largest = max(buffers[i].size_bytes for i in listed)
        chosen = [i for i in listed if buffers[i].size_bytes == largest][-1]
        listed.remove(chosen)
        mine = set(range(buffers[chosen].first, buffers[chosen].end))
        tops = []
        for each in objects:
            met = [o + buffers[i].size_bytes for i, o in each if mine & set(range(buffers[i].first, buffers[i].end))]
            tops.append(max(met, default=0))
        room = [buffers[each[0][0]].size_bytes for each in objects]
        free = [n for n, top in enumerate(tops) if top == 0]
        above = [n for n, top in enumerate(tops) if top and top + largest <= room[n]]
        if free:
            objects[free[0]].append((chosen, 0))
        elif above:
            objects[above[0]].append((chosen, tops[above[0]]))
        else:
            objects.append([(chosen, 0)])
    offsets, start = [-1] * len(buffers), 0
    for each in objects:
        for i, offset in each:
            offsets[i] = start + offset
        start += buffers[each[0][0]].size_bytes
    return offsets


@given(drawn())
def test_it_places_as_described(buffers: list[Buffer]) -> None:
    offsets = executorch_greedy(buffers)
    assert list(offsets) == simply(buffers)
    check_plan(buffers, offsets, peak_bytes(buffers, offsets))
    assert peak_bytes(buffers, offsets) >= max(buffer.size_bytes for buffer in buffers)

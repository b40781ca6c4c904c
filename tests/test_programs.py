"""What every Program keeps to, whoever lowered it: who is alive when, and which bytes each step is given.

Nothing is compared with a stored answer: each rule is looked at for every step and buffer of networks of several kinds.
"""

from __future__ import annotations

import pytest

from mcusim import GraphBuilder, zoo
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import ABSENT, Graph
from mcusim.lowering.lower import lower
from mcusim.memory.placement import place
from mcusim.planners import check_plan
from mcusim.program import BufferKind, Program, ViewKind
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import StageKind, parse_schedule


def branches() -> Graph:
    """Two branches that meet again, a depthwise convolution in place, a reshape, two outputs."""
    builder = GraphBuilder("branches")
    x = builder.input((1, 24, 20, 4))
    y = builder.conv_2d(x, 8, 3, padding=1)
    z = builder.conv_2d(builder.depthwise_conv_2d(y, 3, padding=1), 8, 1)
    w = builder.max_pool_2d(builder.add(y, z), 2, stride=2)
    pooled = builder.reshape(builder.mean(w), (1, 8))
    return with_seeded_weights(builder.build([builder.fully_connected(pooled, 3), w]), 0)


NETWORKS = {
    "branches": branches,
    "person-det": lambda: zoo.build("person-det"),
    "vww": lambda: zoo.build("mcunet-vww0"),
}
CASES = [
    ("branches", "tflm", "layer"),
    ("branches", "tflm-cmsis-nn", "layer"),
    ("branches", "tinyengine", "layer"),
    ("branches", "tinyengine", "patch:2x3@4"),
    ("branches", "mcusim", "layer@1+patch:3x2@2"),
    ("branches", "mcusim", "stream:5@4"),
    ("person-det", "tflm-cmsis-nn", "layer"),
    ("vww", "tinyengine", "patch:3x3@6"),
    ("vww", "mcusim", "stream:4@8+patch:2x2@3"),
]


@pytest.fixture(params=CASES, ids=" ".join, scope="module")
def program(request: pytest.FixtureRequest) -> Program:
    network, runtime, schedule = request.param
    return lower(NETWORKS[network](), parse_schedule(schedule), RUNTIMES[runtime].rules)


def uses(program: Program) -> dict[int, list[int]]:
    """Buffer -> the steps that read or write it, or have it as working memory."""
    of_buffer: dict[int, list[int]] = {}
    for time, step in enumerate(program.body()):
        buffers = {program.views[view].buffer for view in (*step.reads, *step.writes) if view != ABSENT}
        for buffer in buffers | {use.buffer for use in step.scratch}:
            if buffer != ABSENT:
                of_buffer.setdefault(buffer, []).append(time)
    return of_buffer


def whole_stages(program: Program) -> dict[int, tuple[int, int, StageKind]]:
    """Step -> first and end of its stage, and its kind."""
    spans, first = {}, 0
    for stage in program.stages:
        for time in range(first, first + len(stage.steps)):
            spans[time] = (first, first + len(stage.steps), stage.kind)
        first += len(stage.steps)
    return spans


def test_a_buffer_lives_from_its_first_use_to_its_last(program: Program) -> None:
    """In a cut stage what crosses its border lives for all of it: the next piece comes back to it."""
    of_buffer, spans = uses(program), whole_stages(program)
    kept = {program.views[home.view].buffer for home in (*program.inputs, *program.outputs) if home.view != ABSENT}
    for index, buffer in enumerate(program.buffers):
        assert 0 <= buffer.first < buffer.end <= program.length, buffer
        if buffer.kind in (BufferKind.HELD, BufferKind.VARIABLE, BufferKind.PERSISTENT):
            assert (buffer.first, buffer.end) == (0, program.length)
            continue
        times = of_buffer[index]
        assert buffer.first <= min(times) + (buffer.over != ABSENT), buffer  # beneath a smaller output lies the input
        taken_over = any(other.over == index and other.first == buffer.end for other in program.buffers)
        assert buffer.end >= max(times) + (not taken_over), buffer  # a step on top of its input still reads it
        if buffer.kind is BufferKind.SCRATCH:
            assert (buffer.first, buffer.end) == (times[0], times[-1] + 1), buffer
        elif index not in kept:
            least = min(spans[t][0] if spans[t][2] is not StageKind.LAYER else t for t in times)
            most = max(spans[t][1] if spans[t][2] is not StageKind.LAYER else t + 1 for t in times)
            assert least <= buffer.first, buffer
            assert buffer.end <= most, buffer


def test_outputs_live_to_the_end_and_inputs_from_the_start(program: Program) -> None:
    for home, end in [(home, "first") for home in program.inputs] + [(home, "end") for home in program.outputs]:
        view = program.views[home.view]
        tensors = program.graph.tensors  # a tensor that was only relabelled shares its view
        assert tensors[view.tensor].size_bytes == tensors[home.held].size_bytes
        if view.kind is not ViewKind.OUTSIDE:
            buffer = program.buffers[view.buffer]
            assert getattr(buffer, end) == (0 if end == "first" else program.length)


def test_every_step_reads_what_was_written(program: Program) -> None:
    written = {home.view for home in program.inputs}
    written |= {index for index, view in enumerate(program.views) if view.kind is ViewKind.OUTSIDE}
    for step in program.body():
        for view in step.reads:
            assert view == ABSENT or view in written, step.node
        written |= set(step.writes)
    assert {home.view for home in program.outputs} <= written | {ABSENT}


def test_views_lie_inside_of_their_buffers(program: Program) -> None:
    for view in program.views:
        if view.buffer == ABSENT:
            assert view.kind is ViewKind.OUTSIDE
            continue
        kind, room = program.graph.tensors[view.tensor].type, program.buffers[view.buffer].size_bytes
        if view.kind is ViewKind.WHOLE:
            assert view.offset_bytes + kind.size_bytes <= room
        elif view.kind is ViewKind.LINES:
            assert view.offset_bytes + view.row_capacity * view.row_pitch_bytes <= room
            assert view.row_pitch_bytes == kind.shape[2] * kind.shape[3] * kind.dtype.bits // 8


def test_the_regions_of_a_stage_cover_its_maps_once(program: Program) -> None:
    """What a stage leaves behind is written whole, and no element of it twice."""
    for stage in program.stages:
        if stage.kind is not StageKind.LAYER:
            last = stage.steps[-1]
            output = last.signature.output
            for spans, size in ((last.rows, output.rows), (last.cols, output.cols)):
                assert [place for span in spans for place in range(*span)] == list(range(size))
            assert (len(last.rows), len(last.cols)) == (stage.row_pieces, stage.col_pieces)


def test_a_placement_of_it_is_valid(program: Program) -> None:
    for runtime in ("tflm", "tinyengine", "mcusim"):
        placement = place(program, RUNTIMES[runtime].planner)
        check_plan(program.buffers, placement.offset_bytes, placement.arena_bytes + placement.held_bytes)

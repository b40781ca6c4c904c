"""Stages that run in pieces: regions, memory and work against published figures and against plain reasoning."""

from __future__ import annotations

from dataclasses import replace

import published
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_schedules import networks

from mcusim import simulate, zoo
from mcusim.errors import ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph, Padding
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace, LoweringRules
from mcusim.lowering.staging import bands, patches
from mcusim.memory.placement import place
from mcusim.ops import OPS
from mcusim.planners import check_plan
from mcusim.program import Program, ViewKind
from mcusim.region import Span
from mcusim.render.run_report import LayerChoice, report_lines
from mcusim.render.text import ASCII
from mcusim.report import Report
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER, Schedule, StageKind, StageSpec, parse_schedule

TINYENGINE = RUNTIMES["tinyengine"]
CLIPPED = replace(TINYENGINE.rules, uniform_patches=False)


def lowered(graph: Graph, spec: str, rules: LoweringRules = TINYENGINE.rules) -> Program:
    return lower(graph, parse_schedule(spec), rules, InputPlace.EXTERNAL)


def macs(program: Program, stage: int | None = None) -> int:
    steps = program.body() if stage is None else program.stages[stage].steps
    return sum(OPS[s.signature.op].work(s.signature, s.priced_rows, s.priced_cols, s.calls).macs for s in steps)


@pytest.mark.parametrize(("name", "spec"), published.TINYENGINE_PATCH_PEAK_BYTES)
def test_patch_memory_equals_the_generator_without_its_quirks(name, spec):
    program = lowered(zoo.build(name), spec)
    placement = place(program, TINYENGINE.planner)
    peak = placement.arena_bytes + placement.held_bytes
    assert peak == published.TINYENGINE_PATCH_PEAK_BYTES[name, spec]


def recomputed(report: Report) -> tuple[float, float]:
    """Of the first stage and of the network, as shares of what they compute without patches."""
    stage = report.schedule.stages[0]
    once = sum(layer.macs for layer in report.layers if stage.nodes[0] <= layer.index <= stage.nodes[1])
    return stage.recomputed_macs / once, report.schedule.recomputed_macs / report.model.macs


@pytest.mark.parametrize("name", published.MCUNETV2_PATCHED)
def test_patches_are_those_of_the_paper(name):
    spec, side, mega_macs, more = published.MCUNETV2_PATCHED[name]
    report = simulate(name, profile="stm32h743", schedule=spec)
    stage = report.schedule.stages[0]
    assert stage.input_piece == (side, side)
    share, _ = recomputed(report)
    assert round(share, 2) == more
    assert round(stage.recomputed_macs * (1 + 1 / share) / 1e6) == mega_macs


def test_the_redistributed_stage():
    stage = simulate("mbv2-rd", profile="stm32h743", schedule="patch:4x4@8").schedule.stages[0]
    once = 61_929_728  # what eight layers compute whole
    assert (once + stage.recomputed_macs) / 1e6 == pytest.approx(73.25, abs=0.005)
    assert stage.recomputed_macs / once == pytest.approx(0.183, abs=5e-4)


@pytest.mark.parametrize("runtime", published.MOBILENETV2_224_PATCHED)
def test_mobilenetv2_computes_so_much_again(runtime):
    report = simulate("mbv2-w1.0-r224", profile="stm32h743", schedule="patch:4x4@13", runtime=runtime)
    expected = published.MOBILENETV2_224_PATCHED[runtime]
    assert recomputed(report) == (
        pytest.approx(expected["stage"], abs=5e-4),
        pytest.approx(expected["network"], abs=5e-4),
    )


def test_a_report_tells_of_pieces():
    report = simulate("mbv2-w1.0-r224", profile="stm32h743", schedule="patch:4x4@13+layer@1+stream:7@3")
    lines = [line.plain for line in report_lines(report, 120, ASCII, LayerChoice.NONE)]
    start = lines.index("In pieces: 38.2 M MACs more (+12.7 %) than layer by layer")
    assert "4x4 patches" in lines[start + 1]
    assert "reads 75x75" in lines[start + 1]
    assert "38.2 M MACs more (+41.9 %)" in lines[start + 1]
    assert "4 bands" in lines[start + 2]
    assert "nothing twice" in lines[start + 2]


def test_an_input_that_is_only_relabelled_is_read_where_it_lies():
    """Its patches are no patches of the vector that it is: nothing is copied."""
    builder = GraphBuilder("vector")
    x = builder.reshape(builder.input((1, 48)), (1, 12, 4, 1))
    graph = builder.build([builder.conv_2d(builder.conv_2d(x, 4, 3, padding=Padding.SAME), 8, 1)])
    ops = [step.signature.op for step in lowered(graph, "patch:3x2@2").body()]
    assert ops == ["CONV_2D", "CONV_2D"]
    assert any(view.kind is ViewKind.OUTSIDE for view in lowered(graph, "stream:2@1").views)


def test_a_stream_computes_nothing_twice():
    graph = zoo.build("mbv2-w1.0-r224")
    for band in (1, 2, 3, 7, 28):
        program = lowered(graph, f"stream:{band}@13")
        assert macs(program) == macs(lowered(graph, "layer"))
        lines = [view for view in program.views if view.kind is ViewKind.LINES]
        assert bool(lines) == (band < 28)


def test_patches_and_bands_share_everything_out():
    assert patches(10, 3) == (Span(0, 3), Span(3, 6), Span(6, 10))
    assert bands(10, 10, 4) == (Span(0, 4), Span(4, 8), Span(8, 10))
    assert bands(20, 10, 4) == (Span(0, 8), Span(8, 16), Span(16, 20))


@st.composite
def scheduled(draw) -> tuple[Graph, Schedule]:
    graph = draw(networks())
    steps = lower(graph, LAYER, CLIPPED).stages[0].steps
    nodes = draw(st.integers(1, len(steps)))
    output = steps[nodes - 1].signature.output
    if draw(st.booleans()):
        grid = draw(st.integers(1, output.rows)), draw(st.integers(1, output.cols))
        return graph, Schedule((StageSpec(StageKind.PATCH, nodes, *grid),))
    return graph, Schedule((StageSpec(StageKind.STREAM, nodes, band_rows=draw(st.integers(1, output.rows))),))


@pytest.mark.parametrize("runtime", ["tinyengine", "tflm"])
@given(case=scheduled())
def test_every_schedule_covers_its_outputs_and_places_validly(runtime, case):
    graph, schedule = case
    chosen = RUNTIMES[runtime]
    for place_ in InputPlace:
        program = lower(graph, schedule, chosen.rules, place_)
        placement = place(program, chosen.planner)
        planned = [(b, o) for b, o in zip(program.buffers, placement.offset_bytes, strict=True) if b.kind != "held"]
        if planned:
            check_plan([b for b, _ in planned], [o for _, o in planned], placement.arena_bytes)
        assert_reads_only_what_was_written(program)


def assert_reads_only_what_was_written(program: Program) -> None:
    """Replay the program on sets of positions: whatever a step needs is there, and outputs are complete at the end."""
    present: dict[int, set[tuple[int, int]]] = {}  # view -> positions of its tensor that it holds
    for iteration in program.steps():
        step, region = iteration.step, iteration.region
        for index, view_index in enumerate(step.reads):
            if view_index < 0 or program.views[view_index].kind is ViewKind.OUTSIDE:
                continue
            view, source = program.views[view_index], step.signature.input(index)
            if view.tensor in program.graph.inputs and view.kind is ViewKind.WHOLE:
                continue
            need = OPS[step.signature.op].needs(step.signature, index, region.rows, region.cols)
            if need is None:
                need = region._replace(rows=Span(0, source.rows), cols=Span(0, source.cols))
            wanted = {
                (r, c)
                for r in range(max(need.rows.start, 0), min(need.rows.stop, source.rows))
                for c in range(max(need.cols.start, 0), min(need.cols.stop, source.cols))
            }
            assert wanted <= present.get(view_index, set()), (step.signature.op, iteration)
        for view_index in step.writes:
            view = program.views[view_index]
            new = {(r, c) for r in range(*region.rows) for c in range(*region.cols)}
            held = present.setdefault(view_index, set())
            if view.kind is ViewKind.PIECE:
                held.clear()
            elif view.kind is ViewKind.LINES:
                rows = {r % view.row_capacity for r, _ in new}
                held -= {(r, c) for r, c in held if r % view.row_capacity in rows}
                assert region.rows.length <= view.row_capacity
            held |= new
            if view.kind is ViewKind.PIECE:
                buffer = program.buffers[view.buffer]
                assert region.rows.length * view.row_pitch_bytes <= buffer.size_bytes
    for output in program.graph.outputs:
        kind = program.graph.tensors[output].type
        (view_index,) = [i for i, v in enumerate(program.views) if v.tensor == output]
        assert len(present[view_index]) == kind.rows * kind.cols


@pytest.mark.parametrize(
    ("spec", "message", "nearest"),
    [
        ("patch:2x2@0", "does not read", None),
        ("patch:2x@3", "does not read", None),
        ("layer+patch:2x2@3", "nothing can follow", None),
        ("patch:2x2@999", "computing nodes", "patch:2x2@44"),
        ("patch:99x2@3", "finer than", "patch:8x2@3"),
        ("patch:2x2@45", "needs its whole input", "patch:2x2@44"),
        ("stream:3@45", "needs its whole input", "stream:3@44"),
        ("layer@44+patch:1x1@1", "needs its whole input", "layer"),
        ("layer@40+patch:2x9@4+stream:1@1", "finer than", "layer@40+patch:2x8@4"),
        ("patch:2x2@40+layer@9", "are left for stage 2", "patch:2x2@40"),
    ],
)
def test_a_wrong_schedule_gets_one_sentence(spec, message, nearest):
    graph = GraphBuilder("classifier")
    x = graph.conv_2d(graph.input((1, 8, 8, 3)), 4, 3, padding=1)
    for _ in range(43):
        x = graph.conv_2d(x, 4, 1)
    built = graph.build([graph.fully_connected(graph.reshape(x, (1, 256)), 10)])
    with pytest.raises(ScheduleError, match=message) as refusal:
        lowered(built, spec)
    if nearest is not None:
        assert refusal.value.fix == f"use {nearest}, the nearest that works"
        lowered(built, nearest)


@st.composite
def uncuttable(draw, shape: tuple[int, ...]) -> Graph:
    """What cannot be cut at all, nothing that computes, or both between what can."""
    builder = GraphBuilder("uncuttable")
    x = builder.input(shape)
    match draw(st.sampled_from(("moves", "softmax", "between"))):
        case "moves":
            x = builder.reshape(x, (1, shape[2], shape[1], shape[3]))
        case "softmax":
            x = builder.softmax(x)
        case _:
            x = builder.softmax(builder.conv_2d(x, 4, 3, padding=Padding.SAME))
            x = builder.conv_2d(builder.conv_2d(x, 4, 3, padding=Padding.SAME), 4, 1)
    return builder.build([x])


@st.composite
def any_schedules(draw) -> Schedule:
    """Most of them of no use to any network that is drawn here."""
    number = st.integers(1, 12)
    kinds = (
        st.builds(StageSpec, st.just(StageKind.LAYER), number),
        st.builds(StageSpec, st.just(StageKind.PATCH), number, number, number),
        st.builds(lambda nodes, band: StageSpec(StageKind.STREAM, nodes, band_rows=band), number, number),
    )
    return Schedule(tuple(draw(st.lists(st.one_of(kinds), min_size=1, max_size=4))))


def cut_nodes(schedule: Schedule) -> set[int]:
    """The numbers of the computing nodes that run in pieces."""
    cut: set[int] = set()
    start = 0
    for stage in schedule.stages:
        end = start + (stage.nodes or 0)
        cut |= set(range(start, end)) if stage.kind is not StageKind.LAYER else set()
        start = end
    return cut


@given(graph=st.one_of(networks(), uncuttable((1, 6, 8, 3))), schedule=any_schedules())
def test_the_nearest_schedule_works(graph, schedule):
    try:
        lowered(graph, str(schedule))
    except ScheduleError as refusal:
        nearest = refusal.fix.removeprefix("use ").removesuffix(", the nearest that works")
        assert str(lowered(graph, nearest))
        assert nearest != str(schedule)
        assert cut_nodes(parse_schedule(nearest)) <= cut_nodes(schedule)


@given(text=st.text("layerpatchstream:x@+ 0123456789", max_size=30))
def test_what_is_meant_reads(text):
    try:
        parse_schedule(text)
    except ScheduleError as refusal:
        if "does not read" in refusal.what:
            meant = refusal.fix.removeprefix("write ").partition(": layer@N")[0]
            assert str(parse_schedule(meant)) == meant


def test_the_halo_of_a_stage_is_what_it_computes_twice_or_keeps() -> None:
    """Two convolutions of 3 x 3 over 16 x 16 x 8: what lies between them, worked out by hand."""
    builder = GraphBuilder("halo")
    x = builder.conv_2d(builder.input((1, 16, 16, 8)), 8, 3, padding=1)
    x = builder.conv_2d(x, 4, 3, padding=1)
    graph = builder.build([builder.conv_2d(x, 4, 1)])

    def halo_bytes(schedule: str) -> list[int]:
        report = simulate(graph, profile="stm32f412", runtime="mcusim", schedule=schedule)
        return [stage.halo_bytes for stage in report.schedule.stages]

    row_bytes = 16 * 8
    assert halo_bytes("layer") == [0]
    # A band of 4 rows needs 6 of the map between: the line buffer holds them.
    assert halo_bytes("stream:4@2") == [6 * row_bytes, 0]
    assert halo_bytes("stream:2@2") == [4 * row_bytes, 0]
    # Four patches of 8 x 8 need 9 x 9 each: at two sides the border of the map cuts the window.
    assert halo_bytes("patch:2x2@2") == [4 * 9 * 9 * 8 - 16 * 16 * 8, 0]

    report = simulate(graph, profile="stm32f412", runtime="mcusim", schedule="patch:2x2@2")
    again = (4 * 9 * 9 - 16 * 16) * 8 * 9 * 8  # pixels computed twice, each 8 channels of 3 x 3 x 8
    assert [stage.recomputed_macs for stage in report.schedule.stages] == [again, 0]


@pytest.mark.parametrize("first_rows", [8, 12])
def test_working_memory_of_patches_of_one_size_is_for_the_whole_patch(first_rows: int) -> None:
    """TinyEngine computes a patch at the border at full size too, so its buffer holds that: its input and padding.

    Each of three depthwise convolutions of 3 x 3 needs one more row at both ends: 2 x 2 patches of 4 rows ask 6 and 8.
    """
    builder = GraphBuilder("patches")
    x = builder.input((1, first_rows, first_rows, 4))
    for _ in range(3):
        x = builder.depthwise_conv_2d(x, 3, padding=Padding.SAME)
    program = lower(builder.build([x]), parse_schedule("patch:2x2@3"), RUNTIMES["tinyengine"].rules)
    rows = [first_rows // 2 + 2 * after for after in (2, 1, 0)]
    uses = [use for step in program.stages[0].steps for use in step.scratch if use.role == "im2col"]
    assert [use.size_bytes for use in uses] == [2 * (each + 2 + 2) ** 2 for each in rows]


def test_the_nearest_schedule_keeps_layers_before_a_stage_apart() -> None:
    """Two layers asked for, a sum over rows that cannot be cut, then the stage: three layers and the stage."""
    builder = GraphBuilder("sums")
    x = builder.conv_2d(builder.conv_2d(builder.input((1, 8, 8, 4)), 4, 1), 4, 1)
    x = builder.op("CUMSUM", (x, builder.integers([1])))
    for _ in range(3):
        x = builder.conv_2d(x, 4, 1)
    with pytest.raises(ScheduleError) as refusal:
        lowered(builder.build([x]), "layer@2+patch:2x2@4")
    assert "use layer@3+patch:2x2@3, the nearest" in refusal.value.fix


def test_the_nearest_schedule_leaves_out_what_is_one_pixel() -> None:
    """A map of one row can still be cut along its columns."""
    builder = GraphBuilder("row")
    x = builder.conv_2d(builder.input((1, 1, 32, 4)), 4, (1, 3))
    x = builder.conv_2d(x, 4, (1, 3))
    graph = builder.build([builder.average_pool_2d(x, (1, 28))])
    with pytest.raises(ScheduleError) as refusal:
        lowered(graph, "patch:1x4@3")
    assert "use patch:1x4@2, the nearest" in refusal.value.fix

"""The search: its costs against `lower`, its front against every schedule, its figures against published ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from itertools import pairwise

import pytest
from commands import run
from hypothesis import HealthCheck, given, settings
from strategies_schedules import networks

import mcusim
from mcusim import zoo
from mcusim.advising.remedies import RemedyKind, remedies
from mcusim.boards import load_board
from mcusim.cli.progress import progress_bar
from mcusim.errors import ScheduleError
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.lowering.staging import computes, network_of
from mcusim.ops.totals import count_macs
from mcusim.planners import live_bytes
from mcusim.pricing.breakdown import breakdown
from mcusim.pricing.prices import coefficients
from mcusim.program import BufferKind
from mcusim.published.tables.msfcnn import compare_msfcnn, front_of_macs, printed_networks, unfused_bytes
from mcusim.render.front import front_lines
from mcusim.render.text import UNICODE, kib
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import AUTO, LAYER, Schedule, StageKind, StageSpec, parse_schedule
from mcusim.searching import CUT_KINDS, Front, Space, front_schedules, routed, search
from mcusim.searching.explanation import explain
from mcusim.searching.paper_space import count_patched, search_paper_space
from mcusim.searching.routed import Routed
from mcusim.searching.stage_axes import band_heights
from mcusim.searching.stage_costs import Layers, Options, StageCosts
from mcusim.simulation.simulate import simulate

TINYENGINE = RUNTIMES["tinyengine"]
CLIPPED = replace(TINYENGINE, rules=replace(TINYENGINE.rules, uniform_patches=False))
SMALL_BOARD, KIB = "stm32f412", 1024


def prices(runtime: Runtime):
    return coefficients(runtime, load_board("stm32h743"))


def counted(graph: Graph, schedule: Schedule, runtime: Runtime, place: InputPlace) -> tuple[int, float]:
    """Live bytes with what is held beside them, and cycles, from the lowered Program."""
    program = lower(graph, schedule, runtime.rules, place)
    alive = live_bytes(program.buffers, program.length)
    held = sum(b.size_bytes for b in program.buffers if b.kind is BufferKind.HELD)
    layers = breakdown(program, alive, 0, runtime, prices(runtime)).layers
    return max(alive) + held, sum(layer.cycles or 0.0 for layer in layers)


def own_place(schedule: Schedule, runtime: Runtime) -> InputPlace:
    is_cut = bool(schedule.stages) and schedule.stages[0].kind is not StageKind.LAYER
    return (runtime.rules.patch_input_place if is_cut else None) or runtime.rules.input_place


# ---------------------------------------------------------------------------------------------------------------------
# Costs of one stage


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [TINYENGINE, CLIPPED, *(RUNTIMES[n] for n in ("tflm", "tflm-cmsis-nn", "mcusim"))])
@pytest.mark.parametrize("name", ["mcunet-vww0", "person-det", "mbv2-w0.35-r144"])
def test_stage_costs_equal_the_lowered_program(name, runtime):
    graph, draw = zoo.build(name), random.Random(name)
    costs = StageCosts(graph, runtime.rules, prices(runtime), 16)
    layers = {place: costs.layers(place) for place in InputPlace}
    for ends in costs.batches():
        for options in draw.choices([*costs.stages_to(ends)], k=2):
            for place in InputPlace:
                copies = options.first == 0 and place is InputPlace.EXTERNAL and runtime.rules.copies_input_patch
                if options.copied == copies:
                    row, entry = draw.randrange(len(options.ends)), draw.randrange(options.cycles.shape[1])
                    assert_cost(costs, options, (row, entry), layers[place], place, runtime)


def assert_cost(
    costs: StageCosts, options: Options, at: tuple[int, int], layers: Layers, place: InputPlace, runtime: Runtime
) -> None:
    spec, first = options.spec(*at), options.first
    before = (StageSpec(StageKind.LAYER, first),) if first else ()
    inside = range(costs.starts[first], costs.bounds[options.ends[at[0]]])
    around = [t for t in range(len(layers.cycles)) if t not in inside]
    live = max(
        [int(options.live_bytes[at]) + int(costs.outside_bytes(place)[first]), *(layers.live_bytes[t] for t in around)]
    )
    held = sum(
        max([int(sizes[at]), *(layers.held_bytes[t].get(name, 0) for t in around)])
        for name, sizes in options.held_bytes.items()
    )
    cycles = float(options.cycles[at]) + sum(layers.cycles[t] for t in around)
    expected = counted(costs.graph, Schedule((*before, spec)), runtime, place)
    assert (live + held, pytest.approx(cycles, rel=1e-9)) == expected, (str(spec), first, place)


@pytest.mark.parametrize("rows", [1, 2, 4096, 4097, 30_000, 10**6])
def test_bands_of_tall_maps_are_few(rows):
    heights = band_heights(rows).tolist()
    assert heights == sorted(set(heights))
    assert heights[-1] == rows
    assert heights == [*range(1, rows + 1)] or (rows > 4096 and len(heights) < 100)
    pieces = [-(-rows // height) for height in heights]
    assert pieces[0] <= 4096
    assert sum(pieces) < 42_000
    assert all(after <= before * 9 // 8 + 1 for before, after in pairwise(heights)) or rows <= 4096


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [TINYENGINE, RUNTIMES["mcusim"]])
def test_costs_of_bands_of_tall_maps_equal_the_lowered_program(runtime):
    builder, draw = GraphBuilder("tall"), random.Random(1)
    x = builder.input((1, 9000, 2, 4))
    for stride in (1, 2, 1):
        x = builder.conv_2d(x, 4, (3, 1), stride=(stride, 1))
    costs = StageCosts(builder.build([x]), runtime.rules, prices(runtime), 2)
    layers = costs.layers(InputPlace.ARENA)
    rows = set()
    for ends in costs.batches():
        for options in [stages for stages in costs.stages_to(ends) if not stages.copied]:
            row, bands = draw.randrange(len(options.ends)), range(options.grids, options.cycles.shape[1])
            for entry in (bands[0], draw.choice(bands), bands[-1]):
                assert_cost(costs, options, (row, entry), layers, InputPlace.ARENA, runtime)
                rows.add(options.spec(row, entry).band_rows)
    assert {2, 3, 4500, 9000} <= rows  # the finest and coarsest bands of maps of 4,500 and of 9,000 rows


# ---------------------------------------------------------------------------------------------------------------------
# The front


def every_schedule(graph: Graph, runtime: Runtime, space: Space) -> Iterator[Schedule]:
    """All of the space, by plain recursion."""
    steps = network_of(graph, runtime.rules).steps
    outputs = [step.signature.outputs[0] for step in steps if computes(step)]

    def stages(nodes: int, end: int) -> Iterator[StageSpec]:
        output = outputs[end - 1]
        for rows in range(1, min(space.grid, output.rows) + 1):
            for cols in range(1, min(space.grid, output.cols) + 1):
                yield StageSpec(StageKind.PATCH, nodes, rows, cols)
        for band in range(1, output.rows + 1):
            yield StageSpec(StageKind.STREAM, nodes, band_rows=band)

    def from_node(at: int, left: int) -> Iterator[tuple[StageSpec, ...]]:
        yield ()
        for start in range(at, len(outputs) if left else at):
            layers = (StageSpec(StageKind.LAYER, start - at),) if start > at else ()
            for end in range(start + 1, len(outputs) + 1):
                for stage in stages(end - start, end):
                    for rest in from_node(end, left - 1):
                        yield (*layers, stage, *rest)

    return map(Schedule, from_node(0, space.stages))


def brute_front(graph: Graph, runtime: Runtime, space: Space) -> list[tuple[int, float]]:
    points = set()
    for schedule in every_schedule(graph, runtime, space):
        try:
            points.add(counted(graph, schedule, runtime, own_place(schedule, runtime)))
        except ScheduleError:
            continue
    front: list[tuple[int, float]] = []
    for total, cycles in sorted(points):
        if not front or cycles < front[-1][1] * (1 - 1e-9):
            front.append((total, cycles))
    return front


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [TINYENGINE, RUNTIMES["tflm-cmsis-nn"]])
@settings(max_examples=12)
@given(graph=networks())
def test_the_front_is_that_of_every_schedule(runtime, graph):
    nodes = sum(map(computes, network_of(graph, runtime.rules).steps))
    space = Space(3, 1) if nodes <= 3 else Space(2, 2) if nodes <= 4 else Space(1, 3)
    points = front_schedules(graph, runtime, prices(runtime), space)
    front = sorted(counted(graph, schedule, runtime, place) for schedule, place in points)
    assert front == [(total, pytest.approx(cycles, rel=1e-9)) for total, cycles in brute_front(graph, runtime, space)]


def summed(*readers: int) -> Graph:
    """Inputs that are added up one after the other: each is copied by the stages that hold all its readers."""
    builder = GraphBuilder("summed")
    inputs = [builder.input((1, 6, 7, 3)) for _ in range(max(readers) + 1)]
    x = inputs[0]
    for reader in readers:
        x = builder.add(builder.conv_2d(x, 3, 3), inputs[reader])
    return builder.build([x])


@pytest.mark.slow
@pytest.mark.parametrize("readers", [(1, 2), (1, 0), (1, 1), (2, 1)])
def test_stages_copy_the_inputs_that_they_alone_read(readers):
    graph, space = summed(*readers), Space(1, 3)
    points = front_schedules(graph, TINYENGINE, prices(TINYENGINE), space)
    front = sorted(counted(graph, schedule, TINYENGINE, place) for schedule, place in points)
    brute = brute_front(graph, TINYENGINE, space)
    assert front == [(total, pytest.approx(cycles, rel=1e-9)) for total, cycles in brute]


def sieved_and_whole(monkeypatch, graph: Graph, runtime: Runtime, space: Space) -> tuple[list[object], list[object]]:
    """The front where few stages stand for all, and where all are kept."""
    whole = front_schedules(graph, runtime, prices(runtime), space)
    with monkeypatch.context() as here:
        here.setattr(routed, "STAGES_AT_ONCE", 40)
        return front_schedules(graph, runtime, prices(runtime), space), whole


@pytest.mark.slow
@pytest.mark.parametrize("runtime", [TINYENGINE, RUNTIMES["tflm-cmsis-nn"]])
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=networks())
def test_few_stages_may_stand_for_all(runtime, graph, monkeypatch):
    sieved, whole = sieved_and_whole(monkeypatch, graph, runtime, Space(3, 8))
    assert sieved == whole


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mcunet-vww1", "mbv2-w0.35-r144"])
def test_few_stages_may_stand_for_all_of_the_zoo(name, monkeypatch):
    sieved, whole = sieved_and_whole(monkeypatch, zoo.build(name), TINYENGINE, Space())
    assert sieved == whole


@pytest.mark.slow
def test_of_a_long_network_few_stages_are_kept(monkeypatch):
    """Maps within its blocks are far larger than those between them: any stage could be worth having."""
    builder = GraphBuilder("long")
    x = builder.input((1, 32, 32, 8))
    for _ in range(10):
        x = builder.conv_2d(builder.depthwise_conv_2d(builder.conv_2d(x, 48, 1), 3), 8, 1)
    graph = builder.build([x])
    whole = Routed(graph, TINYENGINE, prices(TINYENGINE), Space(), None, None)
    monkeypatch.setattr(routed, "STAGES_AT_ONCE", 4000)
    sieved = Routed(graph, TINYENGINE, prices(TINYENGINE), Space(), None, None)
    assert len(whole.stages.first) > 40_000
    assert len(sieved.stages.first) < len(whole.stages.first) / 5


@pytest.fixture(scope="module")
def wide() -> Front:
    return search("mbv2-w1.0-r224", profile="stm32h743", kinds=CUT_KINDS)


@pytest.mark.slow
def test_points_of_a_front_beat_one_another(wide):
    live, cycles = [p.live_bytes for p in wide.points], [p.cycles for p in wide.points]
    assert live == sorted(live, reverse=True) == sorted(set(live), reverse=True)
    assert cycles == sorted(cycles)
    assert all(point.gap_bytes >= 0 for point in wide.points)


@pytest.mark.slow
def test_a_point_is_what_simulate_answers(wide):
    for point in wide.points[:: len(wide.points) // 6]:
        report = simulate(wide.graph, profile=wide.board, schedule=point.schedule)
        assert (report.sram.peak_bytes, report.latency.cycles) == (point.peak_bytes, point.cycles)
        assert report.schedule.recomputed_macs == point.recomputed_macs
        assert report.input.where == point.input_place


def test_more_freedom_is_never_worse(wide):
    narrow = search("mbv2-w1.0-r224", profile="stm32h743", max_stages=1, max_grid=4, kinds=["patch"])
    for point in narrow.points:
        assert any(p.live_bytes <= point.live_bytes and p.cycles <= point.cycles * (1 + 1e-9) for p in wide.points)
    assert all(stage.kind is not StageKind.STREAM for p in narrow.points for stage in p.schedule.stages)


# ---------------------------------------------------------------------------------------------------------------------
# Published figures


@pytest.mark.slow
def test_the_papers_space_gives_the_papers_plan(wide):
    graph = zoo.build("mbv2-w1.0-r224")
    plan = search_paper_space(graph, 4)
    assert (plan.blocks, plan.grid, str(plan.schedule)) == (5, 4, "patch:4x4@13")
    assert plan.peak_bytes == 171.5 * KIB
    assert plan.stage_bytes == pytest.approx(158.5 * KIB, abs=0.05 * KIB)
    assert plan.stage_macs == pytest.approx(129.5e6, abs=0.05e6)
    assert count_patched(graph, 4, 4).peak_bytes > plan.peak_bytes
    # The wider space: less SRAM than that plan takes, at fewer cycles.
    papers = simulate(graph, profile="stm32h743", schedule=plan.schedule)
    assert any(p.peak_bytes < papers.sram.peak_bytes and p.cycles < papers.latency.cycles for p in wide.points)


def test_msfcnn_counts_the_same_without_fusion():
    for network in printed_networks():
        (ram_bytes, macs), graph = network.plans[0], network.graph()
        assert unfused_bytes(graph) == ram_bytes
        assert count_macs(graph) == pytest.approx(macs, rel=0.002)


@pytest.mark.slow
def test_a_plan_of_msfcnn_beside_the_front():
    network = printed_networks()[0]
    patches = frozenset({StageKind.PATCH})
    narrow, wide = Space(1, 4, patches), Space(2, 8, frozenset({StageKind.PATCH, StageKind.STREAM}))
    rows = list(compare_msfcnn([narrow, wide], [network]))
    assert [row.ram_bytes for row in rows] == [ram for ram, _ in network.plans[1:]]
    for row in rows:
        assert row.theirs > 1
        for narrower, wider in pairwise(row.ours):
            assert narrower is None or wider is None or 1 <= wider <= narrower
    front = front_of_macs(network.graph(), wide)
    assert min(macs for held, macs in front if held <= rows[0].ram_bytes) == rows[0].ours[1] * count_macs(
        network.graph()
    )


@pytest.mark.slow
def test_a_published_out_of_memory_row_fits():
    front = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=CUT_KINDS)
    assert not front.layer.fits
    assert front.best is not None
    assert front.best.peak_bytes <= front.budget_bytes
    patched = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=["patch"]).best
    assert patched is not None
    assert patched.ms < front.layer.ms * 1.01


# ---------------------------------------------------------------------------------------------------------------------
# What is made of it


@pytest.mark.slow
def test_auto_takes_the_best_schedule():
    assert parse_schedule(" auto ") == AUTO
    assert str(AUTO) == "auto"
    assert not AUTO.is_layer
    report = simulate("mbv2-w0.35-r144", profile=SMALL_BOARD, schedule="auto")
    best = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=["patch"]).best  # what TinyEngine can run
    assert best is not None
    assert report.fits
    assert report.schedule.spec == str(best.schedule)
    with pytest.raises(ScheduleError, match="no board"):
        lower(zoo.build("mcunet-vww0"), AUTO, TINYENGINE.rules)
    with pytest.raises(ScheduleError, match="does not read"):
        parse_schedule("layer@1+auto")


def test_a_long_search_shows_how_far_it_is(monkeypatch):
    reported: list[tuple[str, int, int]] = []
    front = search("mcunet-vww0", profile=SMALL_BOARD, progress=lambda *now: reported.append(now))
    assert [*dict.fromkeys(what for what, _, _ in reported)] == ["pricing stages", "finding the front", "placing"]
    assert reported[-1] == ("placing", len(front.points), len(front.points))
    terminal = StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("mcusim.cli.progress.PATIENCE_SECONDS", 0)
    with progress_bar() as bar:
        assert bar is not None
        bar("placing", 1, 3)
    assert "placing" in terminal.getvalue()
    monkeypatch.setattr("sys.stderr", StringIO())
    with progress_bar() as bar:
        assert bar is None


def test_where_nothing_fits_it_says_how_far_away():
    front = search(
        "mcunet-vww0", profile=SMALL_BOARD, max_stages=1, max_grid=2, kinds=CUT_KINDS, sram_budget_bytes=1000
    )
    assert front.best is None
    assert front.missing_bytes == front.nearest.peak_bytes - 1000 > 0
    assert search("mcunet-vww0", profile=SMALL_BOARD, max_stages=0).points[0].schedule == LAYER


@pytest.mark.parametrize(
    ("options", "message"),
    [({"max_grid": 0}, "max_grid"), ({"max_stages": -1}, "max_stages"), ({"kinds": ["x"]}, "kind")],
)
def test_a_wrong_space_gets_one_sentence(options, message):
    with pytest.raises(ScheduleError, match=message):
        search("mcunet-vww0", profile=SMALL_BOARD, **options)


def test_an_explanation_adds_up():
    front = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=["patch"])
    for point in (front.best, front.nearest):
        story = explain(front, point)
        assert story.fullest_after.live_bytes <= point.live_bytes <= point.peak_bytes
        assert sum(item.bytes for item in story.fullest_after.alive) == story.fullest_after.live_bytes
        assert sum(layer.done_macs - layer.once_macs for layer in story.layers) == point.recomputed_macs
        assert sum(stage.halo_bytes for stage in story.stages) >= sum(layer.halo_bytes for layer in story.layers)
        assert sum(stage.recomputed_macs for stage in story.stages) == point.recomputed_macs
        assert sum(stage.more_ms for stage in story.stages) == pytest.approx(point.ms - front.layer.ms)
        assert "+".join(stage.spec for stage in story.stages) == "+".join(
            str(stage) for stage in point.schedule.stages if stage.kind is not StageKind.LAYER
        )


@pytest.mark.parametrize("width", [60, 140])
@pytest.mark.parametrize("kinds", [["patch"], ["patch", "stream"]])
def test_the_answer_says_why(kinds, width):
    front = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=kinds)
    assert front.best is not None
    story = explain(front, front.best)
    lines = [line.plain for line in front_lines(front, story, width, UNICODE)]
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    before, after = story.fullest_before, story.fullest_after
    for said in (
        f"SRAM {kib(front.layer.peak_bytes)} -> {kib(front.best.peak_bytes)} KiB",
        f"Layer by layer {before.layer} ({before.op}) sets the peak: {kib(before.live_bytes)} KiB",
        f"Now {after.layer} ({after.op}) sets the peak: {kib(after.live_bytes)} KiB",
        "What the halos cost",
        "What is computed again" if kinds == ["patch"] else "Nothing is computed twice",
    ):
        assert said in text


@pytest.mark.slow
def test_remedies_come_best_first():
    advice = remedies("mbv2-w0.35-r144", profile=SMALL_BOARD)
    assert advice.report.fits is False
    kinds = [remedy.kind for remedy in advice.remedies]
    assert kinds[0] is RemedyKind.SCHEDULE
    assert {RemedyKind.BOARD, RemedyKind.BITS, RemedyKind.RESOLUTION} <= set(kinds)
    fits = [remedy.fits for remedy in advice.remedies]
    assert fits == sorted(fits, reverse=True)
    for remedy in advice.remedies:
        if remedy.fits and remedy.kind is not RemedyKind.BOARD:
            assert remedy.sram_bytes <= advice.report.sram.budget_bytes


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mcunet-vww1", "mbv2-w0.35-r144"])
@pytest.mark.parametrize("runtime", ["tinyengine", "tflm", "mcusim"])
def test_python_and_the_command_line_choose_among_the_same(model: str, runtime: str) -> None:
    """Without a wish both have the stages that the runtime can run."""
    front = search(model, profile=SMALL_BOARD, runtime=runtime)
    code, out, _ = run("patch", model, "--profile", SMALL_BOARD, "--runtime", runtime, "--json", "-")
    assert code == 0
    document = json.loads(out)
    shown = [(point["schedule"], point["peak_bytes"]) for point in document["points"]]
    assert shown == [(str(point.schedule), point.peak_bytes) for point in front.points]
    best = front.best or front.nearest
    chosen = mcusim.simulate(model, profile=SMALL_BOARD, runtime=runtime, schedule="auto")
    assert chosen.schedule.spec == str(best.schedule)
    assert chosen.sram.peak_bytes == best.peak_bytes

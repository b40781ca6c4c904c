"""The search: its costs against `lower`, its front against every schedule, its figures against published ones."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from test_stages import networks

from mcusim import zoo
from mcusim.breakdown import breakdown
from mcusim.errors import ScheduleError
from mcusim.graph import Graph
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.lowering.staging import computes, network_of
from mcusim.planners import live_bytes
from mcusim.price import coefficients
from mcusim.program import BufferKind
from mcusim.runtimes import RUNTIMES, Runtime
from mcusim.schedule import AUTO, LAYER, Schedule, StageKind, StageSpec, parse_schedule
from mcusim.searching import Front, Space, front_schedules, search
from mcusim.searching.advice import advise
from mcusim.searching.explanation import explain
from mcusim.searching.paper_space import count_patched, search_paper_space
from mcusim.searching.remedies import RemedyKind, remedies
from mcusim.searching.stage_costs import Layers, Options, StageCosts
from mcusim.simulation import simulate

TINYENGINE = RUNTIMES["tinyengine"]
CLIPPED = replace(TINYENGINE, rules=replace(TINYENGINE.rules, uniform_patches=False))
SMALL_BOARD, KIB = "stm32f412", 1024


def prices(runtime: Runtime):
    return coefficients(runtime.price_family, "cortex-m7")


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


@pytest.mark.parametrize("runtime", [TINYENGINE, CLIPPED, RUNTIMES["tflm"], RUNTIMES["tflm-cmsis-nn"]])
@pytest.mark.parametrize("name", ["mcunet-vww0", "person-det", "mbv2-w0.35-r144"])
def test_stage_costs_equal_the_lowered_program(name, runtime):
    graph, draw = zoo.build(name), random.Random(name)
    costs = StageCosts(graph, runtime.rules, prices(runtime), 16)
    layers = {place: costs.layers(place) for place in InputPlace}
    for end in draw.sample(range(1, len(costs.bounds)), 4):
        for options in costs.stages_to(end):
            is_copied, options = options.first < 0, options._replace(first=max(options.first, 0))
            for place in InputPlace:
                copies = options.first == 0 and place is InputPlace.EXTERNAL and runtime.rules.copies_input_patch
                if is_copied == copies:
                    entry = draw.randrange(options.cycles.size)
                    assert_cost(costs, options, entry, layers[place], place, runtime)


def assert_cost(
    costs: StageCosts, options: Options, entry: int, layers: Layers, place: InputPlace, runtime: Runtime
) -> None:
    spec, first = options.spec(entry), options.first
    before = (StageSpec(StageKind.LAYER, first),) if first else ()
    inside = range(costs.starts[first], costs.bounds[options.end])
    around = [t for t in range(len(layers.cycles)) if t not in inside]
    live = max(
        [int(options.live_bytes[entry]) + costs.outside_bytes(first, place), *(layers.live_bytes[t] for t in around)]
    )
    held = sum(
        max([int(sizes[entry]), *(layers.held_bytes[t].get(name, 0) for t in around)])
        for name, sizes in options.held_bytes.items()
    )
    cycles = float(options.cycles[entry]) + sum(layers.cycles[t] for t in around)
    expected = counted(costs.graph, Schedule((*before, spec)), runtime, place)
    assert (live + held, pytest.approx(cycles, rel=1e-9)) == expected, (str(spec), first, place)


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


@pytest.mark.parametrize("runtime", [TINYENGINE, RUNTIMES["tflm-cmsis-nn"]])
@settings(max_examples=12)
@given(graph=networks())
def test_the_front_is_that_of_every_schedule(runtime, graph):
    nodes = sum(map(computes, network_of(graph, runtime.rules).steps))
    space = Space(3, 1) if nodes <= 3 else Space(2, 2) if nodes <= 4 else Space(1, 3)
    found = front_schedules(graph, runtime, prices(runtime), space)
    front = sorted(counted(graph, schedule, runtime, place) for schedule, place in found)
    assert front == [(total, pytest.approx(cycles, rel=1e-9)) for total, cycles in brute_front(graph, runtime, space)]


@pytest.fixture(scope="module")
def wide() -> Front:
    return search("mbv2-w1.0-r224", profile="stm32h743")


def test_points_of_a_front_beat_one_another(wide):
    live, cycles = [p.live_bytes for p in wide.points], [p.cycles for p in wide.points]
    assert live == sorted(live, reverse=True) == sorted(set(live), reverse=True)
    assert cycles == sorted(cycles)
    assert all(point.gap_bytes >= 0 for point in wide.points)


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


def test_a_published_out_of_memory_row_fits():
    front = search("mbv2-w0.35-r144", profile=SMALL_BOARD)
    assert not front.layer.fits
    assert front.best is not None
    assert front.best.peak_bytes <= front.budget_bytes
    patched = search("mbv2-w0.35-r144", profile=SMALL_BOARD, kinds=["patch"]).best
    assert patched is not None
    assert patched.ms < front.layer.ms * 1.01


# ---------------------------------------------------------------------------------------------------------------------
# What is made of it


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


def test_where_nothing_fits_it_says_how_far_away():
    front = search("mcunet-vww0", profile=SMALL_BOARD, max_stages=1, max_grid=2, sram_budget_bytes=1000)
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


def test_remedies_come_best_first():
    found = remedies("mbv2-w0.35-r144", profile=SMALL_BOARD)
    assert found.report.fits is False
    kinds = [remedy.kind for remedy in found.remedies]
    assert kinds[0] is RemedyKind.SCHEDULE
    assert {RemedyKind.BOARD, RemedyKind.RESOLUTION} <= set(kinds)
    fits = [remedy.fits for remedy in found.remedies]
    assert fits == sorted(fits, reverse=True)
    for remedy in found.remedies:
        if remedy.fits and remedy.kind is not RemedyKind.BOARD:
            assert remedy.sram_bytes <= found.report.sram.budget_bytes


def test_advice_names_the_kernel_that_costs_most():
    found = advise("mbv2-w1.0-r224", "patch:4x4@13")
    saved = [change.saved_macs for change in found.changes]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > 0
    assert found.redistributed is not None
    assert found.redistributed.recomputed_macs < found.before.recomputed_macs
    with pytest.raises(ScheduleError, match="no patch stage"):
        advise("mbv2-w1.0-r224", "layer")

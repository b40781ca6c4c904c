"""Plots: made, the same every time, small, legible anywhere; and the timeline as text."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import run
from reports import layer, report
from rich.cells import cell_len

import mcusim
from mcusim.boards import load_board
from mcusim.lowering.lower import lower
from mcusim.lowering.rules import InputPlace
from mcusim.memory.planning import plan_memory
from mcusim.region import Span
from mcusim.render import style
from mcusim.render.arena import peak_step, timeline_lines
from mcusim.render.bars import memory_plot
from mcusim.render.layer_times import layers_plot
from mcusim.render.layers import executed
from mcusim.render.patches import _origin as origin
from mcusim.render.patches import patches_plot
from mcusim.render.spending import CAUSES
from mcusim.render.text import ASCII, UNICODE
from mcusim.render.timeline import THIN, timeline_plot
from mcusim.render.timeline import _draw_limits as draw_limits
from mcusim.render.tradeoff import _draw_limit as draw_limit
from mcusim.render.tradeoff import _draw_points as draw_points
from mcusim.render.tradeoff import front_plot
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import parse_schedule
from mcusim.searching import search
from mcusim.searching.stage_maps import stage_maps

REPO = Path(__file__).resolve().parents[1]
SVG_LIMIT = 200_000
TINYENGINE = RUNTIMES["tinyengine"]


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "runtime"), [("mcunet-in3", "tflm"), ("person-det", "tinyengine")])
def test_a_timeline_is_the_same_every_time(name, runtime):
    plan, board = plan_memory(mcusim.load(name), runtime), load_board("stm32h743")
    first = timeline_plot(plan, board, "svg")
    assert first == timeline_plot(plan, board, "svg")
    assert len(first) < SVG_LIMIT
    assert b"<dc:date>" not in first
    root = ElementTree.fromstring(first)
    background = root.find(".//{*}g[@id='patch_1']/{*}path")
    assert background is not None
    assert "fill: #ffffff" in background.get("style", "")  # legible on a dark page
    for kind, mark in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        made = timeline_plot(plan, board, kind)
        assert made.startswith(mark)
        assert made == timeline_plot(plan, board, kind)


def test_a_rectangle_for_each_buffer():
    plan = plan_memory(mcusim.load("mcunet-vww0"), "tflm")
    root = ElementTree.fromstring(timeline_plot(plan, None, "svg"))
    axes = root.find(".//{*}g[@id='axes_1']")
    patches = [g for g in axes.findall("{*}g") if re.fullmatch(r"patch_\d+", g.get("id", ""))]
    filled = [p for p in patches if "stroke-linejoin: miter" in p.find("{*}path").get("style", "")]
    assert len(filled) >= sum(1 for tenant in plan.tenants() if tenant.size_bytes)


@pytest.mark.parametrize("schedule", ["layer", "patch:2x2@5", "stream:2@5"])
def test_timelines_of_cut_networks(schedule):
    code, out, err = run("plot", "timeline", "mcunet-vww1", "--schedule", schedule, "-o", "t.png")
    assert (code, err) == (0, "")
    assert out.startswith("t.png: ")
    assert Path("t.png").read_bytes().startswith(b"\x89PNG")


def test_memory_bars():
    report = mcusim.simulate("mcunet-in3", profile="stm32f746")
    made = memory_plot(report, "svg")
    assert made == memory_plot(report, "svg")
    assert len(made) < SVG_LIMIT


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "has_gaps"), [("tflm", True), ("tinyengine", False)])
def test_what_gaps_cost_is_drawn(runtime, has_gaps):
    """A line at the placed peak where more is taken than what is ever alive together."""
    report = mcusim.simulate("mcunet-in3", profile="stm32h743", runtime=runtime)
    sram = report.sram
    held = sram.scratch_bytes + sram.persistent_bytes
    alive = max(layer.sram_bytes for layer in report.layers) + held - sram.scratch_bytes
    assert (sram.peak_bytes > alive) is has_gaps
    assert (b"of it gaps" in memory_plot(report, "svg")) is has_gaps  # text stands in comments of the file


@pytest.mark.slow
@pytest.mark.parametrize("width", [3.5, 7.0])
def test_a_front_is_drawn(width):
    front = search("mcunet-vww0", profile="stm32f412", max_stages=1, max_grid=4)
    made = front_plot(front, "svg", width)
    assert made == front_plot(front, "svg", width)
    assert len(made) < SVG_LIMIT
    root = ElementTree.fromstring(made)
    assert float(root.get("width", "").removesuffix("pt")) == pytest.approx(width * 72)
    for kind, mark in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert front_plot(front, kind, width).startswith(mark)


@pytest.mark.parametrize("spec", ["patch:4x4@13", "patch:16x3@9", "stream:4@13", "stream:1@3"])
def test_a_stage_is_drawn_on_its_maps(spec):
    program = lower(mcusim.load("mbv2-w1.0-r224"), parse_schedule(spec), TINYENGINE.rules, InputPlace.EXTERNAL)
    made = patches_plot(program, 0, spec, "svg", 3.5)
    assert made == patches_plot(program, 0, spec, "svg", 3.5)
    assert len(made) < SVG_LIMIT
    assert patches_plot(program, 0, spec, "png", 3.5).startswith(b"\x89PNG")


def test_maps_of_a_patch_stage():
    program = lower(mcusim.load("mbv2-w1.0-r224"), parse_schedule("patch:4x4@13"), TINYENGINE.rules)
    maps = stage_maps(program, program.stages[0])
    first, last = maps[0], maps[-1]
    assert (first.height, first.width, first.nodes) == (224, 224, ())
    assert max(span.length for span in first.rows) == 75  # the paper's patch, where no border clips it
    assert last.rows == last.cols == tuple(Span(7 * i, 7 * i + 7) for i in range(4))
    assert last.factor == 1.0
    assert sorted(node for one in maps for node in one.nodes) == [
        step.node for step in program.stages[0].steps if step.node >= 0
    ]
    assert not any(one.cached for one in maps)


def test_what_a_band_finds_cached_is_what_it_misses():
    """A 3x3 convolution reads a row above and a row below its own: two rows of the map before it are kept."""
    b = mcusim.GraphBuilder("three")
    x = b.conv_2d(b.input((1, 12, 12, 4)), 4, kernel=1)
    graph = b.build([b.conv_2d(b.conv_2d(x, 4, kernel=3), 4, kernel=3)])
    program = lower(graph, parse_schedule("stream:3@3"), RUNTIMES["tflm"].rules, InputPlace.EXTERNAL)
    maps = stage_maps(program, program.stages[0])
    rows = {one.nodes: (one.rows, one.cached) for one in maps}
    assert rows[(2,)] == (tuple(Span(3 * i, 3 * i + 3) for i in range(4)), ())
    new, cached = rows[(1,)]
    assert new == (Span(0, 4), Span(4, 7), Span(7, 10), Span(10, 12))
    assert cached == (Span(0, 0), Span(2, 4), Span(5, 7), Span(8, 10))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mcunet-in3", "mcunetv2_large"])
def test_layer_times(name):
    report = mcusim.simulate(name, profile="stm32h743")
    made = layers_plot(report, "svg")
    assert made == layers_plot(report, "svg")
    assert len(made) < SVG_LIMIT
    axes = ElementTree.fromstring(made).find(".//{*}g[@id='axes_1']")
    bars = [g for g in axes.findall("{*}g") if re.fullmatch(r"patch_\d+", g.get("id", ""))]
    assert len(bars) >= len(CAUSES) * len(executed(report))
    for kind, mark in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert layers_plot(report, kind).startswith(mark)


def test_the_names_of_the_slowest_layers_are_not_cut():
    """Six names of two dozen cells each: the outermost columns of the picture stay empty."""
    long = [
        layer(i, f"net/block_{i}/FusedBatchNormV3/of/many", "CONV_2D", "k", 1, 9_000_000 * (9 - i)) for i in range(8)
    ]
    image = pixels(layers_plot(replace(report(), layers=tuple(long)), "png"))
    below = image[image.shape[0] * 4 // 5 :]
    assert below.min() < 0.6
    assert below[:, :8].min() == below[:, -8:].min() == 1.0


def pixels(drawn):
    image = pytest.importorskip("matplotlib.image")
    return np.asarray(image.imread(io.BytesIO(drawn)), np.float64)[..., :3]


def test_thin_buffers_are_not_all_outline():
    b = mcusim.GraphBuilder("thin")
    image = b.input((1, 64, 64, 8))
    thin = [b.conv_2d(image, 1, kernel=1, stride=8) for _ in range(24)]
    last = b.concatenation([b.conv_2d(b.conv_2d(image, 8, kernel=1), 1, kernel=1, stride=8), *thin])
    plan = plan_memory(b.build([last]), "tflm")
    tenants = [tenant for tenant in plan.tenants() if tenant.size_bytes]
    thin_ones = [t for t in tenants if t.is_alive(peak_step(plan)) and t.size_bytes < THIN * plan.total_bytes]
    assert len(thin_ones) > 12
    black = np.all(pixels(timeline_plot(plan, None, "png")) < 0.1, axis=2)
    solid = black[:-4] & black[1:-3] & black[2:-2] & black[3:-1] & black[4:]
    assert not np.any(np.all(np.lib.stride_tricks.sliding_window_view(solid, 40, axis=1), axis=2))


def test_limits_stand_in_the_legend_with_a_decimal():
    plan, board = plan_memory(mcusim.load("mcunet-in3"), "tflm"), mcusim.load_board("stm32f746")
    with style.figure(3.0) as made:
        axes = made.subplots()
        limits = draw_limits(axes, plan, board)
        assert not axes.texts  # words on the picture would hide buffers, and each other
    assert set(limits) == {"stm32f746: 320.0 KiB", f"minimum: {plan.best.arena_bytes / 1024:.1f} KiB"}


def test_a_front_of_one_point_lies_inside_its_axes():
    front = mcusim.search("mcunet-in3", profile="stm32f412", runtime="tflm", kinds=())
    with style.figure(3.0) as made:
        axes = made.subplots()
        draw_points(axes, front)
        draw_limit(axes, front)
        (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    at = front.layer.peak_bytes / 1024
    assert low < front.budget_bytes / 1024 < at < high - 0.02 * at
    assert front.layer.ms is not None
    assert (bottom, top) == (0, pytest.approx(1.5 * front.layer.ms))


def test_a_map_in_the_middle_is_no_input():
    rules = RUNTIMES["tinyengine"].rules
    for spec, word in (("layer@3+patch:2x2@4", "output of #5"), ("patch:2x2@4", "input")):
        program = lower(mcusim.load("mcunet-in3"), parse_schedule(spec), rules)
        stage = next(stage for stage in program.stages if stage.kind == "patch")
        assert origin(program, stage_maps(program, stage)[0]) == word


def test_names_that_look_like_formulas_are_drawn():
    report = mcusim.simulate("mcunet-vww0", profile="stm32f746")
    odd = tuple(layer._replace(name="a$b$\\frac") for layer in report.layers)
    assert layers_plot(replace(report, layers=odd, model=report.model._replace(name="$x_$" * 30)), "svg")


@pytest.mark.slow
def test_data_beside_the_picture():
    code, out, _ = run("plot", "layers", "mcunet-vww0", "--profile", "stm32f746", "-o", "l.svg", "--data", "-")
    assert code == 0
    columns = out.splitlines()[0].split(",")
    assert {"ms", "compute_cycles", "store_cycles", "memory_cycles", "overhead_cycles", "kernel", "why"} <= set(columns)
    code, out, _ = run("plot", "timeline", "mcunet-in3", "-o", "t.svg", "--data", "-")
    assert code == 0
    assert out.startswith("index,name,kind,offset_bytes,size_bytes,first,end\n")
    code, out, _ = run("plot", "memory", "mcunet-in3", "--profile", "stm32f746", "-o", "m.svg", "--data", "m.csv")
    assert code == 0
    assert Path("m.csv").read_text().startswith("index,name,op,")
    options = ["--schedule", "layer@2+stream:2@5+patch:2x2@4", "--stage", "2", "-o", "p.pdf", "--data", "-"]
    code, out, err = run("plot", "patches", "mcunet-vww1", *options)
    assert (code, err) == (0, "")
    assert out.startswith("map,tensors,nodes,height,width,axis,piece,start,stop,")
    options = ["--profile", "stm32f412", "--stages", "1", "--grid", "2", "-o", "f.svg", "--data", "f.csv"]
    assert run("plot", "front", "mcunet-vww0", *options)[0] == 0
    assert Path("f.csv").read_text().startswith("schedule,input,peak_bytes,")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["timeline", "mcunet-in3", "-o", "t.jpg"], "'t.jpg' is no picture"),
        (["timeline", "mcunet-in3"], "--output"),
        (["timeline", "mcunet-in3", "-o", "no/such/t.svg"], "cannot write"),
        (["timeline", "mcunet-in3", "-o", "t.svg", "--schedule", "auto"], "one schedule"),
        (["timeline", "mcunet-in3", "-o", "t.svg", "--data", "t.svg"], "cannot share"),
        (["memory", "mcunet-in3", "-o", "t.svg"], "--profile"),
        (["front", "mcunet-in3", "-o", "t.svg"], "--profile"),
        (["front", "mcunet-in3", "-o", "t.svg", "--profile", "stm32f412", "--kinds", "x"], "no kind of stage"),
        (["patches", "mcunet-in3", "-o", "t.svg"], "--schedule"),
        (["patches", "mcunet-in3", "-o", "t.svg", "--schedule", "layer"], "no cut stage"),
        (["patches", "mcunet-in3", "-o", "t.svg", "--schedule", "auto"], "name the stages"),
        (["patches", "mcunet-in3", "-o", "t.svg", "--schedule", "patch:2x2@5", "--stage", "2"], "; use --stage 1"),
        (["layers", "mcunet-in3", "-o", "t.svg"], "--profile"),
        (["layers", "mcunet-in3", "--profile", "stm32f746", "-o", "t.gif"], "'t.gif' is no picture"),
        (["timelime", "mcunet-in3", "-o", "t.svg"], "did you mean timeline"),
    ],
)
def test_a_wrong_question_gets_one_sentence(args, sentence):
    code, out, err = run("plot", *args)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
    assert not any(Path().iterdir())


def test_pictures_of_the_docs_are_there_and_small():
    pictures = sorted((REPO / "docs" / "images").glob("*.svg"))
    names = {path.stem for path in pictures}
    assert {"timeline-mcunet-in3", "timeline-person-det"} <= names
    assert all(path.stat().st_size < SVG_LIMIT for path in pictures)
    docs = "".join(path.read_text(encoding="utf-8") for path in (REPO / "docs").glob("*.md"))
    assert all(f"images/{name}.svg" in docs for name in names)


# ---------------------------------------------------------------------------------------------------------------------
# As text


@pytest.mark.parametrize("width", [40, 47, 60, 80, 100, 160])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("name", ["mcunet-in3", "smallcifar"])
def test_the_text_timeline_keeps_to_the_width(name, glyphs, width):
    plan = plan_memory(mcusim.load(name), "tflm")
    lines = [line.plain for line in timeline_lines(plan, width, glyphs)]
    assert max(map(cell_len, lines)) <= width
    assert any("^" in line for line in lines)
    assert glyphs is UNICODE or all(line.isascii() for line in lines)


def test_a_letter_stands_where_its_buffer_lies():
    b = mcusim.GraphBuilder("two")
    graph = b.build([b.conv_2d(b.conv_2d(b.input((1, 32, 32, 4)), 4, kernel=1), 4, kernel=1)])
    plan = plan_memory(graph, "tinyengine")
    lines = [line.plain for line in timeline_lines(plan, 80, UNICODE)]
    rows = [line.partition("│")[2] for line in lines if "│" in line]
    tenants = [t for t in plan.tenants() if t.size_bytes > plan.total_bytes / 10]
    for row_number, row in enumerate(reversed(rows)):
        level = (row_number + 0.5) * plan.total_bytes / len(rows)
        for step in range(plan.program.length):
            covered = any(t.offset_bytes <= level < t.top_bytes and t.is_alive(step) for t in tenants)
            cell = row.ljust(12)[step * 6]
            assert cell != " " or not covered

"""What a new user asks first: every command gives the same answer to one question, and says what it leaves out."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run, told
from msgspec import structs
from numpy.typing import NDArray

import mcusim
from mcusim import zoo
from mcusim.export import export_model
from mcusim.graph import DType, Graph, retyped
from mcusim.hardware import BankKind
from mcusim.lowering.lower import lower
from mcusim.memory.counting import compare_plans
from mcusim.memory.flash import flash_ledger
from mcusim.memory.images import Image, Piece
from mcusim.memory.planning import plan_memory
from mcusim.placement import place_for
from mcusim.planners import check_plan, live_bytes
from mcusim.render.arena import peak_step
from mcusim.render.layers import LayerChoice
from mcusim.render.patches import _origin as origin
from mcusim.render.plan import ledger_lines, plan_lines
from mcusim.render.report import report_lines
from mcusim.render.text import UNICODE, counted, listed
from mcusim.render.timeline import THIN, timeline_plot
from mcusim.render.timeline import _draw_limits as draw_limits
from mcusim.render.tradeoff import _draw_limit as draw_limit
from mcusim.render.tradeoff import _draw_points as draw_points
from mcusim.report import Verdict
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER, parse_schedule
from mcusim.searching.stage_maps import stage_maps

UNPLACED = [name for name, runtime in RUNTIMES.items() if not runtime.has_placement]
BOUNDED = [name for name, runtime in RUNTIMES.items() if runtime.bounds_memory]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)


def shown(report: mcusim.Report, layers: LayerChoice = LayerChoice.NONE) -> str:
    return "\n".join(line.plain for line in report_lines(report, 100, UNICODE, layers))


# ---------------------------------------------------------------------------------------------------------------------
# Runtimes of which nobody knows where they put buffers


@pytest.mark.parametrize("runtime", UNPLACED)
@pytest.mark.parametrize("verb", ["plan", "plot timeline -o x.svg"])
def test_no_plan_is_made_up(runtime, verb):
    code, _, err = run(*verb.split(), "mcunet-vww0", "--runtime", runtime)
    assert code == 2
    assert f"runtime '{runtime}': nobody has published where it puts buffers" in err
    assert "plan MODEL --all" in err


def test_layers_under_a_convention_say_whose_bytes_they_are():
    told_so = "SRAM of a layer: live tensors; the total above is counted by other rules (x-cube-ai)."
    counted_ = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="x-cube-ai")
    assert told_so in shown(counted_, LayerChoice.TOP)
    assert "not placed by x-cube-ai" not in shown(counted_)
    assert counted_.counts_layers_otherwise
    placed = mcusim.simulate("mcunet-vww0", profile="stm32f746")
    assert not placed.counts_layers_otherwise
    assert "SRAM of a layer" not in shown(placed, LayerChoice.TOP)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_bound_is_what_is_alive_without_gaps(name):
    graph, runtime = mcusim.load("mcunet-in3"), RUNTIMES[name]
    program = lower(graph, LAYER, runtime.rules)
    most = max(live_bytes(program.buffers, program.length))
    report = mcusim.simulate(graph, profile="stm32h743", runtime=runtime)
    assert report.sram.peak_bytes == most == report.sram.arena_bytes
    assert report.sram.is_bound
    assert "> 332.8 KiB of 512.0" in shown(report)
    assert "rest not known" in shown(report)
    enough = mcusim.simulate(graph, profile="stm32h743", runtime=runtime, sram_budget_bytes=most)
    assert (enough.sram.fits, enough.verdict) == (None, Verdict.UNKNOWN)
    less = mcusim.simulate(graph, profile="stm32h743", runtime=runtime, sram_budget_bytes=most - 1)
    assert less.verdict is Verdict.DOES_NOT_FIT
    assert "SRAM at least 0.0 KiB over" in shown(less)


@pytest.mark.parametrize("name", BOUNDED)
def test_they_run_in_an_arena_that_holds_them(name):
    program = lower(mcusim.load("mcunet-in3"), LAYER, RUNTIMES[name].rules)
    placement = place_for(program, RUNTIMES[name])
    check_plan(program.buffers, placement.offset_bytes, placement.arena_bytes)


@pytest.mark.parametrize("name", UNPLACED)
def test_their_flash_is_weights_and_biases(name):
    graph = mcusim.load("mcunet-in3")
    items = {item.name: item.size_bytes for item in flash_ledger(graph, RUNTIMES[name]).model}
    assert set(items) == {"weights", "biases"}
    assert sum(items.values()) == RUNTIMES[name].flash(graph).model_bytes


def test_every_name_that_convention_takes_is_listed():
    names = {row.name for row in compare_plans(mcusim.load("mcunet-vww0"))}
    assert set(RUNTIMES) <= names


def test_a_version_of_a_convention_and_an_empty_name():
    err = run("run", "mcunet-vww0", "--profile", "stm32f746", "--convention", "x-cube-ai@8.1")[2]
    assert "write x-cube-ai" in err
    assert "did you mean" not in err
    assert "no such convention" in run("run", "mcunet-vww0", "--profile", "stm32f746", "--convention", "")[2]


# ---------------------------------------------------------------------------------------------------------------------
# What cannot run is not said to fit


def test_stages_that_the_runtime_lacks_are_no_fit():
    asked = ("run", "mbv2-w0.35-r144", "--profile", "stm32f412", "--layers", "none", "--schedule")
    code, out, _ = run(*asked, "layer@3+stream:18@2", "--check")
    assert code == 1
    assert "UNKNOWN, tinyengine cannot run it so" in out
    assert "lines kept 124.9 KiB" in out
    assert run(*asked, "layer@3+patch:2x2@2", "--check")[0] == 0


def test_a_vendors_tool_is_for_its_parts():
    report = mcusim.simulate("mcunet-vww0", profile="nrf52840", runtime="x-cube-ai")
    assert (report.runtime.runs, report.verdict) == (False, Verdict.UNKNOWN)
    assert any("its makers offer it for stm32 parts only" in warning for warning in report.warnings)
    assert not any(
        "x-cube-ai" in remedy["what"] for remedy in told("fit", "mcunet-in3", "--profile", "nrf52840")["remedies"]
    )


HELLO = (Piece("main", 200, True), Piece("printf", 2_000, True), Piece("Reset_Handler", 60, True))
ONE_OPERATOR = (*HELLO, Piece("_ZN6tflite16Register_CONV_2DEv", 40, True))


@pytest.mark.parametrize(
    ("runtime", "pieces", "runs", "word"),
    [
        ("tflm", HELLO, None, "names nothing that would run this network"),
        ("tinyengine", HELLO, None, "names nothing that would run this network"),
        ("tflm", (), None, "names nothing that would run this network"),
        ("tflm", ONE_OPERATOR, False, "registers no ADD"),
    ],
)
def test_an_image_that_cannot_run_the_network_is_no_fit(runtime, pieces, runs, word):
    image = Image("hello.elf", "ELF file", 3_000, 100, pieces)
    report = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime=runtime, image=image)
    assert (report.runtime.runs, report.verdict) == (runs, Verdict.UNKNOWN)
    assert any(word in warning for warning in report.warnings)


def test_an_image_that_holds_the_model_was_made_for_it():
    graph = mcusim.load("mcunet-vww0")
    model_bytes = RUNTIMES["tinyengine"].flash(graph).model_bytes
    assert model_bytes is not None
    image = Image("own.elf", "ELF file", model_bytes + 60_000, 0, (Piece("weights", model_bytes, False),))
    report = mcusim.simulate(graph, profile="stm32h743", image=image)
    assert (report.runtime.runs, report.verdict) == (True, Verdict.FITS)


SMALL = ("--stages", "1", "--grid", "4")


def test_patch_does_not_fit_where_flash_does_not():
    asked = ("patch", "mbv2-w1.0-r224", "--profile", "stm32h743", *SMALL)
    code, out, _ = run(*asked, "--check")
    assert code == 1
    assert "DOES NOT FIT, flash 1,544.5 KiB over; SRAM FITS" in out
    document = told(*asked)
    assert document["fits"] is False
    assert document["flash"]["total_bytes"] > document["flash"]["budget_bytes"]


def test_patch_counts_as_run_does():
    counted_ = told("patch", "mcunet-in3", "--profile", "stm32f746", "--runtime", "x-cube-ai")["layer"]
    report = mcusim.simulate("mcunet-in3", profile="stm32f746", runtime="x-cube-ai")
    assert counted_["peak_bytes"] == report.sram.peak_bytes
    code, out, _ = run("patch", "mcunet-vww0", "--profile", "nrf52840", "--runtime", "x-cube-ai", "--check")
    assert code == 1
    assert "UNKNOWN" in out
    assert "! x-cube-ai cannot run on nrf52840" in out
    out = " ".join(run("patch", "mcunet-vww0", "--profile", "stm32h743", "--runtime", "plumerai")[1].split())
    assert "UNKNOWN, see below" in out
    assert "! SRAM: Plumerai's memory planner is not public" in out
    assert "! flash: nobody has published how large" in out


def test_a_remedy_under_a_bound_is_the_gentlest():
    found = told("fit", "mcunet-in3", "--profile", "stm32f412", "--runtime", "plumerai")["remedies"]
    (smaller,) = [remedy for remedy in found if remedy["kind"] == "resolution"]
    assert smaller["what"] == "an input of 144x144"
    assert not {remedy["kind"] for remedy in found} & {"plan", "order"}


# ---------------------------------------------------------------------------------------------------------------------
# Where the network's input lies

CUT = ("mcunet-vww1", "--profile", "stm32l475")
OUTSIDE = "the input (19,200 bytes) is not counted: it lies outside, and stm32l475 has no external memory."


def test_patch_says_where_the_input_lies():
    asked = ("patch", *CUT, *SMALL, "--sram-budget", "44k")
    out = " ".join(run(*asked)[1].split())
    assert "its input of 18.8 KiB external, not counted" in out
    assert OUTSIDE in out
    best = told(*asked)["best"]
    assert (best["input"], best["outside_bytes"]) == ("external", 19_200)
    inside = told(*asked, "--input", "arena")
    assert {point["input"] for point in inside["points"]} == {"arena"}
    assert "external" not in run(*asked, "--input", "arena")[1]
    plan = ("plan", "mcunet-vww1", "--schedule", "patch:2x2@5", "--buffers", "none")
    assert "18.8 KiB (19,200 bytes) external, not counted" in run(*plan)[1]
    assert "external" not in run(*plan, "--input", "arena")[1]
    assert run(*asked, "--input", "somewhere")[0] == 2


def test_run_says_what_an_input_outside_takes_for_granted():
    asked = {"profile": "stm32l475", "schedule": "patch:2x2@5"}
    assert any(OUTSIDE in warning for warning in mcusim.simulate("mcunet-vww1", **asked).warnings)
    inside = mcusim.simulate("mcunet-vww1", **asked, input_place="arena")
    assert not any("lies outside" in warning for warning in inside.warnings)
    board = mcusim.load_board("stm32l475")
    far = structs.replace(board.memory[0], name="PSRAM", address=0x90000000, kind=BankKind.EXTERNAL)
    with_more = structs.replace(board, memory=(*board.memory, far))
    more = mcusim.simulate("mcunet-vww1", profile=with_more, schedule="patch:2x2@5")
    assert not any("lies outside" in warning for warning in more.warnings)


def test_fit_says_where_the_input_lies():
    (schedule,) = [
        r for r in told("fit", "mcunet-vww1", "--profile", "stm32f410")["remedies"] if r["kind"] == "schedule"
    ]
    assert schedule["what"].startswith("input external, schedule ")
    assert "--input arena counts it" in schedule["note"]
    asked = ("fit", "mcunet-vww1", "--profile", "stm32f410", "--input", "arena")
    (inside,) = [r for r in told(*asked)["remedies"] if r["kind"] == "schedule"]
    assert inside["sram_bytes"] > schedule["sram_bytes"]
    assert " --input arena --schedule " in inside["command"]
    assert inside["note"] is None
    assert told(*inside["command"].split()[1:])["sram"]["peak_bytes"] == inside["sram_bytes"]


@pytest.mark.parametrize("columns", ["40", "60", "100"])
def test_the_terminal_never_hides_whether_outputs_stay(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    out = run("fit", "mcunet-vww1", "--profile", "stm32f410")[1]
    assert "outputs" in out
    assert all(len(line) <= int(columns) for line in out.splitlines())


# ---------------------------------------------------------------------------------------------------------------------
# All ways of counting, side by side


@pytest.mark.parametrize(("option", "value"), [("--runtime", "tflm"), ("--map", "x.elf")])
def test_nothing_is_ignored_beside_all(option, value):
    code, _, err = run("plan", "mcunet-vww0", "--all", option, value)
    assert code == 2
    assert f"fix: drop --all or {option}" in err or f"drop --all or {option}" in err


def test_all_says_what_fits_the_board():
    out = run("plan", "mcunet-in3", "--all", "--profile", "stm32f746")[1]
    verdicts = {line.split()[0]: word for line in out.splitlines() for word in ("fits", "over") if f" {word} " in line}
    assert (verdicts["tinyengine"], verdicts["tflm"], verdicts["plumerai"]) == ("fits", "over", "over")
    assert " fits " not in run("plan", "mcunet-in3", "--all")[1]


# ---------------------------------------------------------------------------------------------------------------------
# Plans


def old_style() -> Graph:
    """A convolution on uint8, which TFLM has no kernel for."""
    graph = zoo.build("smallcifar")
    tensors = tuple(
        replace(t, type=replace(t.type, dtype=DType.UINT8)) if t.dtype is DType.INT8 else t for t in graph.tensors
    )
    nodes = tuple(retyped(node, tensors) for node in graph.nodes)
    return replace(graph, tensors=tensors, nodes=nodes)


def test_a_plan_of_what_cannot_run_says_so():
    graph = old_style()
    plan = plan_memory(graph, "tflm")
    assert plan.refusals
    report = mcusim.simulate(graph, profile="stm32h743", runtime="tflm")
    assert set(plan.refusals) <= set(report.warnings)
    text = "\n".join(line.plain for line in plan_lines(plan, flash_ledger(graph, RUNTIMES["tflm"]), None, 100, UNICODE))
    assert "! tflm cannot run" in text
    assert not plan_memory(mcusim.load("mcunet-vww0"), "tflm").refusals


def test_a_layer_has_one_number():
    report = mcusim.simulate("mcunet-in3", profile="stm32f746")
    assert report.sram.peak is not None
    (number,) = [layer.index for layer in report.layers if layer.name == report.sram.peak.layer]
    document = told("plan", "mcunet-in3")
    assert {step["name"]: step["layer"] for step in document["steps"]}[report.sram.peak.layer] == number
    out = run("plan", "mcunet-in3")[1]
    assert f"^ step 3 (layer {number}): CONV_2D" in out
    assert f"There at step 3 (layer {number})" in out


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_ledger_tells_all_of_what_it_is(width):
    plan = plan_memory(mcusim.load("mcunet-vww0"), "tflm")
    items = RUNTIMES["tflm"].persistent_ledger(plan.program.graph)
    lines = [line.plain for line in ledger_lines("Persistent", items, width, UNICODE)]
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in line.split()]
    assert all(word in words for item in items for word in item.why.split())
    assert "…" not in "".join(lines)


def test_what_a_written_file_lacks_is_told(tmp_path):
    path = tmp_path / "net.tflite"
    export_model("smallcifar", path)
    again = mcusim.load(path)
    same = export_model(again, tmp_path / "same.tflite")
    assert same.notes == ()
    size_bytes = same.size_bytes
    described = replace(again, source=replace(again.source, file_bytes=2 * size_bytes))
    (note,) = export_model(described, tmp_path / "less.tflite").notes
    assert note.startswith(f"{size_bytes:,} bytes less than the file that was read")
    assert "signatures" in note


# ---------------------------------------------------------------------------------------------------------------------
# Pictures


def pixels(drawn: bytes) -> NDArray[np.float64]:
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
    from mcusim.render import style

    plan, board = plan_memory(mcusim.load("mcunet-in3"), "tflm"), mcusim.load_board("stm32f746")
    with style.figure(3.0) as made:
        axes = made.subplots()
        limits = draw_limits(axes, plan, board)
        assert not axes.texts  # words on the picture would hide buffers, and each other
    assert set(limits) == {"stm32f746: 320.0 KiB", f"minimum: {plan.best.arena_bytes / 1024:.1f} KiB"}


def test_a_front_of_one_point_lies_inside_its_axes():
    from mcusim.render import style

    found = mcusim.search("mcunet-in3", profile="stm32f412", runtime="tflm", kinds=())
    with style.figure(3.0) as made:
        axes = made.subplots()
        draw_points(axes, found)
        draw_limit(axes, found)
        (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    at = found.layer.peak_bytes / 1024
    assert low < found.budget_bytes / 1024 < at < high - 0.02 * at
    assert found.layer.ms is not None
    assert (bottom, top) == (0, pytest.approx(1.5 * found.layer.ms))


def test_a_map_in_the_middle_is_no_input():
    rules = RUNTIMES["tinyengine"].rules
    for spec, word in (("layer@3+patch:2x2@4", "output of #5"), ("patch:2x2@4", "input")):
        program = lower(mcusim.load("mcunet-in3"), parse_schedule(spec), rules)
        stage = next(stage for stage in program.stages if stage.kind == "patch")
        assert origin(program, stage_maps(program, stage)[0]) == word


# ---------------------------------------------------------------------------------------------------------------------
# Sentences


def test_an_error_is_about_what_was_typed():
    asked = ("--profile", "stm32f412", "--schedule", "auto", "--convention", "tinyengine-codegen")
    code, _, err = run("run", "mcunet-in3", *asked)
    assert code == 2
    assert "schedule 'auto': it found 'layer@1+patch:" in err


def test_only_the_options_that_collide_are_named():
    err = run("plan", "mcunet-vww0", "--json", "-", "--csv", "-")[2]
    assert "--json and --csv: two documents" in err
    assert "--emit" not in err


def test_one_and_many():
    assert (counted(1, "cut stage"), counted(1200, "schedule")) == ("1 cut stage", "1,200 schedules")
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    report = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="x-cube-ai")
    assert "Basis: SRAM, flash and time calibrated" in shown(report)

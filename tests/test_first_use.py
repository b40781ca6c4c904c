"""What a new user asks first: every command gives the same answer to one question, and says what it leaves out."""

from __future__ import annotations

import pytest
from commands import document_of, run
from msgspec import structs

import mcusim
from mcusim.boards.board import BankKind
from mcusim.lowering.lower import lower
from mcusim.memory.counting import compare_plans
from mcusim.memory.flash import flash_ledger
from mcusim.memory.linked_firmware import LinkedFirmware, LinkedObject
from mcusim.memory.placement import place_for
from mcusim.planners import check_plan, live_bytes
from mcusim.render.layers import LayerChoice
from mcusim.render.run_report import report_lines
from mcusim.render.text import UNICODE
from mcusim.report import Verdict
from mcusim.runtimes import RUNTIMES
from mcusim.schedule import LAYER

UNPLACED = [name for name, runtime in RUNTIMES.items() if not runtime.has_placement]
BOUNDED = [name for name, runtime in RUNTIMES.items() if runtime.bounds_memory]


pytestmark = pytest.mark.usefixtures("elsewhere")


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
    footnote = "SRAM of a layer: live tensors; the total above is counted by other rules (x-cube-ai)."
    counted_ = mcusim.simulate("mcunet-vww0", profile="stm32f746", runtime="x-cube-ai")
    assert footnote in shown(counted_, LayerChoice.TOP)
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
    assert "SRAM at least 1 B over" in shown(less)


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
    assert code == 3
    assert "UNKNOWN, tinyengine cannot run it; the warnings below say why" in out
    assert "lines kept 124.9 KiB" in out
    assert run(*asked, "layer@3+patch:2x2@2", "--check")[0] == 0


@pytest.mark.slow
def test_a_vendors_tool_is_for_its_parts():
    report = mcusim.simulate("mcunet-vww0", profile="nrf52840", runtime="x-cube-ai")
    assert (report.runtime.runs, report.verdict) == (False, Verdict.UNKNOWN)
    assert any("its makers offer it for stm32 parts only" in warning for warning in report.warnings)
    assert not any(
        "x-cube-ai" in remedy["what"]
        for remedy in document_of("fit", "mcunet-in3", "--profile", "nrf52840")["remedies"]
    )


HELLO = (LinkedObject("main", 200, True), LinkedObject("printf", 2_000, True), LinkedObject("Reset_Handler", 60, True))
ONE_OPERATOR = (*HELLO, LinkedObject("_ZN6tflite16Register_CONV_2DEv", 40, True))


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
    image = LinkedFirmware("hello.elf", "ELF file", 3_000, 100, pieces)
    report = mcusim.simulate("mcunet-vww0", profile="stm32h743", runtime=runtime, firmware=image)
    assert (report.runtime.runs, report.verdict) == (runs, Verdict.UNKNOWN)
    assert any(word in warning for warning in report.warnings)


def test_an_image_that_holds_the_model_was_made_for_it():
    graph = mcusim.load("mcunet-vww0")
    model_bytes = RUNTIMES["tinyengine"].flash(graph).model_bytes
    assert model_bytes is not None
    image = LinkedFirmware(
        "own.elf", "ELF file", model_bytes + 60_000, 0, (LinkedObject("weights", model_bytes, False),)
    )
    report = mcusim.simulate(graph, profile="stm32h743", firmware=image)
    assert (report.runtime.runs, report.verdict) == (True, Verdict.FITS)


SMALL = ("--stages", "1", "--grid", "4")


@pytest.mark.slow
def test_patch_does_not_fit_where_flash_does_not():
    asked = ("patch", "mbv2-w1.0-r224", "--profile", "stm32h743", *SMALL)
    code, out, _ = run(*asked, "--check")
    assert code == 1
    assert "DOES NOT FIT, flash 1,544.5 KiB over; SRAM FITS" in out
    document = document_of(*asked)
    assert document["fits"] is False
    assert document["flash"]["total_bytes"] > document["flash"]["budget_bytes"]


@pytest.mark.slow
def test_patch_counts_as_run_does():
    counted_ = document_of("patch", "mcunet-in3", "--profile", "stm32f746", "--runtime", "x-cube-ai")["layer"]
    report = mcusim.simulate("mcunet-in3", profile="stm32f746", runtime="x-cube-ai")
    assert counted_["peak_bytes"] == report.sram.peak_bytes
    code, out, _ = run("patch", "mcunet-vww0", "--profile", "nrf52840", "--runtime", "x-cube-ai", "--check")
    assert code == 3
    assert "UNKNOWN" in out
    assert "! x-cube-ai cannot run on nrf52840" in out
    out = " ".join(run("patch", "mcunet-vww0", "--profile", "stm32h743", "--runtime", "plumerai")[1].split())
    assert "UNKNOWN, the warnings below say why" in out
    assert "! SRAM: Plumerai's memory planner is not public" in out
    assert "! flash: nobody has published how large" in out


@pytest.mark.slow
def test_a_remedy_under_a_bound_is_the_gentlest():
    proposed = document_of("fit", "mcunet-in3", "--profile", "stm32f412", "--runtime", "plumerai")["remedies"]
    (smaller,) = [remedy for remedy in proposed if remedy["kind"] == "resolution"]
    assert smaller["what"] == "an input of 144x144"
    assert not {remedy["kind"] for remedy in proposed} & {"plan", "order"}


# ---------------------------------------------------------------------------------------------------------------------
# Where the network's input lies

CUT = ("mcunet-vww1", "--profile", "stm32l475")
OUTSIDE = "the input (19,200 bytes) is not counted: it lies outside, and stm32l475 has no external memory."


@pytest.mark.slow
def test_patch_says_where_the_input_lies():
    asked = ("patch", *CUT, *SMALL, "--sram-budget", "44k")
    out = " ".join(run(*asked)[1].split())
    assert "its input of 18.8 KiB external, not counted" in out
    assert OUTSIDE in out
    best = document_of(*asked)["best"]
    assert (best["input"], best["outside_bytes"]) == ("external", 19_200)
    inside = document_of(*asked, "--input", "arena")
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


@pytest.mark.slow
def test_fit_says_where_the_input_lies():
    (schedule,) = [
        r for r in document_of("fit", "mcunet-vww1", "--profile", "stm32f410")["remedies"] if r["kind"] == "schedule"
    ]
    assert schedule["what"].startswith("input external, schedule ")
    assert "--input arena counts it" in schedule["note"]
    asked = ("fit", "mcunet-vww1", "--profile", "stm32f410", "--input", "arena")
    (inside,) = [r for r in document_of(*asked)["remedies"] if r["kind"] == "schedule"]
    assert inside["sram_bytes"] > schedule["sram_bytes"]
    assert " --input arena --schedule " in inside["command"]
    assert inside["note"] is None
    assert document_of(*inside["command"].split()[1:])["sram"]["peak_bytes"] == inside["sram_bytes"]


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["40", "60", "100"])
def test_the_terminal_never_hides_whether_outputs_stay(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    out = run("fit", "mcunet-vww1", "--profile", "stm32f410")[1]
    assert "outputs" in out
    assert all(len(line) <= int(columns) for line in out.splitlines())

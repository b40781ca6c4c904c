"""`mcusim plan`: the figures of the memory laboratory, files that a TFLM project reads, documents."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import document_of, run
from one_operator import Operand, Operator
from operator_lines import parse
from test_control_flow import counting
from test_planning import TRAVELS, answers, head_bytes

import mcusim
from mcusim.frontends.tflite import parse_tflite, read_tflite
from mcusim.frontends.tflite_writer import write_tflite
from mcusim.memory.planning import OFFLINE_METADATA, plan_memory
from mcusim.memory.tflm_header import operators_of, resolver_call, tflm_header
from mcusim.planners.optimal import Plan
from mcusim.runtimes import RUNTIMES
from mcusim.runtimes.tflm_kernels import KERNELS

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


pytestmark = pytest.mark.usefixtures("elsewhere")


# ---------------------------------------------------------------------------------------------------------------------
# What it says


def test_the_arena_of_mcunet_in3():
    document = document_of("plan", "mcunet-in3", "--runtime", "tflm")
    assert document["arena_bytes"] == 416_832
    assert document["best"]["arena_bytes"] == document["best"]["lower_bound_bytes"] == 397_920
    assert document["best"]["proved"]
    assert document["fragmentation"] == pytest.approx(1 - 397_920 / 416_832)
    assert sum(item["size_bytes"] for item in document["persistent"]) == document["persistent_bytes"]
    parts = [document[f"{part}_bytes"] for part in ("arena", "persistent", "setup")]
    assert document["total_bytes"] == document["recommended_arena_bytes"] == sum(parts)
    assert document["harness_bytes"] == 2128, "named, and not counted"
    assert document_of("plan", "mcunet-in3")["recommended_arena_bytes"] is None
    assert max(step["alive_bytes"] for step in document["steps"]) == 397_920


def test_the_plan_names_every_buffer_once_and_none_overlap():
    document = document_of("plan", "mcunet-in3", "--runtime", "tflm", "--planner", "optimal")
    assert document["planner"] == "optimal"
    assert document["arena_bytes"] == 397_920
    buffers = [b for b in document["buffers"] if b["index"] >= 0]
    for i, a in enumerate(buffers):
        assert a["offset_bytes"] % 16 == 0
        for b in buffers[:i]:
            together = a["first"] < b["end"] and b["first"] < a["end"]
            low, high = sorted((a, b), key=lambda x: x["offset_bytes"])
            assert not together or low["offset_bytes"] + low["size_bytes"] <= high["offset_bytes"]


@pytest.mark.parametrize(
    ("planner", "arena"),
    [("tflm-greedy", 73_728), ("optimal", 55_296), ("best-fit", 55_296), ("tinyengine-first-fit", None)],
)
def test_any_planner(corpus, planner, arena):
    path = corpus / "models" / "mlperf_vww01_mbv1_025_96_int8.tflite"
    document = document_of("plan", str(path), "--runtime", "tflm", "--planner", planner)
    assert document["arena_bytes"] == (arena or document["arena_bytes"])
    assert document["arena_bytes"] >= document["best"]["lower_bound_bytes"] == 55_296


def test_the_gap_is_told_in_the_terminal():
    _, out, _ = run("plan", "mcunet-in3", "--runtime", "tflm")
    assert out.startswith("mcunet-in3 with tflm: arena of 407.1 KiB, 4.8 % above the proved minimum")
    assert re.search(r"arena to give +\S+ KiB .*, to plain firmware", out)
    assert "2,128 bytes that TFLM's benchmark adds" in out
    assert "fullest: mbconv_3/depthwise/pad" in out
    _, out, _ = run("plan", "mcunet-in3")
    assert "arena of 242.0 KiB, proved minimal" in out


def test_all_ways_of_counting_side_by_side():
    rows = {row["name"]: row for row in document_of("plan", "mcunet-in3", "--all")["counted"]}
    assert rows["tinyengine"]["total_bytes"] == 266_344
    assert rows["live"]["total_bytes"] == 247_808
    assert rows["table4"]["basis"] == rows["zoo-2020"]["basis"] == rows["x-cube-ai"]["basis"] == "calibrated"
    assert rows["act"]["basis"] == rows["mcunetv2"]["basis"] == "derived"
    assert "off by" in rows["x-cube-ai"]["evidence"]
    kinds = [rows[name]["kind"] for name in ("tinyengine", "live", "plumerai")]
    assert kinds == ["placement", "sum", "bound"]
    _, out, _ = run("plan", "mcunet-in3", "--all")
    for name, row in rows.items():
        assert name in out
        assert row["what"].split(";")[0] in " ".join(out.split())


def test_all_says_what_fits_the_board():
    out = run("plan", "mcunet-in3", "--all", "--profile", "stm32f746")[1]
    verdicts = {line.split()[0]: word for line in out.splitlines() for word in ("fits", "over") if f" {word} " in line}
    assert (verdicts["tinyengine"], verdicts["tflm"], verdicts["plumerai"]) == ("fits", "over", "over")
    assert " fits " not in run("plan", "mcunet-in3", "--all")[1]


def test_a_layer_has_one_number():
    report = mcusim.simulate("mcunet-in3", profile="stm32f746")
    assert report.sram.peak is not None
    (number,) = [layer.index for layer in report.layers if layer.name == report.sram.peak.layer]
    document = document_of("plan", "mcunet-in3")
    assert {step["name"]: step["layer"] for step in document["steps"]}[report.sram.peak.layer] == number
    out = run("plan", "mcunet-in3")[1]
    assert f"^ step 3 (layer {number}): CONV_2D" in out
    assert f"There at step 3 (layer {number})" in out


def test_sheets():
    _, out, _ = run("plan", "mcunet-in3", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert max(int(r["offset_bytes"]) + int(r["size_bytes"]) for r in rows) == 266_344
    _, out, _ = run("plan", "mcunet-in3", "--all", "--csv", "-")
    assert {row["name"]: row["total_bytes"] for row in csv.DictReader(io.StringIO(out))}["io"] == "247808"


def test_another_order(corpus):
    path = corpus / "models" / "mww_v1_alexa.tflite"
    plain, better = (
        document_of("plan", str(path), "--runtime", "tflm"),
        document_of("plan", str(path), "--runtime", "tflm", "--reorder"),
    )
    assert plain["order"] is None
    assert plain["best"]["arena_bytes"] == 14_864
    assert better["best"]["arena_bytes"] == 14_208
    assert sorted(better["order"]) == list(range(len(better["order"])))
    _, out, _ = run("plan", str(path), "--runtime", "tflm", "--reorder")
    assert "14,864 -> 14,208 bytes (proved best)" in " ".join(out.split())


@pytest.mark.parametrize("runtime", ["tflm", "tinyengine", "tflm-cmsis-nn"])
@pytest.mark.parametrize("name", ["mcunet-in3", "person-det", "mcunet-vww1"])
def test_the_flash_ledger_adds_up(name, runtime):
    flash = document_of("plan", name, "--runtime", runtime)["flash"]
    model = sum(item["size_bytes"] for item in flash["model"])
    assert model + flash["code_bytes"] == flash["total_bytes"]
    assert {"weights", "biases", "quantisation"} <= {item["name"] for item in flash["model"]}
    report = mcusim.simulate(name, profile="stm32h743", runtime=runtime)
    assert report.flash.total_bytes == flash["total_bytes"]


@pytest.mark.corpus
def test_the_flash_ledger_of_every_file(corpus_model):
    graph = read_tflite(corpus_model.path)
    items = RUNTIMES["tflm"].flash_ledger(graph)
    assert sum(item.size_bytes for item in items) == corpus_model.path.stat().st_size
    assert all(item.size_bytes > 0 for item in items)


# ---------------------------------------------------------------------------------------------------------------------
# --emit tflm


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlperf_vww01_mbv1_025_96_int8", "mcunet_320kb_1mb_imagenet", "mww_v1_alexa"])
def test_the_emitted_model_allocates_what_its_plan_says(corpus, capfd, name):
    path, planned = corpus / "models" / f"{name}.tflite", Path("planned.tflite")
    code, out, err = run("plan", str(path), "--emit", "tflm", str(planned))
    assert (code, err) == (0, "")
    plain_bytes, planned_bytes = TRAVELS[name]
    assert f"{planned_bytes:,} bytes of arena, not {plain_bytes:,}" in " ".join(out.split())
    assert head_bytes(planned.read_bytes(), capfd) == planned_bytes
    graph = read_tflite(path)
    for before, after in zip(
        answers(path.read_bytes(), graph, 1), answers(planned.read_bytes(), graph, 1), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    # And mcusim sees what it wrote.
    assert document_of("plan", str(planned), "--runtime", "tflm")["arena_bytes"] == planned_bytes
    assert document_of("plan", str(planned), "--runtime", "tflm")["planner"] == "the model's own plan"
    assert mcusim.simulate(str(planned), profile="stm32h743", runtime="tflm").sram.arena_bytes == planned_bytes
    assert mcusim.simulate(str(planned), profile="stm32h743", runtime="tinyengine").sram.arena_bytes > 0


def test_a_published_network_travels_with_drawn_weights(capfd):
    code, out, _ = run("plan", "mcunet-in3", "--emit", "tflm", "p.tflite", "--seed", "3")
    assert code == 0
    assert "drawn with seed 3" in " ".join(out.split())
    assert head_bytes(Path("p.tflite").read_bytes(), capfd) == 397_920


def test_a_plan_that_lets_tensors_overlap_is_told():
    graph = mcusim.load("mcunet-vww0")
    from mcusim.frontends.synthesis import with_seeded_weights

    tensors = len(graph.tensors)
    vector = np.array([1, 0, tensors, *([0] * tensors)], "<i4").tobytes()
    Path("bad.tflite").write_bytes(write_tflite(with_seeded_weights(graph), metadata={OFFLINE_METADATA: vector}))
    code, out, _ = run("run", "bad.tflite", "--profile", "stm32h743", "--runtime", "tflm")
    assert code == 0
    assert "UNKNOWN" in out
    assert "the plan that the model carries lets" in out
    assert "tflm may answer nonsense" in run("plan", "bad.tflite", "--runtime", "tflm")[1]
    assert run("plan", "bad.tflite", "--planner", "tflm-greedy", "--emit", "tflm", "good.tflite")[0] == 0
    assert run("run", "good.tflite", "--profile", "stm32h743", "--runtime", "tflm")[0] == 0


@pytest.mark.parametrize("vector", [[], [1, 0], [1, 0, "n-1"], [1, 0, "n", -2]])
def test_a_vector_that_is_no_plan_is_none(vector):
    from mcusim.frontends.synthesis import with_seeded_weights

    graph = with_seeded_weights(mcusim.load("smallcifar"))
    count = len(graph.tensors)
    head = [count if v == "n" else count - 1 if v == "n-1" else v for v in vector]
    whole = (head + [16] * (3 + count - len(head)))[: 3 + count] if len(head) > 2 else head
    content = write_tflite(graph, metadata={OFFLINE_METADATA: np.array(whole, "<i4").tobytes()})
    source = parse_tflite(content, name="x", where="x").source
    assert source.offline_offsets == ()
    assert source.offline_refusal


# ---------------------------------------------------------------------------------------------------------------------
# --emit header


@needs_gcc
@pytest.mark.corpus
def test_headers_compile(corpus_model, tmp_path):
    graph = read_tflite(corpus_model.path)
    text = tflm_header(graph, RUNTIMES["tflm"], "0")
    (tmp_path / "model.h").write_text(text)
    prefix = re.search(r"#define (\w+)_ARENA_BYTES", text)[1]
    calls = re.findall(r"\(resolver\)\.(\w+)\(\)", text)
    members = " ".join(f"void (*{call})(void);" for call in calls) or "int none;"
    (tmp_path / "main.c").write_text(
        '#include "model.h"\n#include "model.h"\n'
        f"struct resolver {{ {members} }};\n"
        f"static char arena[{prefix}_ARENA_BYTES];\n"
        f"int use(struct resolver r); int use(struct resolver r) {{ (void)r; {prefix}_ADD_OPERATORS(r); "
        f"return (int)sizeof arena + {prefix}_OPERATORS; }}\n"
    )
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    done = subprocess.run(["gcc", *flags, "main.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(calls) == len(set(calls)) == sum(bool(resolver_call(op)) for op in operators_of(graph))


def test_the_header_says_what_the_plan_says(corpus):
    path = corpus / "models" / "mlperf_vww01_mbv1_025_96_int8.tflite"
    assert run("plan", str(path), "--emit", "header", "vww.h")[0] == 0
    figures = dict(re.findall(r"#define MLPERF_VWW01_MBV1_025_96_INT8_(\w+) (\d+)", Path("vww.h").read_text()))
    assert figures["HEAD_BYTES"] == "73728"
    assert figures["PLANNED_HEAD_BYTES"] == figures["HEAD_LOWER_BOUND_BYTES"] == "55296"
    tail = plan_memory(read_tflite(path)).persistent.size_bytes
    assert figures["ARENA_BYTES"] == str(-(-(73_728 + tail) // 16) * 16)
    assert figures["PLANNED_ARENA_BYTES"] == str(-(-(55_296 + tail) // 16) * 16)
    assert figures["OPERATORS"] == "6"


@pytest.mark.parametrize(("arena_bytes", "proof"), [(512, "proved minimal"), (528, "the smallest found")])
def test_the_header_says_proved_of_what_is(arena_bytes, proof, monkeypatch):
    monkeypatch.setattr("mcusim.memory.tflm_header.offline_plan", lambda *_: Plan((), arena_bytes, 512, ""))
    text = tflm_header(mcusim.load("smallcifar"), RUNTIMES["tflm"], "0")
    assert re.search(r"#define \w+_PLANNED_HEAD_BYTES \d+ /\* (.*) \*/", text)[1] == proof


def test_the_header_counts_resources_by_name():
    """Two handles of one resource, in two subgraphs, and one of another."""
    one = counting()
    another = Operator("VAR_HANDLE", (), (6,), "VarHandleOptions", {"container": "", "sharedName": "another"})
    two = replace(one, tensors=(*one.tensors, Operand((), "resource")), operators=(*one.operators, another))
    for network, count in ((one, 1), (two, 2)):
        text = tflm_header(parse_tflite(network.content(), name="n", where="n"), RUNTIMES["tflm"], "0")
        assert f"_RESOURCE_VARIABLES {count}\n" in text


def test_the_header_names_custom_operators_to_add_oneself():
    network = parse("CUSTOM:Mine int8[1,4] > int8[1,4]")
    text = tflm_header(parse_tflite(network.content(), name="n", where="n"), RUNTIMES["tflm"], "0")
    assert "/* Add yourself: resolver.AddCustom(...) for Mine. */" in text


def test_every_operator_of_tflm_can_be_added():
    names = [resolver_call(op) for op in KERNELS]
    assert all(re.fullmatch(r"Add[A-Z]\w+", name) for name in names)
    assert len(set(names)) == len(names)
    assert resolver_call("CONV_2D") == "AddConv2D"
    assert resolver_call("UNIDIRECTIONAL_SEQUENCE_LSTM") == "AddUnidirectionalSequenceLSTM"
    assert resolver_call("BATCH_TO_SPACE_ND") == "AddBatchToSpaceNd"
    assert resolver_call("CUSTOM:mine") == ""


def test_a_name_cannot_break_the_header():
    import dataclasses

    graph = dataclasses.replace(mcusim.load("smallcifar"), name="9 */ evil\n#error??/\\")
    text = tflm_header(graph, RUNTIMES["tflm"], "0")
    assert text.count("*/ ") == 0
    assert "\n#error" not in text
    assert "#define MODEL_9_EVIL_ERROR_ARENA_BYTES" in text


# ---------------------------------------------------------------------------------------------------------------------
# Wrong questions


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        (["--planner", "optimall"], "did you mean 'optimal'"),
        (["--emit", "onnx", "f"], "there is no 'onnx' to emit"),
        (["--emit", "tflm"], "requires 2 arguments"),
        (["--emit", "tflm", "-"], "a network is no text"),
        (["--emit", "tflm", "f.h"], "--emit tflm: 'f.h' does not end in .tflite; name a .tflite file"),
        (["--emit", "header", "f.tflite"], "--emit header: 'f.tflite' does not end in .h or .hpp; name a .h file"),
        (["--emit", "tflm", "f.tflite", "--runtime", "tinyengine"], "reads no plan from the model"),
        (["--emit", "header", "f.h", "--runtime", "tinyengine"], "has no interpreter to set up"),
        (["--emit", "header", "f.h", "--schedule", "patch:2x2@5"], "layer by layer"),
        (["--reorder", "--schedule", "patch:2x2@5"], "layer by layer"),
        (["--schedule", "auto"], "a plan is of one schedule"),
        (["--bank", "DTCM"], "a bank of which board?"),
        (["--profile", "stm32h743", "--bank", "SRAM9"], "it has no bank 'sram9'"),
        (["--buffers", "some"], "use peak, all, none"),
        (["--map", "none.elf"], "it cannot be read"),
        (["--json", "-", "--csv", "-"], "two documents cannot share"),
        (["--emit", "header", "no/such/f.h"], "cannot write no/such/f.h"),
        (["--emit", "tflm", "no/such/f.tflite"], "cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_question_gets_one_sentence(more, answer):
    code, out, err = run("plan", "mcunet-vww0", *more)
    assert (code, out) == (2, "")
    assert answer in err
    assert err.count("\n") == 1
    assert not any(Path().iterdir())


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--runtime", "tflm", "--reorder", "--emit", "header", "x.h"], "a header describes a file as it is"),
        (["--all", "--planner", "optimal"], "--planner: all countings"),
        (["--all", "--reorder"], "--reorder: all countings"),
        (["--all", "--runtime", "tflm"], "drop --all or --runtime"),
        (["--all", "--map", "x.elf"], "drop --all or --map"),
        (["--all", "--emit", "tflm", "x.tflite"], "--emit: all countings"),
    ],
)
def test_options_that_do_not_go_together_are_refused(args, message):
    code, _, error = run("plan", "mcunet-vww0", *args)
    assert code == 2
    assert message in error
    assert not list(Path.cwd().glob("x.*"))


def test_only_the_options_that_collide_are_named():
    err = run("plan", "mcunet-vww0", "--json", "-", "--csv", "-")[2]
    assert "--json and --csv: two documents" in err
    assert "--emit" not in err


def test_a_planned_file_can_be_reordered_and_the_gain_is_told(corpus):
    model = str(corpus / "models" / "mww_v1_alexa.tflite")
    assert run("plan", model, "--runtime", "tflm", "--emit", "tflm", "planned.tflite")[0] == 0
    code, out, error = run("plan", "planned.tflite", "--runtime", "tflm", "--reorder", "--emit", "tflm", "again.tflite")
    assert code == 0, error
    assert "14,208" in out
    assert document_of("plan", "planned.tflite", "--runtime", "tflm")["arena_bytes"] == 14_864
    assert document_of("plan", "again.tflite", "--runtime", "tflm")["arena_bytes"] == 14_208


def test_a_runtime_that_nobody_named_is_told(tmp_path: Path) -> None:
    """Alone the network goes to another runtime than in company, emitted, or on 64 bits: each says so, and why."""
    alone = document_of("plan", "mcunet-vww0")["runtime"]
    assert (alone["name"], alone["pointer_bits"]) == ("tinyengine", 32)
    for words, why in (
        (["mcunet-vww1"], "networks share an arena"),
        (["--pointer-bits", "64"], "pointers of 64 bits"),
    ):
        chosen = document_of("plan", "mcunet-vww0", *words)["runtime"]
        assert chosen["name"] == "tflm"
        assert why in chosen["why"]
        assert "no runtime was named" in " ".join(run("plan", "mcunet-vww0", *words).out.split())
        assert document_of("plan", "mcunet-vww0", "--runtime", "tflm", *words)["runtime"]["why"] is None
    header = run("plan", "mcunet-vww0", "--emit", "header", "-").out
    assert "what --emit writes is for TensorFlow Lite Micro, and no runtime was named" in " ".join(header.split())
    assert "no runtime was named" not in run("plan", "mcunet-vww0", "--runtime", "tflm", "--emit", "header", "-").out
    wheel = run("plan", "mcunet-vww0", "--pointer-bits", "64", "--emit", "header", "-").out
    assert "`mcusim plan MODEL --runtime tflm --pointer-bits 64 --emit header FILE`" in wheel
    assert "benchmark adds" not in wheel


def test_two_networks_in_python_share_an_arena() -> None:
    shared, document = mcusim.plan(["mcunet-vww0", "mcunet-vww1"]), document_of("plan", "mcunet-vww0", "mcunet-vww1")
    assert shared.recommended_arena_bytes == document["recommended_arena_bytes"]
    assert shared.to_frame()["model"].tolist() == [each["model"] for each in document["models"]]
    assert repr(shared).startswith("<SharedPlan 2 networks with 'tflm'")
    for wrong, named in (({"profile": "stm32f412"}, "profile"), ({"schedule": "patch:2x2@3"}, "schedule")):
        with pytest.raises(mcusim.McusimError, match=f"{named}: several networks share an arena"):
            mcusim.plan(["mcunet-vww0", "mcunet-vww1"], **wrong)
    with pytest.raises(mcusim.McusimError, match="there is no network"):
        mcusim.plan([])

"""The command line as users meet it: examples that work, sentences instead of tracebacks, exit codes, files, speed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_networks
import pytest
from commands import REPO, run
from evaluation_sets import save_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_maker import tiny_network

import mcusim
from mcusim.cli.app import COMMANDS, commands_together
from mcusim.cli.schema import report_schema
from mcusim.report import LayerInfo

RUN = ["run", "mcunet-vww0", "--profile", "stm32f412"]


def commands(is_help: bool = False) -> Iterator[tuple[list[str], Any]]:
    pending: list[tuple[list[str], Any]] = [([], commands_together(is_help))]
    while pending:
        path, command = pending.pop()
        yield path, command
        pending += [([*path, name], inner) for name, inner in getattr(command, "commands", {}).items()]


COMMAND_PATHS = sorted(path for path, _ in commands())


pytestmark = pytest.mark.usefixtures("elsewhere")


# ---------------------------------------------------------------------------------------------------------------------
# Help


def examples(path: list[str]) -> list[str]:
    shown = run(*path, "--help")
    assert shown.code == 0
    return re.findall(r"^ +mcusim (.*)$", shown.out, re.MULTILINE)


def save_own_times(folder: Path) -> None:
    """The files that the examples of `mcusim calibrate` name."""
    header = "model,profile,runtime,latency_ms"
    (folder / "mine.csv").write_text(f"{header}\nmcunet-vww0,my_board.toml,tflm-cmsis-nn,300\n")
    profile = (REPO / "hardware_profiles" / "stm32f412.toml").read_text(encoding="utf-8")
    (folder / "my_board.toml").write_text(profile.replace('name = "stm32f412"', 'name = "my_board"'))
    (folder / "model.tflite").write_bytes(tiny_network().pack())
    layers = mcusim.simulate("mcunet-vww0", profile="nrf52840", runtime="tflm").layers
    logged = [f"{layer.op},{layer.cycles}" for layer in layers if layer.cycles]
    (folder / "layers.csv").write_text("\n".join(["op,cycles", *logged]) + "\n")


def save_float_network(folder: Path) -> None:
    """The files that the examples of `mcusim quantize` name."""
    onnx = pytest.importorskip("onnx", reason="the onnx package is not installed (extra `onnx`)")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra `onnx`)")
    model = onnx_networks.float_network("autoencoder")
    onnx.save(model, folder / "model.onnx")
    samples = np.concatenate([feed["input"] for feed in onnx_networks.calibration(model, 4)])
    np.savez(folder / "calibration.npz", input=samples)
    np.save(folder / "images.npy", samples)


def save_gates(folder: Path) -> None:
    """The files that the examples of `mcusim sweep`, `compare` and `check` name."""
    asked = 'boards = ["stm32f412"]\nnetworks = ["smallcifar"]\n'
    (folder / "sweep.toml").write_text(asked)
    (folder / "budgets.toml").write_text('[[budget]]\nnetwork = "smallcifar"\nboard = "stm32f412"\n')
    for name in ("main.json", "branch.json"):
        assert run("run", "smallcifar", "--profile", "stm32f412", "--json", str(folder / name)).code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", COMMAND_PATHS, ids=" ".join)
def test_examples_of_help_work(path: list[str]) -> None:
    shown = examples(path)
    assert shown, "help without an example"
    assert not path or any(example.split()[: len(path)] == path for example in shown)
    if path == ["evaluate"]:
        save_examples(Path())
    if path == ["calibrate"]:
        save_own_times(Path())
    if path == ["quantize"]:
        save_float_network(Path())
    if path and path[0] in ("sweep", "compare", "check"):
        save_gates(Path())
    if path == ["plot", "sweep"]:
        Path("sweep.toml").write_text('boards = ["stm32f412"]\nnetworks = ["mcunet-in0", "mcunet-in2"]\n')
        Path("mine.csv").write_text("network,accuracy\nmcunet-in0,40\nmcunet-in2,60\n")
        assert run("sweep", "sweep.toml", "-o", "answers").code == 0
    if path == ["pte"]:
        pytest.skip("needs ExecuTorch to make a program: tests/test_pte.py runs it")
    for example in shown:
        answer = run(*shlex.split(example))
        assert answer.code == (0 if "--check" not in example.split() else answer.code), answer.err
        assert answer.code in (0, 1)
        assert answer.out
        assert answer.err == ""


def test_commands_are_listed_in_order() -> None:
    listed = re.findall(r"^  ([a-z-]+)  ", run().out.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(COMMANDS)


def test_version() -> None:
    assert run("--version").out == f"mcusim {mcusim.__version__}\n"


@pytest.mark.slow
def test_docs_are_current() -> None:
    script = REPO / "scripts" / "regen_docs.py"
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------------------------------------------------------
# Wrong questions

WRONG = [
    (["rnu"], "there is no command 'rnu'; did you mean run?"),
    (["run"], "no board is named"),
    (["run", "--profil", "stm32f412"], "there is no option --profil; did you mean --profile?"),
    (["run", "--profile"], "requires an argument"),
    (["run", "--profile", "stm32f41"], "did you mean 'stm32f412'"),
    (["run", "--profile", "./none.toml"], "there is no such file"),
    (["run", "mcunet-in9", "--profile", "stm32f412"], "did you mean 'mcunet-in"),
    (["run", "none.tflite", "--profile", "stm32f412"], "none.tflite"),
    (["bits", "a", "b", "--profile", "stm32f412"], "unexpected extra argument"),
    ([*RUN, "--runtime", "tfml"], "did you mean 'tflm'?"),
    ([*RUN, "--runtime", "tflm@0"], "no rules and no measurements for version 0"),
    ([*RUN, "--schedule", "patch:0x3@2"], "does not read"),
    ([*RUN, "--bits", "w3a8"], "is no choice of bits; use wNaM"),
    ([*RUN, "--bits", "auto", "--schedule", "auto"], "bits are chosen for one schedule"),
    (["bits", "mcunet-in2", "--profile", "stm32f412", "--min-bits", "5"], "--min-bits: it is 5; use 2, 4, 8"),
    ([*RUN, "--input", "moon"], "use arena or external"),
    ([*RUN, "--layers", "some"], "use auto, all, top, none"),
    ([*RUN, "--clock-hz", "fast"], "'fast' is not a clock"),
    ([*RUN, "--clock-hz", "3GHz"], "out of range"),
    ([*RUN, "--clock-hz", "-1"], "'-1' is not a clock"),
    ([*RUN, "--sram-budget", "0"], "'0' is not a size"),
    ([*RUN, "--sram-budget", "nan"], "'nan' is not a size"),
    ([*RUN, "--sram-budget", "inf"], "'inf' is not a size"),
    ([*RUN, "--flash-budget", "1.5"], "'1.5' is not a size"),
    ([*RUN, "--flash-budget", ""], "'' is not a size"),
    ([*RUN, "--max-ms", "nan"], "'nan' is not a time"),
    ([*RUN, "--max-ms", "-3"], "'-3' is not a time"),
    ([*RUN, "--max-ms", "s"], "'s' is not a time"),
    ([*RUN, "--json", "-", "--csv", "-"], "two documents cannot share standard output"),
    ([*RUN, "--json", "f", "--csv", "f"], "two documents cannot share the file f"),
    ([*RUN, "--json", "no/such/folder/f.json"], "cannot write no/such/folder/f.json"),
    ([*RUN, "--json", "."], "'.' is a folder"),
    ([*RUN, "--csv", ""], "the name is empty"),
    (["models", "mcunet"], "did you mean"),
    (["profiles", "stm"], "there is no board called 'stm'"),
    (["profiles", "chek", "x.toml"], "did you mean check?"),
    (["profiles", "new", "Not A Name"], "is not a board name"),
    (["ops", "mcunet-vww0", "--runtime", "x"], "no such runtime"),
]


@pytest.mark.parametrize(("args", "sentence"), WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_a_wrong_question_gets_one_sentence(args: list[str], sentence: str) -> None:
    answer = run(*args)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.startswith("mcusim")
    assert answer.err.count("\n") == 1
    assert answer.out == ""
    assert not any(Path().iterdir()), "left a file behind"


@pytest.mark.parametrize("content", [b"", b"TFL3", bytes(range(64)), b"\x08\x00\x00\x00onnx", b"PK\x03\x04"])
def test_a_file_that_is_no_network(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    answer = run("run", "m.tflite", "--profile", "stm32f412")
    assert answer.code == 2
    assert answer.err.startswith("mcusim: ")
    assert "fault of mcusim" not in answer.err
    assert answer.err.count("\n") == 1


def test_our_own_faults_show_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise KeyError("lost\nkey")

    monkeypatch.setattr("mcusim.cli.asking.report_of", fail)
    answer = run(*RUN)
    assert answer.code == 2
    assert answer.err.startswith("mcusim: this is a fault of mcusim")
    assert answer.err.count("\n") == 1


def test_an_interrupt_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcusim.cli.asking.report_of", stop)
    monkeypatch.setattr("mcusim.cli.app.silence", lambda: None)
    answer = run(*RUN)
    assert (answer.code, answer.out, answer.err.strip()) == (130, "", "")


OPTIONS = (
    "--clock-hz",
    "--sram-budget",
    "--flash-budget",
    "--max-ms",
    "--layers",
    "--input",
    "--schedule",
    "--runtime",
)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.sampled_from(OPTIONS), st.text(max_size=12) | st.sampled_from(["1e9", "1M", "0x10", "١٢", "1_0", "9" * 400]))
def test_no_option_value_breaks_it(option: str, value: str) -> None:
    answer = run("run", "mcunet-vww0", "--profile", "stm32f412", f"{option}={value}")
    assert answer.code in (0, 2)
    assert "fault of mcusim" not in answer.err
    assert (answer.err.count("\n") == 1) == (answer.code == 2)


# ---------------------------------------------------------------------------------------------------------------------
# run: check, documents, files


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ([], 0),
        (["--sram-budget", "1k"], 1),
        (["--flash-budget", "1k"], 1),
        (["--max-ms", "0.001"], 1),
        (["--max-ms", "1000s"], 0),
        (["--runtime", "tflm"], 0),  # its file is estimated as `mcusim export` would write it
    ],
)
def test_check(more: list[str], code: int) -> None:
    assert run(*RUN, *more, "--check").code == code
    assert run(*RUN, *more).code == 0


def test_check_cannot_pass_on_a_time_that_may_be_missed() -> None:
    args = ["run", "mcunet-vww0", "--profile", "nrf5340", "--json", "-"]
    ms = json.loads(run(*args).out)["latency"]["ms"]
    args += ["--max-ms", f"{ms:.0f}"]
    assert json.loads(run(*args).out)["latency"]["fits"] is None
    assert run(*args, "--check").code == 3


@pytest.mark.slow
def test_check_of_all_boards_asks_for_one() -> None:
    assert run("run", "mcunet-vww0", "--profile", "all", "--check").code == 0
    assert run("run", "mcunet-vww0", "--profile", "all", "--check", "--sram-budget", "1k").code == 1


def test_json_to_standard_output_is_all_there_is() -> None:
    answer = run(*RUN, "--json", "-")
    document = json.loads(answer.out)
    assert document["schema_version"] == 1
    assert document["model"]["name"] == "mcunet-vww0"
    assert answer.err == ""


def test_default_network_is_the_boards() -> None:
    board = mcusim.load_board("stm32f412")
    document = json.loads(run("run", "--profile", "stm32f412", "--json", "-").out)
    assert document["model"]["name"] == board.default_model


def test_options_reach_the_answer() -> None:
    more = ["--clock-hz", "50MHz", "--sram-budget", "200k", "--flash-budget", "1M", "--max-ms", "2s"]
    document = json.loads(run(*RUN, *more, "--input", "external", "--json", "-").out)
    assert document["profile"]["clock_hz"] == 50_000_000
    assert document["sram"]["budget_bytes"] == 200 * 1024
    assert document["flash"]["budget_bytes"] == 1024**2
    assert document["latency"]["budget_ms"] == 2000
    assert document["input"]["where"] == "external"


def test_csv_has_a_line_for_each_layer() -> None:
    answer = run(*RUN, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    document = json.loads(run(*RUN, "--json", "-").out)
    assert list(rows[0]) == [*LayerInfo._fields[:7], "ms", *LayerInfo._fields[7:]]
    assert [int(row["sram_bytes"]) for row in rows] == [layer["sram_bytes"] for layer in document["layers"]]
    assert sum(float(row["ms"]) for row in rows) == pytest.approx(document["latency"]["ms"])
    assert sum(int(row["macs"]) for row in rows) == document["model"]["macs"]


def test_files_are_written_beside_the_report(tmp_path: Path) -> None:
    answer = run(*RUN, "--json", "r.json", "--csv", "r.csv")
    assert answer.code == 0
    assert answer.out.startswith("mcunet-vww0 on stm32f412: FITS")
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "fits"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.json"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "r.json").stat().st_mode) == 0o666 & ~mask


def test_a_file_stays_whole_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "r.json"
    target.write_text("before")
    (tmp_path / "link.json").symlink_to(target)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("mcusim.cli.shell.os.replace", full)
        answer = run(*RUN, "--json", "link.json")
    assert answer.code == 2
    assert "No space left on device" in answer.err
    assert target.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "r.json"]
    assert run(*RUN, "--json", "link.json").code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads(target.read_text())


@pytest.mark.slow
def test_all_boards_best_first() -> None:
    document = json.loads(run("run", "mcunet-vww1", "--profile", "all", "--json", "-").out)
    reports = document["reports"]
    order = ["fits", "unknown", "does-not-fit"]
    places = [order.index(report["verdict"]) for report in reports]
    assert places == sorted(places)
    assert 0 < places.count(0) < len(places)
    budgets = [report["sram"]["budget_bytes"] for report in reports if report["verdict"] == "fits"]
    assert budgets == sorted(budgets)
    rows = list(csv.DictReader(io.StringIO(run("run", "mcunet-vww1", "--profile", "all", "--csv", "-").out)))
    assert [row["profile"] for row in rows] == [report["profile"]["name"] for report in reports]


@pytest.mark.slow
def test_all_boards_with_their_own_networks() -> None:
    document = json.loads(run("run", "--profile", "all", "--json", "-").out)
    assert len({report["model"]["name"] for report in document["reports"]}) > 1


# ---------------------------------------------------------------------------------------------------------------------
# The schema


def faults(value: object, schema: dict[str, Any], definitions: dict[str, Any], at: str = "") -> list[str]:
    """What JSON Schema would say, for the few words that ours uses."""
    if "$ref" in schema:
        return faults(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, at)
    if "anyOf" in schema:
        tried = [faults(value, option, definitions, at) for option in schema["anyOf"]]
        return [] if [] in tried else min(tried, key=len)
    if "const" in schema or "enum" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        return [] if value in allowed else [f"{at}: {value!r} is none of {allowed}"]
    kinds: dict[str, tuple[type, ...]] = {
        "object": (dict,),
        "array": (list,),
        "integer": (int,),
        "number": (int, float),
        "string": (str,),
        "boolean": (bool,),
        "null": (type(None),),
    }
    if not isinstance(value, kinds[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict):
        assert schema["additionalProperties"] is False
        unequal = [f"{at}: {name} missing or unknown" for name in set(value) ^ set(schema["required"])]
        known = [(name, value[name], inner) for name, inner in schema["properties"].items() if name in value]
        return unequal + [
            fault for name, item, inner in known for fault in faults(item, inner, definitions, f"{at}/{name}")
        ]
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 10**9):
            return [f"{at}: {len(value)} items"]
        return [
            fault for i, item in enumerate(value) for fault in faults(item, schema["items"], definitions, f"{at}/{i}")
        ]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["stm32f412", "stm32g0b1", "all"])
@pytest.mark.parametrize("runtime", ["tinyengine", "tflm"])
def test_documents_keep_to_the_schema(profile: str, runtime: str) -> None:
    schema = json.loads(run("schema").out)
    assert schema == report_schema()
    document = json.loads(run("run", "person-det", "--profile", profile, "--runtime", runtime, "--json", "-").out)
    assert faults(document, schema, schema["$defs"]) == []
    broken = {**document, "extra": 1}
    assert faults(broken, schema, schema["$defs"])


def test_schema_is_a_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(run(*RUN, "--json", "-").out), schema)


@pytest.mark.parametrize("args", [["models"], ["profiles"], ["runtimes"], ["ops"], ["ops", "person-det"]], ids=" ".join)
def test_lists_are_documents_too(args: list[str]) -> None:
    document = json.loads(run(*args, "--json").out)
    assert document["schema_version"] == 1
    assert all(value for key, value in document.items() if key not in ("warnings", "executable"))


def test_one_board_or_network_as_a_document() -> None:
    assert len(json.loads(run("profiles", "stm32f412", "--json").out)["profiles"]) == 1
    (model,) = json.loads(run("models", "mbv1-w0.75", "--json").out)["models"]
    assert model["differs"] == ["macs"]
    assert "325.4 M counted, 317 M printed" in run("models", "mbv1-w0.75").out


# ---------------------------------------------------------------------------------------------------------------------
# Profiles


def test_a_profile_of_ones_own(tmp_path: Path) -> None:
    assert run("profiles", "new", "my-board").code == 0
    again = run("profiles", "new", "my-board")
    assert again.code == 2
    assert "--force" in again.err
    assert run("profiles", "new", "my-board", "--force").code == 0
    judged = run("profiles", "check", "my-board.toml")
    assert judged.code == 0
    assert judged.out.startswith("my-board.toml: ok")
    assert run("run", "--profile", "my-board.toml").code == 0
    assert run("profiles", "./my-board.toml").out.startswith("my-board: ")
    path = tmp_path / "my-board.toml"
    path.write_text(path.read_text().replace("clock_hz", "clock_mhz"))
    wrong = run("profiles", "check", "my-board.toml")
    assert wrong.code == 2
    assert "clock_mhz" in wrong.out


def test_help_from_signatures_is_that_of_the_whole_commands() -> None:
    whole, signatures = (
        {" ".join(path): command.get_help(command.context_class(command)) for path, command in commands(is_help)}
        for is_help in (False, True)
    )
    assert signatures == whole


@pytest.mark.slow
def test_help_loads_nothing_that_answers() -> None:
    """`mcusim COMMAND --help` costs what Typer costs: a fifth of a second at most instead of half of one."""
    code = (
        "import sys; from mcusim.cli import main; from mcusim.cli.app import COMMANDS; "
        "[main([name, '--help']) for name in COMMANDS]; main(['plot', 'front', '-h']); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--what-if" in done.stdout
    for module in ("numpy", "mcusim.ops", "mcusim.question.question", "mcusim.frontends.vendored.tflite_schema"):
        assert f"'{module}'" not in done.stdout


def test_a_word_that_only_looks_like_a_question_for_help_is_answered() -> None:
    """Behind an option `-h` is the option's value: the command runs, and says that there is no such board."""
    answered = run("fit", "mcunet-vww0", "--profile", "-h")
    assert (answered.code, answered.out) == (2, "")
    assert "no board called '-h'" in answered.err


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="counts the threads of this process as Linux lists them"
)
def test_linear_algebra_keeps_to_one_core() -> None:
    """Its threads wait by spinning: a quarter of the processor time of `mcusim run`."""
    code = (
        "import os; from mcusim.cli import main; main(['run', '--profile', 'stm32f412', '--json', os.devnull]); "
        "print(len(os.listdir('/proc/self/task')))"
    )
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=free)
    assert done.stdout.splitlines()[-1] == "1"

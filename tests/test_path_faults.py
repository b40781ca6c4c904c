"""Every command, every path that it takes, every way in which a path can be wrong: one sentence that says which.

Which options take a path is asked of the command line itself, so a new one must be listed here.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from commands import run
from tflite_maker import tiny_network

from mcusim.cli.app import app

pytestmark = pytest.mark.usefixtures("elsewhere")

LINES = {
    "run": "run net.tflite --profile stm32f412",
    "plan": "plan net.tflite",
    "patch": "patch net.tflite --profile stm32f412",
    "fit": "fit net.tflite --profile stm32f412",
    "bits": "bits net.tflite --profile stm32f412",
    "search": "search micronets-kws --profile stm32f412 --evaluations 1 --optimiser random",
    "search-net": "search-net --row vww:under-32kb",
    "sweep": "sweep sweep.toml -o answers",
    "compare": "compare report.json report.json",
    "check": "check budgets.toml",
    "models": "models",
    "profiles show": "profiles show stm32f412",
    "profiles new": "profiles new mine",
    "profiles check": "profiles check mine.toml",
    "runtimes": "runtimes",
    "ops": "ops",
    "exec": "exec net.tflite --input in.npy",
    "evaluate": "evaluate net.tflite --data data.npz",
    "diff": "diff net.tflite --numerics tflm,litert",
    "plot timeline": "plot timeline net.tflite -o x.svg",
    "plot memory": "plot memory net.tflite -o x.svg --profile stm32f412",
    "plot patches": "plot patches net.tflite -o x.svg --schedule patch:1x1@1",
    "plot layers": "plot layers net.tflite -o x.svg --profile stm32f412",
    "plot front": "plot front net.tflite -o x.svg --profile stm32f412",
    "codegen": "codegen net.tflite --profile stm32f412 -o fw",
    "flash-kit": "flash-kit net.tflite --profile nrf52840 -o kit",
    "export": "export net.tflite x.tflite",
    "pte": "pte x.pte",
    "quantize": "quantize x.onnx --data in.npy -o x.tflite",
    "evidence": "evidence",
    "validate": "validate",
    "calibrate": "calibrate times.csv -o own.json",
    "schema": "schema run",
    "doctor": "doctor",
}
"""A line of each command that is sound, as far as its files are."""
SLOW_LINES = {
    "report table4": "report table4",
    "plot table4": "plot table4 -o x.svg",
    "plot sweep": "plot sweep answers -o x.svg --accuracies accuracies.csv",
    "plot space": "plot space mcunet --profile stm32f412 -o x.svg --sample 1 --hold width=0.5",
    "patch": "patch mcunet-vww1 --profile stm32f412 --advice --schedule patch:2x2@5",
}
"""The same of commands that compute all that is known; `report` and `plot` of other tables write as these do."""
SLOW = {"report", "plot validation", "plot vww", "plot runtimes", *SLOW_LINES} - {"patch"}

READ = {
    "--map": "firmware.elf",
    "--calibration": "own.json",
    "--profile": "mine.toml",
    "--bits": "bits.json",
    "--input": "in.npy",
    "--data": "data.npz",
    "--preprocess": "p.toml",
    "--classes": "classes.txt",
    "--labels": "labels.txt",
    "--model": "net.tflite",
    "model": "net.tflite",
    "models": "net.tflite",
    "measured": "times.csv",
    "before": "report.json",
    "after": "report.json",
    "budgets": "budgets.toml",
    "file": "mine.toml",
    "spec": "sweep.toml",
    "space": "space.toml",
    "a": "net.tflite",
    "b": "net.tflite",
}
"""Options and arguments that name what is read, with a file of that kind."""
SUFFIXES = (".tflite", ".onnx", ".pt2", ".pte", ".toml", "")
"""Of networks: each has a reader of its own."""
WRITTEN = ("FILE", "KIND FILE")

Point = tuple[str, str]
"""A command, and an option of it."""


def parameters() -> Iterator[tuple[str, Any]]:
    """Every command with each of its options and arguments."""
    top: Any = typer.main.get_command(app)
    for name, command in top.commands.items():
        for inner, leaf in getattr(command, "commands", {"": command}).items():
            yield from ((f"{name} {inner}".strip(), parameter) for parameter in leaf.params)


ALONE = {
    ("evaluate", "--labels"),  # of images only
    ("calibrate", "--model"),  # with a log only
    ("calibrate", "--profile"),
    ("patch", "--variant"),  # with --advice only
    ("quantize", "model"),  # a float .onnx
    ("quantize", "--data"),
    ("quantize", "-o"),
    ("quantize", "--output"),
    ("quantize", "--json"),
    ("pte", "--json"),
    ("search-net", "--profile"),  # not with --row
    ("search-net", "--json"),  # what is found takes long
    ("search-net", "--output"),
    ("validate", "--json"),  # as does a comparison with all that was measured
    ("validate", "--csv"),
}
"""Points that need more than a line of a small network: `tests/` of their commands try them."""


def is_read(command: str, parameter: Any) -> bool:
    if parameter.name == "data" and (command.startswith("plot") or command == "run"):
        return False  # the figures of a picture
    name = parameter.name if parameter.param_type_name == "argument" else parameter.opts[0]
    if name == "--input":
        return command in ("exec", "diff")
    return name in READ and not (name == "--bits" and command == "quantize")


def point_of(command: str, parameter: Any) -> Point:
    return command, parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.name


ALL = [(command, p) for command, p in parameters() if command.split()[0] not in SLOW and command not in SLOW]
READS = [point_of(command, p) for command, p in ALL if is_read(command, p) and point_of(command, p) not in ALONE]
WRITES = [
    point_of(command, p)
    for command, p in ALL
    if p.metavar in WRITTEN and not is_read(command, p) and point_of(command, p) not in ALONE
]
FOLDERS = [("codegen", "-o"), ("flash-kit", "-o"), ("sweep", "-o")]


def test_every_path_is_tried() -> None:
    """Options with a file or a folder are all in a table, and the tables have no others."""
    assert {name for _, name in (*READS, *ALONE)} >= set(READ)
    assert {command for command, _ in ALL} == set(LINES)
    folders = {(command, p.metavar) for command, p in ALL if p.metavar == "DIR"}
    assert {command for command, _ in folders} == {command for command, _ in FOLDERS}


@pytest.fixture
def files(elsewhere: None) -> None:
    """What the lines read."""
    Path("net.tflite").write_bytes(tiny_network().pack())
    np.save("in.npy", np.zeros((1, 4, 4, 2), np.int8))
    np.savez("data.npz", x=np.zeros((2, 4, 4, 2), np.int8), y=np.array([0, 1]))
    Path("sweep.toml").write_text('boards = ["stm32f412"]\nnetworks = ["smallcifar"]\n')
    Path("budgets.toml").write_text('[[budget]]\nnetwork = "smallcifar"\nboard = "stm32f412"\n')
    Path("times.csv").write_text("model,profile,runtime,latency_ms\nmcunet-vww0,stm32f412,tflm-cmsis-nn,300\n")
    assert run("profiles", "new", "mine").code == 0
    assert run("run", "smallcifar", "--profile", "stm32f412", "--json", "report.json").code == 0


def with_path(point: Point, path: str) -> list[str]:
    """The command's line, with this path in the option's or argument's place."""
    command, option = point
    words = LINES[command].split()
    places = {"-o": ("-o", "--output"), "--output": ("-o", "--output"), "-d": ("--data", "-d")}.get(option, (option,))
    for place in places:
        if place in words:
            words[words.index(place) + 1] = path
            return words
    if option.startswith("-"):
        return [*words, *(("--emit", "tflm") if option == "--emit" else (option,)), path]
    start = len(command.split())
    at = {"after": start + 1, "path": start + 1, "b": start + 1}.get(option, start)
    return [*words[:at], path, *words[at + 1 :]] if option != "b" else [*words[:at], path]


def assert_refused(words: list[str], pattern: str) -> None:
    before = {path: path.lstat().st_size for path in Path().rglob("*")}
    code, out, error = run(*words)
    assert code == 2, (words, out, error)
    message = error or out  # of `profiles check`, which lists what is wrong
    assert re.search(pattern, message), (words, message)
    assert error.count("\n") == 1 or words[:2] == ["profiles", "check"], error
    assert "fault of mcusim" not in error
    assert {path: path.lstat().st_size for path in before} == before, words
    assert not list(Path().rglob(".*")), words  # what is written beside a file first


# ---------------------------------------------------------------------------------------------------------------------
# Read

READ_FAULTS = {
    "circle": "circle|Too many levels of symbolic links",
    "dangling": "which is not there|[Nn]o such file|no file",
    "long": "File name too long",
    "inside a file": "Not a directory|nor its folder|no such file|no file",
}


def faulty(fault: str, name: str) -> str:
    """A path with that fault, which ends as `name` does."""
    match fault:
        case "circle":
            Path(f"other-{name}").symlink_to(f"bad-{name}")
            Path(f"bad-{name}").symlink_to(f"other-{name}")
        case "dangling":
            Path(f"bad-{name}").symlink_to("gone")
        case "long":
            return "./" + "x" * 300 + name
        case "inside a file":
            Path("plain").write_text("")
            return f"plain/{name}"
    return f"./bad-{name}"


@pytest.mark.parametrize("fault", READ_FAULTS)
@pytest.mark.parametrize("point", READS, ids=" ".join)
def test_what_cannot_be_read_is_told(point: Point, fault: str, files: None) -> None:
    assert_refused(with_path(point, faulty(fault, READ[point[1]])), READ_FAULTS[fault])


@pytest.mark.parametrize("fault", READ_FAULTS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_networks_of_any_suffix(suffix: str, fault: str, files: None) -> None:
    path = faulty(fault, f"net{suffix}")
    for name in (path, path.removeprefix("./")) if fault in ("circle", "dangling") else (path,):
        assert_refused(["run", name, "--profile", "stm32f412"], READ_FAULTS[fault])


# ---------------------------------------------------------------------------------------------------------------------
# Written

WRITE_FAULTS = {
    "circle": "Too many levels of symbolic links.*mend the links|no regular file",
    "dangling": "No such file.*folder exists",
    "long": "File name too long.*shorter name",
    "inside a file": "Not a directory|File exists",
    "full": "No space left.*make room|no regular file|more than 256",
}


def unwritable(fault: str, name: str) -> str:
    if fault == "full":
        Path(f"bad-{name}").symlink_to("/dev/full")
        return f"./bad-{name}"
    if fault == "dangling":
        Path(f"bad-{name}").symlink_to("nowhere/at/all")
        return f"./bad-{name}"
    return faulty(fault, name)


def ending(point: Point) -> str:
    """Of a file that the option takes."""
    command, option = point
    if option in ("-o", "--output"):
        kinds = {"plot": "x.svg", "profiles": "x.toml", "search": "x.toml", "exec": "x.npy"}
        return kinds.get(command.split()[0], "x.json")
    return {"path": "x.tflite", "--emit": "x.tflite", "--trace": "x.npz", "--html": "x.html"}.get(option, "x.json")


@pytest.mark.parametrize("fault", WRITE_FAULTS)
@pytest.mark.parametrize("point", WRITES, ids=" ".join)
def test_what_cannot_be_written_is_told(point: Point, fault: str, files: None) -> None:
    if fault == "full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert_refused(with_path(point, unwritable(fault, ending(point))), WRITE_FAULTS[fault])


SLOW_READS = [("plot sweep", "folder"), ("plot sweep", "--accuracies"), ("plot space", "space")]
SLOW_WRITES = [
    ("report table4", "-o"),
    ("report table4", "--json"),
    ("plot table4", "-o"),
    ("plot sweep", "-o"),
    ("plot sweep", "--data"),
    ("plot space", "-o"),
    ("patch", "--variant"),
]


@pytest.fixture
def answers(files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What slow lines read."""
    monkeypatch.setattr("test_path_faults.LINES", {**LINES, **SLOW_LINES})
    assert run("sweep", "sweep.toml", "-o", "answers").code == 0
    Path("accuracies.csv").write_text("smallcifar,60.3\n")


@pytest.mark.slow
@pytest.mark.parametrize("fault", READ_FAULTS)
@pytest.mark.parametrize("point", SLOW_READS, ids=" ".join)
def test_what_a_slow_command_cannot_read_is_told(point: Point, fault: str, answers: None) -> None:
    names = {"folder": "answers", "--accuracies": "a.csv", "space": "space.toml"}
    if point[1] == "folder" and fault == "dangling":
        pytest.skip("a folder that is not there holds no answers, and that is said")
    if point[1] == "space" and fault in ("long", "inside a file"):
        pytest.skip("no file: the name of a space, and that is said")
    assert_refused(with_path(point, faulty(fault, names[point[1]])), READ_FAULTS[fault])


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["circle", "full"])
@pytest.mark.parametrize("point", SLOW_WRITES, ids=" ".join)
def test_what_a_slow_command_cannot_write_is_told(point: Point, fault: str, answers: None) -> None:
    if fault == "full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    name = "x.tflite" if point[1] == "--variant" else ending(point)
    assert_refused(with_path(point, unwritable(fault, name)), WRITE_FAULTS[fault])


FOLDER_FAULTS = {
    "circle": "link that leads to no folder|Too many levels",
    "dangling": "link that leads to no folder|File exists",
    "long": "File name too long.*shorter name",
    "inside a file": "Not a directory.*folders are folders|File exists",
    "full": "No space left.*make room",
}


@pytest.mark.parametrize("fault", FOLDER_FAULTS)
@pytest.mark.parametrize("point", FOLDERS, ids=" ".join)
def test_a_folder_that_cannot_be_written_is_told(
    point: Point, fault: str, files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault == "full":
        Path("fw").mkdir()
        monkeypatch.setattr(Path, "mkdir", _full)
        assert_refused(with_path(point, "fw"), FOLDER_FAULTS[fault])
        return
    assert_refused(with_path(point, unwritable(fault, "fw")), FOLDER_FAULTS[fault])


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ---------------------------------------------------------------------------------------------------------------------
# A folder that is gone


@pytest.mark.parametrize("point", [*READS, *WRITES, *FOLDERS], ids=" ".join)
def test_a_folder_that_is_gone_is_told(
    point: Point, tmp_path: Path, files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the line are named whole; the one in question lies in the folder that is gone."""
    words = with_path(point, "QUESTION")
    kept = {path.name: str(path) for path in tmp_path.iterdir()}
    named: Mapping[str, str] = {**kept, **{name: str(tmp_path / name) for name in ("x.svg", "fw", "kit", "answers")}}
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    name = READ[point[1]] if point in READS else ending(point)
    code, out, error = run(*(f"./{name}" if word == "QUESTION" else named.get(word, word) for word in words))
    message = error or out
    assert code == 2, (words, message)
    assert "is gone, or may not be entered" in message, (words, message)

"""JSON, TOML and CSV from strangers: every command that reads one answers, or says in one sentence what is wrong."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import tempfile
import tomllib
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import REPO, run
from fuzzing.documents import as_toml, mutated_rows, mutated_tree
from numpy.typing import NDArray

from mcusim import execute
from mcusim.errors import McusimError
from mcusim.frontends.array_files import read_arrays
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.frontends.tflite_writer import write_tflite

CASES = int(os.environ.get("MCUSIM_FUZZ", "12"))
BOARD = ("--profile", "stm32f412")
TIMES = "model,profile,runtime,latency_ms\nsmallcifar,stm32f412,tinyengine,120\nmcunet-vww0,stm32f412,tinyengine,300\n"
SPEC = {
    "networks": ["smallcifar"],
    "boards": ["stm32f412"],
    "runtimes": ["tflm"],
    "schedules": ["layer"],
    "clocks_hz": ["100MHz"],
    "budgets": ["64k", {"sram": "128k", "ms": 100}],
    "space": "mcunetv2:vww",
    "sample": 3,
    "seed": 0,
}
BUDGET = {"network": "smallcifar", "board": ["stm32f412"], "runtime": "tflm", "sram": "64k", "flash": "512k", "ms": 100}
ACCURACIES = "smallcifar,60\nmcunet-vww0,87.5\n"
SEARCH = ("search", "micronets-kws", *BOARD, "--evaluations", "2", "--optimiser", "random")
OPERATORS = "PAD CONV_2D MAX_POOL_2D " * 3 + "RESHAPE FULLY_CONNECTED"  # of smallcifar
LAYERS = "op,cycles\n" + "".join(f"{op},{90_000 - 7000 * k}\n" for k, op in enumerate(OPERATORS.split()))


@cache
def _written(*args: str) -> Any:
    """The JSON document of a command."""
    code, out, error = run(*args, "--json", "-")
    assert code in (0, 1), error
    return json.loads(out)


def _made(folder: Path, name: str, *command: str) -> str:
    """What a command wrote into a file there."""
    code, _, error = run(*command, str(folder / name))
    assert code == 0, error
    return (folder / name).read_text(encoding="utf-8")


@cache
def _calibration() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        times = Path(folder) / "times.csv"
        times.write_text(TIMES, encoding="utf-8")
        return json.loads(_made(Path(folder), "own.json", "calibrate", str(times), "-o"))


@cache
def _journal() -> Any:
    """As a list of its lines."""
    with tempfile.TemporaryDirectory() as folder:
        return [json.loads(line) for line in _made(Path(folder), "lines", *SEARCH, "--journal").splitlines()]


def _toml(name: str) -> Callable[[], Any]:
    return lambda: tomllib.loads((REPO / name).read_text(encoding="utf-8"))


# What a document is like, and the command that reads it; @ stands for its file, OUT for one to write.
READERS: dict[str, tuple[Callable[[], Any], str, tuple[str, ...]]] = {
    "report": (lambda: _written("run", "smallcifar", *BOARD), "m.json", ("compare", "@", "@")),
    "baseline": (
        lambda: _written("run", "smallcifar", *BOARD),
        "m.json",
        ("run", "smallcifar", *BOARD, "--update-baseline", "@"),
    ),
    "profile": (
        _toml("hardware_profiles/stm32f412.toml"),
        "m.toml",
        ("run", "smallcifar", "--profile", "@", "--runtime", "tflm"),
    ),
    "profile check": (_toml("hardware_profiles/stm32f412.toml"), "m.toml", ("profiles", "check", "@")),
    "network": (_toml("mcusim/zoo/networks/smallcifar.toml"), "m.toml", ("run", "@", *BOARD, "--runtime", "tflm")),
    "seeded": (_toml("mcusim/zoo/networks/smallcifar.toml"), "m.toml", ("export", "@", "OUT", "--seed", "0")),
    "sweep": (lambda: SPEC, "m.toml", ("sweep", "@", "--explain")),
    "budgets": (lambda: {"budget": [BUDGET]}, "m.toml", ("check", "@")),
    "space": (
        _toml("mcusim/designing/spaces/published/micronets-kws.toml"),
        "m.toml",
        ("search", "@", *BOARD, "--evaluations", "1", "--optimiser", "random"),
    ),
    "journal": (_journal, "m.jsonl", (*SEARCH, "--journal", "@")),
    "calibration": (_calibration, "m.json", ("run", "smallcifar", *BOARD, "--calibration", "@")),
    "preprocessing": (
        lambda: {"preprocessing": _toml("mcusim/zoo/networks/mcunet-vww0.toml")()["preprocessing"]},
        "m.toml",
        ("evaluate", "mcunet-vww0", "--data", "nowhere", "--preprocess", "@"),
    ),
    "bits": (
        lambda: _written("bits", "smallcifar", *BOARD, "--sram-budget", "40KiB"),
        "m.json",
        ("run", "smallcifar", *BOARD, "--bits", "@"),
    ),
    "times": (lambda: TIMES, "m.csv", ("calibrate", "@", "-o", "OUT")),
    "layers": (
        lambda: LAYERS,
        "m.csv",
        ("calibrate", "@", "--model", "smallcifar", *BOARD, "--runtime", "tflm", "-o", "OUT"),
    ),
}


WRITERS: dict[str, Callable[[Any], str]] = {
    ".toml": as_toml,
    ".json": json.dumps,
    ".jsonl": lambda lines: "".join(
        json.dumps(line) + "\n" for line in (lines if isinstance(lines, list) else [lines])
    ),
}


@pytest.mark.parametrize("reader", READERS)
def test_documents_are_answered_or_refused(reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCUSIM_DEBUG", "1")  # what nobody foresaw is raised
    document, name, command = READERS[reader]
    rng = np.random.default_rng([17, len(reader)])
    path, out = tmp_path / name, tmp_path / "out.tflite"
    for _ in range(CASES if reader not in ("times", "bits") else CASES // 4):
        like = document()
        if isinstance(like, str):
            text = mutated_rows(like, rng)
        else:
            changed = mutated_tree(like, rng)
            text = WRITERS[path.suffix](changed)
        path.write_text(text, encoding="utf-8")
        code, _, error = run(*(str({"@": path, "OUT": out}.get(word, word)) for word in command))
        assert code in (0, 1, 2, 3), text
        assert code != 2 or reader == "profile check" or error.startswith("mcusim"), text
        assert "\x1b" not in error, text
        assert len(error) < 3000, text


def test_a_full_layer_behind_a_map_gets_weights() -> None:
    builder = GraphBuilder("classifier")
    x = builder.conv_2d(builder.input((1, 4, 4, 3)), 8, 3)
    graph = with_seeded_weights(builder.build([builder.fully_connected(x, 10)]))
    [answer] = execute(graph, [np.ones((1, 4, 4, 3), np.int8)])
    assert answer.size % 10 == 0


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe among the images, and as the state to go on with; each without anybody who writes to it."""
    Image = pytest.importorskip("PIL.Image")
    builder = GraphBuilder("classifier")
    x = builder.average_pool_2d(builder.conv_2d(builder.input((1, 8, 8, 3)), 4, 3))
    network = tmp_path / "network.tflite"
    network.write_bytes(write_tflite(with_seeded_weights(builder.build([builder.fully_connected(x, 2)]))))
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "data" / name / "0.png")
    os.mkfifo(tmp_path / "state")
    command = ("evaluate", str(network), "--data", str(tmp_path / "data"))
    code, _, error = run(*command, "--resume", str(tmp_path / "state"))
    assert (code, "no regular file" in error) == (2, True)
    os.mkfifo(tmp_path / "data" / "a" / "1.png")
    code, _, error = run(*command)
    assert (code, "no regular file" in error) == (2, True)
    assert run(*command, "--skip-unreadable").code == 0


def test_a_budget_of_a_name_beyond_all_limits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(as_toml({"budget": [{**BUDGET, "network": "x" * 5000}]}), encoding="utf-8")
    code, _, error = run("check", str(path))
    assert (code, "no published network has this name" in error) == (2, True)


def _header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(16)


def _packed(method: int) -> bytes:
    """An archive whose member says that it is packed another way than it is."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.npy", bytes(range(200)))
    content = bytearray(held.getvalue())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(mark) + at] = method
    return bytes(content)


DAMAGED = {
    "brackets": _header("{'descr': '|i1', 'fortran_order': False, 'shape': (3, "),
    "no dictionary": _header("[1, 2"),
    "a version-2 number": _header("{'descr': '|i1', 'fortran_order': False, 'shape': (3L, }"),
    "type": _header("{'descr': '<q9999', 'fortran_order': False, 'shape': (3,), }"),
    "count": _header("{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999999,), }"),
    "negative": _header("{'descr': '<i8', 'fortran_order': False, 'shape': (-3,), }"),
    "cut": b"\x93NUMPY\x01\x00\xff",
    **{f"method {method}": _packed(method) for method in (8, 9, 12, 14, 93, 99)},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_arrays_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(McusimError) as caught:
        read_arrays(str(path), "x.npz")
    assert caught.value.fix


@pytest.mark.parametrize("text", ["preprocessing = 3", "detection = [1]", "[[preprocessing]]\nresize = 'crop'"])
def test_preprocessing_that_is_no_table_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text, encoding="utf-8")
    code, _, error = run("evaluate", "mcunet-vww0", "--data", str(tmp_path), "--preprocess", str(path))
    assert (code, "is no table" in error) == (2, True), error


@pytest.mark.slow
def test_a_calibration_of_prices_beyond_all_numbers_is_refused(tmp_path: Path) -> None:
    document = _calibration()
    rows = [
        {**row, "pull": row["pull"] * 1e40, "log_prices": [1e6] * len(row["log_prices"])} for row in document["rows"]
    ]
    path = tmp_path / "own.json"
    path.write_text(json.dumps({**document, "rows": rows}), encoding="utf-8")
    code, _, error = run("run", "smallcifar", *BOARD, "--calibration", str(path))
    assert (code, "no numbers of cycles" in error) == (2, True), error


LABELS = {
    "uint64": (np.array([0, 2**64 - 1], np.uint64), "18446744073709551615"),
    "beyond int64": (np.array([0.0, 1e30]), "1000000000000000019884624838656"),
    "infinite": (np.array([0.0, np.inf]), "labels are float64"),
    "NaN": (np.array([0.0, np.nan]), "labels are float64"),
    "negative": (np.array([0, -1]), "a label is -1"),
    "of thousands of digits": (np.array(["0", "1", "9" * 5000]), "it has 3 classes"),
}


@pytest.mark.parametrize(("labels", "sentence"), LABELS.values(), ids=LABELS)
def test_labels_are_told_as_they_are(labels: NDArray[Any], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((len(labels), 32, 32, 3), np.uint8), y=labels)
    builder = GraphBuilder("classifier")
    x = builder.average_pool_2d(builder.conv_2d(builder.input((1, 32, 32, 3)), 4, 3))
    network = tmp_path / "network.tflite"
    network.write_bytes(write_tflite(with_seeded_weights(builder.build([builder.fully_connected(x, 2)]))))
    code, _, error = run("evaluate", str(network), "--data", str(path))
    assert (code, sentence in error) == (2, True), error


def test_a_header_that_is_nested_holds_no_pickle(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_header("{'descr': '|i1', 'shape': " + "(" * 30000))
    with pytest.raises(McusimError, match="it is damaged"):
        read_arrays(str(path), "x.npy")


LEAKS = re.compile(r"zip\(\)|argument \d|recursion|codec|object has no|list index|Expected entry|NoneType")


@pytest.mark.parametrize("option", ["--bits", "--calibration"])
@pytest.mark.parametrize("content", [b'{"a":' * 10**5, b"\xff\xfe{", b"\x80", b"[1", b""], ids=repr)
def test_reasons_are_not_those_of_a_library(option: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content[:600_000])
    code, _, error = run("run", "smallcifar", *BOARD, option, str(path))
    assert (code, LEAKS.search(error)) == (2, None), error


@pytest.mark.slow
def test_reasons_of_damaged_firmware_are_not_those_of_a_library(tmp_path: Path) -> None:
    """Every 16-bit field of an ELF header at its limits."""
    pytest.importorskip("elftools")
    head = struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 0, 52, 0, 52, 32, 0, 40, 2, 1)
    sound = bytearray(b"\x7fELF\x01\x01\x01" + bytes(9) + head)
    section = struct.pack("<IIIIIIIIII", 0, 2, 2, 0, 0, 52, 64, 0, 1, 0)
    path = tmp_path / "x.elf"
    for at in range(16, 52, 2):
        for value in (0, 1, 3, 255, 65535):
            changed = sound + section * 2
            struct.pack_into("<H", changed, at, value)
            path.write_bytes(changed)
            code, _, error = run("run", "smallcifar", *BOARD, "--map", str(path))
            assert (code, LEAKS.search(error)) == (2, None), error

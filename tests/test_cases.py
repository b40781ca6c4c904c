"""Small files that once had a wrong answer, each with what is right: a folder of them with CASES.csv, if there is one.

They are looked for at MCUSIM_CASES, or in `cases` beside the corpus of real networks, and are no part of this
repository. Its columns: file; runtime, or the command to give it to; right, in words that begin as `EXPECTED` has them.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from conftest import corpus_folder
from fuzzing.answers import inputs_of
from oracles import Kernels, Refused, run_litert, run_tflm

from mcusim import execute, simulate
from mcusim.errors import McusimError
from mcusim.frontends.array_files import read_arrays
from mcusim.frontends.tflite import read_tflite
from mcusim.memory.planning import plan_memory
from mcusim.runtimes.tflm import TFLM_WHEEL
from mcusim.searching import search


def _folder() -> Path | None:
    corpus = corpus_folder()
    named = os.environ.get("MCUSIM_CASES") or (str(corpus.parent / "cases") if corpus else "")
    return Path(named) if named and (Path(named) / "CASES.csv").is_file() else None


FOLDER = _folder()
TRIES = 60
"""Inputs that are drawn until one is inside the limits of the network: begins and sizes may reach outside."""


def _cases() -> list[Any]:
    if FOLDER is None:
        return [pytest.param({}, marks=pytest.mark.skip(reason="no folder of cases: set MCUSIM_CASES"))]
    with (FOLDER / "CASES.csv").open(newline="", encoding="utf-8") as rows:
        return [pytest.param(row, id=row["file"]) for row in csv.DictReader(rows)]


@pytest.mark.parametrize("case", _cases())
def test_a_case_is_answered_as_its_list_says(case: dict[str, str], tmp_path: Path) -> None:
    assert FOLDER is not None
    path = Path(shutil.copy(FOLDER / case["file"], tmp_path))
    command, right = case["runtime"], case["right"]
    if command.startswith("exec"):
        options = command.split()[1:]
        assert_run(path, right, dict(zip(options[::2], options[1::2], strict=True)))
    elif command.startswith("patch"):
        try:
            assert search(str(path), profile="stm32f412").points
        except McusimError as error:
            assert "sentence" in right and error.fix  # noqa: PT017, PT018
    elif command.startswith("plot"):
        picture = tmp_path / "picture.svg"
        code, _, err = run(*command.split(), str(path), "--profile", "stm32h743", "-o", str(picture))
        assert (code, picture.is_file()) == (0, True), err
    elif command == "run":
        code, answer, err = run("run", str(path), "--profile", "stm32h743")
        assert code == 2 or "DOES NOT FIT" in answer.splitlines()[0]
        assert "Traceback" not in err
    else:
        assert_simulated(path, command, right)


def assert_simulated(path: Path, runtime: str, right: str) -> None:
    """The arena's bytes, a refusal, or, where the file runs, the judge's bytes."""
    report = simulate(str(path), profile="stm32h743", runtime=runtime)
    refusals = [warning for warning in report.warnings if re.search(r"cannot run|refuses", warning)]
    head = re.search(r"head (\d+)", right)
    bits64 = re.search(r"on 64 bits (\d+)", right)
    least = re.search(r"are (\d+) KiB", right)
    if head:
        assert report.sram.arena_bytes == int(head[1])
    elif bits64:
        plan = plan_memory(read_tflite(path), TFLM_WHEEL)
        assert plan.recommended_arena_bytes == int(bits64[1])
        assert plan.recommended_arena_bytes > report.sram.peak_bytes > plan.arena_bytes
    elif least:
        assert report.sram.peak_bytes > int(least[1]) << 10
    if "refuses" in right and not right.startswith(("plans", "LiteRT")):
        assert refusals
        assert report.fits is not True
    elif not least:
        assert_run(path, right, {})


def assert_run(path: Path, right: str, options: dict[str, str]) -> None:
    """The bytes of the judge, or a sentence where the list allows one, or the judge takes the file no more than we."""
    asked: dict[str, Any] = {name.removeprefix("--"): value for name, value in options.items()}
    for seed in range(TRIES):
        try:
            graph = read_tflite(path)
            given = inputs_beside(path) or inputs_of(graph, np.random.default_rng(seed))
            ours = execute(graph, given, **asked)
        except McusimError as error:
            if "refuse" in right or "sentence" in right:
                return
            sentence = str(error)
        else:
            break
    else:
        pytest.fail(sentence)
    assert right not in ("a sentence", "mode 2 is refused", "a sentence before allocating")
    try:
        theirs = run_tflm(path.read_bytes(), given)
    except Refused:
        theirs = run_litert(path.read_bytes(), given, kernels=Kernels.REFERENCE)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, np.asarray(other).reshape(one.shape))


def inputs_beside(path: Path) -> list[np.ndarray[Any, Any]]:
    """Arrays that lie beside the case, of its name."""
    assert FOLDER is not None
    for suffix in (".npy", ".npz"):
        beside = (FOLDER / path.name).with_suffix(suffix)
        if beside.is_file():
            arrays = read_arrays(str(beside), "beside")
            return list(arrays.values()) if isinstance(arrays, dict) else [arrays]
    return []

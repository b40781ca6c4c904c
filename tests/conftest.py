"""What all tests share: the corpus of real networks, and how hypothesis runs.

The corpus is other people's work and no part of this repository. It is looked for at MCUSIM_CORPUS, or beside the
repository at ../shared/corpus. Without it, the tests that need it are skipped with a line that says so
(MCUSIM_CORPUS= switches it off); a MCUSIM_CORPUS that names no corpus is an error.

    def test_one(corpus):                       `corpus`: the folder
    def test_every(corpus_model):               once per network of the manifest
    @pytest.mark.corpus(needs="tflm_head_bytes")  ... whose row fills that column
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from advice import watch
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

from mcusim.ops.rooms import ALIGNMENT_BYTES, SLACK_BYTES, rooms_made_by

REPO = Path(__file__).resolve().parents[1]
NO_CORPUS = "no corpus of real networks: set MCUSIM_CORPUS to its folder"

# The first call of a kernel compiles it: no deadline, and slow data generation is no fault.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


settings.register_profile("quick", settings.get_profile("dev"), max_examples=10)

QUICK_CASES = 3
"""So many cases of a parametrised test with `--few` and `--quick`: the first, the last and one between."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--few", action="store_true", help=f"{QUICK_CASES} cases of each parametrised test")
    parser.addoption("--quick", action="store_true", help="--few, and every test but the slow ones: about a minute")


def has_few_cases(config: pytest.Config) -> bool:
    return bool(config.getoption("--few") or config.getoption("--quick"))


def only_few(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave a few cases of each parametrised test, with `--quick` no slow test."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow") is None or not config.getoption("--quick"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = {id(item) for each in cases.values() for item in spread_out(each)}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
    items[:] = [item for item in items if id(item) in kept]


def spread_out(cases: list[pytest.Item]) -> list[pytest.Item]:
    """At most `QUICK_CASES` of the cases, at even distances."""
    if len(cases) <= QUICK_CASES:
        return cases
    return [cases[index * (len(cases) - 1) // (QUICK_CASES - 1)] for index in range(QUICK_CASES)]


@dataclass(frozen=True, slots=True)
class CorpusModel:
    """One network of the corpus. `row` is its line of MANIFEST.csv, column to text ('' where unknown)."""

    name: str
    path: Path
    row: dict[str, str]


def corpus_folder() -> Path | None:
    """The folder with MANIFEST.csv, or None."""
    named = os.environ.get("MCUSIM_CORPUS")
    if named == "":
        return None
    folder = Path(named) if named else REPO.parent / "shared" / "corpus"
    if (folder / "MANIFEST.csv").is_file():
        return folder
    if named:
        raise pytest.UsageError(f"MCUSIM_CORPUS is {named}, where there is no MANIFEST.csv: correct or unset it")
    return None


def corpus_models(needs: str | None = None) -> list[CorpusModel]:
    """The networks of the corpus, in the manifest's order; with `needs`, those whose row fills that column."""
    folder = corpus_folder()
    if folder is None:
        return []
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest))
    return [
        CorpusModel(row["name"], folder / "models" / f"{row['name']}.tflite", row)
        for row in rows
        if needs is None or row[needs]
    ]


def pytest_configure(config: pytest.Config) -> None:
    if has_few_cases(config):
        settings.load_profile("quick")
    watch()
    corpus_folder()  # a wrong MCUSIM_CORPUS stops the run at once


def pytest_report_header(config: pytest.Config) -> str:
    return f"corpus: {corpus_folder() or NO_CORPUS}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "corpus_model" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("corpus")
    models = corpus_models(**(mark.kwargs if mark else {}))
    absent = pytest.param(None, id="absent", marks=pytest.mark.skip(reason=NO_CORPUS))
    metafunc.parametrize("corpus_model", [_parameter(model) for model in models] or [absent])


def _parameter(model: CorpusModel) -> ParameterSet:
    """A test case of one network. A file that is not the one the manifest describes proves nothing: it is skipped."""
    damaged = pytest.mark.skip(reason=f"{model.path.name} is damaged: its SHA-256 is not the manifest's")
    return pytest.param(model, id=model.name, marks=() if is_intact(model.path, model.row["sha256"]) else damaged)


@cache
def is_intact(path: Path, sha256: str) -> bool:
    """Whether a corpus file is the one that the manifest describes."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if has_few_cases(config):
        only_few(config, items)
    for item in items:
        if {"corpus", "corpus_model"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("corpus")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus folder; skips where there is none."""
    folder = corpus_folder()
    if folder is None:
        pytest.skip(NO_CORPUS)
    return folder


@pytest.fixture(autouse=True)
def garbage_in_rooms() -> Iterator[None]:
    """Arenas, workspaces and what else kernels are given begin with garbage: fresh zeros hide what is never written."""
    with rooms_made_by(_garbage):
        yield


def _garbage(size_bytes: int) -> NDArray[np.uint8]:
    whole = np.full(size_bytes + ALIGNMENT_BYTES + SLACK_BYTES, 0xB5, np.uint8)
    start = -whole.ctypes.data % ALIGNMENT_BYTES
    return whole[start : start + size_bytes]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in an empty folder, at the default width, as for somebody who set nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("MCUSIM_DEBUG", raising=False)


@pytest.fixture
def kept_in_test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mcusim evaluate` keeps what it computed in the test's folder, not in the user's cache."""
    monkeypatch.setattr("mcusim.evaluating.measurement.kept_folder", lambda: tmp_path / "kept")

"""Every command writes a document that its schema describes, and nothing that the schema does not know."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run

from mcusim.cli.app import COMMANDS
from mcusim.cli.schema import DOCUMENTS, document_schema

jsonschema = pytest.importorskip("jsonschema")

NET = "mcunet-vww0"
BOARD = ["--profile", "stm32f412"]
WITHOUT_DOCUMENTS = {"schema"}
"""They write arrays, pictures and a schema."""

CASES: list[Any] = [
    ["run", NET, *BOARD],
    ["run", NET, *BOARD, "--runtime", "tflm", "--max-ms", "1s"],
    ["run", NET, *BOARD, "--schedule", "patch:2x2@5"],
    ["run", NET, "--profile", "all"],
    ["run", NET, "mcunet-vww1", *BOARD, "--runtime", "all"],
    ["plan", NET],
    ["plan", NET, "--runtime", "tflm", "--reorder", "--profile", "stm32h743"],
    ["plan", "mcunet-in4", "--runtime", "tflm", "--profile", "stm32g474"],
    ["plan", NET, "--all"],
    ["plan", NET, "mcunet-vww1"],
    ["patch", NET, *BOARD],
    ["patch", "mbv2-w0.35-r144", *BOARD, "--advice"],
    ["fit", NET, *BOARD, "--sram-budget", "32k"],
    ["bits", NET, *BOARD, "--sram-budget", "32k"],
    ["search-net", "--macs", "60M", "--sram", "128KiB", "--profile", "nrf52840", "--effort", "5"],
    ["models"],
    ["models", "mcunet-10fps"],
    ["profiles"],
    ["profiles", "--core", "m7", "--sort", "price"],
    ["profiles", "show", "stm32h743"],
    ["runtimes"],
    ["ops"],
    ["ops", NET, "--runtime", "tflm-cmsis-nn"],
    ["ops", "person-det", "--runtime", "tinyengine"],
    ["ops", NET, "mcunet-vww1"],
    ["exec", NET, "--seed", "1", "--input", "random"],
    ["diff", NET, "--seed", "1", "--numerics", "tflm,litert"],
    ["diff", NET, "--seed", "1", "--float"],
    ["report", "zoo"],
    ["report", "mcunetv2"],
    ["codegen", NET, *BOARD, "-o", "@/firmware"],
    ["flash-kit", NET, "--profile", "stm32f746", "-o", "@/kit"],
    ["plot", "space", "mcunet", *BOARD, "--hold", "width=0.5", "--sample", "3", "-o", "@/space.svg"],
    ["export", NET, "@/net.tflite"],
    ["evidence"],
    ["evidence", "--runtime", "tflm", "--profile", "stm32h743"],
    pytest.param(["validate"], marks=pytest.mark.slow),  # leaves every network out in turn
    ["doctor"],
    ["check", "@/budgets.toml"],
    ["compare", "@/before.json", "@/after.json", "--fail-on", "sram>+1%"],
    ["calibrate", "@/mine.csv", "-o", "@/mine.json"],
    ["sweep", "@/sweep.toml", "--explain"],
    ["sweep", "@/sweep.toml", "-o", "@/answers"],
    ["profiles", "check", "@/board.toml"],
    ["evaluate", "@/net.tflite", "--data", "@/data.npz"],
]
IN_TESTS_OF_THEIR_OWN = {"quantize", "pte", "search"}
"""Of test_quantize, test_pte and test_optimising: their inputs take packages that may be missing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("documents")
    (made / "budgets.toml").write_text(
        f'[[budget]]\nnetwork = "{NET}"\nboard = ["stm32f412", "nrf52840"]\nsram = "64k"\n', encoding="utf-8"
    )
    assert run("run", NET, *BOARD, "--json", str(made / "before.json")).code == 0
    assert run("run", NET, *BOARD, "--schedule", "patch:2x2@5", "--json", str(made / "after.json")).code == 0
    (made / "mine.csv").write_text(
        f"model,profile,runtime,latency_ms\n{NET},stm32f412,tinyengine,250\nmcunet-vww1,stm32f412,tinyengine,400\n",
        encoding="utf-8",
    )
    (made / "sweep.toml").write_text(f'networks = ["{NET}"]\nboards = ["stm32f412"]\n', encoding="utf-8")
    assert run("profiles", "new", "mine", "-o", str(made / "board.toml")).code == 0
    assert run("export", NET, str(made / "net.tflite")).code == 0
    rng = np.random.default_rng(0)
    images = rng.integers(-128, 127, (4, 64, 64, 3), dtype=np.int8)
    np.savez(made / "data.npz", x=images, y=np.array([0, 1, 0, 1]))
    return made


def judged(command: str, document: Any) -> None:
    jsonschema.Draft202012Validator(document_schema(command)).validate(document)


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_a_document_keeps_to_its_schema(words: list[str], folder: Path) -> None:
    if words[0] == "sweep":
        pytest.importorskip("pyarrow")
    asked = [word.replace("@/", f"{folder}/") if word.startswith("@/") else word for word in words]
    shown = run(*asked, "--json", "-")
    assert shown.code in (0, 1), shown.err
    document = json.loads(shown.out)
    assert document["schema_version"] >= 1
    judged(words[0], document)
    for changed in _spoiled(document):
        with pytest.raises(jsonschema.ValidationError):
            judged(words[0], changed)


def _spoiled(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Documents that are none: with one field more, one less, or another version."""
    yield {**document, "surprise": 1}
    yield {name: value for name, value in document.items() if name != "schema_version"}
    yield {**copy.deepcopy(document), "schema_version": 99}


@pytest.mark.parametrize("command", DOCUMENTS)
def test_a_schema_is_one(command: str) -> None:
    schema = json.loads(run("schema", command).out)
    assert schema == document_schema(command)
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, definition in schema["$defs"].items():
        assert definition.get("type") != "object" or definition["additionalProperties"] is False, name


def test_every_command_has_a_schema_and_a_document() -> None:
    assert {*COMMANDS} == {*DOCUMENTS} | WITHOUT_DOCUMENTS
    tried = {(case if isinstance(case, list) else case.values[0])[0] for case in CASES}
    assert tried | {*IN_TESTS_OF_THEIR_OWN} == {*DOCUMENTS}


def test_a_file_holds_what_standard_output_would(tmp_path: Path) -> None:
    target = tmp_path / "document.any"
    for words in (["run", NET, *BOARD], ["plan", NET], ["evidence"], ["schema", "fit"], ["report", "zoo"]):
        assert run(*words, "--json", str(target)).code == 0
        assert target.read_text(encoding="utf-8") == run(*words, "--json", "-").out


def test_json_without_a_file_is_standard_output() -> None:
    for words in (["run", NET, *BOARD], ["plan", NET], ["models"], ["profiles"], ["runtimes"], ["ops"], ["evidence"]):
        assert run(*words, "--json").out == run(*words, "--json", "-").out
    assert run("run", NET, "--json", *BOARD).out == run("run", NET, *BOARD, "--json", "-").out
    assert json.loads(run("models", "--json", "mcunet-in2").out)["models"][0]["name"] == "mcunet-in2"


def test_a_command_without_documents_says_so() -> None:
    shown = run("schema", "exex")
    assert (shown.code, shown.out) == (2, "")
    assert "--list" in shown.err
    assert run("schema", "--list").out.split() == list(DOCUMENTS)

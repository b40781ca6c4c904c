"""`mcusim search` and `mcusim plot space`: refusals in a sentence, documents, and a file that other commands take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from commands import REPO, run
from jsonschema import Draft202012Validator

from mcusim import load
from mcusim.cli.schema import document_schema
from mcusim.ops.totals import count_macs

BOARD = "nrf52840"


def predictor_file(folder: Path, body: str) -> str:
    """A module of this name in the folder that commands run in."""
    name = f"predictor_{abs(hash(body))}"
    (folder / f"{name}.py").write_text(body)
    return name


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("body", "function", "sentence"),
    [
        ("def p(c):\n    return 1 / 0\n", "p", "it raised ZeroDivisionError: division by zero on network"),
        ("def p(c):\n    return float('nan')\n", "p", "it returned nan for network"),
        ("def p(c):\n    return float('inf')\n", "p", "it returned inf for network"),
        ("def p(c):\n    return 'good'\n", "p", "it returned a str for network"),
        ("def p(c):\n    pass\n", "p", "it returned a NoneType for network"),
        ("def p(c):\n    return '5'\n", "p", "it returned a str for network"),
        ("def p(c):\n    return b'5'\n", "p", "it returned a bytes for network"),
        ("def p(c):\n    return 10**400\n", "p", "it returned a int beyond floating point for network"),
        ("class S:\n    def __float__(self):\n        1 / 0\ndef p(c):\n    return S()\n", "p", "it returned a S for"),
        ("async def p(c):\n    return 1.0\n", "p", "it returned a coroutine for network"),
        ("def p(c):\n    yield 1.0\n", "p", "it returned a generator for network"),
        ("def p(c):\n    raise GeneratorExit('over')\n", "p", "it raised GeneratorExit: over on network"),
        ("class Mine(BaseException): pass\ndef p(c):\n    raise Mine('no')\n", "p", "it raised Mine: no on network"),
        ("raise GeneratorExit\n", "p", "its module does not load: GeneratorExit"),
        (
            "class E(Exception):\n    def __str__(self):\n        raise ValueError\ndef p(c):\n    raise E\n",
            "p",
            "it raised E: its text cannot be had (ValueError) on network",
        ),
        ("import sys\ndef p(c):\n    sys.exit(3)\n", "p", "it raised SystemExit: 3 on network"),
        ("import sys\nsys.exit(3)\n", "p", "its module does not load: SystemExit: 3"),
        ("def p(c):\n    return 1\n", "q", "has no 'q'"),
        ("p = 3\n", "p", "it is a int, not a function"),
        ("raise RuntimeError('no weights')\n", "p", "its module does not load: RuntimeError: no weights"),
        ("import a_package_that_is_not_there\n", "p", "No module named 'a_package_that_is_not_there'"),
    ],
)
def test_predictors_that_fail(tmp_path: Path, body: str, function: str, sentence: str) -> None:
    name = f"{predictor_file(tmp_path, body)}:{function}"
    asked = ("--profile", BOARD, "--hold", "width=0.2", "--hold", "resolution=48", "--evaluations", "3")
    answer = run("search", "mcunet:vww", *asked, "--predictor", name, "-o", "x.toml", "--json", "x.json")
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not [file for file in tmp_path.iterdir() if file.name.startswith("x.")]


@pytest.mark.usefixtures("elsewhere")
def test_what_a_predictor_prints_is_not_in_the_document(tmp_path: Path) -> None:
    name = predictor_file(tmp_path, "def p(c):\n    print('looking')\n    return 1.0\n")
    asked = ("--profile", BOARD, "--hold", "width=0.2", "--hold", "resolution=48", "--evaluations", "2")
    answer = run("search", "mcunet:vww", *asked, "--optimiser", "random", "--predictor", f"{name}:p", "--json", "-")
    assert json.loads(answer.out)
    assert "looking" in answer.err


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("says", ["print('looking')", "os.system('echo looking')", "os.write(1, b'looking')"])
def test_a_document_is_whole_whatever_the_users_code_does(tmp_path: Path, says: str) -> None:
    """In a process of its own: standard output is what the system calls so, and the folder is the process's."""
    body = f"import os, sys, tempfile\ndef p(c):\n    {says}\n    sys.__stdout__.write('looking')\n"
    name = predictor_file(tmp_path, body + "    os.chdir(tempfile.gettempdir())\n    return 1.0\n")
    asked = ("--profile", BOARD, "--hold", "width=0.2", "--hold", "resolution=48", "--evaluations", "2")
    command = ("search", "mcunet:vww", *asked, "--optimiser", "random", "--predictor", f"{name}:p")
    words = [sys.executable, "-m", "mcusim", *command, "--json", "-", "-o", "found.toml"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert "looking" in done.stderr
    assert (tmp_path / "found.toml").is_file()  # beside, not where the predictor went


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("mcunet",), "for which board?"),
        ((), "no space is named"),
        (("mcunett", "--profile", BOARD), "did you mean 'mcunet'"),
        (("absent.toml", "--profile", BOARD), "cannot be read"),
        (("mcunet", "--profile", BOARD, "--predictor", "imagnet"), "did you mean 'imagenet'"),
        (("mcunet", "--profile", BOARD, "--predictor", "nowhere:p"), "is nowhere.py in"),
        (("mcunet", "--profile", BOARD, "--optimiser", "luck"), "luck"),
        (("mcunet", "--profile", BOARD, "--hold", "width"), "write NAME=VALUE"),
        (("mcunet", "--profile", BOARD, "--hold", "width=0.25"), "use one of 0.2"),
        (("mcunet", "--profile", BOARD, "--hold", "depth=2", "--evaluations", "2"), "it has no choice 'depth'"),
        (("mcunet", "--profile", BOARD, "--max-ms", "soon"), "is not a time"),
    ],
)
def test_wrong_questions(words: tuple[str, ...], sentence: str) -> None:
    answer = run("search", *words)
    assert answer.code == 2
    assert sentence in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.usefixtures("elsewhere")
def test_budgets_that_nothing_meets(tmp_path: Path) -> None:
    limits = ("--sram-budget", "2k", "--evaluations", "20")
    answer = run("search", "mcunet", "--profile", BOARD, *limits, "-o", "x.toml", "--json", "x.json")
    assert answer.code == 1
    assert "NOTHING THAT WAS TRIED FITS" in answer.out
    assert "shown is the closest" in answer.out
    assert not (tmp_path / "x.toml").exists()
    document = json.loads((tmp_path / "x.json").read_text())
    assert document["fits"] is False
    assert document["found"]["score"] is None
    assert document["found"]["excess"] > 1
    Draft202012Validator(document_schema("search")).validate(document)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_the_file_is_a_network_like_another(tmp_path: Path) -> None:
    """`run`, `export` and `codegen` take it; `run` says of it what the search said; the schema holds the document."""
    asked = ("mcunetv2", "--profile", "stm32f746", "--sram-budget", "120000", "--hold", "resolution=160")
    answer = run(
        "search", *asked, "--evaluations", "100", "--optimiser", "evolution", "-o", "mine.toml", "--json", "mine.json"
    )
    assert answer.code == 0
    document = json.loads((tmp_path / "mine.json").read_text())
    Draft202012Validator(document_schema("search")).validate(document)
    network = document["found"]
    carried = tomllib.loads((tmp_path / "mine.toml").read_text())["witness"]
    assert carried["schedule"] == network["schedule"]
    again = carried["command"].split()[1:]
    assert run(*again, "-o", "again.toml").code == 0
    assert (tmp_path / "again.toml").read_text() == (tmp_path / "mine.toml").read_text()
    pieces = ("--schedule", network["schedule"], "--profile", "stm32f746", "--runtime", document["runtime"])
    report = json.loads(run("run", "mine.toml", *pieces, "--sram-budget", "120000", "--check", "--json", "-").out)
    assert report["verdict"] == "fits"
    assert report["sram"]["peak_bytes"] == network["sram_bytes"]
    assert report["flash"]["total_bytes"] == network["flash_bytes"]
    assert report["latency"]["ms"] == network["ms"]
    assert run("export", "mine.toml", "mine.tflite").code == 0
    assert count_macs(load(tmp_path / "mine.tflite")) == network["macs"]
    assert run("codegen", "mine.toml", "--profile", "stm32f746", "--schedule", network["schedule"], "-o", "c").code == 0


@pytest.mark.usefixtures("elsewhere")
def test_plot_space(tmp_path: Path) -> None:
    asked = ("mcunet", "--profile", "stm32f746", "--hold", "resolution=144", "--sample", "4")
    answer = run("plot", "space", *asked, "-o", "space.svg", "--data", "space.csv", "--json", "space.json")
    assert answer.code == 0
    assert answer.out.startswith("space.svg: 9 parts of mcunet, best w")
    document = json.loads((tmp_path / "space.json").read_text())
    lines = (tmp_path / "space.csv").read_text().splitlines()
    assert len(lines) == 1 + len(document["parts"]) == 10
    assert document["best"] == document["parts"][0]["label"]
    assert "<svg" in (tmp_path / "space.svg").read_text()
    none = run("plot", "space", *asked, "--sram-budget", "1k", "-o", "none.svg")
    assert (none.code, "no network of any part fits" in none.out) == (0, True)
    assert "has no parts to compare" in run("plot", "space", "micronets-kws", "--profile", BOARD, "-o", "x.svg").err


def test_a_space_of_graphs_cannot_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graph_space.py").write_text(
        "import mcusim\n"
        "def space(random):\n"
        "    b = mcusim.GraphBuilder('made')\n"
        "    x = b.conv_2d(b.input((1, 16, 16, 3)), random.choice([8, 16], 'channels'), kernel=3)\n"
        "    return b.build([x])\n"
    )
    asked = ("graph_space:space", "--profile", BOARD, "--evaluations", "6", "--layer")
    assert "channels" in run("search", *asked, "--json", "-").out
    answer = run("search", *asked, "-o", "x.toml")
    assert answer.code == 2
    assert "it builds graphs, which a file cannot hold" in answer.err
    assert not (tmp_path / "x.toml").exists()

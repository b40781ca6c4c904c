"""Networks called alike are told apart; documents of several networks, of one run and of an execution."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from commands import document_of, run

import mcusim
from mcusim.render.naming import distinct_names
from mcusim.render.spending import CAUSES
from mcusim.zoo.export import export_model

BOARD = ("--profile", "stm32f412")


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two files of one name."""
    for folder, name in (("a", "mcunet-vww0"), ("b", "mcunet-vww1")):
        (tmp_path / folder).mkdir()
        export_model(name, tmp_path / folder / "m.tflite", 1)
    monkeypatch.chdir(tmp_path)
    return ["a/m.tflite", "b/m.tflite"]


@pytest.mark.slow
def test_twins_are_told_apart(twins: list[str]) -> None:
    for words in (["run", *twins, *BOARD], ["plan", *twins], ["ops", *twins]):
        shown = run(*words).out
        assert "a/m" in shown, words
        assert "b/m" in shown, words
    rows = list(csv.DictReader(io.StringIO(run("run", *twins, *BOARD, "--csv", "-").out)))
    assert {row["model"] for row in rows} == {"a/m", "b/m"}
    assert [each["model"] for each in document_of("plan", *twins)["models"]] == ["a/m", "b/m"]
    served = document_of("ops", *twins)["networks"]
    assert [each["model"] for each in served] == ["a/m", "b/m"]
    (Path("c") / "m.tflite").parent.mkdir()
    (Path("c") / "m.tflite").write_bytes(Path(twins[0]).read_bytes())
    assert run("diff", twins[0], "c/m.tflite", "--seed", "1").out.startswith("a/m (tflm) against c/m (tflm): all ")
    assert run("diff", twins[0], "--seed", "1", "--numerics", "tflm,litert").out.startswith(
        "m (tflm) against m (litert)"
    )
    alone = document_of("ops", twins[0])
    assert served[0]["layers"] == alone["layers"]
    assert alone["model"] == "m"
    assert run("run", twins[0], *BOARD).out.startswith("m on ")


def test_as_many_folders_as_it_takes() -> None:
    named = [("m", "x/a/m.tflite"), ("m", "y/a/m.tflite"), ("m", "m.tflite"), ("n", "x/n.tflite"), ("n", "x/n.tflite")]
    assert distinct_names(named) == ["x/a/m", "y/a/m", "m", "n", "n"]


def test_the_document_of_a_run_has_the_other_runtimes() -> None:
    document = document_of("run", "mcunet-vww0", *BOARD)
    shown = run("run", "mcunet-vww0", *BOARD).out
    also = [line.split()[1] for line in shown.splitlines() if line.startswith("also: ")]
    assert [other["runtime"] for other in document["also"]] == also != []
    for other in document["also"]:
        report = mcusim.simulate("mcunet-vww0", profile="stm32f412", runtime=other["runtime"])
        assert (other["verdict"], other["sram_bytes"]) == (report.verdict, report.sram.peak_bytes)
        assert (other["flash_bytes"], other["ms"]) == (report.flash.total_bytes, report.latency.ms)
    assert document_of("run", "mcunet-vww0", *BOARD, "--runtime", "tflm")["also"] == []


def test_an_execution_as_a_document(tmp_path: Path) -> None:
    words = ["mcunet-vww0", "--seed", "1", "--input", "random"]
    document = document_of("exec", *words)
    assert run("exec", *words, "--output", str(tmp_path / "y.npy")).code == 0
    answer = np.load(tmp_path / "y.npy")
    (output,) = document["outputs"]
    assert output["values"] == answer.ravel().tolist()
    assert (output["dtype"], output["shape"]) == (str(answer.dtype), list(answer.shape))
    assert (document["numerics"], document["runtime"], document["schedule"]) == ("tflm", "tflm", "layer")
    path = tmp_path / "y.json"
    shown = run("exec", *words, "--json", str(path)).out
    assert path.exists()
    assert shown == run("exec", *words).out


def test_the_page_speaks_as_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    assert run("run", "mcunet-vww0", *BOARD, "--html", str(path)).code == 0
    page = path.read_text()
    for cause in CAUSES:
        assert f">{cause}<" in page
    assert "scratch beside the arena" in page
    assert "<td>held</td>" not in page
    assert "scratch beside the arena" in run("plan", "mcunet-vww0", "--buffers", "all").out


@pytest.mark.parametrize("columns", [80, 100, 140])
@pytest.mark.parametrize("runtime", ["tinyengine", "tflm-cmsis-nn", "x-cube-ai"])
def test_reasons_are_never_cut(columns: int, runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run("ops", "mcunet-vww0", "--runtime", runtime).out
    if columns > 80:
        assert "  why" in shown
    if "  why" not in shown:  # of a narrow terminal the whole column goes
        return
    for layer in document_of("ops", "mcunet-vww0", "--runtime", runtime)["layers"]:
        assert not layer["kernel"] or layer["why"] in shown


@pytest.mark.slow
def test_the_head_of_fit_names_the_time() -> None:
    head = " ".join(run("fit", "mcunet-vww0", *BOARD, "--max-ms", "1").out.split("remedy")[0].split())
    assert ", time " in head
    assert head.endswith(" of 1.00 ms")


@pytest.mark.parametrize("command", [["search-net", "--macs", "10M"], ["search", "mcunet"]])
def test_a_network_is_written_where_it_can_be_read(command: list[str]) -> None:
    """`mcusim run` takes the file for what its name says."""
    code, _, err = run(*command, *BOARD, "-o", "x.json")
    assert (code, err) == (2, "mcusim: --output: 'x.json' does not end in .toml; name a .toml file\n")

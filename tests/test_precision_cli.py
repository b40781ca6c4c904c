"""`mcusim bits`, and `--bits` of other commands."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from drafts import inputs_for
from oracles import run_tflm
from test_precision import residual
from typer.testing import CliRunner

import mcusim
from mcusim import execution
from mcusim.cli.app import app
from mcusim.errors import InputError
from mcusim.graph import DType
from mcusim.precision import allocation_of, chosen_bits, parse_widths, uniform_allocation

RUNNER = CliRunner()


def test_bits_as_table_document_and_sheet(tmp_path: Path) -> None:
    asked = ["bits", "mbv1-w0.5-r192", "--profile", "stm32f412"]
    shown = RUNNER.invoke(app, asked, env={"COLUMNS": "100"})
    assert shown.exit_code == 0
    assert shown.stdout.startswith("mbv1-w0.5-r192 on stm32f412: FITS with fewer bits")
    document = json.loads(RUNNER.invoke(app, [*asked, "--json", "-"]).stdout)
    assert document["fits"] is True
    assert document["why"] is None
    assert document["sram"]["after_bytes"] <= document["sram"]["budget_bytes"] < document["sram"]["before_bytes"]
    lines = list(csv.DictReader(io.StringIO(RUNNER.invoke(app, [*asked, "--csv", "-"]).stdout)))
    assert [line["name"] for line in lines] == [layer["name"] for layer in document["layers"]]
    assert lines[0]["input_bits"] == "8"
    assert {line["weight_bits"] for line in lines} == {"8", "4", "2", ""}
    assert {t["kind"] for t in document["tensors"]} == {"activation", "weights"}


def test_bits_check_and_words() -> None:
    missed = RUNNER.invoke(app, ["bits", "mcunet-in2", "--profile", "stm32f410", "--check"], env={"COLUMNS": "200"})
    assert missed.exit_code == 1
    assert "DOES NOT FIT: with weights of 2 and activations of 2 bits everywhere it lacks" in missed.stdout
    fine = RUNNER.invoke(app, ["bits", "mcunet-in2", "--profile", "stm32f412", "--check"], env={"COLUMNS": "200"})
    assert fine.exit_code == 0
    assert "fits as it is, nothing is cut" in fine.stdout


def test_run_takes_bits() -> None:
    run = ["run", "mbv1-w0.5-r192", "--profile", "stm32f412", "--json", "-"]
    plain, auto, uniform = (
        json.loads(RUNNER.invoke(app, [*run, *bits]).stdout) for bits in ([], ["--bits", "auto"], ["--bits", "w4a8"])
    )
    assert plain["verdict"] == "does-not-fit"
    assert auto["verdict"] == "fits"
    assert auto["sram"]["peak_bytes"] < plain["sram"]["peak_bytes"] == uniform["sram"]["peak_bytes"]
    assert uniform["flash"]["total_bytes"] < plain["flash"]["total_bytes"]
    assert "bits w4:28" in uniform["model"]["source"]


@pytest.mark.parametrize("text", ["", "4", "w4", "w3a8", "a8w4", "w8a16", "auto"])
def test_other_words_for_bits_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"is no choice of bits(.|\n)*such as w4a8"):
        parse_widths(text)


def test_a_document_is_read_again(tmp_path: Path) -> None:
    """What `mcusim bits --json` wrote, changed by hand, is what `--bits` takes."""
    path = tmp_path / "bits.json"
    bits = ["bits", "mbv1-w0.5-r192", "--profile", "stm32f412", "--json", str(path)]
    assert RUNNER.invoke(app, bits).exit_code == 0
    run = ["run", "mbv1-w0.5-r192", "--profile", "stm32f412", "--json", "-", "--bits"]
    auto, again = (json.loads(RUNNER.invoke(app, [*run, text]).stdout) for text in ("auto", str(path)))
    assert again == auto
    document = json.loads(path.read_text())
    for tensor in document["tensors"]:
        tensor["bits"] = 2
    path.write_text(json.dumps(document))
    least = json.loads(RUNNER.invoke(app, [*run, str(path)]).stdout)
    assert least["flash"]["total_bytes"] < auto["flash"]["total_bytes"]
    graph = mcusim.load("mbv1-w0.5-r192")
    assert allocation_of(chosen_bits(graph, str(path))) == uniform_allocation(graph, weight_bits=2, activation_bits=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no document of bits"),
        ('{"layers": []}', "missing required field `tensors`"),
        ('{"tensors": [{"index": 4, "bits": "two"}]}', "Expected `int`"),
        (
            '{"tensors": [{"index": 3, "bits": 4, "name": "other"}]}',
            "tensor 3 is 'other' there, and 'conv_2d_0/weights'",
        ),
        ('{"tensors": [{"index": 999, "bits": 4}]}', "tensor 999 is 'None' there, and none in network 'residual'"),
    ],
)
def test_wrong_documents_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bits.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        chosen_bits(residual(), str(path))
    with pytest.raises(InputError, match="cannot be read"):
        chosen_bits(residual(), str(tmp_path / "none.json"))


def test_exec_and_export_take_bits(tmp_path: Path) -> None:
    from mcusim.frontends.tflite import read_tflite

    path = str(tmp_path / "narrow.tflite")
    assert RUNNER.invoke(app, ["export", "smallcifar", path, "--bits", "w4a8"]).exit_code == 0
    graph = read_tflite(path)
    assert DType.INT4 in {tensor.dtype for tensor in graph.tensors}
    given_x = list(inputs_for(graph, 1))
    theirs = run_tflm(Path(path).read_bytes(), given_x)
    np.testing.assert_array_equal(execution.execute(graph, given_x)[0], theirs[0])
    answers = [
        RUNNER.invoke(app, ["exec", "smallcifar", "--seed", "1", "--input", "random", *bits])
        for bits in ([], ["--bits", "w8a8"], ["--bits", "w2a2"])
    ]
    assert [answer.exit_code for answer in answers] == [0, 0, 0]
    assert answers[0].stdout == answers[1].stdout != answers[2].stdout

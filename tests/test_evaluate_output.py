"""What `mcusim evaluate` says: of results that look wrong, of questions that are, on the terminal and as documents."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluation_sets import (
    COLOURS,
    UNIT,
    ask,
    brightest_channel,
    colour_folders,
    coloured_set,
    noisy,
    save_model,
    scenes,
    voc_folder,
)

import mcusim
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights

BGR = ("--preprocess", "channels=bgr")
pytestmark = pytest.mark.usefixtures("elsewhere", "kept_in_test_folder")


# ---------------------------------------------------------------------------------------------------------------------
# Results that look wrong


def test_colours_in_the_wrong_order_are_found(tmp_path: Path) -> None:
    model = save_model(brightest_channel(), tmp_path)
    data = colour_folders(tmp_path / "d", each=20)
    code, out, _ = ask("evaluate", model, "--data", data, *BGR, "--diagnose")
    assert code == 0
    assert "cannot be told from chance (guessing gives 33.3 %)" in out
    shown, sentence = (
        " ".join(out.split()),
        "with channels in rgb order the same 60 samples give 100.0 % instead of 33.3 %",
    )
    assert f"{sentence}: --preprocess channels=rgb" in shown
    assert "none of these" not in shown
    fine = ask("evaluate", model, "--data", data)[1]
    assert "chance" not in fine
    assert "Check" not in fine


def test_labels_from_one_and_another_order_are_found(tmp_path: Path) -> None:
    graph = brightest_channel()
    rng = np.random.default_rng(0)
    colours = list(COLOURS.values())
    right = rng.integers(0, 3, 60)
    x = np.array([noisy(colours[label], (8, 8), rng) for label in right])
    for y, advice in (
        ((right + 1) % 3, "with classes in another order it is 100.0 %: classes=FILE (0 is output 2, 1 is output 0"),
        (np.where(right < 2, right + 1, 1), "with labels moved by -1 it is "),
    ):
        np.savez(tmp_path / "d.npz", x=x, y=y)
        evaluation = mcusim.evaluate(graph, tmp_path / "d.npz", diagnose=False)
        assert any(advice in sentence for sentence in evaluation.advice), evaluation.advice


def test_below_the_published_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is named as a published network and has its input, so it is measured against that one's figures."""
    b = GraphBuilder("mcunet-vww0")
    x = b.input((1, 64, 64, 3), quantization=UNIT)
    graph = with_seeded_weights(b.build([b.fully_connected(b.reshape(b.average_pool_2d(x), (1, 3)), 2)]))
    model = save_model(graph, tmp_path, "mcunet-10fps_vww.tflite")
    colours = {"person": (120, 130, 125), "none": (125, 120, 130)}
    data = colour_folders(tmp_path / "d", each=60, classes=colours)
    evaluation = mcusim.evaluate(model, data, limit=100, diagnose=True)
    assert evaluation.published == (0.873, "mit-han-lab/mcunet README @9c164f8")
    assert evaluation.declared_by.startswith(
        "zoo network mcunet-vww0 (mit-han-lab/tinyml@01bca3b mcunet/eval_tflite.py"
    )
    assert dict(evaluation.preprocessing)["values"] == "bytes 0..255 given as -128..127"
    assert not any("assumed" in warning for warning in evaluation.warnings)
    assert evaluation.value < 0.873
    assert evaluation.warnings[0].startswith("top-1: it ")
    assert "range=0..1" in evaluation.advice[-1]


# ---------------------------------------------------------------------------------------------------------------------
# Asked wrongly


def test_questions_that_cannot_be_answered(tmp_path: Path) -> None:
    model, data = coloured_set(tmp_path)
    kws = tmp_path / "vector.tflite"
    b = GraphBuilder("vector")
    save_model(
        with_seeded_weights(b.build([b.fully_connected(b.input((1, 16), quantization=UNIT), 3)])), tmp_path, kws.name
    )
    voc = voc_folder(tmp_path / "VOC2012", scenes(2))
    asked: list[tuple[tuple[str | Path, ...], str]] = [
        (("mcunet-in3", "--data", data), "it has no weights"),
        ((model, "--data", data, "--metric", "auc"), "auc does not suit a network that gives scores of classes"),
        ((model, "--data", data, "--metric", "top5"), "use top1"),
        ((model, "--data", data, "--metric", "f1"), "there is no metric 'f1'"),
        ((model, "--data", data, "--form", "tar"), "there is no form 'tar'"),
        ((model, "--data", voc), "the network gives no boxes, and the data set (voc) has boxes"),
        ((kws, "--data", data), "its input is 1x16, which is no image"),
        ((model, "--data", data, "--at-least", "0.9"), "write percent"),
        ((model, "--data", data, "--preprocess", "color=rgb"), "unknown field 'color'"),
        ((model, "--data", tmp_path / "none"), "No such file or directory"),
        ((model, "--data", data, "--json", model), "is what this command reads"),
        ((model, "--data", data, "--json", "-", "--csv", "-"), "two documents cannot share"),
        ((model,), "--data"),
        ((model, "--data", data, "--resume", "-"), "cannot be read again"),
        ((model, "--data", data, "--resume", "a.json", "--json", "a.json"), "two documents cannot share"),
        ((model, "--data", data, "--classes", "c.txt", "--label-offset", "1"), "--classes came too"),
        ((model, "--data", data, "--json", "away/a.json"), "finished samples are kept: --resume"),
        ((model, "--data", data, "--classes", "none.txt"), "it cannot be read"),
    ]
    for args, words in asked:
        code, out, err = ask("evaluate", *args)
        assert (code, out) == (2, ""), args
        assert words in err, args
        assert err.count("\n") == 1, args


def test_pillow_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = coloured_set(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    code, out, err = ask("evaluate", model, "--data", data)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "reading images needs Pillow" in err
    assert "pip install 'mcusim[evaluate]'" in err
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 8, 8, 3), np.int8), y=np.arange(3))
    assert ask("evaluate", model, "--data", "d.npz")[0] == 0


@pytest.mark.slow
def test_pillow_is_loaded_when_an_image_is_read_only() -> None:
    code = "import sys, mcusim.evaluating, mcusim.cli; print('PIL' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# ---------------------------------------------------------------------------------------------------------------------
# Documents and the terminal


def test_documents(tmp_path: Path) -> None:
    model, data = coloured_set(tmp_path)
    code, out, err = ask("evaluate", model, "--data", data, "--json", "-", "--csv", "p.csv")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["value"], document["metric"], document["basis"]) == (1.0, "top1", "measured")
    assert document["data"]["form"] == "folders"
    assert [step["what"] for step in document["preprocessing"]["steps"]] == ["size", "channels", "values"]
    rows = list(csv.DictReader(Path("p.csv").read_text().splitlines()))
    assert len(rows) == 12
    assert {(row["class"], row["predicted_class"], row["correct"]) for row in rows} == {(n, n, "1") for n in COLOURS}
    assert ask("evaluate", model, "--data", data, "--at-least", "100")[0] == 0
    code, _, err = ask("evaluate", model, "--data", data, *BGR, "--no-diagnose", "--at-least", "34")
    assert (code, err) == (1, "mcusim: top-1 is 33.33 %, below 34 %\n")


@pytest.mark.parametrize("columns", ["40", "60", "100", "160"])
def test_any_width(tmp_path: Path, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    model, data = coloured_set(tmp_path)
    code, out, _ = ask("evaluate", model, "--data", data.name, *BGR)
    assert code == 0
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "33.3 %" in out

"""`mcusim evaluate` from files to figures: against scikit-learn, interrupted, resumed, and asked wrongly."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import (
    COLOURS,
    DETECTOR,
    ROWS,
    UNIT,
    box_reader,
    brightest_channel,
    colour_folders,
    noisy,
    random_classifier,
    save_image,
    save_model,
    scenes,
    voc_folder,
)
from naive_detection import average_precision
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score, top_k_accuracy_score

import mcusim
from mcusim.cli import main
from mcusim.evaluating import measurement, running
from mcusim.execution.floating import dequantize
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType

BGR = ("--preprocess", "channels=bgr")


def ask(*args: str | Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(arg) for arg in args])
    notices = "mcusim: compiling kernels"  # on a machine that runs the first network of its life
    warnings = [line for line in err.getvalue().splitlines(keepends=True) if not line.startswith(notices)]
    return code, out.getvalue(), "".join(warnings)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measurement, "kept_folder", lambda: tmp_path / "kept")
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def colours(tmp_path: Path) -> tuple[Path, Path]:
    """A network that is always right on a data set of 12 images, and that data set."""
    return save_model(brightest_channel(), tmp_path), colour_folders(tmp_path / "data", each=4)


@pytest.fixture
def many(tmp_path: Path) -> tuple[Path, Path]:
    """The same with 90 images: a run that is stopped early never gets through them."""
    return save_model(brightest_channel(), tmp_path), colour_folders(tmp_path / "data", each=30)


# ---------------------------------------------------------------------------------------------------------------------
# Figures


def random_images(root: Path, classes: int, each: int, side: int = 8) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Noise in folders; returns the pixels and labels in the order of the data set."""
    rng = np.random.default_rng(7)
    pixels, labels = [], []
    for label in range(classes):
        for i in range(each):
            pixels.append(rng.integers(0, 256, (side, side, 3)))
            save_image(root / f"c{label}" / f"{i:02}.png", pixels[-1])
            labels.append(label)
    return np.array(pixels), labels


def test_classification_is_scikit_learns(tmp_path: Path) -> None:
    classes = 7
    graph = random_classifier(classes)
    pixels, labels = random_images(tmp_path / "d", classes, 9)
    evaluation = mcusim.evaluate(graph, tmp_path / "d")
    (answers,) = mcusim.execute(graph, (pixels - 128).astype(np.int8))
    scores = answers - np.arange(classes) * 1e-3  # of equal ones the lower class is first
    predicted = scores.argmax(axis=1)
    assert [p.ranked[0] for p in evaluation.predictions] == predicted.tolist()
    assert evaluation.value == pytest.approx(accuracy_score(labels, predicted))
    top5 = next(score for score in evaluation.scores if score.metric == "top5")
    assert top5.value == pytest.approx(top_k_accuracy_score(labels, scores, k=5))
    assert np.array_equal(evaluation.confusion_matrix(), confusion_matrix(labels, predicted, labels=range(classes)))
    frame = evaluation.to_frame()
    assert frame["metric"].tolist() == ["top1", "top5"]
    assert frame["value"].tolist() == [evaluation.value, top5.value]
    assert (frame["low"] <= frame["value"]).all()
    recalls = recall_score(labels, predicted, average=None, labels=range(classes))
    assert [row.value for row in evaluation.classes] == pytest.approx(recalls.tolist())
    assert sum(pair.times for pair in evaluation.confusions) == len(labels) - round(evaluation.value * len(labels))


def test_two_classes_have_an_area_too(tmp_path: Path) -> None:
    graph = random_classifier(2)
    pixels, labels = random_images(tmp_path / "d", 2, 30)
    evaluation = mcusim.evaluate(graph, tmp_path / "d", metric="auc")
    (answers,) = mcusim.execute(graph, (pixels - 128).astype(np.int8))
    difference = answers[:, 1].astype(int) - answers[:, 0]
    assert evaluation.value == pytest.approx(roc_auc_score(labels, difference))
    assert {score.metric.value for score in evaluation.scores} == {"top1", "auc"}


def test_anomalies_are_told_by_the_error_of_whole_recordings(tmp_path: Path) -> None:
    b = GraphBuilder("autoencoder")
    graph = with_seeded_weights(b.build([b.fully_connected(b.input((1, 16), quantization=UNIT), 16)]), seed=1)
    rng = np.random.default_rng(3)
    x, groups = rng.integers(-128, 128, (40, 16)).astype(np.int8), np.repeat(np.arange(10), 4)
    y = np.repeat(np.arange(10) % 2, 4)
    (answers,) = mcusim.execute(graph, x)
    source, target = (graph.tensors[i] for i in (graph.inputs[0], graph.outputs[0]))
    errors = ((dequantize(target, answers).astype(float) - dequantize(source, x)) ** 2).mean(axis=1)
    for arrays, right in (
        ({"x": x, "y": y}, roc_auc_score(y, errors)),
        ({"x": x, "y": y, "groups": groups}, roc_auc_score(y[::4], errors.reshape(10, 4).mean(axis=1))),
    ):
        np.savez(tmp_path / "d.npz", **arrays)
        evaluation = mcusim.evaluate(graph, tmp_path / "d.npz")
        assert (evaluation.metric.value, evaluation.value) == ("auc", pytest.approx(right, abs=1e-6))


def test_arrays_of_every_kind_give_the_same(tmp_path: Path) -> None:
    graph = random_classifier(4)
    rng = np.random.default_rng(4)
    pixels, y = rng.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8), rng.integers(0, 4, 20)
    stored = (pixels.astype(int) - 128).astype(np.int8)
    ranked = []
    for x in (stored, stored.astype(np.int32), pixels, pixels / 255, (pixels / 255).astype(np.float32)):
        np.savez(tmp_path / "d.npz", x=x, y=y)
        evaluation = mcusim.evaluate(graph, tmp_path / "d.npz", preprocess="range=0..1" if x is pixels else ())
        ranked.append([p.ranked for p in evaluation.predictions])
    assert all(one == ranked[0] for one in ranked)


@pytest.mark.parametrize(
    ("scaled", "options", "words"),
    [
        (lambda pixels: pixels / 255, (), ""),
        (lambda pixels: pixels - 128.0, (), "12 of 12 samples are beyond the input's range"),
        (lambda pixels: np.where(np.arange(12) < 6, 255.0, 1.0)[:, None, None, None] * pixels / 255, (), "6 of 12"),
        (lambda pixels: np.where(np.arange(12) < 5, 255.0, 1.0)[:, None, None, None] * pixels / 255, (), ""),
        (lambda pixels: pixels.astype(np.uint8), ("range=-1..1",), "preprocess says to which"),
        (lambda pixels: pixels.astype(np.uint8), ("range=0..1",), ""),
    ],
)
def test_samples_beyond_the_input_are_told(
    scaled: Callable[[Any], Any], options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    """Stored integers given as floats, and pixels of another range, are cut off: half of the samples is enough."""
    rng = np.random.default_rng(6)
    np.savez(tmp_path / "d.npz", x=scaled(rng.integers(0, 256, (12, 8, 8, 3))), y=np.arange(12) % 4)
    evaluation = mcusim.evaluate(random_classifier(4), tmp_path / "d.npz", preprocess=options, diagnose=False)
    warned = [warning for warning in evaluation.warnings if "beyond" in warning]
    assert len(warned) == bool(words)
    assert words in "".join(warned)


@pytest.mark.parametrize(
    ("at_end", "words"),
    [(6, "6 of 12 samples lie at the ends of the input's range"), (5, ""), (12, "12 of 12"), (0, "")],
)
@pytest.mark.parametrize("kind", ["int8", "float"])
def test_samples_at_the_ends_are_told(at_end: int, words: str, kind: str, tmp_path: Path) -> None:
    """Whoever cut samples off before they came here left them at the ends: stored integers, and reals in range."""
    stored = np.random.default_rng(6).integers(-60, 60, (12, 8, 8, 3))
    stored[:at_end] = np.clip(stored[:at_end] * 10, -128, 127)
    x = stored.astype(np.int8) if kind == "int8" else (stored + 128) / 255
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(12) % 4)
    evaluation = mcusim.evaluate(random_classifier(4), tmp_path / "d.npz", diagnose=False)
    warned = [warning for warning in evaluation.warnings if "the input's range" in warning]
    assert len(warned) == bool(words)
    assert words in "".join(warned)


def test_background_at_zero_is_no_cut(tmp_path: Path) -> None:
    """Black around a drawing is the smallest integer, and stands for zero; samples of nothing else are told."""
    stored = np.random.default_rng(6).integers(-128, 120, (12, 8, 8, 3)).astype(np.int8)
    stored[:, :5] = -128
    for samples, warned in ((stored, 0), (np.full_like(stored, -128), 1)):
        np.savez(tmp_path / "d.npz", x=samples, y=np.arange(12) % 4)
        evaluation = mcusim.evaluate(random_classifier(4), tmp_path / "d.npz", diagnose=False)
        assert sum("the ends" in warning for warning in evaluation.warnings) == warned


def test_a_float_input_is_cut_off_where_it_is_quantised(tmp_path: Path) -> None:
    b = GraphBuilder("floats")
    x = b.op("QUANTIZE", [b.input((1, 8, 8, 3), DType.FLOAT32)], dtype=DType.INT8, quantization=UNIT)
    graph = with_seeded_weights(b.build([b.fully_connected(b.reshape(x, (1, -1)), 4)]), seed=3)
    rng = np.random.default_rng(6)
    for factor, warned in ((1.0, 0), (9.0, 1)):
        np.savez(tmp_path / "d.npz", x=factor * rng.random((12, 8, 8, 3)), y=np.arange(12) % 4)
        evaluation = mcusim.evaluate(graph, tmp_path / "d.npz", diagnose=False)
        assert sum("12 of 12 samples are beyond" in warning for warning in evaluation.warnings) == warned


def right_precision(images: dict[str, Any], label: str, number: int) -> tuple[float, float]:
    edges = ("xmin", "ymin", "xmax", "ymax")
    objects = [
        [([box[e] for e in edges], bool(box["difficult"])) for box in boxes if box["name"] == label]
        for _, boxes in images.values()
    ]
    rows = [
        (i, float(row[4]), [row[0] + 1, row[1] + 1, row[2], row[3]])
        for i, (pixels, _) in enumerate(images.values())
        for row in pixels.reshape(ROWS, 6).tolist()
        if row[5] == number and row[4] >= 1
    ]
    right = average_precision(objects, rows)
    assert right is not None
    return float(right[0]), float(right[1])


@pytest.fixture
def detector(tmp_path: Path) -> tuple[Path, Path, Path, dict[str, Any]]:
    """A network that finds what its image says, a VOC data set, the declaration, and the images."""
    images = scenes(25)
    declared = tmp_path / "reader.toml"
    declared.write_text(DETECTOR)
    return save_model(box_reader(), tmp_path), voc_folder(tmp_path / "VOC2007", images), declared, images


def test_detection_is_the_devkits(detector: tuple[Path, Path, Path, dict[str, Any]]) -> None:
    model, data, declared, images = detector
    evaluation = mcusim.evaluate(model, data, preprocess=str(declared))
    right = [right_precision(images, label, number) for number, label in enumerate(("cat", "dog"))]
    scores = {score.metric.value: score for score in evaluation.scores}
    assert (scores["map"].value, scores["map11"].value) == pytest.approx(tuple(np.mean(right, axis=0)))
    assert [row.value for row in evaluation.classes] == pytest.approx([whole for whole, _ in right])
    assert evaluation.metric.value == "map11"  # as the rules of 2007 have it
    assert all(score.low <= score.value <= score.high for score in evaluation.scores)
    assert 0.1 < evaluation.value < 0.9


def test_boxes_are_kept_exactly(detector: tuple[Path, Path, Path, dict[str, Any]], tmp_path: Path) -> None:
    model, data, declared, _ = detector
    asked = {"preprocess": str(declared), "resume": tmp_path / "s.jsonl"}
    first = mcusim.evaluate(model, data, **asked)
    assert mcusim.evaluate(model, data, **asked) == first


def test_detection_on_the_command_line(detector: tuple[Path, Path, Path, dict[str, Any]]) -> None:
    model, data, declared, _ = detector
    args = ("evaluate", model, "--data", data, "--preprocess", declared)
    code, out, err = ask(*args, "--csv", "boxes.csv")
    assert (code, err) == (0, "")
    assert "mAP (11 points)" in out.splitlines()[0]
    assert "Average precision by class" in out
    rows = list(csv.DictReader(Path("boxes.csv").read_text().splitlines()))
    assert {row["class"] for row in rows} == {"cat", "dog"}
    assert ask(*args, "--limit", "9")[1].splitlines()[1].startswith("measured on 9 of 25 samples")


# ---------------------------------------------------------------------------------------------------------------------
# Stopped and resumed


def test_threads_change_nothing(tmp_path: Path) -> None:
    graph = random_classifier(5)
    random_images(tmp_path / "d", 5, 20)
    one, many = (mcusim.evaluate(graph, tmp_path / "d", threads=threads) for threads in (1, 3))
    assert one == many


class Stop:
    """Stops a run as Ctrl-C does, once enough is done; remembers what it was told."""

    def __init__(self, after: int) -> None:
        self.after, self.reported = after, list[tuple[int, int]]()

    def __call__(self, done: int, total: int, share: float | None) -> None:
        self.reported.append((done, total))
        if done >= self.after:
            raise KeyboardInterrupt


def test_what_was_computed_is_not_computed_again(
    many: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = many
    state = tmp_path / "state.jsonl"
    with pytest.raises(KeyboardInterrupt):
        mcusim.evaluate(model, data, resume=state, progress=Stop(5), threads=1)
    kept = state.read_bytes()
    done = kept.count(b"\n") - 1
    assert 5 <= done < 90
    state.write_bytes(kept + b'["a_red/0')  # killed while it wrote
    computed = 0
    real = running.execute

    def counted(graph: Any, given: Any, **options: Any) -> Any:
        nonlocal computed
        computed += len(given)
        return real(graph, given, **options)

    monkeypatch.setattr(running, "execute", counted)
    again = Stop(999)
    evaluation = mcusim.evaluate(model, data, resume=state, progress=again)
    assert again.reported[0] == (done, 90)
    assert computed == 90 - done
    assert evaluation == mcusim.evaluate(model, data)
    assert state.read_bytes().startswith(kept)
    assert mcusim.evaluate(model, data, resume=state, limit=3).count == 3


def test_a_state_of_something_else_is_refused(colours: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = colours
    args = ("evaluate", model, "--data", data, "--resume", "s.jsonl")
    assert ask(*args)[0] == 0
    before = Path("s.jsonl").read_bytes()
    other = save_model(random_classifier(3), tmp_path, "other.tflite")
    asked = [
        (("evaluate", other, "--data", data, "--resume", "s.jsonl"), "another network"),
        ((*args, *BGR), "other preprocessing"),
        ((*args, "--numerics", "single-rounding"), "other preprocessing"),
    ]
    for question, difference in asked:
        code, out, err = ask(*question)
        assert (code, out) == (2, "")
        assert f"it was computed with {difference}" in err
    save_image(data / "a_red" / "new.png", noisy((200, 40, 30), (8, 8), np.random.default_rng()))
    assert "it was computed with another data set" in ask(*args)[2]
    assert Path("s.jsonl").read_bytes() == before
    Path("notes.txt").write_text("a shopping list\n")
    assert "it is no state of an evaluation" in ask(*args[:-1], "notes.txt")[2]
    assert Path("notes.txt").read_text() == "a shopping list\n"
    assert "is what this command reads" in ask(*args[:-1], model)[2]


def test_what_could_not_be_written_is_not_said_to_be_kept(colours: tuple[Path, Path]) -> None:
    model, data = colours
    Path("file").write_bytes(b"")
    code, out, err = ask("evaluate", model, "--data", data, "--resume", "file/s.jsonl")
    assert (code, out) == (2, "")
    assert "cannot write file/s.jsonl" in err
    assert "kept" not in err


def test_ctrl_c_keeps_and_shows_what_was_computed(many: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = many
    from mcusim.cli import evaluate as command

    monkeypatch.setattr(command, "_progress", lambda: contextlib.nullcontext(Stop(6)))
    code, out, err = ask("evaluate", model, "--data", data, "--threads", "1", "--json", "-")
    document = json.loads(out)
    assert code == 130
    assert not document["data"]["is_complete"]
    assert document["data"]["measured"] >= 6
    path = Path(err.split("--resume ")[1].split()[0])
    assert path.is_file()
    monkeypatch.setattr(command, "_progress", contextlib.nullcontext)
    code, out, err = ask("evaluate", model, "--data", data, "--resume", path, "--json", "-")
    assert (code, json.loads(out)["data"]["measured"], err) == (0, 90, "")


def test_a_damaged_image_keeps_what_was_computed(colours: tuple[Path, Path]) -> None:
    model, data = colours
    bad = data / "c_blue" / "001.png"
    bad.write_bytes(bad.read_bytes()[:40])
    args = ("evaluate", model, "--data", data, "--threads", "1")
    code, out, err = ask(*args)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{bad}: it is no image" in err
    assert "leave such files out with --skip-unreadable" in err
    kept = Path(err.split("--resume ")[1].split(")")[0])
    code, out, err = ask(*args, "--skip-unreadable", "--resume", kept, "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert (document["data"]["measured"], document["data"]["unreadable"], document["value"]) == (11, [str(bad)], 1.0)
    assert "1 of the files could not be read and do not count" in document["warnings"]


# ---------------------------------------------------------------------------------------------------------------------
# Results that look wrong


def test_colours_in_the_wrong_order_are_found(tmp_path: Path) -> None:
    model = save_model(brightest_channel(), tmp_path)
    data = colour_folders(tmp_path / "d", each=20)
    code, out, _ = ask("evaluate", model, "--data", data, *BGR)
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
    evaluation = mcusim.evaluate(model, data, limit=100)
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


def test_questions_that_cannot_be_answered(colours: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = colours
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


def test_pillow_is_an_extra(colours: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = colours
    monkeypatch.setitem(sys.modules, "PIL", None)
    code, out, err = ask("evaluate", model, "--data", data)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "reading images needs Pillow" in err
    assert "pip install 'mcusim[evaluate]'" in err
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 8, 8, 3), np.int8), y=np.arange(3))
    assert ask("evaluate", model, "--data", "d.npz")[0] == 0


def test_pillow_is_loaded_when_an_image_is_read_only() -> None:
    code = "import sys, mcusim.evaluating, mcusim.cli; print('PIL' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# ---------------------------------------------------------------------------------------------------------------------
# Documents and the terminal


def test_documents(colours: tuple[Path, Path]) -> None:
    model, data = colours
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
def test_any_width(colours: tuple[Path, Path], columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = ask("evaluate", colours[0], "--data", "data", *BGR)
    assert code == 0
    assert max(map(len, out.splitlines())) <= int(columns)
    assert "33.3 %" in out


# ---------------------------------------------------------------------------------------------------------------------
# Real networks


def test_the_keyword_spotter_gets_901_of_1000(corpus: Path) -> None:
    data = corpus / "data" / "kws01" / "kws01.npz"
    if not data.is_file():
        pytest.skip("the corpus has no kws01.npz")
    model = corpus / "models" / "mlperf_kws01_dscnn_int8.tflite"
    code, out, err = ask("evaluate", model, "--data", data, "--json", "-")
    document = json.loads(out)
    assert code == 0
    assert "fault" not in err
    assert (document["data"]["measured"], round(document["value"] * 1000)) == (1000, 901)
    assert sum(row["correct"] for row in document["classes"]) == 901


def test_the_person_detector_is_read_as_it_is_declared(corpus: Path, tmp_path: Path) -> None:
    model = corpus / "models" / "mcunet_detection.tflite"
    if not model.is_file():
        pytest.skip("the corpus has no mcunet_detection.tflite")
    rng = np.random.default_rng(0)
    person = {"name": "person", "xmin": 10, "ymin": 10, "xmax": 60, "ymax": 90}
    pixels = rng.integers(0, 256, (90, 120, 3))
    evaluation = mcusim.evaluate(model, voc_folder(tmp_path / "VOC2012", {"a": (pixels, [person])}))
    assert evaluation.metric.value == "map"
    assert [row.name for row in evaluation.classes] == ["person"]
    assert "eval_det.py" in evaluation.declared_by
    boxes = evaluation.predictions[0].boxes
    assert boxes == tuple(sorted(boxes, key=lambda box: -box.score))
    assert all(0 <= box.score <= 1 and box.left < box.right for box in boxes)

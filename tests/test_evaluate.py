"""`mcusim evaluate` from files to figures: against scikit-learn, the devkit of Pascal VOC, and published accuracies."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sets import (
    DETECTOR,
    ROWS,
    UNIT,
    ask,
    box_reader,
    random_classifier,
    random_images,
    save_model,
    scenes,
    voc_folder,
)
from naive_detection import average_precision
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score, top_k_accuracy_score

import mcusim
from mcusim.execution.floating import dequantize
from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.synthesis import with_seeded_weights
from mcusim.graph import DType

pytestmark = pytest.mark.usefixtures("elsewhere", "kept_in_test_folder")


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

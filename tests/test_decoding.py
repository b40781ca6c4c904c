"""Outputs of detectors -> boxes of the image."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Sample
from mcusim.evaluating.decoding import predictions
from mcusim.evaluating.images import fit
from mcusim.evaluating.preprocessing import Frame
from mcusim.evaluating.subject import Answer, Subject, the_subject
from mcusim.frontends.builder import GraphBuilder
from mcusim.graph import DType
from mcusim.zoo.declarations import BoxFormat, Corners, Detection, Preprocessing, Resize


def detector(detection: Detection, outputs: list[np.ndarray[Any, Any]], size: tuple[int, int] = (64, 96)) -> Subject:
    """A float network whose outputs are of these shapes; nobody runs it."""
    b = GraphBuilder("d", dtype=DType.FLOAT32)
    b.input((1, *size, 3))
    made = [b.constant(array.shape, DType.FLOAT32, array) for array in outputs]
    return Subject(b.build(made), Answer.BOXES, max(detection.classes, 1), detection, None, "")


def decoded(detection: Detection, outputs: list[np.ndarray[Any, Any]], size: tuple[int, int] = (64, 96)) -> Any:
    subject = detector(detection, outputs, size)
    placed = fit(size[1], size[0], Frame(*size, 3, False), Preprocessing())
    (prediction,) = predictions(subject, [Sample("a", -1)], np.zeros(0), outputs, [placed])
    return prediction.boxes


def test_yolo_heads_as_the_papers_formulas() -> None:
    rng, anchors, classes = np.random.default_rng(2), (10, 13, 16, 30), 2
    head = rng.normal(0, 1.5, (1, 4, 6, 2 * (5 + classes))).astype(np.float32)
    declared = Detection((16,), (anchors,), classes, least_score=0.0, most_overlap=1.0, keep=1000, most_candidates=1000)
    right = []
    for row in range(4):
        for col in range(6):
            for a in range(2):
                x, y, w, h, objectness, *scores = head[0, row, col, a * 7 : a * 7 + 7].astype(float)
                cx, cy = (_logistic(x) + col) * 16, (_logistic(y) + row) * 16
                wide, high = math.exp(w) * anchors[2 * a], math.exp(h) * anchors[2 * a + 1]
                box = (cx - wide / 2, cy - high / 2, cx + wide / 2, cy + high / 2)
                right += [(label, _logistic(s) * _logistic(objectness), *box) for label, s in enumerate(scores)]
    boxes = decoded(declared, [head])
    assert np.allclose(sorted(boxes), sorted(right), atol=1e-4)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("corners", "is_relative", "numbers"),
    [
        (Corners.YXYX, True, (0.25, 0.5, 0.5, 0.75)),
        (Corners.XYXY, False, (48, 16, 72, 32)),
        (Corners.XYWH, True, (0.625, 0.375, 0.25, 0.25)),
    ],
)
def test_decoded_boxes_of_every_order(corners: Corners, is_relative: bool, numbers: tuple[float, ...]) -> None:
    declared = Detection(classes=3, format=BoxFormat.ROWS, corners=corners, is_relative=is_relative)
    (box,) = decoded(declared, [np.array([[[*numbers, 0.9, 2]]], np.float32)])
    assert box == pytest.approx((2, 0.9, 48, 16, 72, 32))


def test_postprocessed_boxes_stop_at_their_count() -> None:
    boxes = np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]], np.float32)
    outputs = [
        boxes,
        np.array([[1, 0, 0]], np.float32),
        np.array([[0.9, 0.8, 0.7]], np.float32),
        np.array([2], np.float32),
    ]
    declared = Detection(classes=2, format=BoxFormat.POSTPROCESS)
    assert [(box.label, box.right, box.bottom) for box in decoded(declared, outputs)] == [(1, 48, 32), (0, 96, 64)]
    without = Detection(classes=2, format=BoxFormat.POSTPROCESS, outputs=(0, 1, 2, -1), most_overlap=1.0)
    assert len(decoded(without, outputs[:3])) == 3


def test_outputs_of_the_postprocessing_operator_are_known_by_their_shapes() -> None:
    def outputs(b: GraphBuilder, count: tuple[int, ...] = (1,)) -> list[int]:
        b.input((1, 8, 8, 3))
        return [b.constant(shape, DType.FLOAT32, np.zeros(shape)) for shape in (count, (1, 5), (1, 5, 4), (1, 5))]

    subject = the_subject(build(outputs))
    assert subject.answer is Answer.BOXES
    assert subject.detection is not None
    assert (subject.detection.format, subject.detection.outputs) == (BoxFormat.POSTPROCESS, (2, 1, 3, 0))
    with pytest.raises(InputError, match="what its outputs mean is not known"):
        the_subject(build(lambda b: outputs(b, (2,))))


def test_suppression_is_greedy_and_class_by_class() -> None:
    rows = [(0, 0, 10, 10, 0.9, 0), (1, 0, 11, 10, 0.8, 0), (1, 0, 11, 10, 0.7, 1), (7, 0, 17, 10, 0.6, 0)]
    declared = Detection(classes=2, format=BoxFormat.ROWS, corners=Corners.XYXY, is_relative=False)
    boxes = decoded(declared, [np.array([rows], np.float32)])
    assert [(box.label, round(box.score, 1)) for box in boxes] == [(0, 0.9), (1, 0.7), (0, 0.6)]


def test_boxes_go_back_to_the_image() -> None:
    frame = Frame(100, 100, 3, False)
    stretched = fit(200, 50, frame, Preprocessing())
    assert stretched.to_image(np.array([[10.0, 10, 20, 20]])).tolist() == [[20, 5, 40, 10]]
    cropped = fit(400, 200, frame, Preprocessing(resize=Resize.CROP, fraction=0.5))  # to 400x200, cut at 150, 50
    assert cropped.to_image(np.array([[0.0, 0, 100, 100]])).tolist() == [[150, 50, 250, 150]]


def build(make: Callable[[GraphBuilder], list[int]]) -> Any:
    b = GraphBuilder("n", dtype=DType.FLOAT32)
    return b.build(make(b))


def test_answers_are_told_by_the_shapes() -> None:
    same = build(lambda b: [b.unary("TANH", b.input((1, 16)))])
    assert the_subject(same).answer is Answer.RECONSTRUCTION
    many = build(lambda b: [b.reshape(b.input((1, 16)), (1, 4, 4))])
    with pytest.raises(InputError, match=r"what its outputs mean is not known .1x4x4.") as refusal:
        the_subject(many)
    assert "YOLOv3 heads whose anchors are declared" in refusal.value.fix
    with pytest.raises(InputError, match="1 strides and 0 lists of anchors for 1 outputs"):
        the_subject(many, Detection(strides=(8,), classes=1))

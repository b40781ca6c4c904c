"""A network's outputs -> what is scored: ranked classes, one score, or boxes in pixels of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.evaluating.dataset import Sample
from mcusim.evaluating.images import Fit
from mcusim.evaluating.subject import Answer, Subject
from mcusim.execution.floating import dequantize
from mcusim.zoo.declarations import BoxFormat, Corners, Detection

__all__ = ["RANKS", "Detected", "Prediction", "predictions"]

RANKS = 5
"""Classes that a prediction keeps, best first."""

Floats = NDArray[np.float64]


class Detected(NamedTuple):
    """A box that a network found, between the edges of its pixels."""

    label: int
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Prediction(NamedTuple):
    """What a network said of one sample.

    ranked: best classes first; of equal scores the lower class, as ARG_MAX has it.   is_tied: whether the first place
    was shared.   score: the larger, the more it is class 1 (a person, an anomaly); None where there is no such thing.
    """

    name: str
    label: int
    ranked: tuple[int, ...] = ()
    score: float | None = None
    is_tied: bool = False
    boxes: tuple[Detected, ...] = ()


def predictions(
    subject: Subject,
    samples: Sequence[Sample],
    given: NDArray[Any],
    outputs: Sequence[NDArray[Any]],
    fits: Sequence[Fit],
) -> list[Prediction]:
    """What the outputs of a batch say.   given: what the network got.   fits: how each image lay on it, for boxes."""
    tensors = [subject.graph.tensors[index] for index in subject.graph.outputs]
    real = [np.asarray(dequantize(t, array), np.float64) for t, array in zip(tensors, outputs, strict=True)]
    if subject.answer is Answer.BOXES:
        return [
            _found(subject, *one, [array[i] for array in real]) for i, one in enumerate(zip(samples, fits, strict=True))
        ]
    if subject.answer is Answer.CLASSES:
        return _ranked(samples, np.asarray(outputs[0]).reshape(len(samples), -1), real[0].reshape(len(samples), -1))
    scores = real[0].reshape(len(samples), -1)
    if subject.answer is Answer.RECONSTRUCTION:
        wanted = np.asarray(dequantize(subject.input, given), np.float64).reshape(scores.shape)
        scores = ((scores - wanted) ** 2).mean(axis=1, keepdims=True)
    return [Prediction(s.name, s.label, score=float(row[0])) for s, row in zip(samples, scores, strict=True)]


def _ranked(samples: Sequence[Sample], stored: NDArray[Any], scores: Floats) -> list[Prediction]:
    """Classes by score.   stored: scores as the network gave them, in which equal ones are equal."""
    order = np.argsort(-stored.astype(np.float64), axis=1, kind="stable")[:, :RANKS]
    tied = (stored == stored.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return [
        Prediction(
            sample.name,
            sample.label,
            tuple(order[i].tolist()),
            float(scores[i, 1] - scores[i, 0]) if scores.shape[1] == 2 else None,
            bool(tied[i]),
        )
        for i, sample in enumerate(samples)
    ]


def _found(subject: Subject, sample: Sample, fit: Fit, outputs: Sequence[Floats]) -> Prediction:
    """Boxes in pixels of the image."""
    assert subject.detection is not None
    rows = _boxes(subject, subject.detection, outputs)
    rows[:, 2:] = fit.to_image(rows[:, 2:])
    boxes = tuple(Detected(int(row[0]), *map(float, row[1:])) for row in rows)
    return Prediction(sample.name, sample.label, boxes=boxes)


# ---------------------------------------------------------------------------------------------------------------------
# Boxes: rows of (class, score, left, top, right, bottom) in pixels of the input


def _boxes(subject: Subject, declared: Detection, outputs: Sequence[Floats]) -> Floats:
    if declared.format is BoxFormat.YOLOV3:
        heads = zip(outputs, declared.strides, declared.anchors, strict=True)
        rows = np.concatenate([_yolo(head, stride, anchors) for head, stride, anchors in heads])
    elif declared.format is BoxFormat.POSTPROCESS:
        rows = _postprocessed(declared, outputs)
    else:
        table = outputs[0].reshape(-1, 6)
        rows = np.column_stack([table[:, 5], table[:, 4], table[:, :4]])
    if declared.format is not BoxFormat.YOLOV3:
        frame = subject.input.shape[1:3]
        rows[:, 2:] = _cornered(rows[:, 2:], declared, (frame[1], frame[0]))
    is_finite: NDArray[np.bool_] = np.isfinite(rows).all(axis=1)  # networks of real numbers may give NaN
    rows = rows[is_finite & (rows[:, 1] >= declared.least_score)]
    rows = rows[np.argsort(-rows[:, 1], kind="stable")][: declared.most_candidates]
    return rows[_kept(rows, declared.most_overlap)][: declared.keep]


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -500, 500))))


def _yolo(head: Floats, stride: int, anchors: Sequence[int]) -> Floats:
    """A row for each place, anchor and class.

    Source: YOLOv3, arXiv 1804.02767, section 2.1; order of the channels from mit-han-lab/mcunet det_helper.py.
    """
    rows, cols = head.shape[:2]
    sizes = np.array(anchors, np.float64).reshape(-1, 2)
    cells = head.reshape(rows, cols, len(sizes), -1)
    places = np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), axis=-1)[:, :, None, :]
    centres = (_sigmoid(cells[..., 0:2]) + places) * stride
    halves = np.exp(np.clip(cells[..., 2:4], None, 50)) * sizes / 2
    corners = np.concatenate([centres - halves, centres + halves], axis=-1)
    scores = _sigmoid(cells[..., 5:]) * _sigmoid(cells[..., 4:5])
    classes = scores.shape[-1]
    labels = np.broadcast_to(np.arange(classes, dtype=np.float64), scores.shape)
    boxes = np.broadcast_to(corners[..., None, :], (*scores.shape, 4))
    return np.concatenate([labels[..., None], scores[..., None], boxes], axis=-1).reshape(-1, 6)


def _postprocessed(declared: Detection, outputs: Sequence[Floats]) -> Floats:
    """The rows that TFLite_Detection_PostProcess filled in; what it left over is noise."""
    boxes, labels, scores, count = (outputs[i] if i >= 0 else None for i in declared.outputs)
    assert boxes is not None
    assert labels is not None
    assert scores is not None
    filled = len(boxes) if count is None else int(np.clip(round(float(count.reshape(-1)[0])), 0, len(boxes)))
    return np.column_stack([np.round(labels), scores, boxes])[:filled]


def _cornered(boxes: Floats, declared: Detection, size: tuple[int, int]) -> Floats:
    if declared.corners is Corners.YXYX:
        boxes = boxes[:, [1, 0, 3, 2]]
    elif declared.corners is Corners.XYWH:
        half = boxes[:, 2:] / 2
        boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
    return boxes * np.array([*size, *size], np.float64) if declared.is_relative else boxes


def _kept(rows: Floats, most_overlap: float) -> NDArray[np.intp]:
    """Greedy suppression: rows, best first, that no better one of their class overlaps by more (assumption A33)."""
    if most_overlap >= 1 or not len(rows):
        return np.arange(len(rows))
    kept, left = [], np.arange(len(rows))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        overlapping = overlaps(rows[best, 2:], rows[left, 2:]) > most_overlap
        left = left[~(overlapping & (rows[left, 0] == rows[best, 0]))]
    return np.array(kept, np.intp)


def overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box (left, top, right, bottom) with each of others."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    union = (box[2] - box[0]) * (box[3] - box[1]) + areas - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))

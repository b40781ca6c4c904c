"""TFLite_Detection_PostProcess: boxes decoded in double, rounded to float32; then kept greedily by score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.ops.detection_post_process import DetectionAttributes, Detector
from mcusim.ops.registry import Piece

__all__ = ["run"]

Array = NDArray[Any]


def run(prepared: Detector, inputs: Sequence[Array], outputs: Sequence[Array], piece: Piece) -> None:
    """inputs: encodings, scores, as many anchors or more.   outputs: boxes, classes, scores, count; the rest stays."""
    options = prepared.options
    boxes = _decoded(options, inputs[0][0], inputs[2][: len(inputs[0][0])])
    if ((boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])).any():
        what = "a box that it decodes has no area"
        raise InputError(what, where=prepared.where, fix="TFLM stops there too: give other inputs")
    scores = inputs[1][0][:, prepared.label_offset :]
    flat = outputs[0].reshape(-1, 4), outputs[1].reshape(-1), outputs[2].reshape(-1)
    pick = _regular if options.use_regular_nms else _fast
    outputs[3].reshape(-1)[0] = pick(options, boxes, scores, *flat)


def _decoded(options: DetectionAttributes, encodings: Array, anchors: Array) -> Array:
    """Top, left, bottom, right.   anchors: y, x, height, width."""
    scales = [float(np.float32(s)) for s in (options.y_scale, options.x_scale, options.h_scale, options.w_scale)]
    y, x, h, w = (encodings[:, axis].astype(np.float64) / scales[axis] for axis in range(4))
    anchor_y, anchor_x, anchor_h, anchor_w = anchors.astype(np.float64).T
    center_y, center_x = (y * anchor_h + anchor_y).astype(np.float32), (x * anchor_w + anchor_x).astype(np.float32)
    # math.exp is the C library's own; numpy's differs in the last bit.
    half_h = (0.5 * _exp(h) * anchor_h).astype(np.float32)
    half_w = (0.5 * _exp(w) * anchor_w).astype(np.float32)
    return np.stack([center_y - half_h, center_x - half_w, center_y + half_h, center_x + half_w], axis=1)


def _exp(values: Array) -> Array:
    return np.array([math.exp(value) if value < 709 else math.inf for value in values.tolist()])


def _overlap(boxes: Array, one: int, others: Array) -> Array:
    """Shared area over all area, in float32."""
    single, zero = boxes[one], np.float32(0)
    rest = boxes[others]
    area = (single[2] - single[0]) * (single[3] - single[1])
    areas = (rest[:, 2] - rest[:, 0]) * (rest[:, 3] - rest[:, 1])
    height = np.minimum(single[2], rest[:, 2]) - np.maximum(single[0], rest[:, 0])
    width = np.minimum(single[3], rest[:, 3]) - np.maximum(single[1], rest[:, 1])
    shared = np.maximum(height, zero) * np.maximum(width, zero)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = shared / (area + areas - shared)
    return np.where((areas <= 0) | (area <= 0), zero, overlap)


def _kept(options: DetectionAttributes, boxes: Array, scores: Array, most: int) -> list[int]:
    """Boxes by falling score, those of equal scores in order, without what overlaps a kept one."""
    candidates = np.flatnonzero(scores >= np.float32(options.nms_score_threshold))
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    is_active = np.ones(len(order), bool)
    selected: list[int] = []
    for place, box in enumerate(order.tolist()):
        if len(selected) == min(len(order), most):
            break
        if not is_active[place]:
            continue
        selected.append(box)
        later = np.flatnonzero(is_active[place + 1 :]) + place + 1
        overlaps = _overlap(boxes, box, order[later]) > np.float32(options.nms_iou_threshold)
        is_active[later[overlaps]] = False
    return selected


def _best(scores: Array, count: int) -> list[int]:
    """Places of the largest, those of equal ones in order."""
    return [int(place) for place in np.argsort(-scores, kind="stable")[:count]]


def _fast(
    options: DetectionAttributes, boxes: Array, scores: Array, out_boxes: Array, out_classes: Array, out_scores: Array
) -> int:
    """Each box by its best class. Returns how many."""
    kept = _kept(options, boxes, scores.max(axis=1), options.max_detections)
    for at, box in enumerate(kept):
        [label] = _best(scores[box], 1)
        out_boxes[at], out_classes[at], out_scores[at] = boxes[box], label, scores[box, label]
    return len(kept)


def _regular(
    options: DetectionAttributes, boxes: Array, scores: Array, out_boxes: Array, out_classes: Array, out_scores: Array
) -> int:
    """Each class by itself; the best of all classes are given out, and zeros behind them. Returns how many."""
    kept: list[tuple[int, int]] = []
    for label in range(options.num_classes):
        column = np.ascontiguousarray(scores[:, label])
        kept += [(box, label) for box in _kept(options, boxes, column, options.detections_per_class)]
        values = np.array([scores[pair] for pair in kept], np.float32)
        kept = [kept[place] for place in _best(values, options.max_detections)]
    most = options.max_detections
    out_boxes[:most], out_classes[:most], out_scores[:most] = 0, 0, 0
    for at, (box, label) in enumerate(kept):
        out_boxes[at], out_classes[at], out_scores[at] = boxes[box], label, scores[box, label]
    return len(kept)

"""Average precision as the Pascal VOC devkit counts it.

Detections of a class, best first, take the object of their image that they overlap most; from 0.5 on they have found
it. One found twice is a false positive; a difficult object is neither found nor missed.
Source: VOCevaldet.m of the VOC 2007 devkit (eleven points) and of VOC 2010 and later (the whole curve).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.evaluating.dataset import Box
from mcusim.evaluating.decoding import Detected, overlaps
from mcusim.evaluating.metrics import Metric, Score, bootstrap, spanned

__all__ = ["ClassPrecision", "Matches", "map_scores", "match"]

Floats = NDArray[np.float64]

LEAST_OVERLAP = 0.5
POINTS = np.arange(11) / 10


@dataclass(frozen=True, slots=True)
class Matches:
    """The detections of one class over all images, best first; those of difficult objects left out.

    image: number of the image of each.   is_true: whether it found an object.   objects: that count, by image.
    """

    image: NDArray[np.intp]
    is_true: NDArray[np.bool_]
    objects: Floats


@dataclass(frozen=True, slots=True)
class ClassPrecision:
    """Average precision of one class, and of how many objects.   value: the whole curve.   eleven: eleven points."""

    label: int
    objects: int
    value: float
    eleven: float


def match(truth: Sequence[Sequence[Box]], detected: Sequence[Sequence[Detected]], label: int) -> Matches:
    """Detections of a class assigned to objects.   truth, detected: by image."""
    objects = [[box for box in boxes if box.label == label] for boxes in truth]
    rows = [(image, box) for image, boxes in enumerate(detected) for box in boxes if box.label == label]
    rows.sort(key=lambda row: -row[1].score)  # stable: equal scores stay in the order of the images
    taken: set[tuple[int, int]] = set()
    image, is_true = [], []
    for number, box in rows:
        place = _best(box, objects[number])
        if place is not None and objects[number][place].is_difficult:
            continue
        image.append(number)
        is_true.append(place is not None and (number, place) not in taken)
        if place is not None:
            taken.add((number, place))
    counts = [sum(not box.is_difficult for box in boxes) for boxes in objects]
    return Matches(np.array(image, np.intp), np.array(is_true, np.bool_), np.array(counts, np.float64))


def _best(box: Detected, objects: Sequence[Box]) -> int | None:
    """The object that a detection overlaps most, if by enough."""
    if not objects:
        return None
    edges = np.array([other[1:5] for other in objects], np.float64)
    shares = overlaps(np.array(box[2:6], np.float64), edges)
    best = int(shares.argmax())
    return best if shares[best] >= LEAST_OVERLAP else None


def precisions(matches: Matches, weights: Floats) -> tuple[Floats, Floats]:
    """Average precision, whole curve and eleven points, for each row of weights of the images. NaN without objects."""
    drawn = weights[:, matches.image]
    true = np.cumsum(drawn * matches.is_true, axis=1)
    seen = np.cumsum(drawn, axis=1)
    total = weights @ matches.objects
    precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    total_or_one = np.where(total > 0, total, 1.0)[:, None]
    gained = np.diff(true, axis=1, prepend=0.0) / total_or_one
    whole = (gained * best).sum(axis=1)
    # Counts are compared, not quotients: 3 of 10 found reach the point 0.3.
    eleven = np.zeros(len(weights))
    for tenths in range(11):
        reached = true * 10 >= tenths * total_or_one
        eleven += np.where(reached.any(axis=1), np.where(reached, best, 0.0).max(axis=1, initial=0.0), 0.0)
    missing = total <= 0
    return np.where(missing, np.nan, whole), np.where(missing, np.nan, eleven / len(POINTS))


def map_scores(
    truth: Sequence[Sequence[Box]], detected: Sequence[Sequence[Detected]], classes: int
) -> tuple[tuple[ClassPrecision, ...], Score, Score]:
    """Average precision by class, and its mean over the classes that have objects: whole curve, eleven points."""
    matches = [match(truth, detected, label) for label in range(classes)]
    count = len(truth)
    once = np.ones((1, count))
    curves = [precisions(found_of_class, once) for found_of_class in matches]
    rows = tuple(
        ClassPrecision(label, int(m.objects.sum()), float(whole[0]), float(eleven[0]))
        for label, (m, (whole, eleven)) in enumerate(zip(matches, curves, strict=True))
    )
    wholes, elevens = _replicated(matches, count)
    method = "bootstrap over images"
    known = [row for row in rows if row.objects]
    scores = []
    for metric, values, drawn in (
        (Metric.MAP, [row.value for row in known], wholes),
        (Metric.MAP11, [row.eleven for row in known], elevens),
    ):
        mean = float(np.mean(values))
        scores.append(Score(metric, mean, *spanned(mean, drawn, count), method, count))
    return rows, scores[0], scores[1]


def _replicated(matches: Sequence[Matches], images: int) -> tuple[Floats, Floats]:
    """Mean average precision of each replicate over the images, by the classes that it has objects of."""
    wholes, elevens = [], []
    for weights in bootstrap(images, sum(len(of_class.image) for of_class in matches)):
        replicates = np.array([precisions(of_class, weights) for of_class in matches])  # class, which curve, replicate
        known = np.isfinite(replicates).sum(axis=0)
        means = np.nansum(replicates, axis=0) / np.where(known > 0, known, np.nan)
        wholes.append(means[0])
        elevens.append(means[1])
    return np.concatenate(wholes), np.concatenate(elevens)

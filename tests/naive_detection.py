"""Average precision of one class, step by step as the Pascal VOC devkit does it, in inclusive pixels. Imports nothing
from mcusim.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Object = tuple[Sequence[float], bool]  # xmin, ymin, xmax, ymax from 1 and inclusive; difficult
Found = tuple[int, float, Sequence[float]]  # image, confidence, box


def average_precision(
    objects: Sequence[Sequence[Object]], detections: Sequence[Found]
) -> tuple[Fraction, Fraction] | None:
    """Area under the whole curve, and the mean of eleven points; None without objects. objects: by image."""
    positives = sum(not difficult for image in objects for _, difficult in image)
    if not positives:
        return None
    detected = set()
    curve = []  # (recall, precision)
    true, false = 0, 0
    for image, _, box in sorted(detections, key=lambda row: -row[1]):
        best, which = float("-inf"), -1
        for index, (other, _) in enumerate(objects[image]):
            width = min(box[2], other[2]) - max(box[0], other[0]) + 1
            height = min(box[3], other[3]) - max(box[1], other[1]) + 1
            if width > 0 and height > 0:
                union = _area(box) + _area(other) - width * height
                if width * height / union > best:
                    best, which = width * height / union, index
        if best >= 0.5:
            if objects[image][which][1]:
                continue
            if (image, which) in detected:
                false += 1
            else:
                true += 1
                detected.add((image, which))
        else:
            false += 1
        curve.append((Fraction(true, positives), Fraction(true, true + false)))
    eleven = Fraction(0)
    for tenths in range(11):
        eleven += max((p for r, p in curve if r >= Fraction(tenths, 10)), default=Fraction(0)) / 11
    whole, before = Fraction(0), Fraction(0)
    for recall in sorted({r for r, _ in curve}):
        whole += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return whole, eleven


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)

"""Accuracy figures against scikit-learn, scipy and a published mAP implementation, and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mean_average_precision import MetricBuilder
from naive_detection import average_precision
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from mcusim.evaluating import metrics
from mcusim.evaluating.average_precision import map_scores
from mcusim.evaluating.dataset import Box
from mcusim.evaluating.decoding import Detected, overlaps
from mcusim.evaluating.metrics import Metric, area_under_roc, auc_score, share, wilson

SCORES = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=60)


@given(count=st.integers(1, 5000), part=st.floats(0, 1))
def test_wilson_is_scipys(count: int, part: float) -> None:
    successes = round(count * part)
    right = binomtest(successes, count).proportion_ci(method="wilson")
    assert wilson(successes, count) == pytest.approx((right.low, right.high), abs=1e-9)


@given(pairs=SCORES)
def test_area_is_scikit_learns(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = [float(score) for score, _ in pairs], [int(label) for _, label in pairs]
    if len(set(labels)) < 2:
        assert math.isnan(area_under_roc(scores, labels))
        return
    assert area_under_roc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.slow
def test_intervals_hold_what_they_should() -> None:
    """Of 95 % intervals about 95 % contain the truth: here the area of two shifted normals, which is known."""
    rng = np.random.default_rng(0)
    truth, held, runs = 0.5 * (1 + math.erf(1 / 2)), 0, 60  # areas of N(0,1) against N(1,1) below each other
    for _ in range(runs):
        labels = np.repeat([0, 1], 60)
        area = auc_score((rng.normal(size=120) + labels).tolist(), labels.tolist())
        held += area.low <= truth <= area.high
        assert area.low <= area.value <= area.high
    assert held >= 0.85 * runs


def test_perfect_is_not_certain() -> None:
    area = auc_score([0.1, 0.2, 0.3, 0.8, 0.9], [0, 0, 0, 1, 1])
    assert (area.value, area.high) == (1.0, 1.0)
    assert area.low == wilson(2, 2)[0]


def test_the_same_twice() -> None:
    scores, labels = list(np.linspace(0, 1, 30)), [0, 1] * 15
    assert auc_score(scores, labels) == auc_score(scores, labels)
    assert share(Metric.TOP1, 901, 1000)[:2] == (Metric.TOP1, 0.901)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(metrics.bootstrap(20, 20)))
    assert whole.shape == (1000, 20)
    assert (whole.sum(axis=1) == 20).all()
    monkeypatch.setattr(metrics, "AT_ONCE", 130)
    assert np.array_equal(np.concatenate(list(metrics.bootstrap(20, 20))), whole)
    assert len(np.concatenate(list(metrics.bootstrap(2, 10**9)))) == 200


# ---------------------------------------------------------------------------------------------------------------------
# Average precision

CLASSES = 3
SIDE = 40.0


@st.composite
def scenes(draw: st.DrawFn, difficult_share: float) -> tuple[list[list[Box]], list[list[Detected]]]:
    """Images with objects, and detections: objects jittered, doubled, missed, and noise."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    truth, detections = [], []
    for _ in range(draw(st.integers(1, 6))):
        boxes = [
            Box(int(rng.integers(CLASSES)), *_edges(rng), is_difficult=bool(rng.random() < difficult_share))
            for _ in range(rng.integers(0, 6))
        ]
        near = [
            Detected(box.label, float(rng.random()), *(np.array(box[1:5]) + rng.normal(0, 2, 4)))
            for box in boxes
            for _ in range(rng.integers(0, 3))
        ]
        noise = [
            Detected(int(rng.integers(CLASSES)), float(rng.random()), *_edges(rng)) for _ in range(rng.integers(0, 4))
        ]
        truth.append(boxes)
        detections.append([d for d in near + noise if d.left < d.right and d.top < d.bottom])
    truth[0].append(Box(0, *_edges(rng)))  # there is something to find
    return truth, detections


def _edges(rng: np.random.Generator) -> tuple[float, float, float, float]:
    left, top = rng.uniform(0, SIDE - 12, 2)
    width, height = rng.uniform(6, 12, 2)
    return float(left), float(top), float(left + width), float(top + height)


def inclusive(box: Box | Detected) -> list[float]:
    """A box as VOC writes it: pixels from 1, the last included."""
    return [box.left + 1, box.top + 1, box.right, box.bottom]


@settings(max_examples=25)
@given(scene=scenes(difficult_share=0.0))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_average_precision_is_the_published_one(scene: tuple[list[list[Box]], list[list[Detected]]]) -> None:
    """Without difficult objects: the library repeats their flags in a wrong order, and counts them as to be found."""
    truth, detections = scene
    rows, whole, eleven = map_scores(truth, detections, CLASSES)
    judge = MetricBuilder.build_evaluation_metric("map_2d", async_mode=False, num_classes=CLASSES)
    for boxes, detected in zip(truth, detections, strict=True):
        right = [[*inclusive(b), b.label, 0, 0] for b in boxes]
        judge.add(
            np.array([[*inclusive(d), d.label, d.score] for d in detected], float).reshape(-1, 6),
            np.array(right, float).reshape(-1, 7),
        )
    known = [row.label for row in rows if row.objects]
    for points, values, mean in ((None, "value", whole), (np.arange(11) / 10, "eleven", eleven)):
        theirs: dict[int, Any] = judge.value(iou_thresholds=0.5, recall_thresholds=points)[0.5]
        ours = [getattr(row, values) for row in rows if row.objects]
        assert ours == pytest.approx([theirs[label]["ap"] for label in known], abs=1e-6)
        assert mean.value == pytest.approx(np.mean(ours))


@given(scene=scenes(difficult_share=0.3))
def test_average_precision_is_the_devkits(scene: tuple[list[list[Box]], list[list[Detected]]]) -> None:
    truth, detections = scene
    rows, _, _ = map_scores(truth, detections, CLASSES)
    for row in rows:
        objects = [[(inclusive(b), b.is_difficult) for b in boxes if b.label == row.label] for boxes in truth]
        rest = [(i, d.score, inclusive(d)) for i, boxes in enumerate(detections) for d in boxes if d.label == row.label]
        right = average_precision(objects, rest)
        if right is None:
            assert row.objects == 0
            assert math.isnan(row.value)
        else:
            assert (row.value, row.eleven) == pytest.approx(tuple(map(float, right)), abs=1e-9)


def one_class(truth: list[list[Box]], detections: list[list[Detected]]) -> tuple[float, float]:
    (row,), _, _ = map_scores(truth, detections, 1)
    return row.value, row.eleven


BOX = Box(0, 0, 0, 10, 10)


def test_by_hand() -> None:
    hit, miss = Detected(0, 0.9, 0, 0, 10, 10), Detected(0, 0.8, 20, 20, 30, 30)
    assert one_class([[BOX]], [[hit, miss]]) == (1.0, 1.0)
    assert one_class([[BOX, Box(0, 50, 50, 60, 60)]], [[hit, miss]]) == pytest.approx((0.5, 6 / 11))
    assert one_class([[BOX]], [[hit._replace(score=0.1), miss]]) == pytest.approx((0.5, 0.5))
    twice = [hit, hit._replace(score=0.8)]  # the second is a false positive, behind the first
    assert one_class([[BOX, Box(0, 50, 50, 60, 60)]], [[*twice, Detected(0, 0.1, 50, 50, 60, 60)]]) == pytest.approx(
        (0.5 + 0.5 * 2 / 3, (6 + 5 * 2 / 3) / 11)
    )


def test_an_overlap_of_exactly_one_half_counts() -> None:
    """VOCevaldet.m has `ovmax >= minoverlap`."""
    assert one_class([[BOX]], [[Detected(0, 0.9, 0, 0, 10, 5)]]) == (1.0, 1.0)
    assert one_class([[BOX]], [[Detected(0, 0.9, 0, 0, 10, 4.99)]]) == (0.0, 0.0)


def test_difficult_objects_are_neither_found_nor_missed() -> None:
    hard = BOX._replace(left=50.0, right=60.0, is_difficult=True)
    on_hard = Detected(0, 0.99, 50, 0, 60, 10)
    hit = Detected(0, 0.5, 0, 0, 10, 10)
    assert one_class([[BOX, hard]], [[on_hard, on_hard, hit]]) == (1.0, 1.0)
    assert one_class([[BOX, hard]], [[hit]]) == (1.0, 1.0)


def test_three_of_ten_reach_the_point_of_three_tenths() -> None:
    truth = [[Box(0, 20 * i, 0, 20 * i + 10, 10) for i in range(10)]]
    detections = [[Detected(0, 1 - i / 10, 20 * i, 0, 20 * i + 10, 10) for i in range(3)]]
    assert one_class(truth, detections) == pytest.approx((0.3, 4 / 11))


def test_overlap_of_nothing_is_nothing() -> None:
    assert overlaps(np.zeros(4), np.zeros((1, 4))).tolist() == [0.0]

"""Labelled samples, whatever form they lie in on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Box", "Dataset", "Form", "Reading", "Sample", "limited", "spread"]


class Form(StrEnum):
    """How a data set lies on disk."""

    FOLDERS = "folders"
    IMAGENET = "imagenet"
    VWW = "vww"
    VOC = "voc"
    ARRAYS = "arrays"


class Box(NamedTuple):
    """An object of the ground truth, between the edges of its pixels: x in [left, right).

    is_difficult: neither found nor missed, as the Pascal VOC devkit counts.
    """

    label: int
    left: float
    top: float
    right: float
    bottom: float
    is_difficult: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """name: unique in its data set.   label: class number of the network; -1 where boxes are the truth.

    path: of an image.   index: of an array.   group: samples whose scores are averaged to one; "" for none.
    """

    name: str
    label: int
    path: Path | None = None
    index: int = 0
    boxes: tuple[Box, ...] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a data set.

    outputs: classes that the network tells apart.   is_detector: whether it gives boxes.
    classes: of --classes, the name of each output; () if not given.   label_offset: added to labels.
    labels: file with the ground truth of an ImageNet layout.   split: of Pascal VOC.
    """

    outputs: int
    is_detector: bool = False
    form: Form | None = None
    classes: tuple[str, ...] = ()
    labels: str | None = None
    split: str | None = None
    label_offset: int | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """form: as it was taken.   classes: name by class number.   arrays: x of an .npz.   notes: what was decided."""

    form: Form
    place: Path
    samples: tuple[Sample, ...]
    classes: tuple[str, ...] = ()
    arrays: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()
    is_voc2007: bool = False


def limited(dataset: Dataset, limit: int | None) -> tuple[Dataset, str]:
    """The first `limit` samples, spread over the classes (over the data set where boxes are the truth), and a sentence.

    The same every time, and a smaller limit takes a part of what a larger one takes.
    """
    total = len(dataset.samples)
    if limit is None or limit >= total:
        return dataset, ""
    chosen = sorted(spread(dataset.samples)[:limit])
    which = "spread over the data set" if _has_boxes(dataset.samples) else "the first of each class in turn"
    samples = tuple(dataset.samples[i] for i in chosen)
    return replace(dataset, samples=samples), f"{limit:,} of {total:,} samples, {which}"


def spread(samples: Sequence[Sample]) -> list[int]:
    """An order of samples of which any beginning stands for the whole: each class in turn.

    Where boxes are the truth: numbers in bit-reversed order, which any beginning spreads evenly.
    """
    if _has_boxes(samples):
        bits = max(len(samples) - 1, 1).bit_length()
        order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
        return [i for i in order if i < len(samples)]
    seen: dict[int, int] = defaultdict(int)
    ranks = []
    for index, sample in enumerate(samples):
        ranks.append((seen[sample.label], sample.label, index))
        seen[sample.label] += 1
    return [index for _, _, index in sorted(ranks)]


def _has_boxes(samples: Sequence[Sample]) -> bool:
    return any(sample.boxes or sample.label < 0 for sample in samples)

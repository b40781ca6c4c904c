"""The answer of `evaluate`: an Evaluation, frozen, and how it follows from predictions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.evaluating.average_precision import map_scores
from mcusim.evaluating.dataset import Dataset
from mcusim.evaluating.decoding import RANKS, Prediction
from mcusim.evaluating.metrics import Metric, Score, auc_score, share
from mcusim.evaluating.subject import Answer, Subject

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ClassResult", "Confusion", "Evaluation", "choose_metric", "class_results", "confusions", "scores_of"]


class ClassResult(NamedTuple):
    """One class.   samples: of it, or objects that count.   correct: ranked first; None for detectors.

    value: share of its samples that are correct (its recall), or its average precision; None without samples.
    """

    label: int
    name: str
    samples: int
    correct: int | None
    value: float | None


class Confusion(NamedTuple):
    """How often one class was taken for another."""

    label: int
    predicted: int
    times: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measured accuracy of a network on a data set, computed bit-exactly.

    >>> evaluation = mcusim.evaluate("kws.tflite", "kws01.npz")             # doctest: +SKIP
    >>> evaluation.value, evaluation.score.low, evaluation.score.high                 # doctest: +SKIP
    (0.901, 0.8809..., 0.9180...)

    model, sha256: the network.   numerics: whose arithmetic.
    data, form: where the samples lie and in which form they were read.
    metric: the headline.   scores: all that suit the network, each from 0 to 1 with its 95 % interval.
    samples: all of the data set; count: those of them that were measured, whose predictions are here in its order.
    preprocessing: (what, how), in the order in which it happens.   declared_by: who says so.   notes: what was decided.
    published: what the network's source prints for this metric, from 0 to 1, and who prints it; None if unknown.
    advice: what to check, where the result looks wrong.   is_complete: False for a run that was stopped.
    """

    model: str
    sha256: str
    numerics: str
    data: str
    form: str
    metric: Metric
    scores: tuple[Score, ...]
    count: int
    samples: int
    classes: tuple[ClassResult, ...]
    confusions: tuple[Confusion, ...]
    preprocessing: tuple[tuple[str, str], ...]
    declared_by: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    advice: tuple[str, ...]
    published: tuple[float, str] | None
    unreadable: tuple[str, ...]
    is_complete: bool
    predictions: tuple[Prediction, ...]

    @property
    def score(self) -> Score:
        """The headline with its interval."""
        return next(score for score in self.scores if score.metric is self.metric)

    @property
    def value(self) -> float:
        """The headline, from 0 to 1."""
        return self.score.value

    def reworded(self, worded: Callable[[str], str]) -> Evaluation:
        """The same in other words (`wording.Worded`)."""
        return replace(
            self,
            warnings=tuple(map(worded, self.warnings)),
            advice=tuple(map(worded, self.advice)),
            notes=tuple(map(worded, self.notes)),
        )

    def confusion_matrix(self) -> NDArray[np.int64]:
        """Counts: row is the label, column the class that was ranked first."""
        matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)
        for prediction in self.predictions:
            if prediction.ranked:
                matrix[prediction.label, prediction.ranked[0]] += 1
        return matrix

    def to_frame(self) -> pd.DataFrame:
        """One row a metric, the headline first; values and the ends of their 95 % intervals from 0 to 1."""
        import pandas as pd

        ordered = sorted(self.scores, key=lambda score: score.metric is not self.metric)
        rows = [
            {"metric": str(score.metric), "value": score.value, "low": score.low, "high": score.high}
            for score in ordered
        ]
        return pd.DataFrame(rows).assign(model=self.model, numerics=self.numerics, samples=self.count)

    def __repr__(self) -> str:
        one = self.score
        value = f"{one.metric} {one.value:.4f} ({one.low:.4f} to {one.high:.4f})"
        return f"<Evaluation of {self.model!r:.60} on {self.count} samples: {value}>"


SUITED = {
    Answer.CLASSES: (Metric.TOP1, Metric.TOP5),
    Answer.SCORE: (Metric.AUC,),
    Answer.RECONSTRUCTION: (Metric.AUC,),
    Answer.BOXES: (Metric.MAP, Metric.MAP11),
}


def choose_metric(subject: Subject, dataset: Dataset, wanted: Metric | None) -> tuple[Metric, tuple[Metric, ...]]:
    """The headline, and all metrics that suit. Raises InputError for one that does not suit network or data."""
    suited = list(SUITED[subject.answer])
    if subject.classes <= RANKS and Metric.TOP5 in suited:
        suited.remove(Metric.TOP5)
    if subject.answer is Answer.CLASSES and subject.classes == 2:
        suited.append(Metric.AUC)
    if wanted is not None and wanted not in suited:
        what = f"{wanted} does not suit a network that gives {subject.answer}"
        if subject.answer is Answer.CLASSES:
            what += f" ({subject.classes})"
        raise InputError(what, where="--metric", fix=f"use {' or '.join(suited)}, or leave it out")
    if Metric.AUC in suited and len({sample.label for sample in dataset.samples}) < 2:
        if suited == [Metric.AUC]:
            fix = "give samples of class 0 and of class 1"
            raise InputError("all samples have one label, and AUC compares two", where=str(dataset.place), fix=fix)
        suited.remove(Metric.AUC)
    default = Metric.MAP11 if dataset.is_voc2007 and Metric.MAP11 in suited else suited[0]
    return wanted or default, tuple(suited)


def scores_of(
    metrics: Sequence[Metric], dataset: Dataset, predictions: Sequence[Prediction], classes: int
) -> tuple[tuple[Score, ...], tuple[ClassResult, ...]]:
    """Every metric of these predictions, and each class."""
    if Metric.MAP in metrics:
        truth = {sample.name: sample.boxes for sample in dataset.samples}
        rows, whole, eleven = map_scores([truth[p.name] for p in predictions], [p.boxes for p in predictions], classes)
        of_classes = tuple(
            ClassResult(r.label, dataset.classes[r.label], r.objects, None, r.value if r.objects else None)
            for r in rows
        )
        return (whole, eleven), of_classes
    scores = []
    for metric in metrics:
        if metric is Metric.AUC:
            values, labels = _scored(dataset, predictions)
            scores.append(auc_score(values, labels))
        else:
            ranks = 1 if metric is Metric.TOP1 else RANKS
            scores.append(share(metric, sum(p.label in p.ranked[:ranks] for p in predictions), len(predictions)))
    return tuple(scores), class_results(dataset, predictions)


def _scored(dataset: Dataset, predictions: Sequence[Prediction]) -> tuple[list[float], list[int]]:
    """Scores and labels; those of one group averaged, as an anomaly is that of a whole recording."""
    group_of = {sample.name: sample.group for sample in dataset.samples if sample.group}
    groups: dict[tuple[str, int], list[float]] = defaultdict(list)
    for p in predictions:
        assert p.score is not None
        groups[group_of.get(p.name) or f" {p.name}", p.label].append(p.score)
    return [float(np.mean(values)) for values in groups.values()], [label for _, label in groups]


def class_results(dataset: Dataset, predictions: Sequence[Prediction]) -> tuple[ClassResult, ...]:
    counts = Counter(p.label for p in predictions)
    correct = Counter(p.label for p in predictions if p.ranked[:1] == (p.label,))
    has_ranks = any(p.ranked for p in predictions)
    return tuple(
        ClassResult(
            label,
            name,
            counts[label],
            correct[label] if has_ranks else None,
            correct[label] / counts[label] if has_ranks and counts[label] else None,
        )
        for label, name in enumerate(dataset.classes)
    )


def confusions(predictions: Sequence[Prediction]) -> tuple[Confusion, ...]:
    """Pairs of classes that were mixed up, most often first."""
    pairs = Counter((p.label, p.ranked[0]) for p in predictions if p.ranked and p.ranked[0] != p.label)
    return tuple(Confusion(*pair, count) for pair, count in sorted(pairs.items(), key=lambda item: (-item[1], item[0])))

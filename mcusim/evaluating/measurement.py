"""One evaluation from question to answer, in steps: everything is checked, then it runs, then it is summed up."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from mcusim.errors import InputError
from mcusim.evaluating import hints
from mcusim.evaluating.clipping import cut_sentence
from mcusim.evaluating.dataset import Dataset, Form, limited, spread
from mcusim.evaluating.decoding import Prediction
from mcusim.evaluating.metrics import Metric, Score
from mcusim.evaluating.preprocessing import Declared, declared_by_user, frame_of, held_by, settle
from mcusim.evaluating.question import Request, checked_limit, reading_of, wanted_metric
from mcusim.evaluating.reading import read_dataset
from mcusim.evaluating.results import Evaluation, choose_metric, confusions, scores_of
from mcusim.evaluating.running import Loader, finished
from mcusim.evaluating.state import State, data_key, read_state
from mcusim.evaluating.subject import Answer, Subject, the_subject
from mcusim.evaluating.wording import preprocessing_steps
from mcusim.execution import prepared
from mcusim.execution.preparation import numerics_of
from mcusim.zoo.declarations import Preprocessing

__all__ = ["Measurement", "Progress", "Request"]

Progress = Callable[[int, int, float | None], None]
"""Told how many samples are done, of how many, and the share that is right (None where there is no such thing)."""

TRIAL_SECONDS = 20.0
"""What trying the usual mistakes may take unasked; to keep to it fewer samples are tried, down to LEAST_TRIED."""
LEAST_TRIED = 40


@dataclass(slots=True)
class Measurement:
    """A question that can be answered: network, samples and preprocessing are known and go together.

    done: predictions so far, by sample.   seconds: that a sample took, roughly; 0 where none was computed.
    """

    question: Request
    subject: Subject
    dataset: Dataset
    total: int
    limit_note: str
    declared: Declared
    loader: Loader
    metric: Metric
    metrics: tuple[Metric, ...]
    state: State
    done: dict[str, Prediction] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @classmethod
    def of(cls, question: Request) -> Measurement:
        """Everything checked, nothing computed. Raises McusimError."""
        numerics = numerics_of(question.numerics)
        user = declared_by_user(question.preprocess)
        subject = the_subject(question.model, user.detection)
        labels = subject.detection.labels if subject.detection is not None else ()
        whole = read_dataset(question.data, reading_of(question, subject), subject.input, labels)
        metric, metrics = choose_metric(subject, whole, wanted_metric(question.metric))
        declared = settle(subject, user, is_imagenet=whole.form is Form.IMAGENET, has_files=whole.arrays is None)
        loader = Loader(subject, whole, declared.preprocessing)
        prepared(subject.graph, numerics=numerics)  # refuses what cannot be executed
        chosen, limit_note = limited(whole, checked_limit(question.limit))
        key = {
            "network": subject.sha256,
            "data": data_key(whole, whole.classes),
            "reading": _way(declared.preprocessing, subject, numerics),
        }
        named = question.resume
        state = State(_kept_at(subject, key), key, {}) if named is None else read_state(Path(named), key)
        made = cls(question, subject, chosen, len(whole.samples), limit_note, declared, loader, metric, metrics, state)
        names = {sample.name for sample in chosen.samples}
        made.done = {name: prediction for name, prediction in state.done.items() if name in names}
        return made

    def run(self, progress: Progress | None = None) -> None:
        """Measure what is not done yet. What is done stays in `done` (and in the file of `resume`) when this raises.

        Classes take turns, so that what is done at any time stands for the whole.
        """
        samples = self.dataset.samples
        left = [samples[i] for i in spread(samples) if samples[i].name not in self.done]
        correct, began, before = sum(map(_is_right, self.done.values())), time.perf_counter(), len(self.done)
        parts = finished(
            self.subject,
            self.loader,
            left,
            numerics=self.question.numerics,
            threads=self.question.threads,
            skip_unreadable=self.question.skip_unreadable,
        )
        try:
            self._tell(progress, correct)
            for part in parts:
                self.done |= {prediction.name: prediction for prediction in part.predictions}
                if self.question.resume is not None:
                    self.state.add(part.predictions)
                self.unreadable += [error.where for error in part.unreadable]
                correct += sum(map(_is_right, part.predictions))
                self._tell(progress, correct)
        finally:
            parts.close()
            self.state.close()
            self.seconds = (time.perf_counter() - began) / max(len(self.done) - before, 1) if left else 0.0

    def keep(self) -> Path | None:
        """Write what was done to a file that `resume` takes, if no file was named; where it is. None if nothing is."""
        if not self.done:
            return None
        if self.question.resume is None:
            self.state.done.clear()
            self.state.path.unlink(missing_ok=True)
            self.state.add(self._in_order())
            self.state.close()
        return self.state.path if self.state.done else None

    def evaluation(self, diagnose: bool | None = None) -> Evaluation:
        """The answer over what is done.   diagnose: False not to try the usual mistakes, whatever was asked for.

        Raises InputError where nothing is done.
        """
        predictions = self._in_order()
        if not predictions:
            fix = "mend the images, or give others" if self.unreadable else "give samples"
            raise InputError("no sample could be measured", where=self.question.data, fix=fix)
        if Metric.MAP in self.metrics and not self._has_objects(predictions):
            fix = "raise --limit, or name the classes with --classes FILE"
            raise InputError("no object that counts is in these images", where=self.question.data, fix=fix)
        metrics = self._scorable(predictions)
        scores, classes = scores_of(metrics, self.dataset, predictions, self.subject.classes)
        metric = self.metric if self.metric in metrics else metrics[0]
        score = next(score for score in scores if score.metric is metric)
        published = _published(self.subject, self.dataset, metric)
        is_complete = len(predictions) + len(self.unreadable) == len(self.dataset.samples)
        doubt = hints.suspicion(score, self.dataset, predictions, published[0] if published else None)
        return Evaluation(
            model=self.subject.graph.name,
            sha256=self.subject.sha256,
            numerics=str(numerics_of(self.question.numerics)),
            data=self.question.data,
            form=str(self.dataset.form),
            metric=metric,
            scores=scores,
            count=len(predictions),
            samples=self.total,
            classes=classes,
            confusions=confusions(predictions),
            preprocessing=preprocessing_steps(self.subject, self.dataset, self.declared, self.loader.has_pixels),
            declared_by=self.declared.source if self.loader.has_pixels else "",
            notes=tuple(filter(None, (*self.dataset.notes, self.limit_note))),
            warnings=tuple(self._warnings(metric, predictions, doubt)),
            advice=tuple(self._advice(score, predictions, diagnose)) if doubt or self.question.diagnose else (),
            published=published,
            unreadable=tuple(self.unreadable),
            is_complete=is_complete,
            predictions=tuple(predictions),
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _in_order(self) -> list[Prediction]:
        return [self.done[sample.name] for sample in self.dataset.samples if sample.name in self.done]

    def _tell(self, progress: Progress | None, correct: int) -> None:
        if progress is not None:
            has_share = self.subject.answer is Answer.CLASSES and bool(self.done)
            progress(len(self.done), len(self.dataset.samples), correct / len(self.done) if has_share else None)

    def _has_objects(self, predictions: Sequence[Prediction]) -> bool:
        names = {prediction.name for prediction in predictions}
        boxes = (box for sample in self.dataset.samples if sample.name in names for box in sample.boxes)
        return any(not box.is_difficult for box in boxes)

    def _scorable(self, predictions: Sequence[Prediction]) -> tuple[Metric, ...]:
        """Metrics that these predictions suffice for: a part of the data may have one label only."""
        if len({prediction.label > 0 for prediction in predictions}) > 1 or Metric.AUC not in self.metrics:
            return self.metrics
        left = tuple(metric for metric in self.metrics if metric is not Metric.AUC)
        if not left:
            fix = "go on until both classes were seen (--limit spreads over them)"
            raise InputError("what was measured so far has one label only", where=self.question.data, fix=fix)
        return left

    def _warnings(self, metric: Metric, predictions: Sequence[Prediction], doubt: str) -> list[str]:
        warnings = [f"{metric.words}: {doubt}"] if doubt else []
        if self.declared.assumption and self.loader.has_pixels:
            warnings.append(f"preprocessing is assumed: {self.declared.assumption}; --preprocess KEY=VALUE changes it")
        warnings += self._cut_off()
        tied = sum(prediction.is_tied for prediction in predictions)
        if tied:
            many = f"{tied} sample{'s have' if tied > 1 else ' has'}"
            warnings.append(f"{many} two equal best scores; the lower class counts, as in TFLite")
        if self.unreadable:
            warnings.append(f"{len(self.unreadable)} of the files could not be read and do not count")
        return warnings

    def _cut_off(self) -> list[str]:
        """A warning where half of the samples or more are cut off by the input, or were before."""
        cuts, held = self.loader.cuts, held_by(self.subject.graph)
        sentence = cut_sentence(cuts, held.dtype)
        if not sentence:
            return []
        entry = self.subject.entry
        if self.loader.has_pixels and entry is not None and entry.preprocessing is not None:
            how = f"the network's source declares another preprocessing: --preprocess {entry.name}"
        elif self.loader.has_pixels:
            how = "pixels are normalised to another range than the network was trained on: --preprocess says to which"
        elif any(cut.is_beyond for cut in cuts):
            how = f"they may be quantised already (then store them as {held.dtype}), or scaled otherwise"
        else:
            how = "unless a plain background lies there, they were scaled otherwise and cut off before they were stored"
        return [f"{sentence}; {how}"]

    def _advice(self, score: Score, predictions: Sequence[Prediction], diagnose: bool | None) -> list[str]:
        sentences = list(hints.from_predictions(score, self.dataset, predictions))
        frame = frame_of(self.subject.input)
        if not self.loader.has_pixels or frame is None or False in (diagnose, self.question.diagnose):
            return sentences
        is_integer, has_files = self.subject.input.dtype.is_integer, self.dataset.arrays is None
        candidates = hints.variants(self.declared.preprocessing, frame, is_integer, has_files)
        affordable = LEAST_TRIED if not self.seconds else int(TRIAL_SECONDS / (self.seconds * (len(candidates) + 1)))
        if affordable < LEAST_TRIED and not self.question.diagnose:
            return [*sentences, "trying the usual mistakes takes a while here: --diagnose does it"]
        names = {prediction.name for prediction in predictions}
        readable = replace(self.dataset, samples=tuple(s for s in self.dataset.samples if s.name in names))
        few, _ = limited(readable, hints.TRIED if self.question.diagnose else min(affordable, hints.TRIED))
        return hints.ordered(
            sentences, candidates, lambda p: self._tried(few, p, score.metric), self.declared.preprocessing
        )

    def _tried(self, few: Dataset, preprocessing: Preprocessing, metric: Metric) -> Score:
        """The metric on a few samples under other preprocessing."""
        parts = finished(
            self.subject,
            Loader(self.subject, few, preprocessing),
            few.samples,
            numerics=self.question.numerics,
            threads=self.question.threads,
            skip_unreadable=True,
        )
        by_name = {prediction.name: prediction for part in parts for prediction in part.predictions}
        ordered = [by_name[sample.name] for sample in few.samples if sample.name in by_name]
        metrics = self.metrics if Metric.MAP in self.metrics else (metric,)
        scores, _ = scores_of(metrics, few, ordered, self.subject.classes)
        return next(score for score in scores if score.metric is metric)


def _is_right(prediction: Prediction) -> bool:
    return prediction.ranked[:1] == (prediction.label,)


def _way(preprocessing: Preprocessing, subject: Subject, numerics: object) -> str:
    """By what the way from sample to prediction is known again."""
    values = msgspec.structs.replace(preprocessing, source="")
    return f"{msgspec.json.encode(values).decode()} {msgspec.json.encode(subject.detection).decode()} {numerics}"


def _kept_at(subject: Subject, key: Mapping[str, str]) -> Path:
    """Where an interrupted run without `resume` is kept."""
    stem = re.sub(r"[^\w.-]+", "-", subject.graph.name)[:40]
    digest = hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:12]
    return kept_folder() / f"{stem}-{digest}.jsonl"


def kept_folder() -> Path:
    """The folder of runs that were interrupted, in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcusim" / "evaluations"


def _published(subject: Subject, dataset: Dataset, metric: Metric) -> tuple[float, str] | None:
    """What its source prints for a metric, if the data set has the form of the one that it was trained for."""
    forms = {"ImageNet": Form.IMAGENET, "Visual Wake Words": Form.VWW}
    if subject.entry is None or forms.get(subject.entry.dataset) is not dataset.form:
        return None
    for figures in subject.entry.published:
        text = {Metric.TOP1: figures.top1_quantized, Metric.TOP5: figures.top5_quantized}.get(metric, "")
        if text:
            return float(text) / 100, figures.source
    return None

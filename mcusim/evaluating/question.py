"""What a user asks of `evaluate`, and its words parsed once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mcusim.errors import InputError
from mcusim.evaluating.dataset import Form, Reading
from mcusim.evaluating.labels import read_classes
from mcusim.evaluating.metrics import Metric
from mcusim.evaluating.subject import Answer, Model, Subject

__all__ = ["Request", "checked_limit", "reading_of", "wanted_metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is measured on what, and how; the options of `mcusim.evaluate`, which explains them."""

    model: Model
    data: str
    metric: str | None = None
    form: str | None = None
    preprocess: Sequence[str] = ()
    classes: str | Sequence[str] | None = None
    labels: str | None = None
    split: str | None = None
    label_offset: int | None = None
    limit: int | None = None
    numerics: str = "tflm"
    threads: int | None = None
    resume: str | None = None
    skip_unreadable: bool = False
    diagnose: bool | None = None


def reading_of(question: Request, subject: Subject) -> Reading:
    classes = question.classes
    if classes and question.label_offset is not None:
        fix = "leave one out: --classes names the class of each label"
        raise InputError("--classes came too", where="--label-offset", fix=fix)
    names = read_classes(classes) if isinstance(classes, str | os.PathLike) else tuple(classes or ())
    return Reading(
        outputs=subject.classes or len(names) or 20,
        is_detector=subject.answer is Answer.BOXES,
        form=_form(question.form),
        classes=names,
        labels=question.labels,
        split=question.split,
        label_offset=question.label_offset,
    )


def _form(text: str | None) -> Form | None:
    try:
        return None if text is None else Form(text)
    except ValueError:
        raise InputError(f"there is no form '{text}'", where="--form", fix=f"use {', '.join(Form)}") from None


def wanted_metric(text: str | None) -> Metric | None:
    try:
        return None if text is None else Metric(text.replace("-", ""))
    except ValueError:
        raise InputError(f"there is no metric '{text}'", where="--metric", fix=f"use {', '.join(Metric)}") from None


def checked_limit(limit: int | None) -> int | None:
    if limit is not None and (isinstance(limit, bool) or limit < 1):
        raise InputError(f"it is {limit}", where="--limit", fix="give a whole number above zero, or leave it out")
    return limit

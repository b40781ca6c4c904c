"""Network + labelled samples -> measured accuracy, with the bit-exact executor.

>>> import mcusim
>>> evaluation = mcusim.evaluate("kws.tflite", "kws01.npz")         # doctest: +SKIP
>>> evaluation.value, evaluation.score.low, evaluation.score.high             # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike

from mcusim.evaluating.measurement import Measurement, Progress, Request
from mcusim.evaluating.results import Evaluation
from mcusim.evaluating.subject import Model

__all__ = ["Evaluation", "Measurement", "Progress", "Request", "evaluate"]


def evaluate(
    model: Model,
    data: str | PathLike[str],
    *,
    metric: str | None = None,
    form: str | None = None,
    preprocess: str | Sequence[str] = (),
    classes: str | Sequence[str] | None = None,
    labels: str | None = None,
    split: str | None = None,
    label_offset: int | None = None,
    limit: int | None = None,
    numerics: str = "tflm",
    threads: int | None = None,
    resume: str | PathLike[str] | None = None,
    skip_unreadable: bool = False,
    diagnose: bool | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a network on labelled samples.

    data: a folder with a sub-folder a class, ImageNet's validation images with their ground truth, Visual Wake Words
        (two folders, or an annotation file), Pascal VOC, or an .npz with x and y.   form: which of them, if it is
        taken for another: folders, imagenet, vww, voc, arrays.
    metric: top1, top5, auc, map or map11; by default what suits the network. All that suit are in `scores`.
    preprocess: "key=value" settings, a TOML file or a published network's name; over the zoo's declaration.
    classes: the network's classes in the order of its outputs, as a list or a file of lines.
    labels: file with the ground truth of ImageNet's images.   split: of Pascal VOC.   label_offset: added to labels.
    limit: so many samples, spread over the classes; the same every time.   threads: None for one a core.
    resume: file of finished samples; what it holds is not computed again, and it grows as this runs.
    skip_unreadable: leave damaged images out, and say so.
    diagnose: try the usual mistakes of a set-up; by default where the result is near chance or below the published.
    progress: called with samples done, samples in all, and the share that is right so far.
    Raises McusimError where a file, a label or an option is wrong.
    """
    question = Request(
        model=model,
        data=os.fspath(data),
        metric=metric,
        form=form,
        preprocess=(preprocess,) if isinstance(preprocess, str) else tuple(preprocess),
        classes=classes,
        labels=labels,
        split=split,
        label_offset=label_offset,
        limit=limit,
        numerics=numerics,
        threads=threads,
        resume=None if resume is None else os.fspath(resume),
        skip_unreadable=skip_unreadable,
        diagnose=diagnose,
    )
    measurement = Measurement.of(question)
    measurement.run(progress)
    return measurement.evaluation()

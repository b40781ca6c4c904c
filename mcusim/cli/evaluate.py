"""`mcusim evaluate`: measured accuracy on labelled data."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypedDict

import typer

from mcusim.cli.documents import Versioned
from mcusim.cli.options import JSON, MAX_MEMORY, option
from mcusim.cli.sheets import predictions_csv
from mcusim.cli.shell import (
    STDOUT,
    complain,
    document,
    glyphs,
    pass_on_notices,
    refuse_overwriting,
    refuse_same_target,
    show,
    terminal_width,
    write_output,
)
from mcusim.errors import InputError, McusimError, OutputError
from mcusim.evaluating import Evaluation, Measurement, Progress, Request
from mcusim.evaluating.metrics import Metric, Score, percent
from mcusim.evaluating.results import ClassResult, Confusion
from mcusim.render.evaluation import evaluation_lines

__all__ = ["EvaluateDocument", "evaluate"]


class Measured(TypedDict):
    name: str
    sha256: str
    numerics: str


class MeasuredOn(TypedDict):
    """The data. measured: samples that were run.   is_complete: False where it was stopped."""

    path: str
    form: str
    samples: int
    measured: int
    is_complete: bool
    unreadable: Sequence[str]


class PublishedScore(TypedDict):
    value: float
    source: str


class PreprocessingStep(TypedDict):
    what: str
    how: str


class PreprocessingDocument(TypedDict):
    declared_by: str
    steps: list[PreprocessingStep]


class EvaluateDocument(Versioned):
    """What `mcusim evaluate` measured: the headline with its 95 % interval, all from 0 to 1, and what lies behind."""

    model: Measured
    data: MeasuredOn
    metric: Metric
    value: float
    low: float
    high: float
    basis: Literal["measured"]
    scores: Sequence[Score]
    published: PublishedScore | None
    classes: Sequence[ClassResult]
    confusions: Sequence[Confusion]
    preprocessing: PreprocessingDocument
    notes: Sequence[str]
    warnings: Sequence[str]
    advice: Sequence[str]


INTERRUPTED = 130
CONFUSIONS_WRITTEN = 100


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A .tflite or .onnx file with trained weights.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="D",
            help="Folder with a sub-folder a class; ImageNet's, Visual Wake Words' or VOC's layout; .npz (x, y).",
        ),
    ],
    metric: Annotated[
        str | None,
        option(
            metavar="NAME",
            help="The main metric: top1, top5, auc, map or map11. Default: what suits the network's outputs.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        option(metavar="NAME", help="The form of D, if it is not recognised: folders, imagenet, vww, voc or arrays."),
    ] = None,
    preprocess: Annotated[
        list[str] | None,
        option(
            metavar="WHAT",
            help="KEY=VALUE (resize, fraction, filter, channels, range, mean, std, integers), a TOML file, or a "
            "published network whose declaration holds. Repeatable.",
        ),
    ] = None,
    classes: Annotated[
        str | None, option(metavar="FILE", help="The network's classes, a line each, in the order of its outputs.")
    ] = None,
    labels: Annotated[str | None, option(metavar="FILE", help="Ground truth of flat ImageNet images.")] = None,
    split: Annotated[
        str | None, option(metavar="NAME", help="The image set of Pascal VOC. Default: test, else val.")
    ] = None,
    label_offset: Annotated[int | None, option(metavar="N", help="Added to each label, such as -1.")] = None,
    limit: Annotated[
        int | None, option(min=1, metavar="N", help="Use N samples, spread over the classes, always the same ones.")
    ] = None,
    numerics: Annotated[
        str,
        typer.Option(metavar="MODE", help="The arithmetic: as tflm (the device), litert (Python) or tinyengine-float."),
    ] = "tflm",
    threads: Annotated[int | None, option(min=1, metavar="N", help="Default: one a core.")] = None,
    resume: Annotated[
        str | None, option(metavar="FILE", help="Finished samples: read if it is there, and added to.")
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave damaged images out, and count them.")
    ] = False,
    diagnose: Annotated[
        bool | None,
        option(
            "--diagnose/--no-diagnose",
            help="Try the usual mistakes of a set-up. Default: where the result looks wrong.",
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Show every class.")] = False,
    json: Annotated[str | None, JSON] = None,
    csv: Annotated[
        str | None, option(metavar="FILE", help="Write each prediction as CSV; - is standard output.")
    ] = None,
    at_least: Annotated[
        float | None, option(metavar="PERCENT", help="Exit with 1 if the metric is below this.")
    ] = None,
    max_memory: Annotated[str | None, MAX_MEMORY] = None,
) -> None:
    """How accurate is a network on labelled data? Every byte is computed as TensorFlow Lite Micro would.

    Says which form the data has, what happens to an image on its way, and how sure the figure is. Ctrl-C keeps what
    was computed.

    \b
    Examples:
      mcusim evaluate kws.tflite --data kws.npz --at-least 20
      mcusim evaluate net.tflite --data images --limit 500 --resume done.jsonl
      mcusim evaluate net.tflite --data images --preprocess range=-1..1 --json -
      mcusim evaluate detector.tflite --data VOC2007 --preprocess detector.toml
    """

    refuse_same_target(json=json, csv=csv, resume=resume)
    if resume == STDOUT:
        raise InputError("standard output cannot be read again", where="--resume", fix="name a file")
    files = [word for word in preprocess or [] if "=" not in word]
    refuse_overwriting((model, data, classes, labels, *files), json=json, csv=csv, resume=resume)
    _check_least(at_least)
    pass_on_notices()
    question = Request(
        model=model,
        data=data,
        metric=metric,
        form=form,
        preprocess=preprocess or (),
        classes=classes,
        labels=labels,
        split=split,
        label_offset=label_offset,
        limit=limit,
        numerics=numerics,
        threads=threads,
        resume=resume,
        skip_unreadable=skip_unreadable,
        diagnose=diagnose,
    )
    measurement = Measurement.of(question)
    was_stopped = _run(measurement)
    evaluation = _evaluated(measurement, was_stopped)
    try:
        _write(evaluation, json, csv)
    except OutputError as error:
        raise _with_what_is_kept(error, measurement) from None
    if STDOUT not in (json, csv):
        show(evaluation_lines(evaluation, terminal_width(), glyphs(), all_))
    if was_stopped:
        raise typer.Exit(INTERRUPTED)
    if at_least is not None and evaluation.value * 100 < at_least:
        complain(f"{evaluation.metric.words} is {evaluation.value * 100:.2f} %, below {at_least:g} %")
        raise typer.Exit(1)


def _check_least(at_least: float | None) -> None:
    if at_least is not None and not 1 < at_least <= 100:
        raise InputError(f"it is {at_least:g}", where="--at-least", fix="write percent, as in 88.5")


def _run(measurement: Measurement) -> bool:
    """Measure, under a progress bar; whether it was stopped by Ctrl-C. What was computed is kept, and said where."""
    try:
        with _progress() as progress:
            measurement.run(progress)
    except KeyboardInterrupt:
        kept = measurement.keep()
        if kept is None:
            raise
        done, total = len(measurement.done), len(measurement.dataset.samples)
        complain(f"stopped after {done} of {total} samples; --resume {kept} goes on from there")
        return True
    except McusimError as error:
        raise _with_what_is_kept(error, measurement) from None
    return False


def _with_what_is_kept(error: McusimError, measurement: Measurement) -> McusimError:
    """The same error, and where the finished samples are."""
    kept = measurement.keep()
    if kept is None:
        return error
    fix = f"{error.fix} (the {len(measurement.state.done)} finished samples are kept: --resume {kept})"
    return type(error)(error.what, where=error.where, fix=fix)


def _write(evaluation: Evaluation, json: str | None, csv: str | None) -> None:
    if json is not None:
        write_output(document(_document(evaluation)), json, "--json")
    if csv is not None:
        write_output(predictions_csv(evaluation), csv, "--csv")


def _evaluated(measurement: Measurement, was_stopped: bool) -> Evaluation:
    """The answer; Ctrl-C while the usual mistakes are tried ends that only."""
    if was_stopped:
        return measurement.evaluation(diagnose=False)
    try:
        with _status("summing up"):
            return measurement.evaluation()
    except KeyboardInterrupt:
        return measurement.evaluation(diagnose=False)


def _status(words: str) -> contextlib.AbstractContextManager[object]:
    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(words)


@contextlib.contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on standard error with the running accuracy, where that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[share]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, share="")

        def tell(done: int, total: int, share: float | None) -> None:
            shown = "" if share is None else f"top-1 {percent(share)}"
            bar.update(task, completed=done, total=total, share=shown)

        yield tell


def _document(evaluation: Evaluation) -> EvaluateDocument:
    score = evaluation.score
    return {
        "schema_version": 1,
        "model": {"name": evaluation.model, "sha256": evaluation.sha256, "numerics": evaluation.numerics},
        "data": {
            "path": evaluation.data,
            "form": evaluation.form,
            "samples": evaluation.samples,
            "measured": evaluation.count,
            "is_complete": evaluation.is_complete,
            "unreadable": evaluation.unreadable,
        },
        "metric": evaluation.metric,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "basis": "measured",
        "scores": evaluation.scores,
        "published": None
        if evaluation.published is None
        else {"value": evaluation.published[0], "source": evaluation.published[1]},
        "classes": evaluation.classes,
        "confusions": evaluation.confusions[:CONFUSIONS_WRITTEN],
        "preprocessing": {
            "declared_by": evaluation.declared_by,
            "steps": [{"what": what, "how": how} for what, how in evaluation.preprocessing],
        },
        "notes": evaluation.notes,
        "warnings": evaluation.warnings,
        "advice": evaluation.advice,
    }

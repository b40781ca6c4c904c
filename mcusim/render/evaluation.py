"""Measured accuracy: the figure and how sure it is, on what it was measured, class by class, and what looks wrong."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from mcusim.evaluating import Evaluation
from mcusim.evaluating.metrics import Metric, Score, percent
from mcusim.evaluating.results import ClassResult
from mcusim.render.catalog import fields
from mcusim.render.text import Glyphs, clean, headline, paragraph
from mcusim.render.text_table import Bar, Cell, Column, table

__all__ = ["evaluation_lines"]

SHOWN = 12
"""Classes that are shown unless all are asked for: the worst."""
TELLING = 5
"""Samples a class, on average, from which on its share tells something."""
MIXED_UP = 5


def evaluation_lines(evaluation: Evaluation, width: int, glyphs: Glyphs, every: bool = False) -> list[Text]:
    """All of it, as lines of at most `width` cells.   every: all classes, not only the worst."""
    score = evaluation.score
    words = f"{score.metric.words} {percent(score.value)} ({_interval(score)})"
    if not evaluation.is_complete:
        words += f", stopped after {evaluation.count} samples"
    style = "bold yellow" if evaluation.advice or not evaluation.is_complete else "bold green"
    lines = headline(f"{evaluation.model} on {Path(evaluation.data).name}", words, style, width)
    lines += paragraph(_measured(evaluation), width, style="dim")
    lines += [Text(), *_scores(evaluation, width, glyphs)]
    lines += [Text(), *_surroundings(evaluation, width)]
    lines += _classes(evaluation, width, glyphs, every)
    lines += _confusions(evaluation, width)
    lines += _doubts(evaluation, width)
    return lines


def _measured(evaluation: Evaluation) -> str:
    of = "" if evaluation.count == evaluation.samples else f" of {evaluation.samples:,}"
    how = (
        "bit-exactly as TensorFlow Lite Micro does"
        if evaluation.numerics == "tflm"
        else f"by the rules of {evaluation.numerics}"
    )
    return f"measured on {evaluation.count:,}{of} samples, computed {how}"


def _interval(score: Score) -> str:
    return f"{score.low * 100:.1f} to {score.high * 100:.1f} %"


def _scores(evaluation: Evaluation, width: int, glyphs: Glyphs) -> list[Text]:
    columns = (
        Column("metric", whole=True),
        Column("measured", right=True),
        Column("95 % interval", right=True),
        Column("published", right=True, drop=1),
        Column("interval by", drop=2, least=8),
    )
    rows: list[list[Cell | Bar]] = []
    for score in evaluation.scores:
        is_headline = score.metric is evaluation.metric
        published = evaluation.published if is_headline else None
        rows.append(
            [
                Cell(score.metric.words, "bold" if is_headline else ""),
                Cell(percent(score.value), "bold" if is_headline else ""),
                Cell(_interval(score)),
                Cell("" if published is None else percent(published[0])),
                Cell(score.method, "dim"),
            ]
        )
    return table(columns, rows, width, glyphs)


def _surroundings(evaluation: Evaluation, width: int) -> list[Text]:
    pairs = [("data", f"{clean(evaluation.data)}, taken as {evaluation.form}: {'; '.join(evaluation.notes)}")]
    pairs += evaluation.preprocessing
    pairs += [
        ("declared by", evaluation.declared_by),
        ("published by", evaluation.published[1] if evaluation.published else ""),
    ]
    return fields(pairs, width)


def _classes(evaluation: Evaluation, width: int, glyphs: Glyphs, every: bool) -> list[Text]:
    known = [row for row in evaluation.classes if row.value is not None]
    if not known or (len(known) == 1 and len(evaluation.classes) == 1):
        return []
    if not every and evaluation.count < TELLING * len(known) and known[0].correct is not None:
        return []
    worst = sorted(known, key=lambda row: (row.value or 0.0, row.label))
    shown = known if every or len(known) <= SHOWN else worst[:SHOWN]
    is_detector = known[0].correct is None
    title = "Average precision by class" if is_detector else "Share of each class that is right"
    if len(shown) < len(known):
        title += f", the worst {len(shown)} of {len(known)} (--all shows every one)"
    columns = (
        Column("#", right=True, drop=2),
        Column("class", least=8, most=28),
        Column("objects" if is_detector else "samples", right=True, drop=1),
        Column("AP" if is_detector else "right", right=True),
        Column("", most=20, least=6, drop=3),
    )
    rows = [_class_row(row) for row in shown]
    return [Text(), *paragraph(f"{title}:", width, style="bold"), *table(columns, rows, width, glyphs)]


def _class_row(row: ClassResult) -> list[Cell | Bar]:
    value = row.value or 0.0
    return [
        Cell(str(row.label), "dim"),
        Cell(row.name),
        Cell(f"{row.samples:,}"),
        Cell(percent(value)),
        Bar(value, "blue", track=True),
    ]


def _confusions(evaluation: Evaluation, width: int) -> list[Text]:
    names = [row.name for row in evaluation.classes]
    lines: list[Text] = []
    for pair in evaluation.confusions[:MIXED_UP]:
        if pair.times > 1:
            sentence = f"{names[pair.label]} taken for {names[pair.predicted]}: {pair.times:,} times"
            lines += paragraph(sentence, width, indent="  ", hanging="    ")
    return [Text(), *paragraph("Mixed up most often:", width, style="bold"), *lines] if lines else []


def _doubts(evaluation: Evaluation, width: int) -> list[Text]:
    lines: list[Text] = []
    for warning in evaluation.warnings:
        lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    if evaluation.advice:
        lines += [Text(), *paragraph("Check, in this order:", width, style="bold")]
        for advice in evaluation.advice:
            lines += paragraph(f"- {advice}", width, indent="  ", hanging="    ")
        lines += paragraph(f"- {_always(evaluation)}", width, indent="  ", hanging="    ")
    return [Text(), *lines] if lines else []


def _always(evaluation: Evaluation) -> str:
    if evaluation.metric in (Metric.MAP, Metric.MAP11):
        return "otherwise: the order of the classes, how boxes are decoded ([detection]), the split"
    return (
        "otherwise: the order of the classes (--classes), labels from 1 or a background class (--label-offset), "
        "the split, and whether the file is the trained network"
    )

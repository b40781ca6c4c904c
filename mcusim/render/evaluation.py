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


def evaluation_lines(found: Evaluation, width: int, glyphs: Glyphs, every: bool = False) -> list[Text]:
    """All of it, as lines of at most `width` cells.   every: all classes, not only the worst."""
    score = found.score
    words = f"{score.metric.words} {percent(score.value)} ({_interval(score)})"
    if not found.is_complete:
        words += f", stopped after {found.count} samples"
    style = "bold yellow" if found.advice or not found.is_complete else "bold green"
    lines = headline(f"{found.model} on {Path(found.data).name}", words, style, width)
    lines += paragraph(_measured(found), width, style="dim")
    lines += [Text(), *_scores(found, width, glyphs)]
    lines += [Text(), *_surroundings(found, width)]
    lines += _classes(found, width, glyphs, every)
    lines += _confusions(found, width)
    lines += _doubts(found, width)
    return lines


def _measured(found: Evaluation) -> str:
    of = "" if found.count == found.samples else f" of {found.samples:,}"
    how = (
        "bit-exactly as TensorFlow Lite Micro does" if found.numerics == "tflm" else f"by the rules of {found.numerics}"
    )
    return f"measured on {found.count:,}{of} samples, computed {how}"


def _interval(score: Score) -> str:
    return f"{score.low * 100:.1f} to {score.high * 100:.1f} %"


def _scores(found: Evaluation, width: int, glyphs: Glyphs) -> list[Text]:
    columns = (
        Column("metric", whole=True),
        Column("measured", right=True),
        Column("95 % interval", right=True),
        Column("published", right=True, drop=1),
        Column("interval by", drop=2, least=8),
    )
    rows: list[list[Cell | Bar]] = []
    for score in found.scores:
        is_headline = score.metric is found.metric
        published = found.published if is_headline else None
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


def _surroundings(found: Evaluation, width: int) -> list[Text]:
    pairs = [("data", f"{clean(found.data)}, taken as {found.form}: {'; '.join(found.notes)}")]
    pairs += found.preprocessing
    pairs += [("declared by", found.declared_by), ("published by", found.published[1] if found.published else "")]
    return fields(pairs, width)


def _classes(found: Evaluation, width: int, glyphs: Glyphs, every: bool) -> list[Text]:
    known = [row for row in found.classes if row.value is not None]
    if not known or (len(known) == 1 and len(found.classes) == 1):
        return []
    if not every and found.count < TELLING * len(known) and known[0].correct is not None:
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


def _confusions(found: Evaluation, width: int) -> list[Text]:
    names = [row.name for row in found.classes]
    lines: list[Text] = []
    for pair in found.confusions[:MIXED_UP]:
        if pair.times > 1:
            told = f"{names[pair.label]} taken for {names[pair.predicted]}: {pair.times:,} times"
            lines += paragraph(told, width, indent="  ", hanging="    ")
    return [Text(), *paragraph("Mixed up most often:", width, style="bold"), *lines] if lines else []


def _doubts(found: Evaluation, width: int) -> list[Text]:
    lines: list[Text] = []
    for warning in found.warnings:
        lines += paragraph(f"! {warning}", width, style="yellow", hanging="  ")
    if found.advice:
        lines += [Text(), *paragraph("Check, in this order:", width, style="bold")]
        for advice in found.advice:
            lines += paragraph(f"- {advice}", width, indent="  ", hanging="    ")
        lines += paragraph(f"- {_always(found)}", width, indent="  ", hanging="    ")
    return [Text(), *lines] if lines else []


def _always(found: Evaluation) -> str:
    if found.metric in (Metric.MAP, Metric.MAP11):
        return "otherwise: the order of the classes, how boxes are decoded ([detection]), the split"
    return (
        "otherwise: the order of the classes (--classes), labels from 1 or a background class (--label-offset), "
        "the split, and whether the file is the trained network"
    )

"""Does a result look wrong, and which usual mistake would explain it?

Accuracy near chance nearly always comes from the set-up: the order of the classes, an offset of the labels, colours in
the other order, another normalisation. Offsets and orders are judged from the predictions; the others are tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from mcusim.evaluating.dataset import Dataset
from mcusim.evaluating.decoding import Prediction
from mcusim.evaluating.metrics import Metric, Score, percent, share
from mcusim.evaluating.preprocessing import RANGES, Frame
from mcusim.zoo.declarations import Channels, Integers, Preprocessing, Resize

__all__ = ["Trial", "from_predictions", "ordered", "suspicion", "variants"]

TRIED = 200
"""Samples on which a variant is tried."""
LOW_MAP = 0.05
FEW, MANY = 30, 10


class Trial(NamedTuple):
    """A usual mistake undone.   words: in which way; option: how to ask for it."""

    words: str
    option: str
    preprocessing: Preprocessing


def suspicion(score: Score, dataset: Dataset, predictions: Sequence[Prediction], published: float | None) -> str:
    """One sentence on what looks wrong with a result; "" where nothing does."""
    few = f"; {score.samples} samples are few, add more" if score.samples < FEW else ""
    if score.metric in (Metric.MAP, Metric.MAP11):
        if score.value < LOW_MAP:
            return f"almost nothing is found ({percent(score.value)}): check how boxes are decoded, and the classes"
    elif score.metric is Metric.AUC:
        if score.high < 0.5:
            return "it is below chance (50 %): the score goes the other way, so classes 0 and 1 may be swapped"
        if score.low <= 0.5:
            return f"it cannot be told from chance (50 %){few}"
    else:
        chance, words = _chance(score.metric, dataset, predictions)
        if score.high < chance:
            return f"it is below chance ({words})"
        if score.low <= chance:
            return f"it cannot be told from chance ({words}){few}"
    if published is not None and score.high < published:
        return f"it is below the published {percent(published)}"
    return ""


def _chance(metric: Metric, dataset: Dataset, predictions: Sequence[Prediction]) -> tuple[float, str]:
    classes = max(len(dataset.classes), 1)
    ranks = 1 if metric is Metric.TOP1 else 5
    guess = min(ranks / classes, 1.0)
    labels = Counter(p.label for p in predictions)
    is_told = len(labels) > 1 and len(predictions) >= MANY * len(
        labels
    )  # of few samples a class, the largest says nothing
    most = sum(count for _, count in labels.most_common(ranks)) / len(predictions) if is_told else 0.0
    if most > guess:
        return most, f"always the same answer gives {percent(most)}"
    return guess, f"guessing gives {percent(guess)}"


# ---------------------------------------------------------------------------------------------------------------------
# What the predictions alone tell


def from_predictions(score: Score, dataset: Dataset, predictions: Sequence[Prediction]) -> Iterator[str]:
    """Other numberings of the classes under which the same predictions would be right."""
    ranked = [p for p in predictions if p.ranked]
    if score.metric not in (Metric.TOP1, Metric.TOP5) or not ranked:
        return
    for offset in (1, -1):
        right = share(Metric.TOP1, sum(p.ranked[0] == p.label + offset for p in ranked), len(ranked))
        if right.low > score.high:
            yield f"with labels moved by {offset:+d} it is {percent(right.value)} top-1: --label-offset {offset}"
    order = _best_order(ranked)
    moved = sum(order.get(p.label) == p.ranked[0] for p in ranked)
    right = share(Metric.TOP1, moved, len(ranked))
    is_enough = len(ranked) >= 5 * len({p.label for p in ranked})
    if right.low > max(score.high, 0.5) and is_enough:
        pairs = [f"{_name(dataset, a)} is output {b}" for a, b in sorted(order.items()) if a != b][:3]
        pairs_shown = f"({', '.join(pairs)}, ...)"
        yield f"with classes in another order it is {percent(right.value)}: --classes FILE {pairs_shown}"


def _best_order(predictions: Sequence[Prediction]) -> dict[int, int]:
    """Label -> output, one to one, taking the pairs that occur most often first."""
    order: dict[int, int] = {}
    taken: set[int] = set()
    pairs = Counter((p.label, p.ranked[0]) for p in predictions)
    for (label, output), _ in sorted(pairs.items(), key=lambda item: (-item[1], item[0])):
        if label not in order and output not in taken:
            order[label] = output
            taken.add(output)
    return order


def _name(dataset: Dataset, label: int) -> str:
    return dataset.classes[label] if label < len(dataset.classes) else str(label)


# ---------------------------------------------------------------------------------------------------------------------
# What must be tried


def variants(chosen: Preprocessing, frame: Frame, is_integer: bool, is_resized: bool) -> list[Trial]:
    """Preprocessing that differs in one thing, as people get it wrong."""
    trials = []
    if frame.channels == 3:
        other = Channels.RGB if chosen.channels is Channels.BGR else Channels.BGR
        swapped = msgspec.structs.replace(chosen, channels=other)
        trials.append(Trial(f"with channels in {other} order", f"channels={other}", swapped))
    for name, (mean, std) in RANGES.items():
        if len(mean) not in (1, frame.channels):
            continue
        changed = msgspec.structs.replace(chosen, mean=mean, std=std, integers=Integers.AFFINE)
        if changed != chosen:
            trials.append(Trial(f"with pixels as {name}", f"range={name}", changed))
    if is_integer and chosen.integers is not Integers.BYTES:
        plain = msgspec.structs.replace(chosen, integers=Integers.BYTES)
        trials.append(Trial("with pixels as plain bytes", "range=bytes", plain))
    if is_resized:
        other_way = Resize.CROP if chosen.resize is Resize.STRETCH else Resize.STRETCH
        resized = msgspec.structs.replace(chosen, resize=other_way)
        trials.append(Trial(f"with resize={other_way}", f"resize={other_way}", resized))
    return trials


def ordered(
    known: Sequence[str], candidates: Sequence[Trial], measure: Callable[[Preprocessing], Score], chosen: Preprocessing
) -> list[str]:
    """Variants that are surely better on the same few samples, the best first; then what the predictions show."""
    base = measure(chosen)
    better = []
    for trial in candidates:
        right = measure(trial.preprocessing)
        if right.low > base.high:
            gain = f"{percent(right.value)} instead of {percent(base.value)}"
            gain_sentence = f"{trial.words} the same {right.samples} samples give {gain}: --preprocess {trial.option}"
            better.append((right.value, gain_sentence))
    if better:
        return [*(sentence for _, sentence in sorted(better, reverse=True)), *known]
    names = ", ".join(trial.option for trial in candidates)
    return [*known, f"none of these is better, on {base.samples} samples: {names}"]

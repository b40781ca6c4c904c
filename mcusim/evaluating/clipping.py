"""Samples that the input cuts off: made for another scale, or cut off before they came here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.evaluating.preprocessing import held_by, is_outside, quantized
from mcusim.evaluating.subject import real_range
from mcusim.graph import Graph, Tensor

__all__ = ["Cut", "cut_sentence", "cuts_of"]

CUT_SHARE = 0.1
"""A sample of which so much is cut off was made for another scale: quantisers cut off a few elements in a thousand."""


class Cut(NamedTuple):
    """Shares of a sample's elements: beyond what the input can hold, and at an end of what it can."""

    beyond: float = 0.0
    at_end: float = 0.0

    @property
    def is_beyond(self) -> bool:
        return self.beyond >= CUT_SHARE

    @property
    def is_at_end(self) -> bool:
        return self.at_end >= CUT_SHARE


def cuts_of(graph: Graph, images: NDArray[Any]) -> list[Cut]:
    """What is cut off of each sample: real numbers that will be quantised, or integers that were."""
    held, is_real = held_by(graph), images.dtype.kind == "f" or not graph.tensors[graph.inputs[0]].dtype.is_integer
    is_pixels = images.dtype == np.uint8 and images.ndim == 4  # whole bytes: nothing was cut off, and white is white
    if real_range(held) is None or is_pixels:
        return [Cut()] * len(images)
    rows = images.reshape(len(images), -1)
    if not is_real:
        return [Cut(at_end=share) for share in _at_end(held, rows)]
    real = rows.astype(np.float64)
    beyond = is_outside(held, real).mean(axis=1).tolist()
    return [Cut(*shares) for shares in zip(beyond, _at_end(held, quantized(held, real)), strict=True)]


def _at_end(tensor: Tensor, rows: NDArray[Any]) -> list[float]:
    """The share of each row's elements at an end of the type's range.

    An end that stands for zero is where silence and background lie; it counts only where the whole sample is at ends.
    """
    assert tensor.quantization is not None
    bounds, zero_point = np.iinfo(tensor.dtype.value), tensor.quantization.zero_points[0]
    ends = [end for end in (bounds.min, bounds.max) if end != zero_point]
    at_end = np.isin(rows, ends).mean(axis=1)
    is_whole = np.isin(rows, (bounds.min, bounds.max)).all(axis=1)
    return np.where(is_whole, 1.0, at_end).tolist()  # type: ignore[no-any-return]


def cut_sentence(cuts: Sequence[Cut], dtype: str) -> str:
    """What is cut off of half of the samples or more; "" where that is of fewer."""
    beyond = sum(cut.is_beyond for cut in cuts)
    either = sum(cut.is_beyond or cut.is_at_end for cut in cuts)
    if not cuts or 2 * either < len(cuts):
        return ""
    if 2 * beyond >= len(cuts):
        return (
            f"{beyond} of {len(cuts)} samples are beyond the input's range: {CUT_SHARE:.0%} or more of each is cut off"
        )
    return (
        f"{either} of {len(cuts)} samples lie at the ends of the input's range: {CUT_SHARE:.0%} or more of each is the "
        f"smallest or largest {dtype}"
    )

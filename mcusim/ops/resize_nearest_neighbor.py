"""RESIZE_NEAREST_NEIGHBOR: each output place shows the nearest input place."""

from __future__ import annotations

from functools import lru_cache
from math import floor

from mcusim.graph import Signature
from mcusim.ops.registry import Call, register
from mcusim.ops.shared.picking import Picks, prepare_picks
from mcusim.ops.shared.resizing import check_size, flags, resize, rounded, scale_of
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["RESIZE_NEAREST_NEIGHBOR", "nearest"]


@lru_cache(SIGNATURES_KEPT)
def nearest(size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> tuple[int, ...]:
    """Input place of each output place, in the kernel's own float32.

    Source: TFLite resize_nearest_neighbor.h, GetNearestNeighbor.
    """
    scale = scale_of(size, outputs, align_corners)
    offset = 0.5 if half_pixel_centers else 0.0
    places = (rounded(rounded(i + offset) * scale) for i in range(outputs))
    # round() in C goes away from zero at a half; places are not negative.
    return tuple(min(floor(place + 0.5) if align_corners else floor(place), size - 1) for place in places)


def _reads(signature: Signature, size: int, outputs: int) -> tuple[tuple[int, int], ...]:
    return _pairs(size, outputs, *flags(signature))


@lru_cache(SIGNATURES_KEPT)
def _pairs(size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> tuple[tuple[int, int], ...]:
    return tuple((place, place) for place in nearest(size, outputs, align_corners, half_pixel_centers))


def _prepare(call: Call) -> Picks:
    check_size(call)
    batch, height, width, channels = call.signature.input(0).shape
    _, rows, cols, _ = call.outputs[0].shape
    how = flags(call.signature)
    places = (range(batch), nearest(height, rows, *how), nearest(width, cols, *how), range(channels))
    return prepare_picks(call, places)


RESIZE_NEAREST_NEIGHBOR = register(
    resize(
        "RESIZE_NEAREST_NEIGHBOR",
        "each output place shows the nearest input place",
        "ResizeNearestNeighborOptions",
        _reads,
        taps=1,
        takes_both=True,
        prepare=_prepare,
        kernel="picking",
    )
)

"""RESIZE_NEAREST_NEIGHBOR: each output place shows the nearest input place."""

from __future__ import annotations

from dataclasses import replace
from math import floor

import numpy as np

from mcusim.graph import Signature
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.picking import Picks, prepare_picks
from mcusim.ops.shared.resizing import check_size, flags, resize, rounded, scale_of
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import resized

__all__ = ["RESIZE_NEAREST_NEIGHBOR", "nearest", "nearest_to"]


def nearest(size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> tuple[int, ...]:
    """Input place of each output place: `nearest_to` of them all, as files may ask for millions."""
    offset = 0.5 if half_pixel_centers else 0.0
    centres = (np.arange(outputs) + offset).astype(np.float32).astype(np.float64)
    places = (centres * scale_of(size, outputs, align_corners)).astype(np.float32).astype(np.float64)
    whole = np.floor(places + 0.5 if align_corners else places).astype(np.int64)
    return tuple(np.minimum(whole, size - 1).tolist())


def nearest_to(output: int, size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> int:
    """Input place of one output place, in the kernel's own float32.

    Source: TFLite resize_nearest_neighbor.h, GetNearestNeighbor.
    """
    offset = 0.5 if half_pixel_centers else 0.0
    place = rounded(rounded(output + offset) * scale_of(size, outputs, align_corners))
    # round() in C goes away from zero at a half; places are not negative.
    return min(floor(place + 0.5) if align_corners else floor(place), size - 1)


def _reads(signature: Signature, size: int, outputs: int, output: int) -> tuple[int, int]:
    place = nearest_to(output, size, outputs, *flags(signature))
    return place, place


def _prepare(call: Call) -> Picks:
    check_size(call)
    batch, height, width, channels = call.signature.input(0).shape
    _, rows, cols, _ = call.outputs[0].shape
    how = flags(call.signature)
    places = (range(batch), nearest(height, rows, *how), nearest(width, cols, *how), range(channels))
    return prepare_picks(call, places)


RESIZE_NEAREST_NEIGHBOR = register(
    replace(
        resize(
            "RESIZE_NEAREST_NEIGHBOR",
            "each output place shows the nearest input place",
            "ResizeNearestNeighborOptions",
            _reads,
            taps=1,
            takes_both=True,
            prepare=_prepare,
            kernel="picking",
        ),
        version=resized("half_pixel_centers", "align_corners"),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

"""Obvious, slow versions of what mcusim computes cleverly: the tests' oracle. Imports nothing from mcusim.

Places along one axis: `..._reads(output)` is the set of input places that one output place reads. Places outside
`range(size)` are the border.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def hull(places: Iterable[int], size: int) -> tuple[int, int]:
    """First place and the one after the last, cut to the axis; (0, 0) where nothing of it is read."""
    ordered = sorted(places)
    if not ordered:
        return (0, 0)
    first, end = max(ordered[0], 0), min(ordered[-1] + 1, size)
    return (first, end) if first < end else (0, 0)


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Places before the axis that SAME adds: as many in all as the last window lacks, the smaller half before."""
    outputs = len(range(0, size, stride))
    last_tap = max(range(0, outputs * stride, stride)) + max(range(0, kernel * dilation, dilation))
    return max(last_tap - (size - 1), 0) // 2


def window_outputs(size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    """How many places a window stops at."""
    if same:
        return len(range(0, size, stride))
    return sum(start + (kernel - 1) * dilation < size for start in range(0, size, stride))


def window_reads(output: int, size: int, kernel: int, stride: int, dilation: int, same: bool) -> set[int]:
    before = same_padding(size, kernel, stride, dilation) if same else 0
    return {output * stride + tap * dilation - before for tap in range(kernel)}


def transpose_conv_reads(output: int, size: int, outputs: int, kernel: int, stride: int, same: bool) -> set[int]:
    """Input places that have a tap which lands on this output."""
    before = same_padding(outputs, kernel, stride, 1) if same else 0
    return {place for place in range(size) for tap in range(kernel) if place * stride + tap - before == output}


def float32_scale(size: int, outputs: int, align_corners: bool) -> np.float32:
    if align_corners and outputs > 1:
        size, outputs = size - 1, outputs - 1
    return np.float32(size) / np.float32(outputs)


def nearest_reads(output: int, size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> set[int]:
    """In float32, as the C++ does."""
    one = np.float32
    scale = float32_scale(size, outputs, align_corners)
    place = (one(output) + one(0.5 if half_pixel_centers else 0.0)) * scale
    below = int(np.floor(place))
    nearest = below + int(align_corners and float(place) - below >= 0.5)
    return {min(nearest, size - 1)}


def bilinear_reads(output: int, size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> set[int]:
    """In 1/1024 of a place, as the integer kernels do."""
    if align_corners and outputs > 1:
        scale = (1024 * (size - 1) + (outputs - 1) // 2) // (outputs - 1)
    else:
        scale = (1024 * size + outputs // 2) // outputs
    place = output * scale
    if half_pixel_centers:
        place += scale // 2 - 512
    lower = max(int(place / 1024), 0)
    upper = min(int((place + 1023) / 1024), size - 1)
    return {min(lower, size - 1), upper}


def bilinear_float_reads(
    output: int, size: int, outputs: int, align_corners: bool, half_pixel_centers: bool
) -> set[int]:
    one = np.float32
    scale = float32_scale(size, outputs, align_corners)
    half = one(0.5 if half_pixel_centers else 0.0)
    place = (one(output) + half) * scale - half
    return {min(max(int(np.floor(place)), 0), size - 1), min(int(np.ceil(place)), size - 1)}


def labels(shape: tuple[int, int, int, int], axis: int, first: int = 0) -> np.ndarray:
    """A tensor whose elements say where along `axis` they lie. Move it with numpy, and see what came from where."""
    places = np.arange(first, first + shape[axis]).reshape([-1 if a == axis else 1 for a in range(4)])
    return np.broadcast_to(places, shape)

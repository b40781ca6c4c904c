"""RESIZE_BILINEAR: each output place mixes the four input places around it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor

from mcusim.graph import Signature
from mcusim.ops.registry import register
from mcusim.ops.resizing import flags, resize, rounded, scale_of
from mcusim.ops.windows import SIGNATURES_KEPT

__all__ = ["RESIZE_BILINEAR", "fixed_point_places"]

ONE = 1 << 10
"""Integer kernels count input places in units of 1 / 1024."""


def fixed_point_places(size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> tuple[int, ...]:
    """Place of each output on the input's grid, in units of 1 / ONE, as the integer kernels compute it.

    Source: TFLite resize_bilinear.h, ResizeBilinearInteger and ComputeInterpolationValuesInteger.
    """
    steps, spaces = (size - 1, outputs - 1) if align_corners and outputs > 1 else (size, outputs)
    scale = (ONE * steps + spaces // 2) // spaces
    shift = scale // 2 - ONE // 2 if half_pixel_centers else 0
    return tuple(i * scale + shift for i in range(outputs))


@lru_cache(SIGNATURES_KEPT)
def _integer_reads(size: int, outputs: int, corners: bool, centers: bool) -> tuple[tuple[int, int], ...]:
    places = fixed_point_places(size, outputs, corners, centers)
    return tuple((min(max(p // ONE, 0), size - 1), min(max(-(-p // ONE), 0), size - 1)) for p in places)


@lru_cache(SIGNATURES_KEPT)
def _float_reads(size: int, outputs: int, corners: bool, centers: bool) -> tuple[tuple[int, int], ...]:
    """Source: TFLite resize_bilinear.h, ComputeInterpolationValues."""
    scale = scale_of(size, outputs, corners)
    half = 0.5 if centers else 0.0
    places = [rounded(rounded(rounded(i + half) * scale) - half) for i in range(outputs)]
    return tuple((min(max(floor(p), 0), size - 1), min(max(ceil(p), 0), size - 1)) for p in places)


def _reads(signature: Signature, size: int, outputs: int) -> tuple[tuple[int, int], ...]:
    reads = _float_reads if signature.input(0).dtype.is_float else _integer_reads
    return reads(size, outputs, *flags(signature))


RESIZE_BILINEAR = register(
    resize(
        "RESIZE_BILINEAR",
        "each output place mixes the four input places around it",
        "ResizeBilinearOptions",
        _reads,
        taps=4,
    )
)

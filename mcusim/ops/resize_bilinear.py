"""RESIZE_BILINEAR: each output place mixes the four input places around it."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import DType, Signature
from mcusim.ops.registry import Call, Numerics, register
from mcusim.ops.shared.movement import check_movable
from mcusim.ops.shared.resizing import check_size, flags, resize, rounded, scale_of
from mcusim.ops.shared.windows import SIGNATURES_KEPT

__all__ = ["ONE", "RESIZE_BILINEAR", "Mix", "fixed_point_places"]

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
    places = _float_places(size, outputs, corners, centers)
    return tuple((min(max(floor(p), 0), size - 1), min(max(ceil(p), 0), size - 1)) for p in places)


def _float_places(size: int, outputs: int, corners: bool, centers: bool) -> tuple[float, ...]:
    """Place of each output on the input's grid, in float32."""
    scale = scale_of(size, outputs, corners)
    half = 0.5 if centers else 0.0
    return tuple(rounded(rounded(rounded(i + half) * scale) - half) for i in range(outputs))


def _reads(signature: Signature, size: int, outputs: int) -> tuple[tuple[int, int], ...]:
    reads = _float_reads if signature.input(0).dtype.is_float else _integer_reads
    return reads(size, outputs, *flags(signature))


class Mix(NamedTuple):
    """What the bilinear kernel trusts, for rows and for columns.

    reads: the two input places that each output place mixes.   places: where between them it lies, in units of 1 / ONE
    for integers, in float32 else.   rounds_once: halves upwards instead of away from zero.
    """

    row_reads: tuple[tuple[int, int], ...]
    col_reads: tuple[tuple[int, int], ...]
    row_places: tuple[float, ...]
    col_places: tuple[float, ...]
    is_float: bool
    rounds_once: bool


def _prepare(call: Call) -> Mix:
    check_size(call)
    check_movable(call, 0)
    kind, output = call.signature.input(0), call.signature.output
    if kind.dtype not in (DType.INT8, DType.INT16, DType.FLOAT32):
        what = f"elements of {kind.dtype} are not resized by TFLM"
        raise ModelError(what, where=call.where, fix="quantise the network to int8")
    how = flags(call.signature)
    places = _float_places if kind.dtype.is_float else fixed_point_places
    return Mix(
        _reads(call.signature, kind.rows, output.rows),
        _reads(call.signature, kind.cols, output.cols),
        places(kind.rows, output.rows, *how),
        places(kind.cols, output.cols, *how),
        kind.dtype.is_float,
        call.numerics is Numerics.LITERT,
    )


RESIZE_BILINEAR = register(
    resize(
        "RESIZE_BILINEAR",
        "each output place mixes the four input places around it",
        "ResizeBilinearOptions",
        _reads,
        taps=4,
        prepare=_prepare,
        kernel="bilinear",
    )
)

"""RESIZE_BILINEAR: each output place mixes the four input places around it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import DType, Signature
from mcusim.ops.registry import Call, Drawing, Numerics, register
from mcusim.ops.shared.movement import check_movable
from mcusim.ops.shared.resizing import check_size, flags, resize, rounded, scale_of
from mcusim.ops.shared.spreads import same
from mcusim.ops.shared.versions import resized

__all__ = ["ONE", "RESIZE_BILINEAR", "Mix", "fixed_point_place"]

ONE = 1 << 10
"""Integer kernels count input places in units of 1 / 1024."""


def fixed_point_place(output: int, size: int, outputs: int, align_corners: bool, half_pixel_centers: bool) -> int:
    """Place of an output on the input's grid, in units of 1 / ONE, as the integer kernels compute it.

    Source: TFLite resize_bilinear.h, ResizeBilinearInteger and ComputeInterpolationValuesInteger.
    """
    steps, spaces = (size - 1, outputs - 1) if align_corners and outputs > 1 else (size, outputs)
    scale = (ONE * steps + spaces // 2) // spaces
    return output * scale + (scale // 2 - ONE // 2 if half_pixel_centers else 0)


def _float_place(output: int, size: int, outputs: int, corners: bool, centers: bool) -> float:
    """Place of an output on the input's grid, in float32."""
    half = 0.5 if centers else 0.0
    return rounded(rounded(rounded(output + half) * scale_of(size, outputs, corners)) - half)


def _reads(signature: Signature, size: int, outputs: int, output: int) -> tuple[int, int]:
    """Source: TFLite resize_bilinear.h, ComputeInterpolationValues."""
    if signature.input(0).dtype.is_float:
        real = _float_place(output, size, outputs, *flags(signature))
        low, high = floor(real), ceil(real)
    else:
        place = fixed_point_place(output, size, outputs, *flags(signature))
        low, high = place // ONE, -(-place // ONE)
    return min(max(low, 0), size - 1), min(max(high, 0), size - 1)


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
    place = _float_place if kind.dtype.is_float else fixed_point_place
    axes = (kind.rows, output.rows), (kind.cols, output.cols)
    row_reads, col_reads = (
        tuple([_reads(call.signature, size, outputs, output) for output in range(outputs)]) for size, outputs in axes
    )
    row_places, col_places = (
        tuple([place(output, size, outputs, *how) for output in range(outputs)]) for size, outputs in axes
    )
    return Mix(
        row_reads,
        col_reads,
        row_places,
        col_places,
        kind.dtype.is_float,
        call.numerics is Numerics.LITERT,
    )


RESIZE_BILINEAR = register(
    replace(
        resize(
            "RESIZE_BILINEAR",
            "each output place mixes the four input places around it",
            "ResizeBilinearOptions",
            _reads,
            taps=4,
            prepare=_prepare,
            kernel="bilinear",
        ),
        version=resized("half_pixel_centers"),
        drawing=Drawing(spread=same, alike=slice(0, 1)),
    )
)

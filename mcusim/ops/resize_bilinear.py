"""RESIZE_BILINEAR: each output place mixes the four input places around it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor
from typing import NamedTuple

from mcusim.errors import ModelError
from mcusim.graph import DType, Signature
from mcusim.ops.registry import Call, Drawing, register
from mcusim.ops.shared.delegation import is_delegated
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


XNNPACK_ONE = 1 << 11
"""XNNPACK rounds a place in float32 to such units, and so may reach another input place than the integer kernels."""


def _xnnpack_place(output: int, size: int, outputs: int, corners: bool, centers: bool) -> int:
    """Place of an output on the input's grid, in units of 1 / XNNPACK_ONE.

    Source: XNNPACK indirection.c, xnn_indirection_init_resize_bilinear2d_hwc_q11.
    """
    scale = scale_of(size, outputs, corners)
    real = rounded(output * scale)
    if centers and not corners:
        real = min(max(rounded(real + rounded(rounded(0.5 * scale) - 0.5)), 0.0), size - 1.0)
    whole = int(real)
    return whole * XNNPACK_ONE + round((real - whole) * XNNPACK_ONE)


def _xnnpack_reads(place: int, size: int) -> tuple[int, int]:
    low, high = place // XNNPACK_ONE, -(-place // XNNPACK_ONE)
    return min(low, size - 1), min(high, size - 1)


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

    reads: the two input places that each output place mixes.   places: where between them it lies, in units of 1 / one
    for integers, in float32 else.   rounds_once: halves upwards instead of away from zero.   where: names the node.
    """

    row_reads: tuple[tuple[int, int], ...]
    col_reads: tuple[tuple[int, int], ...]
    row_places: tuple[float, ...]
    col_places: tuple[float, ...]
    is_float: bool
    rounds_once: bool
    one: int
    where: str


def _prepare(call: Call) -> Mix:
    check_size(call)
    check_movable(call, 0)
    kind, output = call.signature.input(0), call.signature.output
    is_xnnpack = is_delegated(call)
    if kind.dtype not in (DType.INT8, DType.INT16, DType.FLOAT32) and not is_xnnpack:
        what = f"elements of {kind.dtype} are not resized by TFLM"
        raise ModelError(what, where=call.where, fix="quantise the network to int8")
    axis = _xnnpack_axis if is_xnnpack else _axis
    row_reads, row_places = axis(call.signature, kind.rows, output.rows)
    col_reads, col_places = axis(call.signature, kind.cols, output.cols)
    one = XNNPACK_ONE if is_xnnpack else ONE
    return Mix(row_reads, col_reads, row_places, col_places, kind.dtype.is_float, is_xnnpack, one, call.where)


Axis = tuple[tuple[tuple[int, int], ...], tuple[float, ...]]
"""Of each output place along an axis: what it reads, and where it lies."""


def _axis(signature: Signature, size: int, outputs: int) -> Axis:
    place = _float_place if signature.input(0).dtype.is_float else fixed_point_place
    reads = tuple([_reads(signature, size, outputs, output) for output in range(outputs)])
    return reads, tuple([place(output, size, outputs, *flags(signature)) for output in range(outputs)])


def _xnnpack_axis(signature: Signature, size: int, outputs: int) -> Axis:
    places = tuple([_xnnpack_place(output, size, outputs, *flags(signature)) for output in range(outputs)])
    return tuple([_xnnpack_reads(place, size) for place in places]), places


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

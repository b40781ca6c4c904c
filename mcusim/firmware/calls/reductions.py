"""Calls of pools, reductions, matrix products and the bilinear resize.

A reduction over any axes is two nests of loops: over the axes that stay, and for each of their places over those that
are folded. For a sum over the first two axes of (4, 4, 8) the kernel is told

    kept      (8 places, 1 element apart)
    folded    (4 places, 32 apart), (4 places, 8 apart)

so that no operand is ever transposed. The zero points of all folded elements are taken off their sum at once, as one
constant (`offset`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from mcusim.arithmetic.quant import rescale
from mcusim.firmware.calls.shared import C_TYPES, each_image, element_steps, refused, stage_fields, window_fields
from mcusim.firmware.steps import StepText, product
from mcusim.graph import DType
from mcusim.ops.batch_matmul import PreparedBatchMatMul
from mcusim.ops.cumsum import HEADROOM_BITS, PreparedCumsum
from mcusim.ops.resize_bilinear import ONE, Mix
from mcusim.ops.shared.pooling import PreparedPool
from mcusim.ops.shared.ranking import Extreme
from mcusim.ops.shared.reduction import PreparedReduction, Reduction

__all__ = ["write_batch_matmul", "write_bilinear", "write_cumsum", "write_extreme", "write_pool", "write_reduce"]


def write_extreme(s: StepText) -> None:
    p = cast(Extreme, s.prepared)
    kind = s.kind(0)
    layer = s.define(
        "mcu_extreme_layer",
        {
            "outer": product(kind.shape[: p.axis]),
            "size": kind.shape[p.axis],
            "inner": product(kind.shape[p.axis + 1 :]),
            "is_largest": p.is_largest,
            "from_type": C_TYPES[kind.dtype],
            "out_bytes": s.output.dtype.bits // 8,
        },
    )
    s.call("mcu_extreme", layer, s.whole(0), s.whole_output())


def write_pool(s: StepText) -> None:
    p = cast(PreparedPool, s.prepared)
    kind = s.kind(0)
    layer = s.define(
        "mcu_pool_layer",
        {
            "in_rows": kind.rows,
            "in_cols": kind.cols,
            "channels": kind.channels,
            **{k: v for k, v in window_fields(p.rows, p.cols).items() if not k.startswith("dilation")},
            "lowest": int(p.lowest),
            "highest": int(p.highest),
        },
    )
    each_image(s, s.choice.name, layer)


_EXTREMES = {Reduction.MAX: 1, Reduction.ANY: 1, Reduction.MIN: -1, Reduction.ALL: -1}
"""Which end of the folded elements is taken; of booleans, which are 0 and 1, too."""


def write_reduce(s: StepText) -> None:
    p = cast(PreparedReduction, s.prepared)
    kind = s.kind(0)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    steps = element_steps(kind.shape, kind.shape)
    kept = [(kind.shape[a], steps[a]) for a in range(len(kind.shape)) if a not in p.axes]
    folded = [(kind.shape[a], steps[a]) for a in p.axes] or [(1, 0)]
    stage = p.stage
    # An int32 in C, where the sum wraps: only its value modulo 2^32 counts.
    offset = (p.zero_point * p.count) & 0xFFFFFFFF
    offset -= (offset >> 31) << 32
    no_stage = {"multiplier": 0, "shift": 0, "zero_point": 0, "lowest": 0, "highest": 0}
    fields = stage_fields(stage) if stage is not None else no_stage
    # The usual case, a global mean over rows and columns, has a kernel that reads pixel after pixel.
    is_pixels = p.axes == (1, 2) and kind.shape[0] == 1 and len(kind.shape) == 4 and kind.dtype is DType.INT8
    if is_pixels and p.reduction in (Reduction.MEAN, Reduction.SUM):
        layer = s.define(
            "mcu_reduce_pixels_layer",
            {"pixels": kind.rows * kind.cols, "channels": kind.channels, "offset": offset, "stage": fields},
        )
        s.call("mcu_reduce_pixels", layer, s.whole(0), s.whole_output())
        return
    if len(kept) + len(folded) > 6:
        raise refused(s, f"of {len(kind.shape)} axes")
    layer = s.define(
        "mcu_reduce_layer",
        {
            "kept": len(kept),
            "folded": len(folded),
            "sizes": tuple(size for size, _ in kept + folded),
            "steps": tuple(step for _, step in kept + folded),
            "extreme": _EXTREMES.get(p.reduction, 0),
            "element_bytes": kind.dtype.bits // 8,
            "offset": offset,
            "stage": fields,
        },
    )
    s.call("mcu_reduce", layer, s.whole(0), s.whole_output())


def write_batch_matmul(s: StepText) -> None:
    p = cast(PreparedBatchMatMul, s.prepared)
    assert p.stage is not None, "floats have no kernel in C"
    a, b, out = s.kind(0).shape, s.kind(1).shape, s.output.shape
    rows, cols = out[-2:]
    depth = a[-2] if p.transposes[0] else a[-1]
    layer = s.define(
        "mcu_batch_matmul_layer",
        {
            "rows": rows,
            "depth": depth,
            "cols": cols,
            "a_row": 1 if p.transposes[0] else depth,
            "a_depth": rows if p.transposes[0] else 1,
            "b_depth": 1 if p.transposes[1] else cols,
            "b_col": depth if p.transposes[1] else 1,
            "zero_points": p.zero_points,
            "stage": stage_fields(p.stage),
        },
    )
    leading, size = out[:-2], s.output.dtype.bits // 8
    sources, target = (s.whole(0), s.whole(1)), s.whole_output()
    # Matrices of a batch are unrolled: one call each, as the leading axes of either operand may stretch.
    for number, place in enumerate(np.ndindex(*leading) if leading else [()]):
        offsets = [_matrix_offset(shape, leading, place) for shape in (a, b)]
        s.call(
            "mcu_batch_matmul" if size == 1 else "mcu_batch_matmul_16",
            layer,
            *(f"{base} + {offset * size}" for base, offset in zip(sources, offsets, strict=True)),
            f"{target} + {number * rows * cols * size}",
        )


def _matrix_offset(shape: Sequence[int], leading: Sequence[int], place: Sequence[int]) -> int:
    """Elements to the matrix that stands at a place of the leading axes, along which `shape` may stretch."""
    own = (1,) * (len(leading) - len(shape) + 2) + tuple(shape[:-2])
    steps = element_steps(own, leading)
    return sum(step * index for step, index in zip(steps, place, strict=True)) * product(shape[-2:])


def write_bilinear(s: StepText) -> None:
    p = cast(Mix, s.prepared)
    if p.rounds_once:
        raise refused(s, "rounded once")
    tables = [
        np.array([(a, b, round(place) - a * ONE) for (a, b), place in zip(reads, places, strict=True)], np.int16)
        for reads, places in ((p.row_reads, p.row_places), (p.col_reads, p.col_places))
    ]
    name = s.store("places", np.concatenate(tables).reshape(-1))
    layer = s.define(
        "mcu_resize_bilinear_layer",
        {"rows": name, "cols": f"{name} + {tables[0].size}", "channels": s.output.channels},
    )
    each_image(s, "resize_bilinear" if s.output.dtype is DType.INT8 else "resize_bilinear_16", layer)


def write_cumsum(s: StepText) -> None:
    p = cast(PreparedCumsum, s.prepared)
    if p.input_scaling is None or p.stage is None:
        raise refused(s, "of floats")
    shape = s.kind(0).shape
    layer = s.define(
        "mcu_cumsum_layer",
        {
            "outer": product(shape[: p.axis]),
            "size": shape[p.axis],
            "inner": product(shape[p.axis + 1 :]),
            "is_exclusive": p.exclusive,
            "is_reverse": p.reverse,
            "start": int(rescale(np.int64(-p.zero_point << HEADROOM_BITS), p.input_scaling)),
            "zero_point": p.zero_point,
            "multiplier": int(p.input_scaling.multiplier),
            "shift": int(p.input_scaling.shift),
            "stage": stage_fields(p.stage),
        },
    )
    s.call("mcu_cumsum", layer, s.whole(0), s.whole_output())

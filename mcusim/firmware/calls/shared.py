"""Shared by the calls: constants as fields of structs, loops over images and runs, axes and steps.

Operands that stretch are walked with a step of 0, and axes that all operands walk alike are one loop. For the sum of
a map (1, 4, 4, 8) and a bias (1, 1, 1, 8), in elements:

                       axis   1       2       3
    element_steps  map       32       8       1
                   bias       0       0       1
    merged_axes            [(16, (8, 0)),  (8, (1, 1))]

    for (int32_t i0 = 0; i0 < 16; i0++) {
        mcu_sum(..., map + i0 * 8, 1, bias, 1, out + i0 * 8, 8);
    }

The innermost loop is the kernel's own, so that it runs over as long a run as there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.arithmetic.quant import Scaling
from mcusim.errors import ModelError
from mcusim.firmware.steps import StepText
from mcusim.graph import ABSENT, DType, TensorType
from mcusim.ops.registry import Call
from mcusim.ops.shared.accumulators import OutputStage
from mcusim.region import Window

__all__ = [
    "C_TYPES",
    "MAPS",
    "Array",
    "Fields",
    "aligned_shape",
    "each_image",
    "each_run",
    "element_steps",
    "map_fields",
    "merged_axes",
    "plus",
    "prepared_call",
    "refused",
    "scaled_fields",
    "stage_fields",
    "steps_of",
    "window_fields",
]

Array = NDArray[Any]


Fields = dict[str, object]


MAPS = ""
"""Among arguments: where the maps go."""


def refused(s: StepText, what: str) -> ModelError:
    """A step that has no kernel in C."""
    node = s.graph.nodes[s.step.node]
    return ModelError(
        f"{node.op} {what} has no kernel in C",
        where=f"network '{s.graph.name}', node {s.step.node} ({node.name[:60]!r})",
        fix="let that operator run whole (`--schedule layer`), or replace it",
    )


def stage_fields(stage: OutputStage) -> Fields:
    return scaled_fields(stage.scaling, stage.zero_point, stage.lowest, stage.highest)


def scaled_fields(scaling: Scaling, zero_point: int, lowest: int, highest: int) -> Fields:
    return {
        "multiplier": int(np.asarray(scaling.multiplier).reshape(-1)[0]),
        "shift": int(np.asarray(scaling.shift).reshape(-1)[0]),
        "zero_point": zero_point,
        "lowest": int(lowest),
        "highest": int(highest),
    }


def window_fields(rows: Window, cols: Window) -> Fields:
    return {
        "kernel_rows": rows.kernel,
        "kernel_cols": cols.kernel,
        "stride_rows": rows.stride,
        "stride_cols": cols.stride,
        "dilation_rows": rows.dilation,
        "dilation_cols": cols.dilation,
        "before_rows": rows.before,
        "before_cols": cols.before,
    }


def map_fields(kind: TensorType, out_c: int) -> Fields:
    return {"in_rows": kind.rows, "in_cols": kind.cols, "in_c": kind.channels, "out_c": out_c}


def each_image(s: StepText, function: str, *arguments: str, position: int = 0, sources: Sequence[int] = ()) -> None:
    """The call of a kernel of feature maps, for every image of a batch.

    arguments: before the two maps, and behind a MAPS that stands for them.   sources: the image that each shows; each
    its own if empty.
    """
    batch = s.output.shape[0]
    source, target = s.map_in(position), s.map_out()
    before, behind = _split(arguments)
    if batch == 1 and not sources:
        s.call(f"mcu_{function}", *before, source, target, *behind)
        return
    if s.is_cut:
        raise refused(s, f"of {batch} images, cut into pieces,")
    step_in = s.kind(position).size_bytes // s.kind(position).shape[0]
    step_out = s.output.size_bytes // batch
    # Kernels know rows, columns and channels, and no batch: each image is a map that starts further on.
    for image, shown in enumerate(sources or range(batch)):
        s.lines.append("{")
        s.lines.append(f"    mcu_in of_image = *({source});")
        s.lines.append(f"    mcu_out to_image = *({target});")
        s.lines.append(f"    of_image.bytes += {shown * step_in};")
        s.lines.append(f"    to_image.bytes += {image * step_out};")
        s.lines.append(f"    mcu_{function}({', '.join((*before, '&of_image', '&to_image', *behind))});")
        s.lines.append("}")


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    at = arguments.index(MAPS) if MAPS in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def each_run(s: StepText, write: Callable[[str, str, str], str], position: int = 0) -> None:
    """Calls on contiguous runs of equal elements in and out.   write: (in, out, count) -> the call."""
    count = s.output.elements
    if not s.is_cut:
        s.lines.append(write(s.whole(position), s.whole_output(), str(count)) + ";")
        return
    source, target = s.map_in(position), s.map_out()
    row, rows, col, cols = s.region()
    channels = s.output.channels
    in_pixel, out_pixel = (kind.dtype.bits // 8 * channels for kind in (s.kind(position), s.output))
    s.lines.append(f"for (int32_t y = {row}; y < {row} + {rows}; y++) {{")
    from_, to = f"mcu_in_at({source}, y, {col}, {in_pixel})", f"mcu_out_at({target}, y, {col}, {out_pixel})"
    s.lines.append(f"    {write(from_, to, f'{cols} * {channels}')};")
    s.lines.append("}")


def aligned_shape(kind: TensorType, rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(kind.shape)) + tuple(kind.shape)


def element_steps(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """Elements from one place of each axis to the next; 0 where the axis stretches."""
    steps, step = [], 1
    for size, wanted in zip(reversed(shape), reversed(to), strict=True):
        steps.append(step if size > 1 or wanted == 1 else 0)
        step *= size
    return steps[::-1]


def merged_axes(shape: Sequence[int], steps: Sequence[Sequence[int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Axes as (size, step of each operand); neighbours that are walked as one become one."""
    merged: list[tuple[int, tuple[int, ...]]] = []
    for size, *of_axis in zip(shape, *steps, strict=True):
        if size == 1:
            continue
        if merged:
            count, before = merged[-1]
            # Two axes are one where a step along the outer is just `size` steps along the inner, for every operand.
            if all(old == new * size for old, new in zip(before, of_axis, strict=True)):
                merged[-1] = (count * size, tuple(of_axis))
                continue
        merged.append((size, tuple(of_axis)))
    last = merged[-1][1] if merged else ()
    # The kernel's own loop takes a step of 0 or 1 only: an axis with another is walked outside, around runs of one.
    if not merged or any(step > 1 for step in last):
        merged.append((1, tuple(0 for _ in steps)))
    return merged


def prepared_call(s: StepText) -> Call:
    """The node as it was prepared."""
    node, tensors = s.graph.nodes[s.step.node], s.graph.tensors
    inputs = tuple(None if t == ABSENT else tensors[t] for t in node.inputs)
    return Call(s.step.signature, inputs, tuple(tensors[t] for t in node.outputs), node.name)


C_TYPES = {
    DType.INT8: "MCU_INT8",
    DType.UINT8: "MCU_UINT8",
    DType.BOOL: "MCU_UINT8",
    DType.INT16: "MCU_INT16",
    DType.INT32: "MCU_INT32",
    DType.INT64: "MCU_INT64",
}


def steps_of(shape: Sequence[int]) -> list[int]:
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return steps[::-1]


def plus(base: str, elements: int, size: int) -> str:
    return f"{base} + {elements * size}" if elements else base

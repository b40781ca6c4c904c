"""Calls of the operators that only move elements.

Most are one kernel that copies a box: sizes of the axes, and how many elements lie from one place to the next on either
side. Which of them a TRANSPOSE or a STRIDED_SLICE is, is in the numbers:

    transpose (4, 6) -> (6, 4)     box of 6 x 4, steps of the input (1, 6), of the output (4, 1)
    every second row of (4, 6)     box of 2 x 6, steps of the input (12, 1), of the output (6, 1)

Axes that both sides walk alike are merged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from mcusim.firmware.calls.shared import (
    Fields,
    aligned_shape,
    each_image,
    each_run,
    element_steps,
    merged_axes,
    plus,
    refused,
    steps_of,
)
from mcusim.firmware.steps import StepText, product
from mcusim.firmware.text import literal
from mcusim.graph import ABSENT, TensorType
from mcusim.ops.gather import Picking
from mcusim.ops.gather_nd import Places
from mcusim.ops.shared.batching import Batching
from mcusim.ops.shared.blocks import Blocks
from mcusim.ops.shared.joining import Join
from mcusim.ops.shared.late import Late
from mcusim.ops.shared.padding import Frame
from mcusim.ops.shared.picking import Picks
from mcusim.ops.shared.slicing import Cut

__all__ = [
    "write_assign_variable",
    "write_batching",
    "write_blocks",
    "write_broadcast_args",
    "write_broadcast_to",
    "write_circular_buffer",
    "write_concatenation",
    "write_copy",
    "write_embedding_lookup",
    "write_fill",
    "write_gather",
    "write_gather_nd",
    "write_nothing",
    "write_one_hot",
    "write_pad",
    "write_picks",
    "write_read_variable",
    "write_select",
    "write_shape",
    "write_slices",
    "write_transpose",
    "write_update_slice",
    "write_zeros_like",
]


MOST_AXES = 8
"""Of a box that is moved."""
MOST_SELECTED_AXES = 6


def write_gather(s: StepText) -> None:
    p = cast(Picking, s.prepared)
    shape, positions = s.kind(0).shape, s.kind(1)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    layer = s.define(
        "mcu_gather_layer",
        {
            "batches": product(shape[: p.batch_dims]),
            "outer": product(shape[p.batch_dims : p.axis]),
            "size": shape[p.axis],
            "inner_bytes": product(shape[p.axis + 1 :]) * (s.output.dtype.bits // 8),
            "positions": product(positions.shape[p.batch_dims :]),
            "position_bytes": positions.dtype.bits // 8,
        },
    )
    s.call("mcu_gather", layer, s.whole(0), s.whole(1), s.whole_output())


def write_copy(s: StepText) -> None:
    if s.is_cut:
        size = s.output.dtype.bits // 8
        each_run(s, lambda a, out, n: f"mcu_copy({out}, {a}, (uint32_t)({n} * {size}))")
        return
    s.call("mcu_copy", s.whole_output(), s.whole(0), f"{s.output.size_bytes}u")


def write_read_variable(s: StepText) -> None:
    s.call("mcu_copy", s.whole_output(), s.whole(0), f"{s.output.size_bytes}u")


def write_circular_buffer(s: StepText) -> None:
    """Rows move up by one, and the new one comes last."""
    kept, row_bytes = s.home(s.graph.nodes[s.step.node].outputs[0]), s.kind(0).size_bytes
    behind = s.output.size_bytes - row_bytes
    s.call("mcu_copy", kept, f"{kept} + {row_bytes}", f"{behind}u")
    s.call("mcu_copy", f"{kept} + {behind}", s.whole(0), f"{row_bytes}u")


def write_assign_variable(s: StepText) -> None:
    target = s.at(s.memory.variables[s.tensor(0)])
    s.call("mcu_copy", target, s.whole(1), f"{s.kind(1).size_bytes}u")


def write_shape(s: StepText) -> None:
    values = np.array(s.prepared, np.int32)
    name = s.store("shape", values)
    s.call("mcu_copy", s.whole_output(), f"(const int8_t *){name}", f"{s.output.size_bytes}u")


def write_nothing(s: StepText) -> None:
    """Named for the session only."""


def _move(
    s: StepText, sizes: Sequence[int], to: Sequence[int], source: Sequence[int], a: str, out: str, suffix: str = ""
) -> None:
    """Elements of a box, whose axes have steps in elements."""
    size = s.output.dtype.bits // 8
    # An empty box has no axes, and nothing to copy.
    axes = merged_axes(sizes, [to, source]) if product(sizes) else []
    if not axes:
        return
    if len(axes) > MOST_AXES:
        raise refused(s, f"of {len(sizes)} axes")
    layer = s.define(
        "mcu_move_layer",
        {
            "axes": len(axes),
            "element_bytes": size,
            "sizes": tuple(count for count, _ in axes),
            "to": tuple(steps[0] * size for _, steps in axes),
            "from": tuple(steps[1] * size for _, steps in axes),
        },
        suffix,
    )
    s.call("mcu_move", layer, a, out)


def write_concatenation(s: StepText) -> None:
    p = cast(Join, s.prepared)
    if any(p.regrades):
        raise refused(s, "of inputs with other scales")
    if s.is_cut:
        _join_pieces(s, p)
        return
    size, out_steps = s.output.dtype.bits // 8, steps_of(s.output.shape)
    target = s.whole_output()
    for position, start in enumerate(p.starts):
        shape = s.kind(position).shape
        if p.stacks:
            shape = (*shape[: p.axis], 1, *shape[p.axis :])
        out = plus(target, start * out_steps[p.axis], size)
        _move(s, shape, out_steps, steps_of(shape), s.whole(position), out, f"p{position}")


def _place_fields(s: StepText, kind: TensorType) -> Fields:
    size = s.output.dtype.bits // 8
    return {
        "first_row": 0,
        "end_row": s.output.rows,
        "from_row": 0,
        "row_step": 1,
        "first_col": 0,
        "end_col": s.output.cols,
        "from_col": 0,
        "col_step": 1,
        "first_channel": 0,
        "channels": kind.channels,
        "from_channel": 0,
        "channel_step": 1,
        "element_bytes": size,
        "in_pixel_bytes": kind.channels * size,
        "out_pixel_bytes": s.output.channels * size,
    }


def _check_map(s: StepText) -> None:
    if len(s.output.shape) != 4 or s.output.shape[0] > 1:
        raise refused(s, "of that shape, cut into pieces,")


def _join_pieces(s: StepText, p: Join) -> None:
    _check_map(s)
    s.include("place.h")
    target = s.map_out()
    for position, start in enumerate(p.starts):
        kind = s.kind(position)
        fields = _place_fields(s, kind)
        if p.axis == 1:
            fields |= {"first_row": start, "end_row": start + kind.rows}
        elif p.axis == 2:
            fields |= {"first_col": start, "end_col": start + kind.cols}
        else:
            fields["first_channel"] = start
        layer = s.define("mcu_place_layer", fields, f"p{position}")
        s.call("mcu_place", layer, s.map_in(position), target)


def _late_slice(s: StepText) -> None:
    """SLICE whose beginning the network computes: of one that reaches outside, the nearest box inside."""
    if s.is_cut:
        raise refused(s, "from where the network says, cut into pieces,")
    source, shape = s.kind(0), s.output.shape
    steps, size, known = steps_of(source.shape), source.dtype.bits // 8, s.constant(1)
    base, begin, width = s.whole(0), "" if known is not None else s.whole(1), s.kind(1).dtype.bits // 8
    s.lines.append("int32_t start = 0;")
    # A start outside is moved inside, as in the executor: nothing is ever read beyond the input.
    for axis, (whole, length, step) in enumerate(zip(source.shape, shape, steps, strict=True)):
        if known is not None:
            first = str(int(known.reshape(-1)[axis]))
        else:
            first = f"mcu_clamp(mcu_load_position({begin} + {axis * width}, {width}), 0, {whole - length})"
        s.lines.append(f"start += {first} * {step * size};")
    _move(s, shape, steps_of(shape), steps, f"{base} + start", s.whole_output())


def write_slices(s: StepText) -> None:
    if isinstance(s.prepared, Late):
        _late_slice(s)
        return
    p = cast(Cut, s.prepared)
    if s.is_cut:
        _slice_pieces(s, p)
        return
    source = s.kind(p.source)
    steps, size = steps_of(source.shape), source.dtype.bits // 8
    base = s.whole(p.source)
    for number, walks in enumerate(p.outputs):
        if s.step.writes[number] == ABSENT:
            continue
        out = s.step.signature.outputs[number]
        start = sum(walk.start * steps[walk.source] for walk in walks if walk.source is not None)
        shown = [walk for walk in walks if not (walk.is_dropped and walk.source is not None)]
        from_ = [walk.stride * steps[walk.source] if walk.source is not None else 0 for walk in shown]
        sizes = [walk.length for walk in shown]
        suffix = f"p{number}" if len(p.outputs) > 1 else ""
        _move(s, sizes, steps_of(out.shape), from_, plus(base, start, size), s.whole_output(number), suffix)


def _slice_pieces(s: StepText, p: Cut) -> None:
    _check_map(s)
    s.include("place.h")
    if len(p.outputs) != 1:
        raise refused(s, "of several outputs, cut into pieces,")
    rows, cols, channels = p.outputs[0][1:]
    fields = _place_fields(s, s.kind(p.source)) | {
        "from_row": rows.start,
        "row_step": rows.stride,
        "from_col": cols.start,
        "col_step": cols.stride,
        "channels": channels.length,
        "from_channel": channels.start,
        "channel_step": channels.stride,
    }
    s.call("mcu_place", s.define("mcu_place_layer", fields), s.map_in(p.source), s.map_out())


def write_pad(s: StepText) -> None:
    p = cast(Frame, s.prepared)
    size = s.output.dtype.bits // 8
    if p.value is None:
        values = s.constant(2)
        if values is None:
            raise refused(s, "by a value that is computed")
        value = int(values.reshape(-1)[0])
    else:
        value = int(p.value)
    kind = s.kind(0)
    if s.is_cut:
        _check_map(s)
        s.include("place.h")
        target = s.map_out()
        _, top, left, front = p.before
        fields = _place_fields(s, kind) | {
            "first_row": top,
            "end_row": top + kind.rows,
            "first_col": left,
            "end_col": left + kind.cols,
            "first_channel": front,
        }
        s.call("mcu_place_value", target, literal(value), size, s.output.channels * size)
        s.call("mcu_place", s.define("mcu_place_layer", fields), s.map_in(0), target)
        return
    target, steps = s.whole_output(), steps_of(s.output.shape)
    # The frame is filled whole, then the inner box is copied over it.
    s.call("mcu_fill", target, literal(value), size, s.output.elements)
    start = sum(before * step for before, step in zip(p.before, steps, strict=True))
    _move(s, kind.shape, steps, steps_of(kind.shape), s.whole(0), plus(target, start, size))


def write_transpose(s: StepText) -> None:
    order = cast(tuple[int, ...], s.prepared)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    steps = steps_of(s.kind(0).shape)
    from_ = [steps[axis] for axis in order]
    _move(s, s.output.shape, steps_of(s.output.shape), from_, s.whole(0), s.whole_output())


def write_blocks(s: StepText) -> None:
    p = cast(Blocks, s.prepared)
    s.include("blocks.h")
    size = s.output.dtype.bits // 8
    pixel = (s.kind(0) if p.gathers else s.output).channels * size
    name = "space_to_depth" if p.gathers else "depth_to_space"
    each_image(s, name, str(p.size), str(pixel))


def write_picks(s: StepText) -> None:
    p = cast(Picks, s.prepared)
    s.include("pick.h")
    size, out = s.output.dtype.bits // 8, s.output
    # Places are stored as uint16.
    if len(out.shape) > 4 or max(out.shape) > 65535:
        raise refused(s, f"to shape {out.shape}")
    places = [
        np.arange(length, dtype=np.uint16) if shown is None else shown.astype(np.uint16)
        for shown, length in zip(p.places, out.shape, strict=True)
    ]
    values = np.concatenate([*places, np.zeros(1, np.uint16)])
    name = s.store("places", values)
    rank = len(out.shape)
    starts = np.cumsum([0, *(len(axis) for axis in places)]).tolist()
    is_whole = p.places[-1] is None

    def axis(number: int) -> str:
        """Its places; of an axis that is not there, one place that shows place 0."""
        if rank + number < 0:
            return f"{name} + {len(values) - 1}"
        return f"{name} + {starts[rank + number]}"

    in_channels = s.kind(0).channels
    fields: Fields = {
        "rows": axis(-3),
        "cols": axis(-2),
        "channels": "0" if is_whole else axis(-1),
        "in_pixel_bytes": in_channels * size,
        "out_pixel_bytes": out.channels * size,
        "element_bytes": size,
    }
    layer = s.define("mcu_pick_layer", fields)
    if rank == 4:
        images = p.places[0].tolist() if p.places[0] is not None else ()
        each_image(s, "pick", layer, sources=images)
        return
    rows, cols = aligned_shape(out, 4)[1:3]
    in_cols = aligned_shape(s.kind(0), 4)[2]
    pitches = in_cols * in_channels * size, cols * out.channels * size
    s.lines.append(f"const mcu_in in = {{{s.whole(0)}, 0, 0, {pitches[0]}, 0}};")
    s.lines.append(f"const mcu_out out = {{{s.whole_output()}, 0, 0, {pitches[1]}, 0, 0, {rows}, 0, {cols}}};")
    s.call("mcu_pick", layer, "&in", "&out")


def write_broadcast_to(s: StepText) -> None:
    if s.is_cut:
        raise refused(s, "cut into pieces")
    shape = s.output.shape
    from_ = element_steps(aligned_shape(s.kind(0), len(shape)), shape)
    _move(s, shape, steps_of(shape), from_, s.whole(0), s.whole_output())


def write_broadcast_args(s: StepText) -> None:
    a, b = s.kind(0).elements, s.kind(1).elements
    s.call("mcu_broadcast_args", s.output.dtype.bits // 8, s.whole(0), a, s.whole(1), b, s.whole_output())


def write_zeros_like(s: StepText) -> None:
    if s.is_cut:
        raise refused(s, "cut into pieces")
    s.call("mcu_fill", s.whole_output(), 0, s.output.dtype.bits // 8, s.output.elements)


def write_batching(s: StepText) -> None:
    """Every n-th place of a map is an image: a box for each place of a block."""
    p = cast(Batching, s.prepared)
    if s.is_cut:
        raise refused(s, "cut into pieces")
    images, places = (s.output, s.kind(0)) if p.gathers else (s.kind(0), s.output)
    image_steps, place_steps = steps_of(images.shape), steps_of(places.shape)
    count, size, axes = places.shape[0], s.output.dtype.bits // 8, len(p.blocks)
    a, out = s.whole(0), s.whole_output()
    if p.gathers:
        s.call("mcu_fill", out, literal(p.fill), size, s.output.elements)
    for number, block in enumerate(np.ndindex(*p.blocks)):
        sizes, image_start, place_start = [count], number * count * image_steps[0], 0
        for axis in range(axes):
            # Place x of the padded or uncropped map is at x - before of the map, and in image row x // block.
            before, every = p.borders[axis][0], p.blocks[axis]
            first = max(-(-(before - block[axis]) // every), 0)
            last = (places.shape[1 + axis] + before - 1 - block[axis]) // every
            sizes.append(max(min(last, images.shape[1 + axis] - 1) - first + 1, 0))
            image_start += first * image_steps[1 + axis]
            place_start += (first * every + block[axis] - before) * place_steps[1 + axis]
        sizes += places.shape[1 + axes :]
        of_places = [place_steps[0], *(place_steps[1 + i] * p.blocks[i] for i in range(axes)), *place_steps[1 + axes :]]
        of_images = list(image_steps)
        ends = (plus(a, place_start, size), plus(out, image_start, size))
        steps = (of_images, of_places)
        if not p.gathers:
            ends, steps = (plus(a, image_start, size), plus(out, place_start, size)), (of_places, of_images)
        if product(sizes):
            _move(s, sizes, steps[0], steps[1], *ends, f"p{number}")


def write_fill(s: StepText) -> None:
    shape = s.output.shape
    _move(s, shape, steps_of(shape), (0,) * len(shape), s.whole(cast(int, s.prepared)), s.whole_output())


def write_embedding_lookup(s: StepText) -> None:
    table = s.kind(1)
    layer = s.define(
        "mcu_gather_layer",
        {
            "batches": 1,
            "outer": 1,
            "size": table.shape[0],
            "inner_bytes": product(table.shape[1:]) * (s.output.dtype.bits // 8),
            "positions": s.kind(0).elements,
            "position_bytes": s.kind(0).dtype.bits // 8,
        },
    )
    s.call("mcu_gather", layer, s.whole(1), s.whole(0), s.whole_output())


def write_gather_nd(s: StepText) -> None:
    sizes, size = cast(Places, s.prepared).sizes, s.output.dtype.bits // 8
    shape, positions = s.kind(0).shape, s.kind(1)
    if len(sizes) > MOST_AXES:
        raise refused(s, f"by {len(sizes)} axes")
    layer = s.define(
        "mcu_gather_nd_layer",
        {
            "positions": product(positions.shape[:-1]),
            "axes": len(sizes),
            "position_bytes": positions.dtype.bits // 8,
            "slice_bytes": product(shape[len(sizes) :]) * size,
            "sizes": sizes or (0,),
            "steps": tuple(step * size for step in steps_of(shape)[: len(sizes)]) or (0,),
        },
    )
    s.call("mcu_gather_nd", layer, s.whole(0), s.whole(1), s.whole_output())


def write_one_hot(s: StepText) -> None:
    axis, shape = cast(int, s.prepared), s.output.shape
    layer = s.define(
        "mcu_one_hot_layer",
        {
            "outer": product(shape[:axis]),
            "depth": shape[axis],
            "inner": product(shape[axis + 1 :]),
            "position_bytes": s.kind(0).dtype.bits // 8,
            "element_bytes": s.output.dtype.bits // 8,
        },
    )
    s.call("mcu_one_hot", layer, s.whole(0), s.whole(2), s.whole(3), s.whole_output())


def write_update_slice(s: StepText) -> None:
    shape, box, size = s.output.shape, s.kind(1).shape, s.output.dtype.bits // 8
    if len(shape) > MOST_AXES:
        raise refused(s, f"of {len(shape)} axes")
    layer = s.define(
        "mcu_update_slice_layer",
        {
            "axes": len(shape),
            "element_bytes": size,
            "start_bytes": s.kind(2).dtype.bits // 8,
            "bytes": s.output.size_bytes,
            "sizes": box,
            "last": tuple(whole - part for whole, part in zip(shape, box, strict=True)),
            "steps": tuple(step * size for step in steps_of(shape)),
            "from": tuple(step * size for step in steps_of(box)),
        },
    )
    s.call("mcu_update_slice", layer, s.whole(0), s.whole(1), s.whole(2), s.whole_output())


def write_select(s: StepText) -> None:
    if s.is_cut:
        raise refused(s, "cut into pieces")
    shape, size = s.output.shape, s.output.dtype.bits // 8
    steps = [element_steps(aligned_shape(s.kind(position), len(shape)), shape) for position in range(3)]
    axes = [axis for axis in merged_axes(shape, steps) if axis[0] > 1]
    if len(axes) > MOST_SELECTED_AXES:
        raise refused(s, f"of {len(shape)} axes")
    layer = s.define(
        "mcu_select_layer",
        {
            "axes": len(axes),
            "element_bytes": size,
            "sizes": tuple(count for count, _ in axes) or (1,),
            "steps": tuple(
                tuple(of_axis[i] * (size if i else 1) for _, of_axis in axes) or (0,) for i in range(len(steps))
            ),
        },
    )
    s.call("mcu_select", layer, s.whole(0), s.whole(1), s.whole(2), s.whole_output())

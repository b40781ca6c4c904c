"""Slices, splits and gathers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.errors import ModelError
from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.held import UNIT, Held, plain
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.placing import kept, numbers
from mcusim.frontends.qdq.reshaping import place_reshaped
from mcusim.graph import Shape

__all__ = ["cut"]


@lowers("Slice")
def slice_(emitter: Emitter, step: Step) -> None:
    held = emitter.get(step.input(0))
    starts, ends = numbers(emitter, step, "starts", 1), numbers(emitter, step, "ends", 2)
    if starts is None or ends is None:
        raise step.refuse("it has no bounds", "export the model again")
    axes = numbers(emitter, step, "axes", 3) or tuple(range(len(starts)))
    strides = numbers(emitter, step, "steps", 4) or (1,) * len(starts)
    rank = len(held.shape)
    walks = {axis: (0, size, 1) for axis, size in enumerate(held.shape)}
    for axis, start, end, stride in zip(axes, starts, ends, strides, strict=True):
        walks[axis % rank] = slice(start, end, stride).indices(held.shape[axis % rank])
    shape = tuple(len(range(*walks[axis])) for axis in range(rank))
    if min(shape, default=1) < 1:
        raise step.refuse("nothing is left of it", "export the model again")
    kept(emitter, step, cut(emitter, held, walks, shape, step.output))


def cut(emitter: Emitter, held: Held, walks: dict[int, tuple[int, int, int]], shape: Shape, name: str) -> Held:
    if held.elements is not None:
        if held.grid is not None and held.grid.quantization.is_per_channel:
            raise ModelError(
                "weights with a scale a channel are sliced", where=name, fix="slice them before quantising"
            )
        slices = tuple(slice(a, None if b < 0 else b, c) for a, b, c in (walks[i] for i in range(len(shape))))
        return replace(held, shape=shape, elements=held.elements[slices])
    if shape == held.shape and all(stride == 1 for _, _, stride in walks.values()):
        return held
    stored = [(0, 1, 1) if axis == UNIT else walks[axis] for axis in held.order]
    sizes = tuple(1 if axis == UNIT else shape[axis] for axis in held.order)
    integers = emitter.builder.integers
    begin = integers([start for start, _, _ in stored])
    if all(stride == 1 for _, _, stride in stored):
        tensor = emitter.emit("SLICE", (held.at, begin, integers(sizes)), name, grid=held.grid, dtype=held.dtype)
    else:
        # A walk down to the first element ends before it, which only a mask can say.
        mask = sum(1 << i for i, (_, end, stride) in enumerate(stored) if stride < 0 and end < 0)
        inputs = (held.at, begin, integers([end for _, end, _ in stored]), integers([s for _, _, s in stored]))
        tensor = emitter.emit("STRIDED_SLICE", inputs, name, grid=held.grid, dtype=held.dtype, end_mask=mask)
    return replace(held, shape=shape, tensor=tensor)


@lowers("Split")
def split(emitter: Emitter, step: Step) -> None:
    """One SLICE an output that is read."""
    held = emitter.get(step.input(0))
    axis = step.integer("axis", 0) % len(held.shape)
    parts = len(step.outputs)
    sizes = numbers(emitter, step, "split", 1)
    if sizes is None:
        length = -(-held.shape[axis] // parts)
        sizes = (length,) * (parts - 1) + (held.shape[axis] - length * (parts - 1),)
    if sum(sizes) != held.shape[axis] or len(sizes) != parts or min(sizes) < 1:
        raise step.refuse(f"parts of {sizes} do not make up {held.shape[axis]}", "export the model again")
    start = 0
    for index, size in enumerate(sizes):
        if step.outputs[index]:
            walks = {i: (0, whole, 1) for i, whole in enumerate(held.shape)} | {axis: (start, start + size, 1)}
            shape = (*held.shape[:axis], size, *held.shape[axis + 1 :])
            kept(emitter, step, cut(emitter, held, walks, shape, step.outputs[index]), index)
        start += size


@lowers("Gather")
def gather(emitter: Emitter, step: Step) -> None:
    held, places = emitter.get(step.input(0)), emitter.get(step.input(1))
    axis = step.integer("axis", 0) % len(held.shape)
    if places.elements is not None and places.elements.ndim == 0 and held.elements is None:
        index = int(places.elements) % held.shape[axis]
        walks = {i: (0, whole, 1) for i, whole in enumerate(held.shape)} | {axis: (index, index + 1, 1)}
        element = cut(emitter, held, walks, (*held.shape[:axis], 1, *held.shape[axis + 1 :]), f"{step.output}/one")
        place_reshaped(emitter, step, element, tuple(size for i, size in enumerate(element.shape) if i != axis))
        return
    if held.grid is not None and held.grid.quantization.is_per_channel:
        raise step.refuse("its table has a scale a channel", "quantise it per tensor")
    shape = (*held.shape[:axis], *places.shape, *held.shape[axis + 1 :])
    table = emitter.arranged(held, plain(len(held.shape)), step.output)
    if places.elements is not None:
        indices = np.where(places.elements < 0, places.elements + held.shape[axis], places.elements)
        position = emitter.constant(indices.astype(np.int32), f"{step.output}/places")
    else:
        position = emitter.arranged(places, plain(len(places.shape)), step.output)
    result = emitter.emit("GATHER", (table, position), step.output, grid=held.grid, dtype=held.dtype, axis=axis)
    kept(emitter, step, Held(shape, plain(len(shape)), held.dtype, held.grid, result))

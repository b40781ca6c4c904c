"""Concatenations, repetitions and borders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.cutting import cut
from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.held import UNIT, Held
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.placing import kept, numbers
from mcusim.graph import DType

__all__: list[str] = []


@lowers("Concat")
def concat(emitter: Emitter, step: Step) -> None:
    """Joined on the output's grid: TFLite copies bytes, so each input is brought to it first."""
    operands = [emitter.get(name) for name in step.inputs if name]
    axis, rank = step.integer("axis", 0), len(operands[0].shape)
    target = emitter.target(step) if any(held.grid for held in operands) else None
    if all(held.elements is not None for held in operands):
        raise step.refuse("it joins constants", "fold them before")
    order = next(held.order for held in operands if held.elements is None)
    tensors = []
    for index, held in enumerate(operands):
        name = f"{step.output}/{index}"
        tensors.append(emitter.arranged(emitter.on_grid(held, target, name), order, name))
    shape = list(operands[0].shape)
    shape[axis % rank] = sum(held.shape[axis % rank] for held in operands)
    dtype = DType.FLOAT32 if target is None else target.dtype
    joined = Held(tuple(shape), order, dtype, target)
    result = emitter.emit(
        "CONCATENATION", tensors, step.output, grid=target, dtype=dtype, axis=joined.stored_axis(axis)
    )
    emitter.finish(step, replace(joined, tensor=result))


@lowers("Expand", "Tile")
def expand(emitter: Emitter, step: Step) -> None:
    held = emitter.get(step.input(0))
    asked = numbers(emitter, step, "shape" if step.op == "Expand" else "repeats", 1) or ()
    if step.op == "Expand":
        shape = np.broadcast_shapes(held.shape, asked)
        if len(shape) != len(held.shape):
            raise step.refuse(f"it adds axes to {held.shape}", "unsqueeze it before")
        asked = tuple(new // old for new, old in zip(shape, held.shape, strict=True))
    if all(times == 1 for times in asked):
        kept(emitter, step, held)
        return
    tiled = _repeated(emitter, step, held, [1 if axis == UNIT else asked[axis] for axis in held.order])
    shape = tuple(size * n for size, n in zip(held.shape, asked, strict=True))
    kept(emitter, step, replace(held, shape=shape, tensor=tiled, elements=None))


MAX_JOINED = 16
"""Copies that one CONCATENATION joins: what TFLM's kernels of it take is not much more."""


def _repeated(emitter: Emitter, step: Step, held: Held, times: list[int]) -> int:
    """A tensor repeated along its stored axes: axes of 1 are stretched, others joined, for TFLM has no TILE."""
    tensor = emitter.arranged(held, held.order, step.output)
    shape = list(held.stored_shape)
    long = [axis for axis, n in enumerate(times) if n > 1 and shape[axis] > 1]
    if any(times[axis] > MAX_JOINED for axis in long):
        given = (tensor, emitter.builder.integers(times))
        return emitter.emit("TILE", given, step.output, grid=held.grid, dtype=held.dtype)
    stretches = any(n > 1 and shape[axis] == 1 for axis, n in enumerate(times))
    for place, axis in enumerate(long):
        is_last = not stretches and place == len(long) - 1
        name = step.output if is_last else f"{step.output}/axis{axis}"
        shape[axis] *= times[axis]
        tensor = emitter.emit(
            "CONCATENATION", (tensor,) * times[axis], name, grid=held.grid, dtype=held.dtype, axis=axis
        )
    if not stretches:
        return tensor
    full = [size * n if size == 1 else size for size, n in zip(shape, times, strict=True)]
    given = (tensor, emitter.builder.integers(full))
    return emitter.emit("BROADCAST_TO", given, step.output, grid=held.grid, dtype=held.dtype)


@lowers("Pad")
def pad(emitter: Emitter, step: Step) -> None:
    held = emitter.get(step.input(0))
    amounts = numbers(emitter, step, "pads", 1) or ()
    axes = numbers(emitter, step, "axes", 3) or tuple(range(len(held.shape)))
    rank = len(held.shape)
    if len(amounts) != 2 * len(axes):
        raise step.refuse(f"its pads {amounts} do not go with {held.shape}", "give two numbers an axis")
    sides = dict.fromkeys(range(rank), (0, 0))
    for i, axis in enumerate(axes):
        sides[axis % rank] = (amounts[i], amounts[i + len(axes)])
    if min(amounts, default=0) < 0:
        walks = {
            i: (max(-a, 0), n - max(-b, 0), 1)
            for i, (n, (a, b)) in enumerate(zip(held.shape, sides.values(), strict=True))
        }
        shape = tuple(len(range(*walks[i])) for i in range(rank))
        held = cut(emitter, held, walks, shape, f"{step.output}/crop")
        sides = {axis: (max(a, 0), max(b, 0)) for axis, (a, b) in sides.items()}
    shape = tuple(size + sum(sides[axis]) for axis, size in enumerate(held.shape))
    if not any(map(any, sides.values())):
        kept(emitter, step, held)
        return
    kept(emitter, step, replace(held, shape=shape, tensor=_padded(emitter, step, held, sides)))


def _with_edges(emitter: Emitter, step: Step, held: Held, sides: dict[int, tuple[int, int]]) -> int:
    """Borders that repeat what lies at the edge: slices of it, joined on both sides."""
    for axis, (before, after) in sides.items():
        if max(before, after) > MAX_JOINED:
            raise step.refuse(f"it pads {max(before, after)} elements by 'edge'", f"pad by {MAX_JOINED} at most")
        if not before and not after:
            continue
        size, edges = held.shape[axis], []
        for place, start in enumerate((0, size - 1)):
            walks = {i: (start, start + 1, 1) if i == axis else (0, n, 1) for i, n in enumerate(held.shape)}
            shape = tuple(1 if i == axis else n for i, n in enumerate(held.shape))
            wanted = (before, after)[place]
            edges.append(
                [cut(emitter, held, walks, shape, f"{step.output}/edge{axis}_{place}").at] * wanted if wanted else []
            )
        tensors = (*edges[0], held.at, *edges[1])
        name, place = f"{step.output}/axis{axis}", held.stored_axis(axis)
        joined = emitter.emit("CONCATENATION", tensors, name, grid=held.grid, dtype=held.dtype, axis=place)
        shape = tuple(n + before + after if i == axis else n for i, n in enumerate(held.shape))
        held = replace(held, shape=shape, tensor=joined)
    return held.at


def _padded(emitter: Emitter, step: Step, held: Held, sides: dict[int, tuple[int, int]]) -> int:
    mode = step.text("mode", "constant")
    if mode == "edge":
        return _with_edges(emitter, step, held, sides)
    flat = [n for axis in held.order for n in ((0, 0) if axis == UNIT else sides[axis])]
    paddings = emitter.builder.integers(flat, (len(held.order), 2))
    if mode == "reflect":
        return emitter.emit("MIRROR_PAD", (held.at, paddings), step.output, grid=held.grid, dtype=held.dtype, mode=0)
    if mode != "constant":
        raise step.refuse(f"it pads by '{mode}', which TFLite cannot", "pad with a constant, or by reflection")
    value = step.real("value", 0.0)
    if step.has(2):
        given = emitter.get(step.input(2))
        if given.elements is None:
            raise step.refuse("what it pads with is computed at run time", "pad with a constant")
        value = float(given.real().ravel()[0])
        if given.grid is None and given.elements.dtype.kind in "iu" and held.grid is not None:
            value = held.grid.real(value - (128 if given.elements.dtype == np.uint8 else 0))
    stored = held.grid.stored(value) if held.grid else value
    if stored == (held.grid.zero_point if held.grid else 0):
        return emitter.emit("PAD", (held.at, paddings), step.output, grid=held.grid, dtype=held.dtype)
    kind = held.dtype.unpacked.value
    constant = emitter.constant(np.full((1,), stored, kind), f"{step.output}/value", held.grid, held.dtype)
    return emitter.emit("PADV2", (held.at, paddings, constant), step.output, grid=held.grid, dtype=held.dtype)

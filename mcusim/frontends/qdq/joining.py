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
    tensor = emitter.arranged(held, held.order, step.output)
    times = [1 if axis == UNIT else asked[axis] for axis in held.order]
    tiled = emitter.emit(
        "TILE", (tensor, emitter.builder.integers(times)), step.output, grid=held.grid, dtype=held.dtype
    )
    shape = tuple(size * n for size, n in zip(held.shape, asked, strict=True))
    kept(emitter, step, replace(held, shape=shape, tensor=tiled, elements=None))


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


def _padded(emitter: Emitter, step: Step, held: Held, sides: dict[int, tuple[int, int]]) -> int:
    flat = [n for axis in held.order for n in ((0, 0) if axis == UNIT else sides[axis])]
    paddings = emitter.builder.integers(flat, (len(held.order), 2))
    mode = step.text("mode", "constant")
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

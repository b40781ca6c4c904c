"""Reshapes and transposes: relabelled where the bytes may stay, moved where they may not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.held import UNIT, Held, plain, rearranged, regrouped, transposed
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.placing import kept, numbers
from mcusim.graph import Shape

__all__ = ["place_reshaped"]


@lowers("Transpose")
def transpose(emitter: Emitter, step: Step) -> None:
    held = _columns_refused(emitter, step, emitter.get(step.input(0)))
    permutation = step.integers("perm") or plain(len(held.shape))[::-1]
    if sorted(permutation) != list(range(len(held.shape))):
        raise step.refuse(f"its permutation {permutation} does not go with {held.shape}", "export the model again")
    kept(emitter, step, transposed(held, permutation))


def _columns_refused(emitter: Emitter, step: Step, held: Held) -> Held:
    assert held.columns is None, step.name  # only given to values that FULLY_CONNECTED alone reads
    return held


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(emitter: Emitter, step: Step) -> None:
    held = emitter.get(step.input(0))
    shape = _new_shape(emitter, step, held.shape)
    if held.elements is not None:
        kept(emitter, step, _reshaped_constant(step, held, shape))
        return
    place_reshaped(emitter, step, held, shape)


def place_reshaped(emitter: Emitter, step: Step, held: Held, shape: Shape) -> None:
    order = regrouped(held, shape, emitter.wanted_order(step.output, len(shape)))
    if order is None and len(shape) == 2 and _only_dense(emitter, step.output):
        places = np.arange(math.prod(held.shape)).reshape(held.shape)
        stored = np.transpose(places, [axis for axis in held.order if axis != UNIT]).reshape(shape)
        if (stored // shape[1] == np.arange(shape[0])[:, None]).all():
            tensor = emitter.reshaped(held.at, shape, step.output, held.grid, held.dtype)
            flat = replace(held, shape=shape, order=plain(2), tensor=tensor, columns=stored[0] % shape[1])
            emitter.note(f"{step.output}: flattened as NHWC; the weights behind it were put into that order")
            kept(emitter, step, flat)
            return
    if order is None:
        before, order = rearranged(held, shape, emitter.wanted_order(step.output, len(shape)))
        tensor = emitter.arranged(held, before, step.output)
    else:
        tensor = held.at
    stored_shape = tuple(1 if axis == UNIT else shape[axis] for axis in order)
    if emitter.builder.type_of(tensor).shape != stored_shape:
        tensor = emitter.reshaped(tensor, stored_shape, step.output, held.grid, held.dtype)
    kept(emitter, step, replace(held, shape=shape, order=order, tensor=tensor))


def _only_dense(emitter: Emitter, name: str) -> bool:
    """Whether only matrix products with constant weights read a value, seen through what takes any order."""
    here = [name]
    while here:
        value = here.pop()
        if value in emitter.network.outputs:
            return False
        for step in emitter.network.readers.get(value, ()):
            if step.op in ("QuantizeLinear", "DequantizeLinear", "Relu", "Clip", "Identity"):
                here.append(step.output)
            elif (
                step.op not in ("Gemm", "MatMul")
                or step.input(0) != value
                or step.input(1) == value
                or emitter.network.real(step.input(1)) is None
            ):
                return False
    return True


def _new_shape(emitter: Emitter, step: Step, shape: Shape) -> Shape:
    if step.op == "Flatten":
        axis = step.integer("axis", 1)
        axis = axis + len(shape) if axis < 0 else axis
        return (math.prod(shape[:axis]), math.prod(shape[axis:]))
    if step.op == "Reshape":
        wanted = numbers(emitter, step, "shape", 1)
        if wanted is None:
            raise step.refuse("it has no shape", "export the model again")
        zeros = step.integer("allowzero", 0) == 0
        sizes = [shape[i] if size == 0 and zeros and i < len(shape) else size for i, size in enumerate(wanted)]
        known = math.prod(size for size in sizes if size != -1)
        if known and sizes.count(-1) == 1 and math.prod(shape) % known == 0:
            sizes[sizes.index(-1)] = math.prod(shape) // known
        if math.prod(sizes) != math.prod(shape) or min(sizes, default=1) < 1:
            raise step.refuse(f"shape {wanted} does not go with {shape}", "export the model with fixed shapes, batch 1")
        return tuple(sizes)
    axes = numbers(emitter, step, "axes", 1)
    if step.op == "Squeeze":
        gone = {axis % len(shape) for axis in axes} if axes else {i for i, size in enumerate(shape) if size == 1}
        if any(shape[axis] != 1 for axis in gone):
            raise step.refuse(f"it drops axes {axes} of {shape}", "drop axes of size 1 only")
        return tuple(size for axis, size in enumerate(shape) if axis not in gone)
    rank = len(shape) + len(axes or ())
    new = {axis % rank for axis in axes or ()}
    sizes_left = iter(shape)
    return tuple(1 if axis in new else next(sizes_left) for axis in range(rank))


def _reshaped_constant(step: Step, held: Held, shape: Shape) -> Held:
    assert held.elements is not None
    grid = held.grid
    if grid is not None and grid.quantization.is_per_channel:
        size = held.shape[grid.quantization.axis]
        before = math.prod(held.shape[: grid.quantization.axis])
        axes = [axis for axis in range(len(shape)) if shape[axis] == size and math.prod(shape[:axis]) == before]
        if not axes:
            raise step.refuse("it reshapes weights across their channels", "quantise them in their final shape")
        grid = replace(grid, quantization=replace(grid.quantization, axis=axes[0]))
    return replace(held, shape=shape, order=plain(len(shape)), elements=held.elements.reshape(shape), grid=grid)

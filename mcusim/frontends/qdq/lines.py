"""x * factor + offset, one for all or one a channel."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import UNIT, Held, Order, channels_last
from mcusim.frontends.qdq.network import Array, Step
from mcusim.frontends.qdq.weights import (
    Weights,
    along_first,
    bias_of,
)
from mcusim.graph import DType, Padding

__all__: list[str] = []


@lowers("Affine")
def affine(emitter: Emitter, step: Step) -> None:
    """A 1x1 depthwise convolution, which rounds once; floats where x is real."""
    held = emitter.get(step.input(0))
    factor, offset = step.array("factor"), step.array("offset")
    if factor is None or offset is None:
        raise step.refuse("it has no factor or offset", "export the model again")
    target = emitter.target(step)
    if held.grid is None or target is None or emitter.common_dtype(step, (held,)) is None:
        _real_affine(emitter, step, held, factor, offset)
        return
    _integer_affine(emitter, step, held, (held.grid, target), factor, offset)


def _integer_affine(
    emitter: Emitter, step: Step, held: Held, grids: tuple[Grid, Grid], factor: Array, offset: Array
) -> None:
    source, target = grids
    tensor, order = _as_map(emitter, step, held, is_scalar=factor.size == 1 and offset.size == 1)
    channels = emitter.builder.type_of(tensor).channels
    weights = _line_weights(np.broadcast_to(factor.astype(np.float64).ravel(), (channels,)))
    offsets = np.broadcast_to(offset.astype(np.float64).ravel(), (channels,))
    bias = bias_of(emitter, replace(step, attributes={"offset": offsets}), 9, source, weights)
    kernel = emitter.constant(weights.elements.transpose(1, 2, 3, 0), f"{step.output}/weights", weights.grid_along(3))
    activation = emitter.activation(step, target)
    result = emitter.emit(
        "DEPTHWISE_CONV_2D",
        (tensor, kernel, bias),
        step.output,
        grid=target,
        padding=Padding.VALID,
        stride_h=1,
        stride_w=1,
        depth_multiplier=1,
        fused_activation_function=activation,
    )
    shape = tuple(1 if axis == UNIT else held.shape[axis] for axis in order)
    if emitter.builder.type_of(result).shape != shape:
        result = emitter.reshaped(result, shape, f"{step.output}/shape", target, target.dtype)
    emitter.finish(step, replace(held, tensor=result, grid=target, dtype=target.dtype, order=order), activation)


def _as_map(emitter: Emitter, step: Step, held: Held, *, is_scalar: bool) -> tuple[int, Order]:
    """The value as a map whose channels are those of the factors, and the order that its axes have."""
    if not is_scalar:
        if len(held.shape) not in (3, 4):
            raise step.refuse(f"it scales the channels of {held.shape}", "give it a map of rank 3 or 4")
        order = channels_last(len(held.shape))
        return emitter.arranged(held, order, step.output), order
    if len(held.order) == 4:
        return held.at, held.order
    shape = held.stored_shape or (1,)
    flat = (1, 1, math.prod(shape) // shape[-1], shape[-1])
    return emitter.reshaped(held.at, flat, f"{step.output}/flat", held.grid, held.dtype), held.order


def _line_weights(factors: Array) -> Weights:
    """One tap a channel: the sign as 127 or -127, the size in the scale, so that any factor is exact."""
    taps = (127 * np.sign(factors)).astype(np.int8).reshape(-1, 1, 1, 1)
    return Weights(taps, along_first(DType.INT8, np.where(factors == 0, 1.0, np.abs(factors)) / 127))


def _real_affine(emitter: Emitter, step: Step, held: Held, factor: Array, offset: Array) -> None:
    real = emitter.on_grid(held, None, step.output)
    order = real.order
    if max(factor.size, offset.size) > 1:
        order = channels_last(len(held.shape))
        real = replace(real, tensor=emitter.arranged(real, order, step.output), order=order)
    tensor = real.at
    for op, numbers, idle in (("MUL", factor, 1.0), ("ADD", offset, 0.0)):
        if (numbers == idle).all():
            continue
        constant = emitter.constant(numbers.astype(np.float32).ravel(), f"{step.output}/{op.lower()}/constant")
        tensor = emitter.emit(op, (tensor, constant), f"{step.output}/{op.lower()}", grid=None, dtype=DType.FLOAT32)
    emitter.finish(step, replace(real, tensor=tensor))

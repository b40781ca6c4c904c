"""Gemm and MatMul."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import Held, plain
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.weights import (
    Weights,
    bias_of,
    grids_of,
    in_parts,
    repeated,
    scaled,
    weights_of,
    widened,
)
from mcusim.graph import Activation, DType

__all__ = ["placed_dense"]


def placed_dense(
    emitter: Emitter, step: Step, held: Held, weights: Weights, grids: tuple[Grid | None, Grid | None]
) -> tuple[int, Activation]:
    """FULLY_CONNECTED on the last stored axis: the output and its activation.   grids: of input and output."""
    source, target = grids
    activation = emitter.activation(step, target)
    bias = bias_of(emitter, step, 2, source, weights)
    kernel = emitter.constant(weights.elements, f"{step.output}/weights", weights.grid)
    result = emitter.emit(
        "FULLY_CONNECTED",
        (held.at, kernel, bias),
        step.output,
        grid=target,
        dtype=held.dtype,
        fused_activation_function=activation,
        keep_num_dims=len(held.order) > 2,
    )
    return result, activation


@lowers("Gemm", "MatMul")
def dense(emitter: Emitter, step: Step) -> None:
    """A matrix product: FULLY_CONNECTED with constant weights, BATCH_MATMUL of two activations."""
    left, right = emitter.get(step.input(0)), emitter.get(step.input(1))
    if step.integer("transA", 0) or step.real("alpha", 1.0) != 1.0 or (step.has(2) and step.real("beta", 1.0) != 1.0):
        raise step.refuse("it has transA, alpha or beta", "write it as a plain matrix product with a bias")
    if right.elements is not None and right.elements.ndim == 2:
        _with_weights(emitter, step, left, right)
    elif step.op == "MatMul":
        _of_activations(emitter, step, left, right)
    else:
        raise step.refuse("its weights are computed at run time", "use MatMul")


def _with_weights(emitter: Emitter, step: Step, left: Held, right: Held) -> None:
    grids = grids_of(emitter, step, left, right)
    target = grids[1]
    left = left if grids[0] else emitter.on_grid(left, None, step.output)
    channel_axis, has_no_factor = 0 if step.integer("transB", 0) else 1, step.array("factor") is None
    weights = weights_of(emitter, step, 1, channel_axis, grids[0], may_have_zero_point=has_no_factor)
    weights = widened(scaled(weights, step))
    if left.columns is not None:
        weights = replace(weights, elements=np.ascontiguousarray(weights.elements[:, left.columns]))
        source = replace(left, columns=None)
    else:
        order = plain(len(left.shape))
        source = replace(left, tensor=emitter.arranged(left, order, step.output), order=order)
    elements, parts = in_parts(emitter, step, weights.elements)
    weights = replace(weights, elements=elements)
    source = replace(source, tensor=repeated(emitter, step, source.at, parts, 1, grids[0]))
    result, activation = placed_dense(emitter, step, source, weights, grids)
    shape = emitter.builder.type_of(result).shape
    emitter.finish(step, Held(shape, plain(len(shape)), source.dtype, target, result), activation)


def _of_activations(emitter: Emitter, step: Step, left: Held, right: Held) -> None:
    source, target = grids_of(emitter, step, *sorted((left, right), key=lambda held: held.is_constant))
    if step.array("offset") is not None or step.has(2):
        raise step.refuse("it has a bias", "quantise the sum behind it")
    tensors = []
    for held in (left, right) if source else [emitter.on_grid(held, None, step.output) for held in (left, right)]:
        if len(held.shape) < 2:
            raise step.refuse(f"an operand is a vector: {held.shape}", "reshape it to a matrix")
        if held.grid is not None and held.grid.quantization.is_per_channel:
            raise step.refuse("its constant operand has a scale a channel", "quantise it per tensor")
        tensors.append(emitter.arranged(held, plain(len(held.shape)), step.output))
    kind = DType.FLOAT32 if target is None else target.dtype
    result = emitter.emit("BATCH_MATMUL", tensors, step.output, grid=target, dtype=kind, adj_x=False, adj_y=False)
    shape = emitter.builder.type_of(result).shape
    emitter.finish(step, Held(shape, plain(len(shape)), kind, target, result))

"""Conv and ConvTranspose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.dense import placed_dense
from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.weights import (
    INT8_HIGHEST,
    INT8_LOWEST,
    Weights,
    bias_of,
    grids_of,
    in_parts,
    repeated,
    scaled,
    weights_of,
    widened,
)
from mcusim.frontends.qdq.windows import placed_border, window
from mcusim.graph import ABSENT, DType, Padding

__all__: list[str] = []


@lowers("Conv", is_map=True)
def conv(emitter: Emitter, step: Step) -> None:
    """A convolution; depthwise where each group has one input channel."""
    source_grid, target = grids_of(emitter, step, emitter.get(step.input(0)), emitter.get(step.input(1)))
    held = _on(emitter, step, emitter.map_of(step), source_grid)
    in_c, groups = held.shape[1], step.integer("group", 1)
    is_depthwise = groups > 1 and groups == in_c
    stored = emitter.get(step.input(1))
    if (
        source_grid
        and target
        and len(stored.shape) == len(held.shape)
        and _is_dense_asymmetric(emitter, step, stored, groups)
    ):
        _pointwise_as_dense(emitter, step, held, (source_grid, target))
        return
    weights = scaled(weights_of(emitter, step, 1, 0, source_grid, may_have_zero_point=False), step)
    elements = weights.elements if len(held.shape) == 4 else weights.elements[:, :, None]
    if elements.ndim != 4 or elements.shape[1] * groups != in_c:
        fix = "export the model again"
        raise step.refuse(f"weights {stored.shape} do not go with an input of {held.shape}", fix)
    sliding = window(step, held, elements.shape[2:])
    elements, parts = in_parts(emitter, step, elements)
    is_depthwise = is_depthwise and parts == 1
    tensor = repeated(emitter, step, held.at, parts, groups, source_grid)
    tensor, padding = placed_border(emitter, step, tensor, sliding, source_grid)
    activation = emitter.activation(step, target)
    bias = bias_of(emitter, step, 2, source_grid, weights, may_lack=False)
    layout, axis = (elements.transpose(1, 2, 3, 0), 3) if is_depthwise else (elements.transpose(0, 2, 3, 1), 0)
    kernel = emitter.constant(layout, f"{step.output}/weights", weights.grid_along(axis))
    extra = {"depth_multiplier": elements.shape[0] // in_c} if is_depthwise else {}
    result = emitter.emit(
        "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D",
        (tensor, kernel, bias),
        step.output,
        grid=target,
        dtype=held.dtype,
        padding=padding,
        stride_h=sliding.strides[0],
        stride_w=sliding.strides[1],
        dilation_h_factor=sliding.dilations[0],
        dilation_w_factor=sliding.dilations[1],
        fused_activation_function=activation,
        **extra,
    )
    emitter.finish(step, _map_result(emitter, result, held, elements.shape[0], target), activation)


def _on(emitter: Emitter, step: Step, held: Held, grid: Grid | None) -> Held:
    """The map that a step reads, in floats where it computes in floats."""
    return emitter.on_grid(held, None, step.output) if grid is None else held


def _map_result(emitter: Emitter, tensor: int, source: Held, channels: int, grid: Grid | None) -> Held:
    _, rows, cols, _ = emitter.builder.type_of(tensor).shape
    spatial = (rows, cols) if len(source.shape) == 4 else (cols,)
    dtype = grid.dtype if grid else DType.FLOAT32
    return Held((source.shape[0], channels, *spatial), source.order, dtype, grid, tensor)


def _is_dense_asymmetric(emitter: Emitter, step: Step, stored: Held, groups: int) -> bool:
    """Whether it is a matrix product a pixel, with a zero point in its weights: in TFLite only the product has one."""
    if stored.grid is None or stored.elements is None or groups != 1 or step.array("factor") is not None:
        return False
    quantization = stored.grid.quantization
    steps = (*(step.integers("strides") or ()), *(step.integers("pads") or ()))
    if (
        quantization.is_per_channel
        or set(stored.shape[2:]) != {1}
        or any(each > 1 for each in steps)
        or any(step.integers("pads") or ())
    ):
        return False
    centred = stored.elements.astype(np.int64) - quantization.zero_points[0]
    return not INT8_LOWEST <= centred.min(initial=0) <= centred.max(initial=0) <= INT8_HIGHEST


def _pointwise_as_dense(emitter: Emitter, step: Step, held: Held, grids: tuple[Grid, Grid]) -> None:
    weights = weights_of(emitter, step, 1, 0, grids[0], may_have_zero_point=True)
    matrix = replace(weights, elements=weights.elements.reshape(weights.elements.shape[0], -1))
    result, activation = placed_dense(emitter, step, held, matrix, grids)
    emitter.note(
        f"{step.output}: a 1x1 convolution whose weights have a zero point became FULLY_CONNECTED, which has it"
    )
    emitter.finish(step, _map_result(emitter, result, held, weights.elements.shape[0], grids[1]), activation)


def _ungrouped(emitter: Emitter, step: Step, weights: Weights, groups: int) -> Weights:
    """Weights of one group that compute the same: zeros between channels of different groups."""
    if groups == 1:
        return weights
    each_c, in_c = weights.elements.shape[:2]
    if groups < 1 or in_c % groups:
        raise step.refuse(f"{in_c} input channels do not go into {groups} groups", "export the model again")
    if weights.elements.size * groups > MAX_UNGROUPED:
        raise step.refuse("its groups would need too many zeros as one", "use fewer channels or one group")
    full = np.zeros((groups * each_c, *weights.elements.shape[1:]), weights.elements.dtype)
    share = in_c // groups
    for group in range(groups):
        inputs = slice(group * share, (group + 1) * share)
        full[group * each_c : (group + 1) * each_c, inputs] = weights.elements[:, inputs]
    grid = weights.grid
    if grid is not None and grid.quantization.is_per_channel:
        scales, zeros = grid.quantization.scales * groups, grid.quantization.zero_points * groups
        grid = replace(grid, quantization=replace(grid.quantization, scales=scales, zero_points=zeros))
    emitter.note(f"{step.output}: TFLite's TRANSPOSE_CONV has no groups; zeros between them compute the same")
    return replace(weights, elements=full, grid=grid)


MAX_UNGROUPED = 1 << 24
"""Weights that a transposed convolution may have after zeros were put between its groups."""


@lowers("ConvTranspose", is_map=True)
def conv_transpose(emitter: Emitter, step: Step) -> None:
    """TRANSPOSE_CONV; what ONNX's padding cuts off is sliced away where TFLite's own padding would cut elsewhere."""
    source_grid, target = grids_of(emitter, step, emitter.get(step.input(0)), emitter.get(step.input(1)))
    held = _on(emitter, step, emitter.map_of(step), source_grid)
    if step.integers("output_shape") is not None:
        raise step.refuse(
            "it states its output's shape, from which its border would have to be guessed", "give it pads"
        )
    if any(each != 1 for each in step.integers("dilations") or ()):
        raise step.refuse("it has dilations, which TFLite's TRANSPOSE_CONV has not", "use dilations of 1")
    weights = scaled(weights_of(emitter, step, 1, 1, source_grid, may_have_zero_point=False), step)
    weights = widened(_ungrouped(emitter, step, weights, step.integer("group", 1)))
    elements = weights.elements if len(held.shape) == 4 else weights.elements[:, :, None]
    kernel_h, kernel_w = elements.shape[2:]
    sliding = window(step, held, (kernel_h, kernel_w), is_transposed=True)
    _, rows, cols, in_c = held.stored_shape
    if elements.shape[1] != in_c:
        raise step.refuse(f"weights do not go with {in_c} input channels", "export the model again")
    elements, parts = in_parts(emitter, step, elements)
    tensor = repeated(emitter, step, held.at, parts, 1, source_grid)
    full = ((rows - 1) * sliding.strides[0] + kernel_h, (cols - 1) * sliding.strides[1] + kernel_w)
    extra = step.integers("output_padding") or (0, 0)
    extra = extra if len(extra) == 2 else (0, extra[0])
    top, left, bottom, right = sliding.sides
    size = (full[0] - top - bottom + extra[0], full[1] - left - right + extra[1])
    if top + size[0] > full[0] or left + size[1] > full[1] or min(size) < 1:
        raise step.refuse("its output reaches beyond what it computes", "use less output_padding")
    fits = all(
        whole - out >= 0 and (whole - out) // 2 == before and -(-out // stride) == n
        for whole, out, before, stride, n in zip(full, size, (top, left), sliding.strides, (rows, cols), strict=True)
    )
    out_c = elements.shape[0]
    shape = (held.shape[0], *(size if fits else full), out_c)
    kernel = emitter.constant(elements.transpose(0, 2, 3, 1), f"{step.output}/weights", weights.grid)
    bias = bias_of(emitter, step, 2, source_grid, weights)
    result = emitter.emit(
        "TRANSPOSE_CONV",
        (emitter.builder.integers(shape), kernel, tensor, *(() if bias == ABSENT else (bias,))),
        step.output if fits else f"{step.output}/full",
        grid=target,
        dtype=held.dtype,
        padding=Padding.SAME if fits else Padding.VALID,
        stride_h=sliding.strides[0],
        stride_w=sliding.strides[1],
    )
    if not fits and size != full:
        begin, box = (0, top, left, 0), (held.shape[0], *size, out_c)
        indices = (result, emitter.builder.integers(begin), emitter.builder.integers(box))
        result = emitter.emit("SLICE", indices, step.output, grid=target, dtype=held.dtype)
    emitter.finish(step, _map_result(emitter, result, held, out_c, target))

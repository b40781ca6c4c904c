"""Resizes, and blocks of pixels that become channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from mcusim.frontends.qdq.emitter import Emitter, lowers
from mcusim.frontends.qdq.network import Step
from mcusim.frontends.qdq.placing import kept, numbers
from mcusim.graph import Shape
from mcusim.ops.resize_nearest_neighbor import nearest

__all__: list[str] = []


@lowers("DepthToSpace", "SpaceToDepth", is_map=True)
def blocks(emitter: Emitter, step: Step) -> None:
    """TFLite's order of channels is ONNX's DCR; CRD is a transpose of channels before it."""
    held = emitter.map_of(step)
    size = step.integer("blocksize", 1)
    n, c, h, w = held.shape
    is_deep = step.op == "DepthToSpace"
    if len(held.shape) != 4 or size < 1 or (c % size**2 if is_deep else h % size or w % size):
        raise step.refuse(f"blocks of {size} do not go with {held.shape}", "export the model again")
    tensor = held.at
    if is_deep and step.text("mode", "DCR") == "CRD":
        rest = c // size**2
        split_shape = (n * h, w, rest, size**2)
        tensor = emitter.reshaped(tensor, split_shape, f"{step.output}/split", held.grid, held.dtype)
        axes = emitter.builder.integers((0, 1, 3, 2))
        tensor = emitter.emit("TRANSPOSE", (tensor, axes), f"{step.output}/swap", grid=held.grid, dtype=held.dtype)
        tensor = emitter.reshaped(tensor, (n, h, w, c), f"{step.output}/join", held.grid, held.dtype)
    op = "DEPTH_TO_SPACE" if is_deep else "SPACE_TO_DEPTH"
    result = emitter.emit(op, (tensor,), step.output, grid=held.grid, dtype=held.dtype, block_size=size)
    _, rows, cols, channels = emitter.builder.type_of(result).shape
    kept(emitter, step, replace(held, shape=(n, channels, rows, cols), tensor=result))


@lowers("Resize", "Upsample", is_map=True)
def resize(emitter: Emitter, step: Step) -> None:
    """Nearest and linear, where TFLite reads and mixes the same places."""
    held = emitter.map_of(step)
    sizes = _resized(emitter, step, held.shape)
    if sizes[:2] != held.shape[:2]:
        raise step.refuse(f"it resizes {held.shape} to {sizes}: channels too", "resize rows and columns only")
    if sizes == held.shape:
        kept(emitter, step, held)
        return
    _, rows, cols, _ = held.stored_shape
    outputs = (sizes[2], sizes[3]) if len(sizes) == 4 else (1, sizes[2])
    mode = step.text("mode", "nearest")
    if mode == "nearest":
        op, flags = "RESIZE_NEAREST_NEIGHBOR", _nearest_flags(step, (rows, cols), outputs)
    elif mode in ("linear", "bilinear"):
        op, flags = "RESIZE_BILINEAR", _linear_flags(step, outputs)
    else:
        raise step.refuse(f"it resizes by '{mode}', which TFLite cannot", "use nearest or linear")
    result = emitter.emit(
        op,
        (held.at, emitter.builder.integers(outputs)),
        step.output,
        grid=held.grid,
        dtype=held.dtype,
        align_corners=flags[0],
        half_pixel_centers=flags[1],
    )
    kept(emitter, step, replace(held, shape=sizes, tensor=result))


def _resized(emitter: Emitter, step: Step, shape: Shape) -> Shape:
    """The output's shape, from scales or sizes. Inputs of Resize: x, roi, scales, sizes; before opset 11: x, scales."""
    at = 2 if step.op == "Resize" and len(step.inputs) > 2 else 1
    scales: Sequence[float] | None = None
    if step.has(at) or "scales" in step.attributes:
        stated = step.floats("scales")
        scales = _floats(emitter, step, at) if stated is None else stated
    axes = step.integers("axes") or tuple(range(len(shape)))
    resized = list(shape)
    if scales:
        for axis, scale in zip(axes, scales, strict=False):
            resized[axis] = math.floor(shape[axis] * float(scale))
        return tuple(resized)
    sizes = numbers(emitter, step, "sizes", 3)
    if not sizes:
        raise step.refuse("it has neither scales nor sizes", "export the model with fixed shapes")
    for axis, size in zip(axes, sizes, strict=False):
        resized[axis] = size
    return tuple(resized)


def _floats(emitter: Emitter, step: Step, index: int) -> tuple[float, ...]:
    held = emitter.get(step.input(index))
    if held.elements is None:
        raise step.refuse("its scales are computed at run time", "export the model with fixed shapes")
    return tuple(float(each) for each in held.elements.ravel())


def _nearest_flags(step: Step, size: tuple[int, int], outputs: tuple[int, int]) -> tuple[bool, bool]:
    """The flags with which TFLite reads the places that ONNX reads."""
    wanted = [_onnx_nearest(step, n, m) for n, m in zip(size, outputs, strict=True)]
    for flags in ((False, False), (False, True), (True, False)):
        if [nearest(n, m, *flags) for n, m in zip(size, outputs, strict=True)] == wanted:
            return flags
    how = ", ".join(step.text(name, "") for name in ("coordinate_transformation_mode", "nearest_mode"))
    raise step.refuse(f"TFLite does not pick the places that it picks ({how})", "use asymmetric with floor")


def _onnx_nearest(step: Step, size: int, outputs: int) -> tuple[int, ...]:
    default = "asymmetric" if step.op == "Upsample" else "half_pixel"
    mode, rule = step.text("coordinate_transformation_mode", default), step.text("nearest_mode", "round_prefer_floor")
    rule = "floor" if step.op == "Upsample" else rule
    sources = []
    for i in range(outputs):
        if mode == "asymmetric":
            place = i * size / outputs
        elif mode == "align_corners":
            place = i * (size - 1) / (outputs - 1) if outputs > 1 else 0.0
        elif mode == "pytorch_half_pixel" and outputs == 1:
            place = 0.0
        else:
            place = (i + 0.5) * size / outputs - 0.5
        rounded = {
            "floor": math.floor(place),
            "ceil": math.ceil(place),
            "round_prefer_ceil": math.floor(place + 0.5),
        }.get(rule, math.ceil(place - 0.5))
        sources.append(min(max(rounded, 0), size - 1))
    return tuple(sources)


def _linear_flags(step: Step, outputs: tuple[int, int]) -> tuple[bool, bool]:
    mode = step.text("coordinate_transformation_mode", "asymmetric" if step.op == "Upsample" else "half_pixel")
    if mode == "align_corners":
        return True, False
    if mode == "asymmetric":
        return False, False
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and min(outputs) > 1):
        return False, True
    raise step.refuse(f"it places pixels by '{mode}', which TFLite cannot", "use half_pixel or align_corners")

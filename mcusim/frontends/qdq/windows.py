"""Windows that slide over maps: strides, dilations and borders in ONNX's words, and how TFLite says the same.

TFLite knows SAME and VALID. Where ONNX's border is neither, a PAD node puts it there, and the window is VALID.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcusim.arithmetic.quant import INT32_MAX, dtype_range
from mcusim.frontends.qdq.emitter import Emitter
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import Held
from mcusim.frontends.qdq.network import Step
from mcusim.graph import Padding, Shape

__all__ = ["Sides", "Sliding", "check_ceiling", "fits_same", "pad_before", "placed_border", "window"]

Pair = tuple[int, int]


class Sides(NamedTuple):
    """Rows and columns that a border adds."""

    top: int
    left: int
    bottom: int
    right: int


class Sliding(NamedTuple):
    """A window over rows and columns.   size: of the map.   outputs: places that it takes."""

    size: Pair
    kernel: Pair
    strides: Pair
    dilations: Pair
    sides: Sides
    outputs: Pair


def _pair(values: tuple[int, ...] | None, rank: int, default: int) -> Pair:
    if values is None:
        return default, default
    return (default, values[0]) if rank == 3 else (values[0], values[1])


def window(step: Step, held: Held, kernel: Pair, *, is_transposed: bool = False) -> Sliding:
    """The window of a step over a map that `map_of` gave."""
    rank = len(held.shape)
    spatial = rank - 2
    stated = step.integers("kernel_shape")
    if stated is not None and stated != kernel[-spatial:]:
        raise step.refuse(
            f"its kernel_shape is {stated}, and its weights say {kernel[-spatial:]}", "export the model again"
        )
    for name, count in (("strides", spatial), ("dilations", spatial), ("pads", 2 * spatial)):
        integers = step.integers(name)
        if integers is not None and (
            len(integers) != count or min(integers) < (0 if name == "pads" else 1) or max(integers) > INT32_MAX
        ):
            raise step.refuse(
                f"its {name} are {integers}", f"give {count} numbers from {0 if name == 'pads' else 1} to {INT32_MAX:,}"
            )
    strides, dilations = _pair(step.integers("strides"), rank, 1), _pair(step.integers("dilations"), rank, 1)
    size = (held.stored_shape[1], held.stored_shape[2])
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    sides = _sides(step, rank, size, reach, strides, is_transposed)
    outputs = []
    for n, each, stride, pads in zip(
        size, reach, strides, ((sides.top, sides.bottom), (sides.left, sides.right)), strict=True
    ):
        places = n + sum(pads) - each
        count = -(-places // stride) if step.integer("ceil_mode", 0) else places // stride
        if step.integer("ceil_mode", 0) and count * stride >= n + pads[0]:
            count -= 1  # a window must begin inside the map or its border before it
        outputs.append(count + 1)
    if min(outputs) < 1 and not is_transposed:
        raise step.refuse(f"its window of {kernel} is larger than the map of {size}", "use a larger input")
    return Sliding(size, kernel, strides, dilations, sides, (outputs[0], outputs[1]))


def check_ceiling(step: Step, sliding: Sliding, known: Shape | None) -> None:
    """Raise ModelError where `known`, the shape from the front end, has windows that begin behind the map."""
    if known is None or not step.integer("ceil_mode", 0):
        return
    pads = (sliding.sides.top + sliding.sides.bottom, sliding.sides.left + sliding.sides.right)
    counted = tuple(
        -(-(n + both - each) // stride) + 1
        for n, both, each, stride in zip(sliding.size, pads, sliding.kernel, sliding.strides, strict=True)
    )
    rank = len(known) - 2
    if known[2:] == counted[-rank:] != sliding.outputs[-rank:]:
        raise step.refuse(
            "by ceil_mode its last window would begin behind the map: before opset 22 the onnx package counts that "
            "window, and ONNX Runtime does not",
            "convert it: onnx.version_converter.convert_version(model, 22)",
        )


def _sides(step: Step, rank: int, size: Pair, reach: tuple[int, ...], strides: Pair, is_transposed: bool) -> Sides:
    auto = step.text("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        sides = []
        for n, each, stride in zip(size, reach, strides, strict=True):
            total = max(each - stride if is_transposed else (-(-n // stride) - 1) * stride + each - n, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            sides.append((before, total - before))
        return Sides(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    pads = step.integers("pads") if auto == "NOTSET" else None
    if pads is None:
        return Sides(0, 0, 0, 0)
    return Sides(0, pads[0], 0, pads[1]) if rank == 3 else Sides(*pads)


def fits_same(sliding: Sliding) -> bool:
    """Whether the border is the one that TFLite's SAME adds."""
    befores = sliding.sides.top, sliding.sides.left
    for axis in range(2):
        n, stride = sliding.size[axis], sliding.strides[axis]
        reach = (sliding.kernel[axis] - 1) * sliding.dilations[axis] + 1
        outputs = -(-n // stride)
        total = max((outputs - 1) * stride + reach - n, 0)
        # What ONNX adds behind the last window is never read.
        read_after = max((sliding.outputs[axis] - 1) * stride + reach - n - befores[axis], 0)
        if sliding.outputs[axis] != outputs or befores[axis] != total // 2 or read_after != total - total // 2:
            return False
    return True


def needed_sides(sliding: Sliding) -> Sides:
    """The border without what no window reads, and with what ceil_mode reads beyond it."""
    after = []
    for axis, before in enumerate((sliding.sides.top, sliding.sides.left)):
        reach = (sliding.kernel[axis] - 1) * sliding.dilations[axis] + 1
        after.append(max((sliding.outputs[axis] - 1) * sliding.strides[axis] + reach - sliding.size[axis] - before, 0))
    return Sides(sliding.sides.top, sliding.sides.left, after[0], after[1])


def placed_border(
    emitter: Emitter, step: Step, tensor: int, sliding: Sliding, grid: Grid | None, *, with_lowest: bool = False
) -> tuple[int, Padding]:
    """The map with its border, and the padding that is left to say.   with_lowest: a border that no maximum takes."""
    if not any(needed_sides(sliding)):
        return tensor, Padding.VALID
    if fits_same(sliding):
        return tensor, Padding.SAME
    return pad_before(emitter, f"{step.output}/pad", tensor, needed_sides(sliding), grid, with_lowest), Padding.VALID


def pad_before(
    emitter: Emitter, name: str, tensor: int, sides: Sides, grid: Grid | None, with_lowest: bool = False
) -> int:
    """PAD with zeros, or PADV2 with the lowest number there is."""
    amounts = (0, 0, sides.top, sides.bottom, sides.left, sides.right, 0, 0)
    paddings = emitter.builder.integers(amounts, (4, 2))
    dtype = emitter.builder.type_of(tensor).dtype
    if not with_lowest:
        return emitter.emit("PAD", (tensor, paddings), name, grid=grid, dtype=dtype)
    lowest = dtype_range(grid.dtype)[0] if grid else float(np.finfo(np.float32).min)
    value = emitter.constant(np.full((1,), lowest, dtype.value), f"{name}/value", grid, dtype)
    return emitter.emit("PADV2", (tensor, paddings, value), name, grid=grid, dtype=dtype)

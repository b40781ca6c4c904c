"""Sums, products, functions of single elements, pools and means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.emitter import Emitter, lowers, symmetric_grid
from mcusim.frontends.qdq.expansions import MAX_POWER
from mcusim.frontends.qdq.grids import Grid
from mcusim.frontends.qdq.held import UNIT, Held, Order, plain
from mcusim.frontends.qdq.network import Array, Step
from mcusim.frontends.qdq.placing import kept, numbers
from mcusim.frontends.qdq.windows import (
    Sliding,
    check_ceiling,
    fits_same,
    needed_sides,
    pad_before,
    placed_border,
    window,
)
from mcusim.graph import Activation, DType, Padding, Quantization, Shape

__all__ = ["common_order", "stretched"]

_BINARY = {"Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Div": "DIV", "Max": "MAXIMUM", "Min": "MINIMUM", "PRelu": "PRELU"}
_FUSING = frozenset({"ADD", "SUB", "MUL", "DIV"})
_SCALE = "give it a scale: place QuantizeLinear and DequantizeLinear behind it"


@lowers("Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu")
def binary(emitter: Emitter, step: Step) -> None:
    """Two operands, broadcasting; on integers where both and the output have scales, else on floats."""
    if len(step.inputs) != 2:
        raise step.refuse(f"it has {len(step.inputs)} operands", "write it as a chain of two each")
    op = _BINARY[step.op]
    operands = [emitter.get(name) for name in step.inputs]
    dtype = emitter.common_dtype(step, operands)
    if any(h.elements is None and h.grid is None and h.dtype is not DType.FLOAT32 for h in operands):
        raise step.refuse("it computes on plain integers", "compute shapes and indices when exporting")
    # A constant of several magnitudes would be rounded to a scale that nobody trained with.
    if dtype is not None and not all(_is_exact_constant(held) for held in operands if held.is_constant):
        emitter.note(f"{step.output}: computed in floats, for one operand is a constant without a scale")
        dtype = None
    target = emitter.target(step) if dtype is not None else None
    # TFLite divides int8 and uint8; int16 is computed in floats.
    if dtype is DType.INT16 and op == "DIV":
        target = None
    given = [_operand(emitter, step, held, target) for held in operands]
    # These compare stored values and look at no scale: both operands must lie on the output's grid.
    if op in ("MAXIMUM", "MINIMUM") and target is not None:
        given = [emitter.on_grid(held, target, f"{step.output}/{i}") for i, held in enumerate(given)]
    shape = tuple(np.broadcast_shapes(given[0].shape, given[1].shape))
    order = common_order(given, len(shape))
    tensors = [stretched(emitter, held, order, shape, f"{step.output}/{i}") for i, held in enumerate(given)]
    activation = emitter.activation(step, target) if op in _FUSING else Activation.NONE
    fields: dict[str, object] = {"fused_activation_function": activation} if op in _FUSING else {}
    kind = DType.FLOAT32 if target is None else target.dtype
    result = emitter.emit(op, tensors, step.output, grid=target, dtype=kind, options=fields)
    emitter.finish(step, Held(shape, order, kind, target, result), activation if op in _FUSING else None)


def _is_exact_constant(held: Held) -> bool:
    """Whether a constant operand has a scale, or can get one that holds it exactly."""
    if held.grid is not None:
        return not held.grid.quantization.is_per_channel
    real = held.real()
    return bool((np.abs(real) == np.abs(real).max(initial=0.0)).all())


def _operand(emitter: Emitter, step: Step, held: Held, target: Grid | None) -> Held:
    if target is None:
        return emitter.on_grid(held, None, step.output)
    if held.elements is not None and held.grid is None:
        return emitter.on_grid(held, symmetric_grid(held.real(), target.dtype), step.output)
    if held.elements is not None and held.grid is not None and held.grid.dtype is not target.dtype:
        return emitter.on_grid(held, symmetric_grid(held.real(), target.dtype), step.output)
    return held


def common_order(operands: Sequence[Held], rank: int) -> Order:
    """The order of the operand that is computed and has the output's rank; the larger of two decides."""
    full = [held for held in operands if not held.is_constant and len(held.shape) == rank]
    if not full:
        return plain(rank)
    return max(full, key=lambda held: int(np.prod(held.shape))).order


def stretched(emitter: Emitter, held: Held, order: Order, shape: Shape, name: str) -> int:
    """An operand with the output's axes, in the output's order. Axes that it lacks have size 1."""
    missing = len(shape) - len(held.shape)
    if held.elements is not None and held.elements.size == 1:
        scalar = replace(held, shape=(1,), order=(0,), elements=held.elements.reshape(1))
        return emitter.arranged(scalar, (0,), name)
    if held.elements is not None:
        elements = held.elements.reshape((1,) * missing + held.shape)
        full = replace(held, shape=elements.shape, order=plain(len(shape)), elements=elements)
        return emitter.arranged(full, order, name)
    if missing:
        lifted = replace(
            held,
            shape=(1,) * missing + held.shape,
            order=tuple(UNIT if axis == UNIT else axis + missing for axis in held.order),
        )
        return emitter.arranged(lifted, order, name)
    return emitter.arranged(held, order, name)


# Functions of one element

_FIXED: dict[str, tuple[str, dict[DType, tuple[float, int]]]] = {
    "Sigmoid": ("LOGISTIC", {DType.INT8: (2.0**-8, -128), DType.INT16: (2.0**-15, 0)}),
    "Tanh": ("TANH", {DType.INT8: (2.0**-7, 0), DType.INT16: (2.0**-15, 0)}),
    "Softmax": ("SOFTMAX", {DType.INT8: (2.0**-8, -128), DType.INT16: (2.0**-15, 0)}),
}
"""Operators whose output TFLite has on one grid only: scale and zero point of each type."""


MAX_FINER = 4
"""How much finer than TFLite's one scale the network's may be: two of its steps are lost by then."""


@lowers("Sigmoid", "Tanh", "Softmax")
def fixed(emitter: Emitter, step: Step) -> None:
    """On TFLite's grid, then on the network's own, if that is another; in floats where too much would be lost."""
    held = emitter.get(step.input(0))
    op, grids = _FIXED[step.op]
    fields: dict[str, object] = {}
    if step.op == "Softmax":
        held = _softmax_last(emitter, step, held)
        fields["beta"] = 1.0
    target = emitter.target(step)
    if held.grid is None or held.grid.dtype not in grids:
        real = emitter.on_grid(held, None, step.output)
        result = emitter.emit(op, (real.at,), step.output, grid=None, dtype=DType.FLOAT32, options=fields)
        emitter.finish(step, replace(real, tensor=result))
        return
    scale, zero_point = grids[held.grid.dtype]
    own = Grid(held.grid.dtype, Quantization((scale,), (zero_point,), 0))
    is_same = target is None or (
        target.dtype is own.dtype and target.zero_point == zero_point and _near(target.scale, scale)
    )
    if target is not None and target.dtype is own.dtype and scale > MAX_FINER * target.scale:
        emitter.note(
            f"{step.output}: computed in floats, for TFLite's {op} on integers has one scale only, {scale:g}, and the "
            f"network's, {target.scale:g}, is much finer"
        )
        real = emitter.on_grid(held, None, step.output)
        result = emitter.emit(
            op, (real.at,), f"{step.output}/{op.lower()}", grid=None, dtype=DType.FLOAT32, options=fields
        )
        emitter.finish(step, emitter.on_grid(replace(real, tensor=result), target, step.output))
        return
    grid = target if is_same and target is not None else own
    name = step.output if is_same else f"{step.output}/{op.lower()}"
    if target is None:
        emitter.note(f"{step.output}: has no scale of its own; it lies on the one that TFLite's {op} has")
    elif not is_same:
        emitter.note(
            f"{step.output}: TFLite's {op} has one scale only, {scale:g}; a QUANTIZE behind it gives the network's"
            + _lost(scale, target)
        )
    result = emitter.emit(op, (held.at,), name, grid=grid, options=fields)
    placed = replace(held, tensor=result, grid=grid, dtype=grid.dtype)
    emitter.finish(step, placed if target is None else emitter.on_grid(placed, target, step.output))


def _lost(scale: float, target: Grid | None) -> str:
    """What rounding to a coarser scale first costs, in words; "" where it is below a step."""
    if target is None or scale <= 2 * target.scale:
        return ""
    return f", {target.scale:g}, which is finer: up to {scale / target.scale / 2:.0f} of its steps are lost"


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-6 * b


def _softmax_last(emitter: Emitter, step: Step, held: Held) -> Held:
    """The value with the axis of the softmax last."""
    rank = len(held.shape)
    axis = step.integer("axis", -1) % rank
    if step.integer("is_flattening", 0) and any(size != 1 for size in held.shape[axis + 1 :]):
        raise step.refuse("it is taken over several axes at once", "export the model with opset 13 or newer")
    others = [each for each in held.order if each not in (axis, UNIT)]
    last = next((each for each in reversed(held.order) if each != UNIT and held.shape[each] != 1), axis)
    if last == axis and held.order[-1] == axis:
        return held
    order = (*others, axis)
    return replace(held, tensor=emitter.arranged(held, order, step.output), order=order)


@lowers("LeakyRelu", "HardSwish")
def element(emitter: Emitter, step: Step) -> None:
    held, target = emitter.get(step.input(0)), emitter.target(step)
    op = {"LeakyRelu": "LEAKY_RELU", "HardSwish": "HARD_SWISH"}[step.op]
    fields: dict[str, object] = {"alpha": step.real("alpha", 0.01)} if step.op == "LeakyRelu" else {}
    is_integer = emitter.common_dtype(step, (held,)) in (
        (DType.INT8,) if op == "HARD_SWISH" else (DType.INT8, DType.INT16)
    )
    given = held if is_integer else emitter.on_grid(held, None, step.output)
    grid = target if is_integer else None
    result = emitter.emit(op, (given.at,), step.output, grid=grid, dtype=DType.FLOAT32, options=fields)
    emitter.finish(step, replace(given, tensor=result, grid=grid, dtype=grid.dtype if grid else DType.FLOAT32))


_REAL = {"Sqrt": "SQRT", "Exp": "EXP", "Log": "LOG", "Abs": "ABS", "Neg": "NEG", "Floor": "FLOOR", "Ceil": "CEIL",
         "Round": "ROUND", "Sin": "SIN", "Cos": "COS", "Elu": "ELU"}  # fmt: skip


@lowers(*_REAL)
def real_function(emitter: Emitter, step: Step) -> None:
    """In floats: between the quantisers the imported network computes them so, and so does TFLite."""
    held = emitter.on_grid(emitter.get(step.input(0)), None, step.output)
    result = emitter.emit(_REAL[step.op], (held.at,), step.output, grid=None, dtype=DType.FLOAT32)
    emitter.finish(step, replace(held, tensor=result))


@lowers("Pow")
def power(emitter: Emitter, step: Step) -> None:
    """Squares and square roots; `expansions` has made products of other whole powers."""
    exponent = emitter.network.real(step.input(1))
    if exponent is not None and exponent.size == 1 and float(exponent.ravel()[0]) == 2.0:
        binary(emitter, step.stand_in("Mul", (step.input(0), step.input(0)), step.outputs, step.attributes))
    elif exponent is not None and exponent.size == 1 and float(exponent.ravel()[0]) == 0.5:
        real_function(emitter, step.stand_in("Sqrt", (step.input(0),), step.outputs, step.attributes))
    else:
        raise step.refuse("TFLM has no such power", f"use whole powers up to {MAX_POWER}, or square roots")


# Pools and means


@lowers("MaxPool", "AveragePool", is_map=True)
def pool(emitter: Emitter, step: Step) -> None:
    held = emitter.map_of(step)
    kernel = step.integers("kernel_shape") or ()
    if len(kernel) != len(held.shape) - 2 or len([name for name in step.outputs if name]) != 1:
        raise step.refuse(f"a kernel of {kernel} does not go with {held.shape}", "export the model again")
    kernel_h, kernel_w = kernel if len(kernel) == 2 else (1, kernel[0])
    sliding = window(step, held, (kernel_h, kernel_w))
    check_ceiling(step, sliding, emitter.network.shape(step.output))
    if sliding.dilations != (1, 1):
        raise step.refuse("it has dilations, which TFLite's pools have not", "use dilations of 1")
    is_max = step.op == "MaxPool"
    # An average over the whole map is a MEAN, which may also change the scale.
    if not is_max and sliding.kernel == sliding.size and not any(sliding.sides):
        reduce_map(emitter, step.stand_in("GlobalAveragePool", step.inputs, step.outputs, step.attributes))
        return
    if is_max:
        tensor, padding = placed_border(emitter, step, held.at, sliding, held.grid, with_lowest=True)
    elif _leaves_out_border(step, sliding):
        _average_inside(emitter, step, held, sliding)
        return
    else:
        tensor, padding = _average_border(emitter, step, held, sliding)
    result = emitter.emit(
        "MAX_POOL_2D" if is_max else "AVERAGE_POOL_2D",
        (tensor,),
        step.output,
        grid=held.grid,
        dtype=held.dtype,
        filter_height=kernel_h,
        filter_width=kernel_w,
        stride_h=sliding.strides[0],
        stride_w=sliding.strides[1],
        padding=padding,
    )
    _, rows, cols, _ = emitter.builder.type_of(result).shape
    spatial = (rows, cols) if len(held.shape) == 4 else (cols,)
    kept(emitter, step, replace(held, shape=(*held.shape[:2], *spatial), tensor=result))


def _average_border(emitter: Emitter, step: Step, held: Held, sliding: Sliding) -> tuple[int, Padding]:
    sides = needed_sides(sliding)
    if not any(sides):
        return held.at, Padding.VALID
    if step.integer("count_include_pad", 0):
        if any(needed > given for needed, given in zip(sides, sliding.sides, strict=True)):
            raise step.refuse("its windows reach past its border (ceil_mode)", "use ceil_mode = 0")
        return pad_before(emitter, f"{step.output}/pad", held.at, sides, held.grid), Padding.VALID
    return held.at, Padding.SAME


def _leaves_out_border(step: Step, sliding: Sliding) -> bool:
    """Whether averages are of what lies inside the map alone, with another border than that of TFLite's SAME."""
    return any(needed_sides(sliding)) and not step.integer("count_include_pad", 0) and not fits_same(sliding)


def _average_inside(emitter: Emitter, step: Step, held: Held, sliding: Sliding) -> None:
    """Averages without a border: every stride-th of those at stride 1, where SAME has that border; else floats."""
    befores = (sliding.sides.top, sliding.sides.left)
    lasts = [(count - 1) * stride for count, stride in zip(sliding.outputs, sliding.strides, strict=True)]
    is_centred = all(before == (k - 1) // 2 for before, k in zip(befores, sliding.kernel, strict=True))
    kernel: dict[str, object] = {
        "padding": Padding.VALID,
        "filter_height": sliding.kernel[0],
        "filter_width": sliding.kernel[1],
    }
    if is_centred and all(last < size for last, size in zip(lasts, sliding.size, strict=True)):
        every = emitter.emit(
            "AVERAGE_POOL_2D", (held.at,), f"{step.output}/every", grid=held.grid, dtype=held.dtype,
            options=kernel | {"padding": Padding.SAME}, stride_h=1, stride_w=1,
        )  # fmt: skip
        n, _, _, channels = held.stored_shape
        bounds = ((0, 0, 0, 0), (n, lasts[0] + 1, lasts[1] + 1, channels), (1, *sliding.strides, 1))
        given = (every, *(emitter.builder.integers(each) for each in bounds))
        result = emitter.emit("STRIDED_SLICE", given, step.output, grid=held.grid, dtype=held.dtype)
        emitter.note(f"{step.output}: averages at stride 1, of which those at strides {sliding.strides} stay")
    else:
        real = emitter.on_grid(held, None, step.output)
        sides = needed_sides(sliding)
        padded = pad_before(emitter, f"{step.output}/pad", real.at, sides, None) if any(sides) else real.at
        averages = emitter.emit(
            "AVERAGE_POOL_2D", (padded,), f"{step.output}/averages", grid=None, dtype=DType.FLOAT32,
            options=kernel, stride_h=sliding.strides[0], stride_w=sliding.strides[1],
        )  # fmt: skip
        shares = emitter.constant(_shares(sliding), f"{step.output}/shares")
        result = emitter.emit("MUL", (averages, shares), step.output, grid=None, dtype=DType.FLOAT32)
        held = real
    _, rows, cols, _ = emitter.builder.type_of(result).shape
    spatial = (rows, cols) if len(held.shape) == 4 else (cols,)
    kept(emitter, step, replace(held, shape=(*held.shape[:2], *spatial), tensor=result))


def _shares(sliding: Sliding) -> Array:
    """All places of a window by those that lie inside the map, for each output: (1, rows, columns, 1), float32."""
    inside = []
    for axis, before in enumerate((sliding.sides.top, sliding.sides.left)):
        # A window that starts at -1 and has 3 places holds 2 of the map.
        starts = np.arange(sliding.outputs[axis]) * sliding.strides[axis] - before
        inside.append(np.minimum(starts + sliding.kernel[axis], sliding.size[axis]) - np.maximum(starts, 0))
    counts = np.outer(inside[0], inside[1])[None, :, :, None]
    return np.asarray(sliding.kernel[0] * sliding.kernel[1] / counts, np.float32)


@lowers("GlobalAveragePool", "GlobalMaxPool", is_map=True)
def reduce_map(emitter: Emitter, step: Step) -> None:
    emitter.put(step.input(0), emitter.map_of(step))
    reduce(emitter, step)


_REDUCTIONS = {
    "GlobalAveragePool": "MEAN",
    "ReduceMean": "MEAN",
    "ReduceSum": "SUM",
    "GlobalMaxPool": "REDUCE_MAX",
    "ReduceMax": "REDUCE_MAX",
    "ReduceMin": "REDUCE_MIN",
}


@lowers("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")
def reduce(emitter: Emitter, step: Step) -> None:
    """MEAN rescales as it averages; over a whole map on one grid it is AVERAGE_POOL_2D, which runtimes do faster."""
    held = emitter.get(step.input(0))
    rank = len(held.shape)
    is_global = step.op.startswith("Global")
    axes = tuple(range(2, rank)) if is_global else numbers(emitter, step, "axes", 1)
    if axes is None:
        if step.integer("noop_with_empty_axes", 0):
            kept(emitter, step, held)
            return
        axes = tuple(range(rank))
    axes = tuple(sorted(axis % rank for axis in axes))
    keeps = is_global or bool(step.integer("keepdims", 1))
    target = emitter.target(step)
    op = _REDUCTIONS[step.op]
    keeps_values = op in ("REDUCE_MAX", "REDUCE_MIN")
    # Extremes keep their input's grid. Sums and means need one of their own, or are computed in floats.
    if held.grid is None or target is None or target.dtype is not held.grid.dtype:
        grid = None
        held = emitter.on_grid(held, None, step.output) if not keeps_values else held
    else:
        grid = held.grid if keeps_values else target
    if grid is not None and grid == held.grid and op == "MEAN" and _is_whole_map(held, axes) and keeps:
        _, rows, cols, _ = held.stored_shape
        result = emitter.emit(
            "AVERAGE_POOL_2D", (held.at,), step.output, grid=grid, filter_height=rows, filter_width=cols,
            stride_h=1, stride_w=1, padding=Padding.VALID,
        )  # fmt: skip
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(held.shape))
        emitter.finish(step, replace(held, shape=shape, tensor=result))
        return
    wide = held.grid if keeps_values and held.grid is not None and held.grid.dtype is DType.INT16 else None
    if wide is not None:  # TFLM has the largest and the smallest of int8 and float32
        held = emitter.on_grid(held, None, step.output)
    stored = emitter.builder.integers(sorted(held.stored_axis(axis) for axis in axes))
    out_grid = held.grid if keeps_values else grid
    result = emitter.emit(op, (held.at, stored), step.output, grid=out_grid, dtype=held.dtype, keep_dims=keeps)
    if keeps:
        shape, order = tuple(1 if axis in axes else size for axis, size in enumerate(held.shape)), held.order
    else:
        left = [axis for axis in range(rank) if axis not in axes]
        shape = tuple(held.shape[axis] for axis in left)
        order = tuple(UNIT if axis == UNIT else left.index(axis) for axis in held.order if axis not in axes)
    placed = replace(held, shape=shape, order=order, tensor=result, grid=out_grid)
    if wide is not None:
        placed = emitter.on_grid(placed, wide, step.output)
    kept(emitter, step, placed) if keeps_values else emitter.finish(step, placed)


def _is_whole_map(held: Held, axes: tuple[int, ...]) -> bool:
    return len(held.order) == 4 and sorted(held.stored_axis(axis) for axis in axes) == [1, 2]


@lowers("ArgMax")
def arg_max(emitter: Emitter, step: Step) -> None:
    held = emitter.get(step.input(0))
    rank, axis = len(held.shape), step.integer("axis", 0) % len(held.shape)
    if step.integer("select_last_index", 0):
        raise step.refuse("it takes the last of equal elements, TFLite the first", "set select_last_index = 0")
    if held.grid is not None and held.grid.dtype is DType.INT16:  # TFLM has ARG_MAX of int8 and float32
        held = emitter.on_grid(held, None, step.output)
    tensor = emitter.arranged(held, plain(rank), step.output)
    position = emitter.builder.integers((axis,), ())
    result = emitter.emit(
        "ARG_MAX", (tensor, position), f"{step.output}/place", grid=None, dtype=DType.INT32, output_type=DType.INT32
    )
    shape = tuple(size for i, size in enumerate(held.shape) if i != axis)
    if step.integer("keepdims", 1):
        shape = tuple(1 if i == axis else size for i, size in enumerate(held.shape))
        result = emitter.reshaped(result, shape, step.output, None, DType.INT32)
    emitter.put(step.output, Held(shape, plain(len(shape)), DType.INT32, None, result))

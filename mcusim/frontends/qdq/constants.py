"""What a network computes from constants alone is computed here, before anything else: shapes, axes, folded weights.

Quantised constants stay as they are stored: a DequantizeLinear is never folded, for its scale is what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.network import Array, Network, Step

__all__ = ["MAX_ELEMENTS", "folded"]

MAX_ELEMENTS = 1 << 26
"""Constants that a network makes of constants are refused above this: a few bytes can ask for terabytes."""

MAX_MADE_BYTES = 1 << 28
"""All of them together, beside four times what the file itself holds: weights are quantised and turned at most."""

Fold = Callable[[Step, Sequence[Array]], Array | None]


def folded(network: Network) -> Network:
    """`network` without the steps that depend on constants alone, and without those that change nothing."""
    constants, renamed = dict(network.constants), dict[str, str]()
    four_bit, kept = set(network.four_bit), []
    seen: dict[tuple[object, ...], str] = {}
    left_bytes = MAX_MADE_BYTES + 4 * sum(each.nbytes for each in network.constants.values())
    for original in network.steps:
        step = replace(original, inputs=tuple(renamed.get(name, name) for name in original.inputs))
        if step.op in _NOTHING and step.output not in network.outputs and step.input(0):
            renamed[step.output] = step.input(0)
            continue
        twin = seen.setdefault(_reading(step, constants), step.output) if step.op == "DequantizeLinear" else step.output
        if twin != step.output and step.output not in network.outputs:
            renamed[step.output] = twin
            continue
        makes_four = step.op == "QuantizeLinear" and step.input(2) in four_bit
        value = _value(network, _narrowed(step, constants) if makes_four else step, constants)
        if value is None:
            kept.append(step)
            continue
        if not _is_there(value, step, constants):
            left_bytes -= value.nbytes
        if left_bytes < 0:
            raise step.refuse("constants made of constants take too much memory", "fold them when exporting")
        constants[step.output] = value
        if makes_four or (step.op not in ("QuantizeLinear", "Shape") and step.input(0) in four_bit):
            four_bit.add(step.output)
    return replace(network, steps=tuple(kept), constants=constants, four_bit=frozenset(four_bit))


def _is_there(value: Array, step: Step, constants: dict[str, Array]) -> bool:
    """Whether a value takes no memory of its own: it is in the file, or lies in what the step reads."""
    return step.op == "Constant" or any(
        np.may_share_memory(value, constants[name]) for name in step.inputs if name in constants
    )


def _reading(step: Step, constants: dict[str, Array]) -> tuple[object, ...]:
    """What a dequantiser reads and how: some exporters write one for each reader, with constants of its own."""
    numbers = (constants.get(name) for name in step.inputs[1:])
    elements_read = (name if each is None else (str(each.dtype), each.shape, each.tobytes())
            for name, each in zip(step.inputs[1:], numbers, strict=True))  # fmt: skip
    return (
        step.input(0),
        step.integer("axis", 1),
        step.integer("block_size", 0),
        step.text("stored", ""),
        *elements_read,
    )


def _narrowed(step: Step, constants: dict[str, Array]) -> Step:
    """A quantiser to 4 bits, whose zero point is held in 8."""
    is_signed = constants[step.input(2)].dtype.kind == "i"
    return step.with_attributes(lowest=-8 if is_signed else 0, highest=7 if is_signed else 15)


_NOTHING = frozenset({"Identity", "Dropout", "CastLike"})


def _value(network: Network, step: Step, constants: dict[str, Array]) -> Array | None:
    if len(step.outputs) != 1:
        return None
    if step.op == "Shape":
        shape = network.shape(step.input(0)) or (constants[step.input(0)].shape if step.input(0) in constants else None)
        if shape is None or min(shape, default=1) < 0:
            return None
        start, end = step.integer("start", 0), step.integer("end", len(shape))
        return np.array(shape[start:end], np.int64)
    fold = _FOLDS.get(step.op)
    if fold is None or any(name and name not in constants for name in step.inputs):
        return None
    operands = [constants[name] for name in step.inputs if name]
    try:
        with np.errstate(all="ignore"):
            return fold(step, operands)
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        what = "the shapes or types of its constants do not go together"
        raise step.refuse(what, "export the model again") from error


def _bounded(step: Step, elements: int) -> None:
    if elements > MAX_ELEMENTS:
        raise step.refuse(f"it makes a constant of {elements:,} elements", "use constants of a sensible size")


def _axes(step: Step, operands: Sequence[Array]) -> tuple[int, ...] | None:
    """Axes as an attribute (before opset 13) or as input 1."""
    axes = step.integers("axes")
    return tuple(int(axis) for axis in operands[1].ravel()) if axes is None and len(operands) > 1 else axes


def _squeeze(step: Step, operands: Sequence[Array]) -> Array:
    axes = _axes(step, operands)
    return np.squeeze(operands[0], axis=axes)


def _unsqueeze(step: Step, operands: Sequence[Array]) -> Array:
    axes = _axes(step, operands) or ()
    rank = operands[0].ndim + len(axes)
    return np.expand_dims(operands[0], tuple(axis % rank for axis in axes))


def _reshape(step: Step, operands: Sequence[Array]) -> Array:
    wanted = [int(size) for size in operands[1].ravel()]
    shape = [operands[0].shape[i] if size == 0 and i < operands[0].ndim else size for i, size in enumerate(wanted)]
    return operands[0].reshape(shape)


def _concat(step: Step, operands: Sequence[Array]) -> Array:
    _bounded(step, sum(operand.size for operand in operands))
    return np.concatenate(list(operands), axis=step.integer("axis", 0))


def _slice(step: Step, operands: Sequence[Array]) -> Array:
    given = [tuple(int(i) for i in operand.ravel()) for operand in operands[1:]]
    starts = step.integers("starts") or given[0]
    ends = step.integers("ends") or given[1]
    axes = step.integers("axes") or (given[2] if len(given) > 2 else tuple(range(len(starts))))
    strides = given[3] if len(given) > 3 else (1,) * len(starts)
    where = [slice(None)] * operands[0].ndim
    for axis, start, end, stride in zip(axes, starts, ends, strides, strict=True):
        stop = None if stride < 0 and end < -operands[0].shape[axis] else end
        where[axis] = slice(start, stop, stride)
    return operands[0][tuple(where)]


def _constant_of_shape(step: Step, operands: Sequence[Array]) -> Array:
    shape = tuple(int(size) for size in operands[0].ravel())
    _bounded(step, _product(shape))
    value = step.array("value")
    return np.full(shape, np.float32(0) if value is None else value.ravel()[0])


def _expand(step: Step, operands: Sequence[Array]) -> Array:
    shape = np.broadcast_shapes(operands[0].shape, tuple(int(size) for size in operands[1].ravel()))
    _bounded(step, _product(shape))
    return np.ascontiguousarray(np.broadcast_to(operands[0], shape))


def _product(shape: Sequence[int]) -> int:
    product = 1
    for size in shape:
        product *= max(int(size), 0)
    return product


def _range(step: Step, operands: Sequence[Array]) -> Array:
    start, limit, delta = (operand.ravel()[0] for operand in operands)
    _bounded(step, int(abs((limit - start) / delta)) + 1)
    return np.arange(start, limit, delta, dtype=operands[0].dtype)


def _quantize(step: Step, operands: Sequence[Array]) -> Array | None:
    """Weights that stand as floats before their quantiser.   Rounds halves to even, as ONNX says."""
    if step.integer("block_size", 0):
        return None
    real, scale = operands[0], operands[1]
    zero_point = operands[2] if len(operands) > 2 else np.zeros((), np.uint8)
    if zero_point.dtype.kind not in "iu":
        return None
    shape = [1] * real.ndim
    if scale.size > 1:
        shape[step.integer("axis", 1) % real.ndim] = scale.size
    limits = np.iinfo(zero_point.dtype)
    low, high = step.real("lowest", limits.min), step.real("highest", limits.max)
    offset = zero_point.astype(np.int64).reshape(shape if zero_point.size > 1 else [1] * real.ndim)
    stored = np.rint(real.astype(np.float32) / scale.astype(np.float32).reshape(shape)).astype(np.int64) + offset
    return np.asarray(np.clip(stored, low, high).astype(zero_point.dtype))


def _clip(step: Step, operands: Sequence[Array]) -> Array | None:
    if step.attributes.keys() & {"min", "max"}:
        lowest, highest = step.real("min", -np.inf), step.real("max", np.inf)
        return np.clip(operands[0], lowest, highest).astype(operands[0].dtype)
    if not (step.has(1) and step.has(2)):
        return None
    return np.clip(operands[0], operands[1], operands[2]).astype(operands[0].dtype)


def _cast(step: Step, operands: Sequence[Array]) -> Array | None:
    wanted = step.text("dtype", "")
    return operands[0].astype(wanted) if wanted else None


def _gather(step: Step, operands: Sequence[Array]) -> Array:
    axis = step.integer("axis", 0)
    _bounded(step, operands[1].size * operands[0].size // max(operands[0].shape[axis], 1))
    return np.take(operands[0], operands[1].astype(np.int64), axis=axis)


def _divide(step: Step, operands: Sequence[Array]) -> Array:
    a, b = operands
    return (np.trunc(a / b) if a.dtype.kind in "iu" else a / b).astype(a.dtype)


def _where(step: Step, operands: Sequence[Array]) -> Array:
    _bounded(step, _product(np.broadcast_shapes(*(operand.shape for operand in operands))))
    return np.where(operands[0], operands[1], operands[2])


def _product_of(step: Step, operands: Sequence[Array]) -> Array:
    axes, keeps = _axes(step, operands), bool(step.integer("keepdims", 1))
    return np.asarray(np.prod(operands[0], axis=axes, keepdims=keeps, dtype=operands[0].dtype))


def _arithmetic(operation: Callable[[Array, Array], Array]) -> Fold:
    def fold(step: Step, operands: Sequence[Array]) -> Array:
        _bounded(step, _product(np.broadcast_shapes(operands[0].shape, operands[1].shape)))
        return np.asarray(operation(operands[0], operands[1]))

    return fold


_FOLDS: dict[str, Fold] = {
    "Constant": lambda step, operands: step.array("value"),
    "ConstantOfShape": _constant_of_shape,
    "Identity": lambda step, operands: operands[0],
    "Add": _arithmetic(np.add),
    "Sub": _arithmetic(np.subtract),
    "Mul": _arithmetic(np.multiply),
    "Div": _divide,
    "Pow": _arithmetic(np.power),
    "Max": _arithmetic(np.maximum),
    "Min": _arithmetic(np.minimum),
    "Equal": _arithmetic(np.equal),
    "Greater": _arithmetic(np.greater),
    "Less": _arithmetic(np.less),
    "And": _arithmetic(np.logical_and),
    "Or": _arithmetic(np.logical_or),
    "Mod": _arithmetic(np.mod),
    "Not": lambda step, operands: np.logical_not(operands[0]),
    "Abs": lambda step, operands: np.abs(operands[0]),
    "Where": _where,
    "ReduceProd": _product_of,
    "Neg": lambda step, operands: -operands[0],
    "Sqrt": lambda step, operands: np.sqrt(operands[0]),
    "Reciprocal": lambda step, operands: 1 / operands[0],
    "Floor": lambda step, operands: np.floor(operands[0]),
    "Ceil": lambda step, operands: np.ceil(operands[0]),
    "Cast": _cast,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": lambda step, operands: np.transpose(operands[0], step.integers("perm")),
    "Concat": _concat,
    "Slice": _slice,
    "Gather": _gather,
    "Expand": _expand,
    "Range": _range,
    "QuantizeLinear": _quantize,
    "Clip": _clip,
}
"""ONNX's name -> what it makes of constants, or None where that is not known."""

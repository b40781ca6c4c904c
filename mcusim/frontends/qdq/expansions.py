"""Operators that TFLite has none for, written out in those that it has: what they compute between two quantisers.

Between its quantisers the imported network computes them in floats, and so do these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.network import Array, Attribute, Network, Step
from mcusim.graph import DType

__all__ = ["expanded"]


def expanded(network: Network) -> Network:
    """`network` with each operator of the table written out."""
    if not any(step.op in _RULES for step in network.steps):
        return network
    writer = _Writer(network)
    steps = [new for step in network.steps for new in _expand(writer, step)]
    return replace(network, steps=tuple(steps), constants={**network.constants, **writer.constants})


def _expand(writer: _Writer, step: Step) -> Iterator[Step]:
    rule = _RULES.get(step.op)
    if rule is None or any(step.outputs[1:]) or (step.op in ("Max", "Min") and len(step.inputs) == 2):
        yield step
    else:
        yield from rule(writer, step)


class _Writer:
    """Names for what is new."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.constants: dict[str, Array] = {}

    def constant(self, step: Step, part: str, values: Array) -> str:
        name = f"{step.output}/{part}"
        self.constants[name] = values
        return name

    def step(self, step: Step, op: str, part: str, *inputs: str, **attributes: Attribute) -> Step:
        """A new step whose output is named after `part`; "" for the output of the old one."""
        output = f"{step.output}/{part}" if part else step.output
        return step.stand_in(op, inputs, (output,), attributes)


def _normalised(writer: _Writer, step: Step, axes: tuple[int, ...]) -> Iterator[Step]:
    """(x - mean) / sqrt(variance + epsilon), as `normal`."""
    epsilon = writer.constant(step, "epsilon", np.full(1, step.real("epsilon", 1e-5), np.float32))
    folded: dict[str, Attribute] = {"axes": axes, "keepdims": 1}
    mean = writer.step(step, "ReduceMean", "mean", step.input(0), **folded)
    centred = writer.step(step, "Sub", "centred", step.input(0), mean.output)
    squared = writer.step(step, "Mul", "squared", centred.output, centred.output)
    variance = writer.step(step, "ReduceMean", "variance", squared.output, **folded)
    safe = writer.step(step, "Add", "safe", variance.output, epsilon)
    deviation = writer.step(step, "Sqrt", "deviation", safe.output)
    yield from (mean, centred, squared, variance, safe, deviation)
    yield writer.step(step, "Div", "normal", centred.output, deviation.output)


def _scaled(writer: _Writer, step: Step, scale: str, bias: str) -> Iterator[Step]:
    yield writer.step(step, "Mul", "scaled" if bias else "", f"{step.output}/normal", scale)
    if bias:
        yield writer.step(step, "Add", "", f"{step.output}/scaled", bias)


def _layer_norm(writer: _Writer, step: Step) -> Iterator[Step]:
    shape = writer.network.shape(step.input(0)) or ()
    first = step.integer("axis", -1)
    axes = tuple(range(first, 0)) if first < 0 else tuple(range(first, len(shape)))
    yield from _normalised(writer, step, axes)
    yield from _scaled(writer, step, step.input(1), step.input(2))


def _instance_norm(writer: _Writer, step: Step) -> Iterator[Step]:
    rank = len(writer.network.shape(step.input(0)) or (1, 1, 1, 1))
    yield from _normalised(writer, step, tuple(range(2, rank)))
    names = []
    for index, part in ((1, "scale"), (2, "bias")):
        real = writer.network.real(step.input(index))
        if real is None:
            raise step.refuse("its parameters are computed at run time", "give it constants")
        shape = (1, real.size, *[1] * (rank - 2))
        names.append(writer.constant(step, part, real.astype(np.float32).reshape(shape)))
    yield from _scaled(writer, step, names[0], names[1])


def _cast(writer: _Writer, step: Step) -> Iterator[Step]:
    """Bytes of an input as floats: real numbers of scale 1."""
    value = writer.network.values.get(step.input(0))
    is_input = step.input(0) in writer.network.inputs and step.text("dtype", "") == "float32"
    if not is_input or value is None or value.dtype not in (DType.UINT8, DType.INT8):
        yield step
        return
    scale = writer.constant(step, "scale", np.ones((), np.float32))
    zero_point = writer.constant(step, "zero_point", np.zeros((), value.dtype.value))
    yield writer.step(step, "DequantizeLinear", "", step.input(0), scale, zero_point)


def _number(value: float) -> Array:
    return np.array([value], np.float32)


def _chained(writer: _Writer, step: Step) -> Iterator[Step]:
    """A sum, mean, maximum or minimum of any number of operands: two at a time, without rounding between."""
    op = {"Sum": "Add", "Mean": "Add"}.get(step.op, step.op)
    names = [name for name in step.inputs if name]
    is_mean = step.op == "Mean" and len(names) > 1
    if len(names) == 1:
        yield writer.step(step, "Identity", "", names[0])
        return
    so_far = names[0]
    for place, name in enumerate(names[1:], 1):
        made = writer.step(step, op, f"part{place}" if place < len(names) - 1 or is_mean else "", so_far, name)
        yield made
        so_far = made.output
    if is_mean:
        yield writer.step(step, "Mul", "", so_far, writer.constant(step, "share", _number(1 / len(names))))


def _softplus(writer: _Writer, step: Step) -> Iterator[Step]:
    yield from _log_one_plus_exp(writer, step, "")


def _log_one_plus_exp(writer: _Writer, step: Step, part: str) -> Iterator[Step]:
    """max(x, 0) + log(1 + exp(-|x|)), which no x overflows."""
    one = writer.constant(step, "one", _number(1))
    size = writer.step(step, "Abs", "size", step.input(0))
    below = writer.step(step, "Neg", "below", size.output)
    power = writer.step(step, "Exp", "power", below.output)
    more = writer.step(step, "Add", "more", power.output, one)
    rest = writer.step(step, "Log", "rest", more.output)
    both = writer.step(step, "Add", "both", step.input(0), size.output)  # 2 max(x, 0)
    positive = writer.step(step, "Mul", "positive", both.output, writer.constant(step, "half", _number(0.5)))
    yield from (size, below, power, more, rest, both, positive)
    yield writer.step(step, "Add", part, positive.output, rest.output)


def _mish(writer: _Writer, step: Step) -> Iterator[Step]:
    yield from _log_one_plus_exp(writer, step, "softplus")
    gate = writer.step(step, "Tanh", "gate", f"{step.output}/softplus")
    yield gate
    yield writer.step(step, "Mul", "", step.input(0), gate.output)


def _softsign(writer: _Writer, step: Step) -> Iterator[Step]:
    size = writer.step(step, "Abs", "size", step.input(0))
    more = writer.step(step, "Add", "more", size.output, writer.constant(step, "one", _number(1)))
    yield from (size, more)
    yield writer.step(step, "Div", "", step.input(0), more.output)


def _reciprocal(writer: _Writer, step: Step) -> Iterator[Step]:
    yield writer.step(step, "Div", "", writer.constant(step, "one", _number(1)), step.input(0))


MAX_POWER = 8


def _power(writer: _Writer, step: Step) -> Iterator[Step]:
    """Small whole powers as products, and their reciprocals; others are left."""
    given = writer.network.real(step.input(1))
    exponent = float(given.ravel()[0]) if given is not None and given.size == 1 else 0.0
    if not exponent.is_integer() or abs(exponent) > MAX_POWER or exponent in (0.0, 2.0):
        yield step
        return
    times, x = int(abs(exponent)), step.input(0)
    so_far = x
    for place in range(1, times):
        made = writer.step(step, "Mul", f"power{place}" if place < times - 1 or exponent < 0 else "", so_far, x)
        yield made
        so_far = made.output
    if exponent < 0:
        yield writer.step(step, "Div", "", writer.constant(step, "one", _number(1)), so_far)
    elif times == 1:
        yield writer.step(step, "Identity", "", x)


def _unit_length(writer: _Writer, step: Step) -> Iterator[Step]:
    """x by the sum of sizes (order 1), or by the root of the sum of squares (order 2), along an axis."""
    order = step.integer("p", 2)
    if order not in (1, 2):
        raise step.refuse(f"its norm is of order {order}", "use order 1 or 2")
    folded: dict[str, Attribute] = {"axes": (step.integer("axis", -1),), "keepdims": 1}
    x = step.input(0)
    each = writer.step(step, "Abs", "each", x) if order == 1 else writer.step(step, "Mul", "each", x, x)
    length = writer.step(step, "ReduceSum", "total", each.output, **folded)
    yield from (each, length)
    if order == 2:
        length = writer.step(step, "Sqrt", "length", length.output)
        yield length
    yield writer.step(step, "Div", "", x, length.output)


def _log_softmax(writer: _Writer, step: Step) -> Iterator[Step]:
    """x - max - log(sum(exp(x - max)))."""
    if step.integer("is_flattening", 0):
        raise step.refuse("it may be taken over several axes at once", "export the model with opset 13 or newer")
    folded: dict[str, Attribute] = {"axes": (step.integer("axis", -1),), "keepdims": 1}
    highest = writer.step(step, "ReduceMax", "highest", step.input(0), **folded)
    lower = writer.step(step, "Sub", "lower", step.input(0), highest.output)
    powers = writer.step(step, "Exp", "powers", lower.output)
    total = writer.step(step, "ReduceSum", "total", powers.output, **folded)
    share = writer.step(step, "Log", "share", total.output)
    yield from (highest, lower, powers, total, share)
    yield writer.step(step, "Sub", "", lower.output, share.output)


def _gelu(writer: _Writer, step: Step) -> Iterator[Step]:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))); the exact one needs an error function."""
    if step.text("approximate", "none") != "tanh":
        yield step
        return
    x = step.input(0)
    square = writer.step(step, "Mul", "square", x, x)
    bend = writer.step(step, "Mul", "bend", square.output, writer.constant(step, "cubic", _number(0.044715)))
    slope = writer.step(step, "Add", "slope", bend.output, writer.constant(step, "one", _number(1)))
    curve = writer.step(step, "Mul", "curve", x, slope.output)
    inner = writer.step(step, "Mul", "inner", curve.output, writer.constant(step, "root", _number(np.sqrt(2 / np.pi))))
    gate = writer.step(step, "Tanh", "gate", inner.output)
    more = writer.step(step, "Add", "more", gate.output, f"{step.output}/one")
    half = writer.step(step, "Mul", "halved", x, writer.constant(step, "half", _number(0.5)))
    yield from (square, bend, slope, curve, inner, gate, more, half)
    yield writer.step(step, "Mul", "", half.output, more.output)


_RULES: Mapping[str, Callable[[_Writer, Step], Iterator[Step]]] = {
    "Cast": _cast,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
    "Sum": _chained,
    "Mean": _chained,
    "Max": _chained,
    "Min": _chained,
    "Softplus": _softplus,
    "Mish": _mish,
    "Softsign": _softsign,
    "Reciprocal": _reciprocal,
    "LpNormalization": _unit_length,
    "LogSoftmax": _log_softmax,
    "Gelu": _gelu,
    "Pow": _power,
}

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
    if rule is None or any(step.outputs[1:]):
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
        return Step(step.name, op, inputs, (output,), attributes)


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


_RULES: Mapping[str, Callable[[_Writer, Step], Iterator[Step]]] = {
    "Cast": _cast,
    "LayerNormalization": _layer_norm,
    "InstanceNormalization": _instance_norm,
}

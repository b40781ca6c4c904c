"""Scales that TFLite wants equal, or fixed: for networks whose scales are still to be chosen.

A network that brings its scales keeps them, and pays with QUANTIZE nodes where TFLite's kernels want others. One that
is quantised here need not:

    Concat        copies bytes: what is joined lies on the scale of the whole
    Sigmoid, ...  has one scale: the quantiser behind it takes that
    x * hard sigmoid(x)   is HARD_SWISH, without a quantiser between the two
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mcusim.frontends.qdq.grids import VALUE_KEEPING
from mcusim.frontends.qdq.network import Array, Network, Step

__all__ = ["tied"]

_FIXED = {"Sigmoid": (2.0**-8, -128), "Softmax": (2.0**-8, -128), "Tanh": (2.0**-7, 0)}
"""Operator -> scale and zero point of its int8 output."""


def tied(network: Network) -> Network:
    """`network` with the scales that TFLite's kernels want, where nothing else depends on them."""
    scales: dict[str, tuple[str, str]] = {}
    constants: dict[str, Array] = dict(network.constants)
    for step in network.steps:
        if step.op in _FIXED:
            _fix(network, step, scales, constants)
    for step in reversed(network.steps):
        if step.op == "Concat":
            _join(network, step, scales)
    steps = [_rescaled(step, scales) for step in network.steps]
    return _without_gates(replace(network, steps=tuple(steps), constants=constants))


def _rescaled(step: Step, scales: dict[str, tuple[str, str]]) -> Step:
    """A quantiser or dequantiser of integers whose scale changed."""
    stored = step.output if step.op == "QuantizeLinear" else step.input(0) if step.op == "DequantizeLinear" else ""
    if stored not in scales:
        return step
    return replace(step, inputs=(step.input(0), *scales[stored]))


def _fix(network: Network, step: Step, scales: dict[str, tuple[str, str]], constants: dict[str, Array]) -> None:
    readers = network.readers.get(step.output, ())
    if len(readers) != 1 or readers[0].op != "QuantizeLinear" or not _is_int8(network, readers[0]):
        return
    scale, zero_point = _FIXED[step.op]
    names = (f"{step.output}/scale", f"{step.output}/zero_point")
    constants[names[0]], constants[names[1]] = np.array(scale, np.float32), np.array(zero_point, np.int8)
    scales[readers[0].output] = names


def _is_int8(network: Network, step: Step) -> bool:
    zero_point = network.constants.get(step.input(2))
    return zero_point is not None and zero_point.dtype == np.int8


def _join(network: Network, step: Step, scales: dict[str, tuple[str, str]]) -> None:
    readers = network.readers.get(step.output, ())
    if len(readers) != 1 or readers[0].op != "QuantizeLinear":
        return
    whole = scales.get(readers[0].output, (readers[0].input(1), readers[0].input(2)))
    for name in step.inputs:
        for stored in _chain(network, name):
            scales.setdefault(stored, whole)


def _chain(network: Network, name: str) -> list[str]:
    """The integers that hold a value and, through operators that keep values, those before it; read by nobody else."""
    chain: list[str] = []
    while network.is_read_once(name):
        dequantizer = network.producer.get(name)
        if dequantizer is None or dequantizer.op != "DequantizeLinear":
            break
        quantizer = network.producer.get(dequantizer.input(0))
        if quantizer is None or quantizer.op != "QuantizeLinear" or not network.is_read_once(quantizer.output):
            break
        made = network.producer.get(quantizer.input(0))
        if made is None or made.op in _FIXED or not network.is_read_once(quantizer.input(0)):
            break
        chain.append(quantizer.output)
        if made.op not in VALUE_KEEPING and made.op != "Resize":
            return chain
        name = made.input(0)
    return [] if not chain else chain if _ends(network, chain[-1]) else chain[:-1]


def _ends(network: Network, stored: str) -> bool:
    """Whether what made these integers may be given any scale: it computes, rather than keeps, its values."""
    quantizer = network.producer[stored]
    made = network.producer.get(quantizer.input(0))
    return made is not None and made.op not in VALUE_KEEPING and made.op != "Resize"


def _without_gates(network: Network) -> Network:
    """x * hard sigmoid(x) without the quantiser between the two."""
    direct: dict[str, str] = {}
    for step in network.steps:
        if step.op != "Mul" or len(step.inputs) != 2:
            continue
        for gate, source in (step.inputs, step.inputs[::-1]):
            real = _behind_quantiser(network, gate)
            made = network.producer.get(real)
            if made is not None and made.op == "HardSigmoid" and made.input(0) == source:
                direct[gate] = real
    steps = [replace(step, inputs=tuple(direct.get(name, name) for name in step.inputs)) for step in network.steps]
    return network.with_steps(steps) if direct else network


def _behind_quantiser(network: Network, name: str) -> str:
    """The real value that a quantiser and a dequantiser stand behind; "" where there are none, or others read it."""
    dequantizer = network.producer.get(name)
    if dequantizer is None or dequantizer.op != "DequantizeLinear" or not network.is_read_once(name):
        return ""
    quantizer = network.producer.get(dequantizer.input(0))
    is_one = quantizer is not None and quantizer.op == "QuantizeLinear" and network.is_read_once(quantizer.output)
    return quantizer.input(0) if is_one and quantizer is not None else ""

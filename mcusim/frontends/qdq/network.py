"""A network of real arithmetic between quantisers, as ONNX and PT2E write it: the one form that both front ends give.

    x -> QuantizeLinear -> DequantizeLinear -> Conv -> Relu -> QuantizeLinear -> DequantizeLinear -> ...

Operators, their inputs and attributes go by ONNX's names. Values go by name; activations are NCHW.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import ModelError
from mcusim.graph import DType, Shape

REAL = "/real"
"""Ends the name of a value that stands for another before it is quantised: the tensor that holds both goes without."""

__all__ = ["REAL", "Array", "Attribute", "Network", "Step", "Value", "real_array"]

Array = NDArray[Any]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Array


@dataclass(frozen=True, slots=True)
class Value:
    """Shape and element type of a value that the network computes or is given."""

    shape: Shape
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operator.   inputs, outputs: names of values, "" where an optional one is missing.

    written: the operator of the file that this one stands for, "" where that is `op` itself.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    written: str = ""

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and bool(self.inputs[index])

    def input(self, index: int) -> str:
        """The name of an input, "" where it is missing."""
        return self.inputs[index] if index < len(self.inputs) else ""

    @property
    def output(self) -> str:
        return self.outputs[0]

    def integer(self, name: str, default: int) -> int:
        value = self.attributes.get(name, default)
        return int(value) if isinstance(value, int | float) else default

    def real(self, name: str, default: float) -> float:
        value = self.attributes.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def text(self, name: str, default: str) -> str:
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, or None where the attribute is missing."""
        value = self.attributes.get(name)
        if isinstance(value, tuple | np.ndarray):
            return tuple(int(each) for each in value)
        return (int(value),) if isinstance(value, int) else None

    def floats(self, name: str) -> tuple[float, ...] | None:
        """A list of numbers, or None where the attribute is missing or holds anything else."""
        listed = self.attributes.get(name)
        if not isinstance(listed, tuple):
            return None
        numbers = [float(each) for each in listed if not isinstance(each, str)]
        return tuple(numbers) if len(numbers) == len(listed) else None

    def array(self, name: str) -> Array | None:
        value = self.attributes.get(name)
        return value if isinstance(value, np.ndarray) else None

    def with_attributes(self, **more: Attribute) -> Step:
        return replace(self, attributes={**self.attributes, **more})

    def stand_in(
        self, op: str, inputs: tuple[str, ...], outputs: tuple[str, ...], attributes: Mapping[str, Attribute]
    ) -> Step:
        """Another operator in this one's place: errors name what the file has there."""
        return Step(self.name, op, inputs, outputs, attributes, self.written or self.op)

    def refuse(self, what: str, fix: str) -> ModelError:
        """The error that names this node, with the operator that the file has there."""
        return ModelError(what, where=f"node '{self.name[:80]}' ({self.written or self.op})", fix=fix)


@dataclass(frozen=True, eq=False)
class Network:
    """Steps in the order in which they run.

    inputs, outputs: names.   values: shape and type of each value, where known.   constants: elements of each.
    four_bit: constants whose elements are 4 bits wide in the file; they are held as int8 or uint8.
    """

    name: str
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, Array]
    four_bit: frozenset[str] = frozenset()

    @cached_property
    def producer(self) -> Mapping[str, Step]:
        return {output: step for step in self.steps for output in step.outputs if output}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Step, ...]]:
        """Steps that read a value, each once."""
        readers_of: dict[str, list[Step]] = {}
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                if name:
                    readers_of.setdefault(name, []).append(step)
        return {name: tuple(steps) for name, steps in readers_of.items()}

    @cached_property
    def _reads(self) -> Counter[str]:
        return Counter(name for step in self.steps for name in step.inputs) + Counter(self.outputs)

    def is_read_once(self, name: str) -> bool:
        """Whether one operand of one step is all that a value is for."""
        return self._reads[name] == 1 and name not in self.outputs

    def shape(self, name: str) -> Shape | None:
        constant = self.constants.get(name)
        if constant is not None:
            return constant.shape
        value = self.values.get(name)
        return None if value is None else value.shape

    def with_steps(self, steps: Iterable[Step]) -> Network:
        return replace(self, steps=tuple(steps))

    def real(self, name: str) -> Array | None:
        """The real numbers of a constant, dequantised if it is stored as integers; None for what is computed."""
        constant = self.constants.get(name)
        if constant is not None:
            return constant
        step = self.producer.get(name)
        if step is None or step.op != "DequantizeLinear":
            return None
        return real_array(self, step)


def real_array(network: Network, step: Step) -> Array | None:
    """What a DequantizeLinear of constants gives, in float64; None where something is computed, or in blocks."""
    stored, scale = network.constants.get(step.input(0)), network.constants.get(step.input(1))
    zero_point = network.constants.get(step.input(2)) if step.has(2) else np.zeros((), np.int8)
    if stored is None or scale is None or zero_point is None or step.integer("block_size", 0):
        return None
    shape = [1] * stored.ndim
    if scale.size > 1 and stored.ndim:
        shape[step.integer("axis", 1) % stored.ndim] = scale.size
    elif scale.size == 1:
        shape = [1] * max(stored.ndim, 0)
    scales, zero_points = scale.astype(np.float64).reshape(shape), zero_point.astype(np.float64)
    centred = stored.astype(np.float64) - (
        zero_points.reshape(shape) if zero_points.size > 1 else zero_points.ravel()[0]
    )
    return np.asarray(centred * scales)

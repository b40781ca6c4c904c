"""Networks of one operator, for asking a runtime what it does with them: over element types, shapes and options.

    for network in about("ABS"): network.content() -> .tflite, network.feeds(seed) -> inputs

They are packed by TensorFlow's generated schema alone, so they do not depend on what mcusim knows of an operator, and
may be wrong on purpose. `scripts/` and tests share them. `operator_catalogue.py` has the lists of every operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from mcusim.frontends.vendored import tflite_schema

__all__ = [
    "FLOATS",
    "OPERATORS",
    "PACKED",
    "STORED",
    "TYPES",
    "Network",
    "Operand",
    "Operator",
    "constant",
    "joined",
    "lists",
    "stretched",
    "tensor",
    "zero_of",
]

Array = NDArray[Any]
schema: Any = tflite_schema  # generated, untyped

TYPES = ("int8", "int16", "uint8", "int32", "int64", "float32", "bool")
STORED = ("int8", "uint8", "int16")
"""Element types that have a scale."""
PACKED = ("int4", "uint4", "int2")
"""Element types of which several share a byte; they have a scale, too."""
FLOATS = ("float32", "float16")
_NUMPY = {"bool": np.bool_, "float32": np.float32, "float16": np.float16}


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """A tensor: constant if it has `elements`.

    scale: 0 for none, as for all that are no stored integers; several for one a channel along `axis`. (0.0,) is a scale
        of 0, as converters store for a constant that is all zeros.
    zero_point: None for scales that come without one.
    low, high: what its random elements stay between.
    is_variable: keeps its value from call to call.
    """

    shape: tuple[int, ...]
    dtype: str = "int8"
    elements: Array | None = None
    scale: float | tuple[float, ...] = 0.0
    zero_point: int | None = 0
    axis: int = 0
    low: float | None = None
    high: float | None = None
    is_variable: bool = False

    def drawn(self, random: np.random.Generator) -> Array:
        """Random elements that show the whole range of its type, its ends included."""
        kind = _NUMPY.get(self.dtype, self.dtype)
        if self.dtype == "bool":
            return np.asarray(random.integers(0, 2, self.shape)).astype(np.bool_)
        if self.dtype in FLOATS:
            low, high = (-6.0 if self.low is None else self.low), (6.0 if self.high is None else self.high)
            return np.asarray(random.uniform(low, high, self.shape)).astype(kind)
        info = np.iinfo(np.dtype(kind))
        wide = info.bits > 16
        lowest = (-1000 if wide and info.min else info.min) if self.low is None else int(self.low)
        highest = (1000 if wide else info.max) if self.high is None else int(self.high)
        return np.asarray(random.integers(lowest, highest + 1, self.shape)).astype(kind)


def constant(elements: object, dtype: str = "int32", scale: float = 0.0, zero_point: int = 0) -> Operand:
    """A constant operand with these elements."""
    array = np.asarray(elements, _NUMPY.get(dtype, dtype))
    return Operand(array.shape, dtype, array, scale if dtype in STORED else 0.0, zero_point)


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One operator. inputs, outputs, intermediates: indices of tensors, -1 for an absent input.

    table: name of its options table, "" for none.   options: their fields, by their names in the generated schema.
    custom: name of a custom operator, with `custom_options` as they stand in the file.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    custom: str = ""
    custom_options: bytes = b""
    intermediates: tuple[int, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """Tensors and operators; whatever is neither constant, variable nor written is an input, in the order of tensors.

    label: what is special about it.   outputs: tensors that the network gives back; all of the last operator's, if ().
    bodies: further subgraphs. Each is a Network by itself.
    """

    label: str
    tensors: tuple[Operand, ...]
    operators: tuple[Operator, ...]
    outputs: tuple[int, ...] = ()
    bodies: tuple[Network, ...] = ()
    inputs: tuple[int, ...] | None = None

    def fed(self) -> tuple[int, ...]:
        """The tensors that the network is given."""
        if self.inputs is not None:
            return self.inputs
        written = {tensor for operator in self.operators for tensor in (*operator.outputs, *operator.intermediates)}
        free = (
            index
            for index, tensor in enumerate(self.tensors)
            if tensor.elements is None and not tensor.is_variable and index not in written
        )
        return tuple(free)

    def feeds(self, seed: int = 0) -> list[Array]:
        """Random inputs."""
        random = np.random.default_rng(seed)
        return [self.tensors[index].drawn(random) for index in self.fed()]

    def content(self) -> bytes:
        """The .tflite file."""
        model = schema.ModelT()
        model.version, model.description = 3, self.label
        model.operatorCodes, model.buffers = [], [schema.BufferT()]
        model.subgraphs = [_subgraph(model, network) for network in (self, *self.bodies)]
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def joined(
    label: str,
    name: str,
    inputs: Sequence[Operand | None],
    outputs: Sequence[Operand],
    table: str = "",
    *,
    custom: str = "",
    custom_options: bytes = b"",
    intermediates: Sequence[Operand] = (),
    version: int = 1,
    **options: object,
) -> Network:
    """The network of one operator. An operand that is given twice is one tensor."""
    tensors: list[Operand] = []
    for operand in (*inputs, *outputs, *intermediates):
        if operand is not None and not any(operand is known for known in tensors):
            tensors.append(operand)

    def places(operands: Sequence[Operand | None]) -> tuple[int, ...]:
        return tuple(next((i for i, known in enumerate(tensors) if known is one), -1) for one in operands)

    operator = Operator(
        name,
        places(inputs),
        places(outputs),
        table,
        options,
        custom,
        custom_options,
        places(intermediates),
        version,
    )
    return Network(label, tuple(tensors), (operator,))


def zero_of(dtype: str, zero_point: int) -> int:
    """The zero point of an element type that stands where `zero_point` does among int8."""
    if dtype == "int16":
        return 0
    return zero_point + 128 if dtype == "uint8" else zero_point


def tensor(shape: Sequence[int], dtype: str, scale: float = 0.05, zero_point: int = 0, **fields: Any) -> Operand:
    """An operand with a scale, and a zero point, if its type has them."""
    scaled = scale if dtype in STORED else 0.0
    return Operand(tuple(shape), dtype, scale=scaled, zero_point=zero_of(dtype, zero_point), **fields)


def stretched(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape that both broadcast to."""
    return np.broadcast_shapes(tuple(a), tuple(b))


Lister = Callable[[str], Iterator[Network]]
OPERATORS: dict[str, Lister] = {}
"""Operator -> what lists its networks. `operator_catalogue.py` fills it."""


def lists(*names: str) -> Callable[[Lister], Lister]:
    """Say which operators a function lists networks of."""

    def note(lister: Lister) -> Lister:
        OPERATORS.update(dict.fromkeys(names, lister))
        return lister

    return note


def _subgraph(model: Any, network: Network) -> Any:
    made = schema.SubGraphT()
    made.name = network.label
    made.tensors = [_tensor(model, operand, index) for index, operand in enumerate(network.tensors)]
    made.operators = [_operator(model, operator) for operator in network.operators]
    made.inputs = list(network.fed())
    made.outputs = list(network.outputs or (network.operators[-1].outputs if network.operators else ()))
    return made


def _tensor(model: Any, operand: Operand, index: int) -> Any:
    made = schema.TensorT()
    made.name, made.shape = f"t{index}", list(operand.shape)
    made.type = getattr(schema.TensorType, operand.dtype.upper())
    made.isVariable, made.buffer, made.hasRank = operand.is_variable, 0, True
    scales = operand.scale if isinstance(operand.scale, tuple) else (operand.scale,)
    is_usual = operand.dtype in (*STORED, *PACKED, "int32") or (operand.dtype == "int64" and scales[0] != 0.05)
    if (is_usual and scales[0]) or isinstance(operand.scale, tuple):
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = list(scales)
        made.quantization.zeroPoint = [] if operand.zero_point is None else [operand.zero_point] * len(scales)
        made.quantization.quantizedDimension = operand.axis
    if operand.elements is not None:
        stored = schema.BufferT()
        stored.data = np.frombuffer(np.ascontiguousarray(operand.elements).tobytes(), np.uint8)
        model.buffers.append(stored)
        made.buffer = len(model.buffers) - 1
    return made


def _operator(model: Any, operator: Operator) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, "CUSTOM" if operator.custom else operator.name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version, code.customCode = operator.version, operator.custom or None
    model.operatorCodes.append(code)
    made = schema.OperatorT()
    made.opcodeIndex = len(model.operatorCodes) - 1
    made.inputs, made.outputs = list(operator.inputs), list(operator.outputs)
    made.intermediates = list(operator.intermediates) or None
    if operator.custom_options:
        made.customOptions = np.frombuffer(operator.custom_options, np.uint8)
    if operator.table:
        options = getattr(schema, f"{operator.table}T")()
        for name, value in operator.options.items():
            if not hasattr(options, name):
                raise AttributeError(f"{operator.table} has no {name}")
            setattr(options, name, value)
        second = hasattr(schema.BuiltinOptions2, operator.table)
        union = schema.BuiltinOptions2 if second else schema.BuiltinOptions
        setattr(made, "builtinOptions2Type" if second else "builtinOptionsType", getattr(union, operator.table))
        setattr(made, "builtinOptions2" if second else "builtinOptions", options)
    return made

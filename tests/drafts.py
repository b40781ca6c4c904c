"""What random networks are made of: a GraphBuilder with a source of choices, and the table that operators enter.

Hypothesis chooses what shrinks well (shapes, attributes, types); elements and scales come from one drawn seed. Output
scales follow from what an operator is expected to give, times a drawn factor, so that results use the range, and
sometimes leave it. A new operator: a function of a `Draft`, with `@one_op("NAME")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcusim.frontends.builder import GraphBuilder
from mcusim.frontends.signatures import attributes_for
from mcusim.graph import ABSENT, Activation, DType, Graph, Quantization

__all__ = ["FUSED", "MAKERS", "ONE_OP", "Case", "Draft", "attributes", "inputs_for", "one_op"]

Array = NDArray[Any]
T = TypeVar("T")

INT8, INT16, INT32, INT64, FLOAT32 = DType.INT8, DType.INT16, DType.INT32, DType.INT64, DType.FLOAT32
FUSED = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1)


@dataclass(frozen=True)
class Case:
    """A network and what goes into it."""

    graph: Graph
    inputs: tuple[Array, ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis prints; all but elements and scales, which follow from the seed."""
        printer.text(str(self))

    def __str__(self) -> str:
        lines = []
        for node in self.graph.nodes:
            shown = [
                f"{t.dtype}{list(t.shape)}" if t is not None else "-"
                for t in (*node.signature.inputs, *node.signature.outputs)
            ]
            lines.append(f"{node.op} {' '.join(shown)} {node.attributes}")
        return f"Case({'; '.join(lines)})"


def inputs_for(graph: Graph, seed: int) -> tuple[Array, ...]:
    """Inputs that use every value of their type; floats go a little beyond what QUANTIZE can hold."""
    rng = np.random.default_rng(seed)
    arrays = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        dtype = np.dtype(tensor.dtype.unpacked.value)
        if dtype.kind == "f":
            arrays.append((rng.standard_normal(tensor.shape) * 2).astype(dtype))
        else:
            limits = np.iinfo(dtype)
            unused = limits.bits - tensor.dtype.bits if tensor.dtype.is_packed else 0
            arrays.append(rng.integers(limits.min, limits.max + 1, tensor.shape, dtype=dtype) >> unused)
    return tuple(arrays)


class Draft:
    """A GraphBuilder with a source of choices. `pick`, `number`: hypothesis. `rng`: everything else."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.seed = self.number(0, 2**32 - 1)
        self.rng = np.random.default_rng(self.seed)
        self.builder = GraphBuilder("case")

    def pick(self, options: Sequence[T]) -> T:
        chosen: T = self.draw(st.sampled_from(options))
        return chosen

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def flag(self) -> bool:
        return bool(self.draw(st.booleans()))

    def subset(self, options: Sequence[T]) -> list[T]:
        """Some of them, not all of several, each once."""
        most = max(len(options) - 1, 1)
        chosen: list[T] = self.draw(st.lists(st.sampled_from(options), min_size=1, max_size=most, unique=True))
        return chosen

    def permuted(self, options: Sequence[T]) -> list[T]:
        return list(self.draw(st.permutations(options)))

    def shape(self, low_rank: int = 1, high_rank: int = 4, largest: int = 6) -> tuple[int, ...]:
        rank = self.number(low_rank, high_rank)
        return tuple(self.number(1, largest) for _ in range(rank))

    def map(self, largest: int = 9, channels: int = 9) -> tuple[int, ...]:
        return (self.number(1, 2), self.number(1, largest), self.number(1, largest), self.number(1, channels))

    # Quantisation

    def scale(self, about: float = 0.05, spread: float = 4.0) -> float:
        """Log-uniform within a factor `spread`, float32."""
        return float(np.float32(about * math.exp(self.rng.uniform(-1, 1) * math.log(spread))))

    def quantization(self, dtype: DType = INT8, about: float = 0.05, spread: float = 4.0) -> Quantization | None:
        if dtype is INT8:
            zero_point = int(self.rng.choice([-128, 0, 127, *self.rng.integers(-128, 128, 5)]))
            return Quantization((self.scale(about, spread),), (zero_point,))
        return Quantization((self.scale(about / 256, spread),), (0,)) if dtype is INT16 else None

    def scale_of(self, tensor: int) -> float:
        quantization = self.builder._tensors[tensor].quantization
        assert quantization is not None
        return quantization.scales[0]

    def quantization_of(self, tensor: int) -> Quantization | None:
        return self.builder._tensors[tensor].quantization

    # Tensors

    def input(self, shape: Sequence[int], dtype: DType = INT8, quantization: Quantization | None = None) -> int:
        if quantization is None:
            quantization = self.quantization(dtype)
        return self.builder.input(shape, dtype, quantization=quantization)

    def elements(self, shape: Sequence[int], dtype: DType) -> Array:
        numpy = np.dtype(dtype.value)
        if numpy.kind == "f":
            return self.rng.standard_normal(shape).astype(numpy)
        limits = np.iinfo(numpy)
        return self.rng.integers(limits.min, limits.max + 1, shape, dtype=numpy)

    def constant(self, shape: Sequence[int], dtype: DType, quantization: Quantization | None = None) -> int:
        return self.builder.constant(shape, dtype, self.elements(shape, dtype), quantization=quantization)

    def operand(self, shape: Sequence[int], dtype: DType = INT8, quantization: Quantization | None = None) -> int:
        """An input, or now and then a constant."""
        if self.number(0, 3):
            return self.input(shape, dtype, quantization)
        return self.constant(shape, dtype, quantization or self.quantization(dtype))

    def weights(self, shape: Sequence[int], axis: int | None, dtype: DType = INT8) -> int:
        """Symmetric weights, one scale a channel along `axis`; -128 too, as files have it."""
        limit = 8 if dtype is DType.INT4 else 128
        low = -limit if self.number(0, 3) == 0 else 1 - limit
        elements = self.rng.integers(low, limit, shape, dtype=np.int8)
        scales = tuple(self.scale(0.01) for _ in range(1 if axis is None else shape[axis]))
        quantization = Quantization(scales, (0,) * len(scales), axis or 0)
        return self.builder.constant(shape, dtype, elements, quantization=quantization)

    def bias(self, x: int, weights: int, channels: int, dtype: DType, narrow: bool = False) -> int:
        """As converters make it: scale of input times weights. ABSENT now and then: leave it out, TFLM crashes.

        narrow: int16 layers may have an int32 bias. TFLM reads that of depthwise and transposed ones as int64.
        """
        if self.number(0, 4) == 0:
            return ABSENT
        quantization = self.quantization_of(weights)
        assert quantization is not None
        scales = tuple(float(np.float32(self.scale_of(x) * scale)) for scale in quantization.scales)
        elements = self.rng.integers(-5000, 5001, channels)
        kind = INT64 if dtype is INT16 and not (narrow and self.flag()) else INT32
        return self.builder.constant(
            (channels,), kind, elements, quantization=Quantization(scales, (0,) * len(scales), 0)
        )

    def result_of(self, x: int, weights: int, depth: int, dtype: DType) -> Quantization | None:
        """Scale of a sum of `depth` products, so that some three quarters of the results are in range."""
        of_weights = self.quantization_of(weights)
        assert of_weights is not None
        typical = self.scale_of(x) * max(of_weights.scales) * math.sqrt(depth) * (4096 if dtype is INT8 else 2**20)
        limit = 96 if dtype is INT8 else 96 * 256
        quantization = self.quantization(dtype, 1.0)
        assert quantization is not None
        return Quantization((self.scale(typical / limit, 3.0),), quantization.zero_points)

    def build(self, *outputs: int) -> Case:
        graph = self.builder.build(outputs)
        return Case(graph, inputs_for(graph, self.seed))


Make = Callable[[Draft], Case]
ONE_OP: dict[str, st.SearchStrategy[Case]] = {}
MAKERS: dict[str, Make] = {}
"""What `ONE_OP` draws with: for those who choose in another way than hypothesis."""


def one_op(op: str) -> Callable[[Make], Make]:
    """Register what makes networks of one operator."""

    def register(make: Make) -> Make:
        @st.composite
        def strategy(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Case:
            return make(Draft(draw))

        ONE_OP[op], MAKERS[op] = strategy(), make
        return make

    return register


def attributes(op: str, **fields: object) -> Any:
    return attributes_for(op, tuple(fields.items()))
